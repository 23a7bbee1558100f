"""NodeExecutor: runs one node, in the seed's six steps.

1. load the node's configuration    compiled once, in its NodePlan
2. resolve its inputs               expressions worked out on the frame
3. execute it                       the type's closure or coroutine, within its timeout
4. validate the output              the type's output schema; is it JSON? (encodes it for step 5)
5. store the result                 a record of the run's segment
6. emit an event                    records are the events; they are published after their commit
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from flowfuse.clock import Clock, id_text
from flowfuse.engine.frame import UNFIRED, Frame, path_text
from flowfuse.engine.plan import NodePlan
from flowfuse.engine.records import ATTEMPT, DONE, blob_of
from flowfuse.engine.run import UNANSWERED, Run
from flowfuse.engine.sensitive import sensitive_texts, without
from flowfuse.errors import (
    ExpressionFailed,
    NodeFailed,
    NodeTimeout,
    OutputInvalid,
    OutputMismatch,
    Unavailable,
)
from flowfuse.expression import Heavy
from flowfuse.large_json import is_large
from flowfuse.model import Answer, NodeError, Retry, Value, seconds
from flowfuse.node import Outcome, Output, Params, Wait

ROOM_US = 10 * 1_000_000
"""After so long it is seen again whether runs are accepted."""
Offload = Callable[[Callable[[], Any]], Awaitable[Any]]


class Secrets(Protocol):
    """Opens credentials at the last moment, and takes their secrets out of values."""

    async def open(self, workspace: str, name: str) -> Any: ...

    def redact(self, value: Value, credential: Any) -> Value: ...


class WorkflowCaller(Protocol):
    """Starts runs that nodes ask for."""

    async def call(
        self, run: Run, node: str, path: str, workflow: str, value: Value, key: str, *, waits: bool
    ) -> str: ...


class NodeExecutor:
    """Runs nodes; knows nothing of the graph around them."""

    caller: WorkflowCaller

    def __init__(self, clock: Clock, secrets: Secrets, offload: Offload = asyncio.to_thread) -> None:
        self.clock = clock
        self.secrets = secrets
        self._offload = offload

    def run_pure(self, frame: Frame, node: NodePlan) -> Outcome | None:
        """Steps 1–3 of a pure node, here and now. None: too large, use `run_heavy`. Raises NodeFailed."""
        frame.node = node
        frame.now_us = frame.run.now_us
        try:
            return node.step(frame)  # type: ignore[misc]
        except Heavy:
            return None

    def heavy_run(self, frame: Frame, node: NodePlan) -> Callable[[], Outcome]:
        """Steps 1–3 of a pure node whose expressions are too large for the event loop, for `off_loop`.

        The frame goes on meanwhile, so what the node sees of it is taken now.
        """
        twin = frame.copy_for_thread(node)
        return lambda: node.step(twin)  # type: ignore[misc]

    async def off_loop(self, work: Callable[[], Any]) -> Any:
        """Do large work in a worker thread."""
        return await self._offload(work)

    def needs_blob(self, run: Run, outcome: Any) -> bool:
        """Whether what a node gave is so large that it is to be encoded beside the event loop."""
        if type(outcome) is not Output or run.plan.sensitive:
            return False
        return is_large(outcome.value) and id(outcome.value) not in run.large

    async def make_blob(self, run: Run, outcome: Any) -> None:
        """Encode in a worker thread what a node gave, if that is large; `store` then finds it done."""
        if not self.needs_blob(run, outcome):
            return
        try:
            blob = await self._offload(partial(blob_of, outcome.value))
        except OutputInvalid:
            return  # `store` refuses it in its turn
        run.remember(outcome.value, blob)

    def store(self, frame: Frame, node: NodePlan, outcome: Output, attempt: int) -> None:
        """Steps 4–6: refuse what is not valid, record the result. Raises OutputInvalid, OutputMismatch."""
        run = frame.run
        value = outcome.value
        if node.type.output is not Any and not node.disabled:
            self._check_output(run, node, value)
        before, now_us = run.now_us, self.clock.now_us()
        record = (
            DONE,
            node.index,
            frame.path,
            outcome.port,
            value,
            now_us - run.base_us,
            now_us - before,
            attempt,
        )
        packed, blob = run.encoded(record, 4)
        run.now_us = now_us
        if outcome.note is not None:
            run.take_note(frame, node, outcome.note)
        run.keep(packed, blob)
        if run.answer is not None and run.answer.body is UNANSWERED:
            run.answer = Answer(run.answer.status, run.answer.headers, value)

    def resolve(self, frame: Frame, node: NodePlan, value: Value) -> Params:
        """Steps 1–2 for a type with effects, or a loop: its Params. Raises NodeFailed, Heavy."""
        frame.input, frame.node = value, node
        config = node.resolve(frame)  # type: ignore[misc]
        try:
            return msgspec.convert(config, node.type.params)
        except msgspec.ValidationError as error:
            raise ExpressionFailed(reason=f"The config does not fit {node.type.type}: {error}") from None

    def heavy_resolve(self, frame: Frame, node: NodePlan, value: Value) -> Callable[[], Params]:
        """`resolve`, for `off_loop`."""
        twin = frame.copy_for_thread(node)
        return lambda: self.resolve(twin, node, value)

    def begin(self, frame: Frame, node: NodePlan, attempt: int, at_us: int) -> None:
        """Record that an attempt starts: committed before its effect leaves."""
        run = frame.run
        run.write((ATTEMPT, node.index, frame.path, attempt, at_us - run.base_us))

    async def run_effect(self, frame: Frame, node: NodePlan, params: Params, attempt: int) -> Outcome:
        """Step 3 of a type with effects, and redaction. Raises NodeFailed."""
        limit = asyncio.timeout(node.timeout)
        context = Context(frame, node, attempt, self, limit)
        try:
            async with limit:
                outcome = await node.type.run(params, context)
        except TimeoutError:
            if not limit.expired():
                raise
            raise NodeTimeout(seconds=node.timeout) from None
        except NodeFailed as error:
            if context.opened is not None:
                error.parameters = self.secrets.redact(error.parameters, context.opened)
            raise
        if context.opened is not None and isinstance(outcome, Output):
            return Output(outcome.port, self.secrets.redact(outcome.value, context.opened), outcome.note)
        return outcome

    def _check_output(self, run: Run, node: NodePlan, value: Value) -> None:
        try:
            msgspec.convert(value, node.type.output)
        except msgspec.ValidationError as error:
            # A pinned value may hold only what the test is about.
            if run.mode != "test" or node.pinned is UNSET:
                raise OutputMismatch(reason=str(error)) from None


class Context:
    """What a node with effects sees of its run (see `flowfuse.node.RunContext`)."""

    __slots__ = ("_executor", "_frame", "_limit", "_node", "attempt", "execution", "literal_host", "mode",
                 "node", "now_us", "opened", "operator", "timezone", "workflow", "workspace")  # fmt: skip

    def __init__(
        self, frame: Frame, node: NodePlan, attempt: int, executor: NodeExecutor, limit: asyncio.Timeout
    ) -> None:
        self._frame, self._node, self._executor, self._limit = frame, node, executor, limit
        self.execution = id_text(frame.run.id)
        self.node = node.id
        self.attempt = attempt
        self.now_us = frame.now_us
        self.literal_host = node.literal_host
        self.operator = frame.run.operator
        self.timezone = frame.run.timezone
        self.workspace, self.workflow = frame.run.workspace, frame.run.workflow_id
        self.mode = frame.run.mode
        self.opened: Any = None

    def own_timeout(self) -> float | None:
        """For a node that may have to wait its turn first: it keeps its time itself."""
        self._limit.reschedule(None)
        return self._node.timeout

    def idempotency_key(self, page: int = 0) -> str:
        """One key for all attempts of this effect: retries, resumes, an unedited requeue."""
        return idempotency_key(self._frame.run.root, self.node, self._frame.path_text, page)

    async def evaluate(self, field: str, **names: Value) -> Value:
        """A lazy field, with values for its own names; in a worker thread where it is large."""
        twin = self._frame.copy_for_thread(self._node)
        twin.input, twin.now_us = self._frame.arrived[self._node.slot], self.now_us
        twin.extra, twin.inline = names, True
        work = partial(self._node.lazy[field], twin)
        try:
            return work()
        except Heavy:
            twin.inline, twin.meter = False, None
            return await self._executor.off_loop(work)

    def deadline_us(self) -> int:
        """Until when the node may take, by its timeout; 0 where it has none."""
        timeout = self._node.timeout
        return 0 if timeout is None else self._frame.run.now_us + int(timeout * 1e6)

    async def call_workflow(self, workflow: str, value: Value, *, waits: bool) -> str | Wait:
        """Start a run of another workflow for this node; its id. Raises CallFailed.

        Where no run is accepted now (draining, a full disk or queue), the wait that the node has to give.
        """
        frame = self._frame
        key = f"{self.idempotency_key()}/{self.attempt}"
        try:
            return await self._executor.caller.call(
                frame.run, self.node, frame.path_text, workflow, value, key, waits=waits
            )
        except Unavailable:
            return Wait(self._executor.clock.now_us() + ROOM_US, "room", self.attempt)

    async def credential(self) -> Any:
        """Open the node's credential, now."""
        name = self._node.node.credential
        if name is None:
            return None
        self.opened = await self._executor.secrets.open(self._frame.run.workspace, name)
        return self.opened


def idempotency_key(root: bytes, node: str, loop_path: str, page: int) -> str:
    """`ff-` and 32 hex digits of sha256(root execution, node, loop path, page)."""
    text = f"{id_text(root)}|{node}|{loop_path}|{page}"
    return "ff-" + hashlib.sha256(text.encode()).hexdigest()[:32]


def pinned_outcome(node: NodePlan) -> Output | None:
    """A test run's fixed output, where the node has one."""
    return None if node.pinned is UNSET else Output(node.first_port, node.pinned)


def as_node_error(error: NodeFailed, node: NodePlan, frame: Frame, attempt: int) -> NodeError:
    """The error as it is recorded and shown."""
    where = path_text(frame.scope, frame.path)
    message = error.message
    if frame.run.plan.sensitive:
        message = without(message, sensitive_texts(frame.run.root_frame))
    return NodeError(
        code=str(error.parameters.get("custom") or error.code),
        message=message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…",
        node=node.id,
        attempt=attempt,
        hint=error.hint or (f"in {where}" if where else ""),
        line=error.parameters.get("line", UNSET),
        column=error.parameters.get("column", UNSET),
        excerpt=error.parameters.get("excerpt", UNSET),
    )


def error_value(error: NodeError) -> dict[str, Value]:
    """The error as a value of the workflow: always with all of its fields."""
    value: dict[str, Value] = {
        "code": error.code,
        "message": error.message,
        "node": error.node,
        "attempt": error.attempt,
        "hint": error.hint,
    }
    if error.line is not UNSET:
        value |= {"line": error.line, "column": error.column, "excerpt": error.excerpt}
    return value


def error_route(node: NodePlan, error: NodeError, value: Value) -> tuple[str | None, Value]:
    """Where on_error lets a failed node leave, and with which value."""
    if node.node.on_error == "fail":
        return None, None
    plain = error_value(error)
    if node.node.on_error == "continue":
        return "main", {"error": plain}
    return "error", {"error": plain, "input": None if value is UNFIRED else value}


def retry_delay(retry: Retry, attempt: int, error: NodeFailed, fraction: float) -> float:
    """Seconds before the next attempt: the backoff with full jitter; a peer's Retry-After wins.

    `fraction` is a random number of 0…1. Exponential doubles (AWS Architecture Blog, "Exponential
    Backoff And Jitter", full jitter).
    """
    if error.retry_after is not None:
        return min(error.retry_after, MAX_RETRY_AFTER)
    initial, longest = seconds(retry.initial), seconds(retry.max)
    factor = {"exponential": 2.0 ** min(attempt - 1, 60), "linear": float(attempt), "fixed": 1.0}[
        retry.backoff
    ]
    delay = min(initial * factor, longest)
    return delay * fraction if retry.jitter else delay


MAX_MESSAGE = 10_000
"""Longer error messages are cut: the place for large things is a value."""

MAX_RETRY_AFTER = 3600.0
"""An absurd Retry-After (days) is cut to this."""
