"""Webhooks: /hook/<path> is the published version, /hook-draft/<path> the draft.

A bare ASGI mount, since here every microsecond counts. What is answered with 2xx is committed.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any
from urllib.parse import unquote

import msgspec

from flowfuse.clock import Clock, id_text
from flowfuse.data.files import FileStore
from flowfuse.data.workflows import Content, Hook, WorkflowRepository
from flowfuse.engine.breaker import circuit_open
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.drafts import Drafts
from flowfuse.engine.history import History
from flowfuse.engine.plan import Plan
from flowfuse.engine.records import Blob
from flowfuse.engine.run import Run
from flowfuse.engine.validation import errors_of
from flowfuse.errors import (
    Duplicate,
    FlowFuseError,
    MethodNotTaken,
    NotFound,
    WorkflowInvalid,
)
from flowfuse.events import EventBus, TriggersChanged
from flowfuse.integrations.credential import REDACTED
from flowfuse.integrations.vault import CredentialVault
from flowfuse.integrations.webhooks import NO_CHECK, Check, open_check
from flowfuse.large_json import LARGE
from flowfuse.model import TERMINAL, Answer, State, Value, Workflow
from flowfuse.nodes.triggers.webhook import WebhookParams
from flowfuse.pages.hook_answers import (
    JSON,
    PROBLEM,
    location_of,
    send_answer,
    send_error,
    send_state,
    send_whole,
)
from flowfuse.pages.hook_body import (
    PARTS,
    brackets_in,
    check_call,
    decode,
    is_text,
    kind_of,
    query_of,
    read_file,
    read_parts,
    read_whole,
    sent_headers,
)
from flowfuse.pages.hook_paths import DraftHooks, path_pattern
from flowfuse.pages.hook_trap import HookTrap
from flowfuse.pages.problems import problem_bytes

log = logging.getLogger("flowfuse.hooks")

DELIVERY_HEADERS = ("idempotency-key", "webhook-id", "x-github-delivery")
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))""", re.IGNORECASE)


class Target(msgspec.Struct, frozen=True):
    """A webhook that can be called: what it starts, and how it answers."""

    workspace: str
    workflow: str
    content_id: int
    plan: Plan
    node: str
    params: WebhookParams
    credential: str | None
    delivery_headers: tuple[str, ...]
    mode: str


class HookTable:
    """The published webhooks by path. Plans are compiled when they are first called."""

    def __init__(self, workflows: WorkflowRepository, controller: ExecutionController, bus: EventBus) -> None:
        self._workflows, self._controller = workflows, controller
        self._hooks: dict[str, Hook] = {}
        self._patterns: list[tuple[re.Pattern[str], Hook]] = []
        self._targets: dict[str, Target] = {}
        self._by_pattern: dict[str, Target] = {}
        self._reading = asyncio.Lock()
        self._changes, self._read_at = 1, 0
        # Of drafts, which change with each keystroke in an editor, nothing stands here.
        bus.listen(TriggersChanged, self._changed)

    def _changed(self, event: TriggersChanged) -> None:
        self._changes += 1

    async def find(self, path: str) -> tuple[Target, dict[str, str]]:
        """The target of a path and the values of its `{names}`. Raises NotFound."""
        if self._read_at != self._changes:
            await self._read()
        target = self._targets.get(path)
        if target is not None:
            return target, {}
        hook = self._hooks.get(path)
        if hook is not None:
            return await self._load(hook, self._targets), {}
        for pattern, hook in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                target = self._by_pattern.get(hook.path)
                return target or await self._load(hook, self._by_pattern), found.groupdict()
        raise NotFound(what="webhook", id=path)

    async def _read(self) -> None:
        """Read the paths anew; whoever comes meanwhile waits, for an old table would answer 404."""
        async with self._reading:
            while self._read_at != self._changes:
                changes = self._changes
                hooks = await self._workflows.hooks()
                self._hooks = {hook.path: hook for hook in hooks if "{" not in hook.path}
                self._patterns = [(path_pattern(hook.path), hook) for hook in hooks if "{" in hook.path]
                self._targets, self._by_pattern = {}, {}
                self._read_at = changes

    async def _load(self, hook: Hook, kept: dict[str, Target]) -> Target:
        """Compile a webhook's target, and keep it in the table that it was looked up in."""
        content = await self._workflows.published(hook.workspace, hook.workflow)
        if content is None:
            raise NotFound(what="webhook", id=hook.path)
        target = make_target(
            self._controller, hook.workspace, hook.workflow, content, hook.node, "production"
        )
        kept[hook.path] = target
        return target


def make_target(
    controller: ExecutionController, workspace: str, workflow: str, content: Content, node: str, mode: str
) -> Target:
    """The target of a webhook node in a content."""
    plan = controller.plan(content)
    placed = plan.by_id[node].node
    params = msgspec.convert(placed.config, WebhookParams)
    wanted = (params.dedupe.lower(),) if params.dedupe else DELIVERY_HEADERS
    return Target(workspace, workflow, content.id, plan, node, params, placed.credential, wanted, mode)


class Hooks:
    """The ASGI application behind both mounts."""

    def __init__(
        self,
        table: HookTable,
        controller: ExecutionController,
        history: History,
        workflows: WorkflowRepository,
        drafts: Drafts,
        vault: CredentialVault,
        files: FileStore,
        clock: Clock,
        draft_hooks: DraftHooks,
        trap: HookTrap,
    ) -> None:
        self._draft_hooks, self._trap = draft_hooks, trap
        self._table, self._controller, self._history = table, controller, history
        self._workflows, self._drafts = workflows, drafts
        self._vault, self._files, self._clock = vault, files, clock

    async def published(self, scope: Any, receive: Any, send: Any) -> None:
        """A call of /hook/<path>."""
        target, path = None, _path(scope, "/hook/")
        try:
            target, params = await self._table.find(path)
            await self._call(target, params, scope, receive, send)
        except FlowFuseError as error:
            if target is not None:
                await self._trap.refused(target, scope, error)
            elif isinstance(error, NotFound):
                await self._trap.missed(path, scope, receive, error)
            await send_error(send, error)
        except Exception:
            log.exception("A webhook call broke")
            await send_error(send, FlowFuseError())

    async def draft(self, scope: Any, receive: Any, send: Any) -> None:
        """A call of /hook-draft/<path>: runs the draft as a test."""
        try:
            target, params = await self._find_draft(_path(scope, "/hook-draft/"))
            await self._call(target, params, scope, receive, send)
        except FlowFuseError as error:
            await send_error(send, error)
        except Exception:
            log.exception("A webhook call of a draft broke")
            await send_error(send, FlowFuseError())

    async def _find_draft(self, path: str) -> tuple[Target, dict[str, str]]:
        found = await self._draft_hooks.find(path)
        if found is None:
            raise NotFound(what="webhook of a draft", id=path)
        hook, params = found
        workflow = (await self._workflows.get(hook.workspace, hook.workflow)).document
        if all(node.id != hook.node for node in workflow.nodes):
            raise NotFound(what="webhook of a draft", id=path)
        content = await self._freeze_draft(hook.workspace, workflow)
        return make_target(
            self._controller, hook.workspace, hook.workflow, content, hook.node, "test"
        ), params

    async def _freeze_draft(self, workspace: str, workflow: Workflow) -> Content:
        errors = errors_of(self._drafts.check(workflow))
        if errors:
            raise WorkflowInvalid(errors)
        return await self._workflows.freeze(workspace, workflow)

    async def _call(
        self, target: Target, params: dict[str, str], scope: Any, receive: Any, send: Any
    ) -> None:
        method = scope["method"]
        if method not in target.params.methods:
            allowed = ", ".join(target.params.methods)
            error = MethodNotTaken(method=method, allowed=allowed)
            await send_whole(send, 405, [PROBLEM, (b"allow", allowed.encode())], problem_bytes(error, 405))
            return
        value, delivery, blob = await self._read(target, params, scope, receive)
        self._check_breaker(target)
        run = self._controller.start(
            target.workspace, target.workflow, target.content_id, target.plan, target.node, value,
            mode=target.mode, delivery=delivery, blob=blob, hurry=target.params.respond == "at_once",
        )  # fmt: skip
        try:
            await self._answer(run, target, send)
        except Duplicate as error:
            await self._answer_again(error.parameters["execution"], target, send)

    async def _read(
        self, target: Target, params: dict[str, str], scope: Any, receive: Any
    ) -> tuple[Value, tuple[str, str] | None, Blob | None]:
        """The trigger's value, the delivery id of a call, and how a large value is kept.

        Raises CallDenied, TooLarge, RequestInvalid.
        """
        headers, kind, delivery = _sent_headers(target, scope)
        check = NO_CHECK
        if target.params.auth != "none":
            check = await open_check(
                self._vault, target.workspace, target.params.auth, target.credential,
                target.params.signature.rule(), headers, self._clock.now_us(),
            )  # fmt: skip
        body, brackets = await self._body(target, kind, headers, check, receive)
        if check.hides:
            headers[check.hides] = REDACTED
        value = {
            "method": scope["method"],
            "path": scope["path"],
            "params": params,
            "query": query_of(scope["query_string"]),
            "headers": headers,
            "body": body,
        }
        return value, delivery, await check_call(value, brackets)

    async def _body(
        self, target: Target, sent: str, headers: dict[str, str], check: Check, receive: Any
    ) -> tuple[Value, int]:
        """The body as a value, and how many brackets its text has."""
        kind = kind_of(sent)
        limit, length = target.params.max_bytes, headers.get("content-length", "")
        if is_text(kind):
            raw = await read_whole(receive, limit, length)
            await asyncio.to_thread(check.update, raw) if len(raw) >= LARGE else check.update(raw)
            check.verify()
            return await decode(raw, kind), brackets_in(raw)
        if kind == PARTS:
            found = _BOUNDARY.search(sent)
            boundary = (found[1] or found[2]) if found else ""
            return await read_parts(receive, limit, length, boundary, check, self._files, target.workspace), 0
        return await read_file(receive, limit, length, kind, check, self._files, target.workspace), 0

    def _check_breaker(self, target: Target) -> None:
        """While no call may be made, who waits for an answer is told so at once. Raises CircuitOpen."""
        if target.params.respond == "at_once":
            return
        until = self._controller.breaker.blocked_until(target.workspace)
        if until:
            raise circuit_open(until, self._controller.clock.now_us())

    async def _answer(self, run: Run, target: Target, send: Any) -> None:
        # What has ended already in one commit, its acceptance, is safe with that; all else is told of.
        if target.params.respond == "at_once" or (run.state in TERMINAL and run.committing == 1):
            assert run.accepted is not None
            await run.accepted
        else:
            run = await self._controller.wait_answer(run, target.params.respond_timeout)
        if target.params.respond == "at_once":
            await send_whole(
                send, 202, [JSON, location_of(run.id)], b'{"id":"%b"}' % id_text(run.id).encode()
            )
            return
        if not run.told and run.state in TERMINAL:
            # Its end is not committed yet, so it cannot be shown.
            await send_state(send, run.id, State.running, None)
            return
        answer = run.answer if run.told else None
        await self._send_outcome(send, run.id, run.state, answer, run.result, target)

    async def _answer_again(self, execution: bytes, target: Target, send: Any) -> None:
        """A delivery that came before gets the first run's answer."""
        if target.params.respond == "at_once":
            await send_whole(
                send, 202, [JSON, location_of(execution)], b'{"id":"%b"}' % id_text(execution).encode()
            )
            return
        state, answer, result = await self._history.outcome(
            target.workspace, execution, target.params.respond_timeout
        )
        await self._send_outcome(send, execution, state, answer, result, target)

    async def _send_outcome(
        self, send: Any, execution: bytes, state: State, answer: Answer | None, result: Value, target: Target
    ) -> None:
        if answer is not None and target.params.respond == "respond_node":
            await send_answer(send, answer, self._files, target.workspace)
        else:
            await send_state(send, execution, state, result)


def _path(scope: Any, mount: str) -> str:
    path: str = scope["raw_path"].decode("latin-1").partition("?")[0]
    return unquote(path[len(mount) :]).strip("/")


def _sent_headers(target: Target, scope: Any) -> tuple[dict[str, str], str, tuple[str, str] | None]:
    """The headers as a value, the content type as it stands, and the delivery id of a call."""
    headers, delivery = sent_headers(scope), None
    for name in target.delivery_headers if target.mode == "production" else ():
        if headers.get(name):
            delivery = (f"{target.workflow}/{target.node}", headers[name])
            break
    return headers, headers.get("content-type", ""), delivery
