"""What a run did, node by node, worked out from its records for people to read."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from flowfuse.clock import id_bytes, id_text
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import Content, WorkflowRepository
from flowfuse.engine import records
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.frame import UNFIRED, path_text
from flowfuse.engine.plan import Plan
from flowfuse.engine.replay import Replay
from flowfuse.engine.run import Run
from flowfuse.engine.sensitive import hidden
from flowfuse.engine.state import Log, StateManager
from flowfuse.model import (
    Answer,
    Attempt,
    Execution,
    ExecutionDetail,
    LogLine,
    NodeError,
    NodeRun,
    State,
    Value,
    Workflow,
)

log = logging.getLogger("flowfuse.engine")

MAX_NODE_RUNS = 2000
"""A page shows at most this many node runs; more are counted."""

_OPEN = frozenset({"running", "retrying", "waiting", "asking", "approving", "calling"})
"""What a node can only be doing while its run goes on."""

_WAITING = {
    "time": "waiting",
    "ask": "asking",
    "call": "waiting",
    "approval": "approving",
    "workflow": "calling",
    "breaker": "waiting",
    "room": "waiting",
}
"""What a node that waits is said to be doing, by what it waits for."""

Key = tuple[int, tuple[int, ...]]
T = TypeVar("T")


class History:
    """Reads finished and running executions in full."""

    def __init__(
        self,
        executions: ExecutionRepository,
        workflows: WorkflowRepository,
        state: StateManager,
        controller: ExecutionController,
    ) -> None:
        self._executions, self._workflows = executions, workflows
        self._state, self._controller = state, controller

    async def document(self, workspace: str, execution: str) -> Workflow:
        """The content that a run is pinned to. Raises NotFound."""
        return (await self._content(workspace, execution)).document

    async def version(self, workspace: str, execution: Execution) -> int | None:
        """The version that a run ran; None where it ran a draft. Raises NotFound."""
        content = await self._executions.content_of(workspace, execution.id)
        return await self._workflows.version_of(workspace, execution.workflow, content, execution.created)

    async def plan(self, workspace: str, execution: str) -> Plan:
        """The compiled content of a run. Raises NotFound, WorkflowInvalid, MissingType."""
        return self._controller.plan(await self._content(workspace, execution))

    async def detail(self, workspace: str, execution: str, *, plain: bool = False) -> ExecutionDetail:
        """An execution with each node's input, output, attempts and timing. Raises NotFound.

        What the workflow calls sensitive is hidden, but for the engine itself (`plain`).
        """
        found = await self._executions.get(workspace, execution)
        plan = await self.plan(workspace, execution)
        log = await self._state.log(workspace, execution)
        run = _scratch(found, plan)
        detail = _Reader(plan, found, Replay(self._controller.walker, run)).read(log)
        return detail if plain or not plan.sensitive else hidden(detail, plan)

    async def given(self, workspace: str, execution: str) -> Value:
        """What a run was started with: of all that it did only the beginning is read. Raises NotFound.

        What is sensitive is looked for in the whole of it.
        """
        if (await self.plan(workspace, execution)).sensitive:
            return (await self.detail(workspace, execution)).input
        log = await self._state.log(workspace, execution, most=1)
        starts = [record for _, _, segment in log for record in segment if record[0] == records.START]
        return starts[-1][2] if starts else None

    async def outcome(self, workspace: str, raw: bytes, timeout: float) -> tuple[State, Answer | None, Value]:
        """State, answer and result of an accepted run; waits, within the timeout, for one under way."""
        run = self._controller.runs.get(raw)
        if run is not None:
            run = await self._controller.wait_answer(run, timeout)
            return run.state, run.answer, run.result
        detail = await self.detail(workspace, id_text(raw), plain=True)
        return State[detail.execution.state], detail.answer, detail.result

    async def _content(self, workspace: str, execution: str) -> Content:
        number = await self._executions.content_of(workspace, execution)
        return await self._workflows.content(workspace, number)


class _Entry:
    """What is known of one node in one scope instance while the records are read."""

    __slots__ = ("attempts", "ended", "error", "input", "output", "port", "started", "state", "waits_for")

    def __init__(self, started: int) -> None:
        self.started = started
        self.input: Value = None
        self.ended: int | None = None
        self.state = "running"
        self.waits_for: Value = None
        self.port: str | None = None
        self.output: Value = None
        self.error: NodeError | None = None
        self.attempts: list[Attempt] = []


class _Reader:
    """Goes through the records, with a replay beside it that knows what came in at each node."""

    def __init__(self, plan: Plan, execution: Execution, replay: Replay) -> None:
        self._plan, self._execution = plan, execution
        self._replay: Replay | None = replay
        self._entries: dict[Key, _Entry] = {}
        self._logs: defaultdict[Key, list[LogLine]] = defaultdict(list)
        self._answer: Answer | None = None
        self._input: Value = None
        self._truncated = False
        self._seq = 0

    def read(self, log: Log) -> ExecutionDetail:
        for _first, base, segment in log:
            for record in segment:
                self._seq += 1
                _READ[record[0]](self, record, base)
                self._replayed(partial(_apply, base, record))
        if self._execution.finished is not None:
            for entry in self._entries.values():
                self._close(entry, self._execution.finished)
        return ExecutionDetail(
            execution=self._execution,
            input=self._input,
            result=self._result(),
            answer=self._answer,
            seq=self._seq,
            nodes=[self._node_run(key, entry) for key, entry in self._entries.items()] + self._skipped(),
            truncated=self._truncated,
        )

    def _replayed(self, use: Callable[[Replay], T]) -> T | None:
        """Ask the replay, or let it take a record. Without it (a defect), only inputs are not known."""
        if self._replay is None:
            return None
        try:
            return use(self._replay)
        except Exception:
            log.exception("The records of %s cannot be replayed", self._execution.id)
            self._replay = None
            return None

    def _entry(self, record: list[Any], at: int) -> _Entry | None:
        key = (record[1], tuple(record[2]))
        entry = self._entries.get(key)
        if entry is None:
            # The run's own nodes are always kept: its result is among them.
            if len(self._entries) >= MAX_NODE_RUNS and key[1]:
                self._truncated = True
                return None
            entry = self._entries[key] = _Entry(at)
            entry.input = self._replayed(lambda replay: replay.arrived(*key))
        return entry

    def _start(self, record: list[Any], base: int) -> None:
        self._input = record[2]
        entry = self._entry([0, record[1], ()], base)
        if entry is not None:
            entry.state, entry.port, entry.ended = "done", "main", base
            entry.input = entry.output = record[2]

    def _done(self, record: list[Any], base: int) -> None:
        _, _index, _path, port, value, at, took, attempt = record
        entry = self._entry(record, base + at - took)
        if entry is None:
            return
        entry.state, entry.port, entry.output, entry.ended = "done", port, value, base + at
        _close_attempt(entry, attempt, base + at, "done", None)
        if self._answer is not None and self._answer.body is UNFIRED:
            self._answer = Answer(self._answer.status, self._answer.headers, value)

    def _attempt(self, record: list[Any], base: int) -> None:
        _, _index, _path, attempt, at = record
        entry = self._entry(record, base + at)
        if entry is None:
            return
        if entry.attempts and entry.attempts[-1].outcome == "running":
            # A second start of an open attempt: the process died in between.
            _close_attempt(entry, entry.attempts[-1].number, None, "interrupted", None)
        entry.state = "running"
        entry.attempts.append(Attempt(attempt, "running", base + at))

    def _retry(self, record: list[Any], base: int) -> None:
        _, _index, _path, attempt, at, error, _next = record
        entry = self._entry(record, base + at)
        if entry is not None:
            entry.state = "retrying"
            _close_attempt(entry, attempt, base + at, "failed", msgspec.convert(error, NodeError))

    def _failed(self, record: list[Any], base: int) -> None:
        _, _index, _path, attempt, at, error, port, value = record
        entry = self._entry(record, base + at)
        if entry is None:
            return
        entry.state, entry.port, entry.output, entry.ended = "failed", port, value, base + at
        entry.error = msgspec.convert(error, NodeError)
        _close_attempt(entry, attempt, base + at, "failed", entry.error)

    def _wait(self, record: list[Any], base: int) -> None:
        entry = self._entry(record, base + record[3])
        if entry is not None:
            entry.state, entry.waits_for = _WAITING[record[5]], record[6]

    def _loop(self, record: list[Any], base: int) -> None:
        entry = self._entry(record, base + record[3])
        if entry is not None:
            entry.state = "running"

    def _round(self, record: list[Any], base: int) -> None:
        """Rounds are told by the nodes of their bodies."""

    def _block(self, record: list[Any], base: int) -> None:
        """The rounds of a straight body, as the node runs that they were."""
        _, index, path, first, count, columns, _results, at, _took = record
        if not columns:
            return
        items = self._replayed(lambda replay: replay.items(index, tuple(path)))
        for offset in range(count):
            value = items(first + offset, record) if items is not None else None
            for node, values in columns:
                key = (node, (*path, first + offset))
                if len(self._entries) >= MAX_NODE_RUNS:
                    self._truncated = True
                    return
                entry = self._entries[key] = _Entry(base + at)
                entry.state, entry.ended = "done", base + at
                entry.port = self._plan.nodes[node].first_port
                entry.input, entry.output = value, values[offset]
                value = entry.output

    def _note(self, record: list[Any], base: int) -> None:
        _, index, path, at, kind, short, long = record
        if kind == "log":
            # No entry is made for it: a pure node's only begins with what it was done by, which comes next.
            self._logs[(index, tuple(path))].append(LogLine(base + at, short, long))
        elif kind == "respond" and self._answer is None:
            self._answer = Answer(short, long, UNFIRED)

    def _state(self, record: list[Any], base: int) -> None:
        """The row says the state."""

    def _interrupted(self, record: list[Any], base: int) -> None:
        entry = self._entry(record, base + record[4])
        if entry is not None:
            entry.state, entry.ended = "interrupted", base + record[4]
            number = entry.attempts[-1].number if entry.attempts else 1
            _close_attempt(entry, number, base + record[4], "interrupted", None)

    def _close(self, entry: _Entry, finished: int) -> None:
        """What was open when the run ended has no record of its own: nothing of it goes on.

        An attempt without an end left its effect in doubt only where the process died: else it never left.
        """
        if entry.state not in _OPEN:
            return
        under_way = bool(entry.attempts) and entry.attempts[-1].outcome == "running"
        in_doubt = entry.state == "asking" or (
            entry.state == "running" and under_way and self._execution.deaths > 0
        )
        entry.state, entry.ended = "interrupted" if in_doubt else "stopped", finished
        if under_way:
            _close_attempt(entry, entry.attempts[-1].number, finished, entry.state, None)

    def _node_run(self, key: Key, entry: _Entry) -> NodeRun:
        node = self._plan.nodes[key[0]]
        return NodeRun(
            node=node.id,
            path=path_text(node.scope, key[1]),
            state=entry.state,
            port=entry.port,
            input=entry.input,
            output=entry.output,
            error=entry.error,
            started=entry.started,
            ended=entry.ended,
            attempts=entry.attempts,
            waits_for=entry.waits_for if entry.state in _WAITING.values() else None,
            log=self._logs.get(key, []),
        )

    def _skipped(self) -> list[NodeRun]:
        """Of a run that has ended: the nodes that nothing reached."""
        if self._execution.finished is None:
            return []
        ran = {index for index, _ in self._entries}
        skipped = [n for n in self._plan.nodes if n.index not in ran]
        return [NodeRun(node=n.id, path="", state="skipped") for n in skipped]

    def _result(self) -> Value:
        if self._execution.state != "completed":
            return None
        if self._answer is not None:
            return self._answer.body
        ends = [
            (node.id, entry.output)
            for node in self._plan.root.ends
            if (entry := self._entries.get((node.index, ()))) is not None and entry.port is not None
        ]
        return ends[0][1] if len(ends) == 1 else dict(ends) or None


def _apply(base: int, record: list[Any], replay: Replay) -> None:
    replay.apply(base, [record])


def _scratch(execution: Execution, plan: Plan) -> Run:
    """A run to replay the records on; nobody works on it."""
    raw = id_bytes(execution.id)
    root = id_bytes(execution.root)
    assert raw is not None
    return Run(
        id=raw,
        workspace="",
        workflow_id=execution.workflow,
        content_id=0,
        plan=plan,
        trigger=plan.trigger(execution.trigger),
        trigger_value=None,
        mode=execution.mode,
        now_us=execution.created,
        epoch=0,
        root=root,
    )


def _close_attempt(
    entry: _Entry, number: int, ended: int | None, outcome: str, error: NodeError | None
) -> None:
    if not entry.attempts or entry.attempts[-1].outcome != "running":
        return
    begun = entry.attempts.pop()
    entry.attempts.append(Attempt(number, outcome, begun.started, ended, error))


_READ: dict[int, Any] = {
    records.START: _Reader._start,
    records.DONE: _Reader._done,
    records.ATTEMPT: _Reader._attempt,
    records.RETRY: _Reader._retry,
    records.FAILED: _Reader._failed,
    records.WAIT: _Reader._wait,
    records.LOOP: _Reader._loop,
    records.ROUND: _Reader._round,
    records.BLOCK: _Reader._block,
    records.NOTE: _Reader._note,
    records.STATE: _Reader._state,
    records.INTERRUPTED: _Reader._interrupted,
}
