"""Calls: a node starts another workflow's run, and waits for its end as a row.

A run that was called names its caller: execution, node, loop path. The called version is the one that is
published at that moment, pinned like that of any run. One call is one run, however often it is repeated
after a crash: its delivery id is the node's idempotency key with the number of the attempt.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct, json

from flowfuse.clock import id_text
from flowfuse.data.follow_ups import FollowUpRepository
from flowfuse.data.workflows import Content, WorkflowRepository
from flowfuse.engine.plan import Plan
from flowfuse.engine.run import Run
from flowfuse.errors import CallFailed, Duplicate, WorkflowInvalid
from flowfuse.model import Value

MAX_DEPTH = 20
"""As deep as workflows may call each other."""


class Caller(Struct, frozen=True):
    """Who waits for a run: a node of another one."""

    execution: str
    node: str
    path: str
    depth: int


class Host(Protocol):
    """What calls ask of the controller."""

    def plan(self, content: Content) -> Plan:
        """The compiled form of a frozen content."""

    def start(
        self,
        workspace: str,
        workflow: str,
        content_id: int,
        plan: Plan,
        trigger: str,
        value: Value,
        *,
        delivery: tuple[str, str] | None = None,
        parent: str | None = None,
    ) -> Run:
        """Accept an execution and begin it."""


def caller_of(run: Run) -> Caller | None:
    """Who called this run."""
    return None if run.parent is None else json.decode(run.parent, type=Caller)


class Calls:
    """Starts the runs that nodes ask for."""

    def __init__(self, workflows: WorkflowRepository, follow_ups: FollowUpRepository, host: Host) -> None:
        self._workflows, self._follow_ups, self._host = workflows, follow_ups, host

    async def call(
        self, run: Run, node: str, path: str, workflow: str, value: Value, key: str, *, waits: bool
    ) -> str:
        """Start a run of the published version for that node; its id. Raises CallFailed, Unavailable."""
        above = caller_of(run)
        depth = 1 if above is None else above.depth + 1
        if depth > MAX_DEPTH:
            raise CallFailed(workflow=workflow, reason=f"workflows call each other {MAX_DEPTH} levels deep")
        content = await self._workflows.published(run.workspace, workflow)
        if content is None:
            raise CallFailed(workflow=workflow, reason="it is not published")
        plan = self._plan(workflow, content)
        parent = json.encode(Caller(id_text(run.id), node, path, depth)).decode() if waits else None
        child = self._host.start(
            run.workspace, workflow, content.id, plan, _trigger(plan, workflow), value,
            delivery=("call", key), parent=parent,
        )  # fmt: skip
        assert child.accepted is not None
        try:
            await child.accepted
        except Duplicate as error:
            # Begun before a crash. Should it have ended already, its end is told once more.
            found: bytes = error.parameters["execution"]
            await self._follow_ups.add(run.workspace, "ended", found)
            return id_text(found)
        return id_text(child.id)

    def _plan(self, workflow: str, content: Content) -> Plan:
        try:
            return self._host.plan(content)
        except WorkflowInvalid as error:
            raise CallFailed(workflow=workflow, reason=str(error)) from None


def _trigger(plan: Plan, workflow: str) -> str:
    """Where a called run begins: at its manual trigger, or the only one there is. Raises CallFailed."""
    triggers = [node for node in plan.triggers if not node.disabled]
    manual = [node for node in triggers if node.type.type == "trigger.manual"]
    chosen = manual or triggers
    if len(chosen) != 1:
        raise CallFailed(workflow=workflow, reason="it needs one manual trigger to be called by")
    return chosen[0].id
