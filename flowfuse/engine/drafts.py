"""Drafts: workflows from their first save to publishing, and what of them may run.

A document that has the shape can always be saved, with its problems; running and publishing need one
without errors. Webhook paths are made when they are missing, and are unique among the published.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from typing import Any

import msgspec

from flowfuse import document
from flowfuse.clock import Clock, Ids, id_text
from flowfuse.data.workflows import Content, Draft, Edited, WorkflowRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.operations import Applied, Editor, Known, Operation, Refusal, Refused
from flowfuse.engine.recurrence import parse_recurrence
from flowfuse.engine.run import Run
from flowfuse.engine.validation import ValidationEngine, errors_of
from flowfuse.errors import Conflict, OutputInvalid, RequestInvalid, WorkflowInvalid
from flowfuse.events import EventBus, TriggersChanged, WorkflowChanged
from flowfuse.model import Node, Problem, Schedule, Value, Version, Workflow
from flowfuse.node import Catalogue, check_incoming

WEBHOOK = "trigger.webhook"
SCHEDULE = "trigger.schedule"
DEEPEST = 1000
"""As many brackets as make the check of an input look at how deep it is nested."""


def check_storable(value: Value, field: str) -> None:
    """Refuse what came from outside and is no JSON value of ours. Raises RequestInvalid."""
    try:
        check_incoming(value, DEEPEST)
    except OutputInvalid as error:
        raise RequestInvalid(field=field, reason=error.parameters["reason"]) from None


def all_problems(raw: Any, validation: ValidationEngine) -> list[Problem]:
    """Everything that is wrong with plain values that were meant as a document, in one answer.

    What has not the shape is named, and what is left of the document without it is checked as well.
    """
    found = document.shape_problems(raw)
    if not found:
        return validation.check(document.from_raw(raw))
    rest = document.usable_part(raw)
    named = {problem.path for problem in found}
    return found + [p for p in (validation.check(rest) if rest is not None else ()) if p.path not in named]


class Drafts:
    """Saves, checks, publishes and starts workflows."""

    def __init__(
        self,
        workflows: WorkflowRepository,
        validation: ValidationEngine,
        controller: ExecutionController,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
        bus: EventBus,
    ) -> None:
        self._workflows, self._validation, self._controller = workflows, validation, controller
        self._catalogue, self._clock, self._ids, self._bus = catalogue, clock, ids, bus

    def check(self, workflow: Workflow) -> list[Problem]:
        """All problems of a document that has the shape."""
        return self._validation.check(workflow)

    def check_raw(self, raw: Any) -> list[Problem]:
        """All problems of plain values that were meant as a document, of its shape and beyond."""
        return all_problems(raw, self._validation)

    async def create(self, workspace: str, workflow: Workflow) -> Draft:
        """Keep a new workflow; its id and webhook paths are made when missing. Raises Conflict."""
        complete = self._completed(workflow)
        try:
            draft = await self._workflows.create(workspace, complete)
        except Conflict:
            if workflow.id is not None:
                raise
            other = f"{(complete.id or '')[:57]}-{self._random_text(6)}"
            draft = await self._workflows.create(workspace, msgspec.structs.replace(complete, id=other))
        self._changed(workspace, draft.summary.id)
        return draft

    async def save(self, workspace: str, name: str, workflow: Workflow, based_on: int) -> Draft:
        """Replace a draft that is still at `based_on`, taken apart into operations.

        Raises NotFound, StaleVersion, RequestInvalid.
        """
        if workflow.id not in (None, name):
            raise RequestInvalid(field="id", reason=f"“{workflow.id}” is not “{name}”; an id does not change")
        complete = self._completed(msgspec.structs.replace(workflow, id=name))
        wanted = msgspec.json.decode(document.to_json(complete))

        def change(editor: Editor, _known: dict[str, bytes]) -> Edited:
            editor.replace(wanted)
            return Edited()

        await self._workflows.edit(workspace, name, change, based_on=based_on)
        self._changed(workspace, name)
        return await self._workflows.get(workspace, name)

    async def operate(self, workspace: str, name: str, operations: list[Operation]) -> Applied:
        """Apply operations in their order; what contradicts a later change is handed back.

        An operation that came before (by its id) is not applied again. Raises NotFound.
        """
        outcomes: dict[str, Known] = {}

        def change(editor: Editor, kept: dict[str, bytes]) -> Edited:
            before = editor.document
            for operation in operations:
                id = operation.id
                if id in kept:
                    outcomes[id] = msgspec.json.decode(kept[id], type=Known)
                elif id not in outcomes:
                    outcomes[id] = _apply(editor, operation)
            new = {id: msgspec.json.encode(each) for id, each in outcomes.items() if id not in kept}
            changed = editor.document is not before
            if changed:
                self._give_paths(editor)
            return Edited(changed=changed, outcomes=new)

        at = await self._workflows.edit(workspace, name, change, ids=[o.id for o in operations])
        self._changed(workspace, name, at)
        return Applied(
            seq=max((each.seq for each in outcomes.values() if each.refused is None), default=at),
            accepted=[name for name, each in outcomes.items() if each.refused is None],
            refused=[each.refused for each in outcomes.values() if each.refused is not None],
            inverse=[back for each in reversed(outcomes.values()) for back in each.inverse],
        )

    def new_id(self) -> str:
        """An id for an operation that is made here."""
        return id_text(self._ids.new())

    def _give_paths(self, editor: Editor) -> None:
        """A webhook that was added, or lost its path, gets one before anybody asks for it."""
        for node in editor.document["nodes"]:
            if node["type"] == WEBHOOK and not node.get("config", {}).get("path"):
                node["config"] = {**node.get("config", {}), "path": self._random_text(26)}

    async def delete(self, workspace: str, name: str) -> None:
        """Remove a workflow; its runs stay. Raises NotFound."""
        await self._workflows.delete(workspace, name)
        self._triggers_changed(workspace, name)

    async def publish(self, workspace: str, name: str, note: str = "", author: str = "") -> Version:
        """Make the draft the version that triggers fire. Raises WorkflowInvalid, Conflict, NotFound."""
        draft = await self._workflows.get(workspace, name)
        self._must_run(draft.document)
        pinned = self._with_versions(draft.document)
        schedules = schedules_of(workspace, pinned, self._clock.now_us())
        version = await self._workflows.publish(
            workspace, pinned, webhooks_of(pinned), schedules, note, author
        )
        self._triggers_changed(workspace, name)
        return version

    async def go_live(self, workspace: str, name: str, number: int, paused: Collection[str] = ()) -> None:
        """Let triggers fire a version that is there, as before it was unpublished.

        `paused`: nodes whose schedules stand still. Raises NotFound, WorkflowInvalid, Conflict.
        """
        found = (await self._workflows.version(workspace, name, number)).document
        self._must_run(found)
        schedules = [
            msgspec.structs.replace(schedule, paused=True) if schedule.node in paused else schedule
            for schedule in schedules_of(workspace, found, self._clock.now_us())
        ]
        await self._workflows.go_live(workspace, name, number, webhooks_of(found), schedules)
        self._triggers_changed(workspace, name)

    async def keep(self, workspace: str, name: str, note: str, author: str = "") -> Version:
        """Keep the draft as it is as a version with a name, without publishing it. Raises NotFound."""
        draft = await self._workflows.get(workspace, name)
        return await self._workflows.keep_version(
            workspace, self._with_versions(draft.document), note, author
        )

    async def restore(self, workspace: str, name: str, number: int, author: str = "") -> Draft:
        """Make the draft what a version was. What it was till now is kept as a version, so nothing is lost.

        Raises NotFound.
        """
        content = await self._workflows.version(workspace, name, number)
        draft = await self._workflows.get(workspace, name)
        newest = next(iter(await self._workflows.versions(workspace, name)), None)
        current = self._with_versions(draft.document)
        if newest is None or newest.hash != document.digest(current).hex():
            await self._workflows.keep_version(workspace, current, f"Before v{number} was restored", author)
        return await self.save(workspace, name, content.document, draft.summary.seq)

    async def unpublish(self, workspace: str, name: str) -> None:
        """Stop the triggers. Raises NotFound."""
        await self._workflows.unpublish(workspace, name)
        self._triggers_changed(workspace, name)

    async def run(
        self,
        workspace: str,
        name: str,
        value: Value,
        *,
        trigger: str | None = None,
        published: bool = False,
    ) -> Run:
        """Start the draft (a test run) or the published version by hand.

        Raises NotFound, WorkflowInvalid, RequestInvalid, Unavailable.
        """
        if published:
            content = await self._workflows.published(workspace, name)
            if content is None:
                raise RequestInvalid(field="version", reason=f"“{name}” is not published")
        else:
            draft = await self._workflows.get(workspace, name)
            self._must_run(draft.document)
            content = await self._workflows.freeze(workspace, draft.document)
        mode = "manual" if published else "test"
        return await self._start(workspace, name, content, value, trigger, mode)

    async def run_document(
        self, workspace: str, workflow: Workflow, value: Value, *, trigger: str | None = None, mode: str
    ) -> Run:
        """Run a document without keeping it as a workflow. Raises WorkflowInvalid, RequestInvalid."""
        self._must_run(workflow)
        named = self._completed(workflow)
        content = await self._workflows.freeze(workspace, named)
        return await self._start(workspace, named.id or "", content, value, trigger, mode)

    async def _start(
        self, workspace: str, name: str, content: Content, value: Value, trigger: str | None, mode: str
    ) -> Run:
        chosen = choose_trigger(content.document, self._catalogue, trigger)
        check_storable(value, "input")
        return await self._controller.execute(workspace, name, content, chosen, value, mode=mode)

    def _must_run(self, workflow: Workflow) -> None:
        errors = errors_of(self.check(workflow))
        if errors:
            raise WorkflowInvalid(errors)

    def _triggers_changed(self, workspace: str, name: str) -> None:
        self._changed(workspace, name)
        self._bus.publish(TriggersChanged(workspace, name))

    def _changed(self, workspace: str, name: str, seq: int = 0) -> None:
        self._bus.publish(WorkflowChanged(workspace, name, seq))

    def _completed(self, workflow: Workflow) -> Workflow:
        """With the ids that are made when missing: the workflow's own, and webhook paths."""
        name = workflow.id or _slug(workflow.name) or f"workflow-{self._random_text(6)}"
        nodes = [self._with_path(node) for node in workflow.nodes]
        return msgspec.structs.replace(workflow, id=name, nodes=nodes)

    def _with_path(self, node: Node) -> Node:
        if node.type != WEBHOOK or node.config.get("path"):
            return node
        return msgspec.structs.replace(node, config={**node.config, "path": self._random_text(26)})

    def _with_versions(self, workflow: Workflow) -> Workflow:
        """Each node's type version written down, so that the content means the same for ever."""
        nodes = []
        for node in workflow.nodes:
            found = self._catalogue.find(node.type, node.version)
            nodes.append(msgspec.structs.replace(node, version=found.version) if found else node)
        return msgspec.structs.replace(workflow, nodes=nodes)

    def _random_text(self, length: int) -> str:
        """Lower-case letters and digits; 26 of them carry 130 bits."""
        return base64.b32encode(self._ids.token(20)).decode().lower()[:length]


def _apply(editor: Editor, operation: Operation) -> Known:
    try:
        return Known(seq=editor.seq, inverse=editor.apply(operation))
    except Refusal as refusal:
        return Known(seq=editor.seq, refused=Refused(operation.id, refusal.value, refusal.by))


def webhooks_of(workflow: Workflow) -> list[tuple[str, str]]:
    """(path, node id) of the webhooks that are on. A draft's path may still be anything."""
    return [
        (path, node.id)
        for node in workflow.nodes
        if node.type == WEBHOOK and not node.disabled and isinstance(path := node.config.get("path"), str)
    ]


def schedules_of(workspace: str, workflow: Workflow, now_us: int) -> list[Schedule]:
    """The schedules of the triggers that are on, with their first due times. Raises ScheduleInvalid."""
    found = []
    for node in workflow.nodes:
        if node.type != SCHEDULE or node.disabled:
            continue
        recurrence = parse_recurrence(
            cron=node.config.get("cron", ""),
            every=node.config.get("every"),
            at=node.config.get("at", ""),
            timezone=node.config.get("timezone") or workflow.settings.timezone,
            anchor_us=now_us,
        )
        found.append(
            Schedule(
                workspace=workspace,
                workflow=workflow.id or "",
                node=node.id,
                recurrence=msgspec.json.encode(recurrence).decode(),
                catch_up=node.config.get("catch_up", "none"),
                paused=False,
                next_due=recurrence.after(now_us),
            )
        )
    return found


def choose_trigger(workflow: Workflow, catalogue: Catalogue, wanted: str | None) -> str:
    """The trigger that a run by hand starts at. Raises RequestInvalid where it has to be named."""
    triggers = [node for node in workflow.nodes if _is_trigger(node, catalogue) and not node.disabled]
    names = ", ".join(node.id for node in triggers)
    if wanted is not None:
        if wanted not in {node.id for node in triggers}:
            raise RequestInvalid(
                field="trigger", reason=f"There is no trigger “{wanted}”. There are: {names}"
            )
        return wanted
    manual = [node for node in triggers if node.type == "trigger.manual"]
    chosen = triggers if len(triggers) == 1 else manual
    if len(chosen) != 1:
        raise RequestInvalid(field="trigger", reason=f"Say which trigger starts the run: {names}")
    return chosen[0].id


def _is_trigger(node: Node, catalogue: Catalogue) -> bool:
    found = catalogue.find(node.type, node.version)
    return found is not None and found.is_trigger


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-")


def outcome(run: Run) -> dict[str, Any]:
    """`{id, state, result, error}` of a run, as programs get it."""
    return {
        "id": run.execution_view["id"],
        "state": run.state.name,
        "result": run.result,
        "error": msgspec.to_builtins(run.error) if run.error is not None else None,
    }


def as_copy(workflow: Workflow) -> Workflow:
    """The same as another workflow, kept beside it: its id and the paths of its webhooks are its own."""
    nodes = [
        msgspec.structs.replace(node, config={k: v for k, v in node.config.items() if k != "path"})
        if node.type == WEBHOOK
        else node
        for node in workflow.nodes
    ]
    return msgspec.structs.replace(workflow, id=None, name=workflow.name or workflow.id or "", nodes=nodes)
