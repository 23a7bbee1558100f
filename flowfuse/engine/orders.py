"""Orders: pause, resume, cancel, and a person's answer for an effect in doubt.

An order is committed before it is confirmed, and the orders for one execution are carried out one after
the other, so that each sees the state that the one before it has left.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from flowfuse.clock import Clock, id_bytes, id_text
from flowfuse.data.executions import ExecutionRepository
from flowfuse.engine.queue import QueueManager
from flowfuse.engine.replay import answer_question
from flowfuse.engine.run import Run, Waiting
from flowfuse.engine.timers import Timers
from flowfuse.engine.walker import Walker
from flowfuse.errors import Conflict, IllegalTransition, NodeFailed, NotFound, RequestInvalid, Unavailable
from flowfuse.model import TERMINAL, State, Value, check_transition
from flowfuse.node import Output

ANSWERS = ("retry", "done", "fail")
DECISIONS = ("approved", "rejected")


class Host(Protocol):
    """What orders ask of the controller."""

    runs: dict[bytes, Run]
    walker: Walker

    async def in_hand(self, workspace: str, raw: bytes) -> Run:
        """The run, loaded where it is not in memory."""

    async def committed(self, run: Run) -> None:
        """Commit what the run has recorded, and wait until it is safe."""

    def let_go(self, run: Run) -> None:
        """An order is done with the run: it may leave the memory again."""

    def freed(self, run: Run) -> None:
        """The run does not count as running any more: another one of its workflow may begin."""

    async def reload(self, run: Run) -> None:
        """Lay the run's memory anew from what is committed, and let it go on."""

    def ended_as_row(self, row: sqlite3.Row, state: State) -> None:
        """A run that was not in memory has ended: tell whoever listens."""


class Orders:
    """Carries out what people and programs want of an execution."""

    def __init__(
        self,
        clock: Clock,
        executions: ExecutionRepository,
        queue: QueueManager,
        timers: Timers,
        host: Host,
    ) -> None:
        self._clock, self._executions, self._queue = clock, executions, queue
        self._timers, self._host = timers, host
        self._turns: dict[bytes, Turn] = {}

    async def pause(self, workspace: str, execution: str) -> None:
        """Start nothing new in a run; what runs is let finish."""
        async with self._turn(execution) as raw, self._run(workspace, raw, State.paused) as run:
            run.now_us = self._clock.now_us()
            self._timers.stop(run)
            run.move(State.paused)
            await self._host.committed(run)
            self._host.freed(run)

    async def resume(self, workspace: str, execution: str) -> None:
        """Let a paused run go on."""
        async with self._turn(execution) as raw, self._run(workspace, raw, State.running) as run:
            await self._quiet(run)
            run.now_us = self._clock.now_us()
            run.move(State.running)
            await self._host.committed(run)
            await self._host.reload(run)

    async def cancel(self, workspace: str, execution: str) -> None:
        """Stop a run for good; a running effect is ended."""
        async with self._turn(execution) as raw:
            if await self._cancel_row(workspace, raw, State.pending):
                return
            try:
                async with self._run(workspace, raw, State.cancelled) as run:
                    await self._cancel_run(run)
            except (IllegalTransition, NotFound, Unavailable):
                raise
            except Exception:
                # What cannot be read can still be put an end to.
                if not await self._cancel_row(workspace, raw, State.paused):
                    raise

    async def _cancel_run(self, run: Run) -> None:
        run.now_us = self._clock.now_us()
        run.ready.clear()
        self._host.walker.end_tasks(run)
        for each in run.waits.values():
            self._host.walker.let_go(run, each)
        run.move(State.cancelled, "cancelled")
        await self._host.committed(run)

    async def answer(
        self, workspace: str, execution: str, node: str, path: str, answer: str, output: Value
    ) -> None:
        """For an effect in doubt: `retry` it, take it as `done` with an output, or let the node `fail`."""
        if answer not in ANSWERS:
            raise RequestInvalid(field="answer", reason=f"“{answer}” is none of {', '.join(ANSWERS)}")
        async with self._turn(execution) as raw, self._run(workspace, raw, None) as run:
            for key, each in run.waits.items():
                if each.why == "ask" and each.node.id == node and each.frame.path_text == path:
                    run.waiting = None
                    self._timers.start(run)
                    answer_question(self._host.walker, run, key, answer, output)
                    self._host.walker.advance(run)
                    await self._host.committed(run)
                    return
            raise NotFound(what="question", id=node)

    async def decide(
        self, workspace: str, execution: str, node: str, path: str, decision: str, comment: str, by: str
    ) -> None:
        """A person's `approved` or `rejected`. Raises NotFound where nothing is asked there."""
        if decision not in DECISIONS:
            raise RequestInvalid(field="decision", reason=f"“{decision}” is none of {', '.join(DECISIONS)}")
        async with self._turn(execution) as raw, self._run(workspace, raw, None) as run:
            waiting = _waiting(run, "approval", node, path)
            if waiting is None:
                raise NotFound(what="question", id=node)
            at = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC).isoformat()
            value = waiting.frame.arrived[waiting.node.slot]
            said = {"decision": decision, "comment": comment, "by": by, "at": at, "input": value}
            await self._end_wait(run, waiting, Output(decision, said))

    async def called(self, workspace: str, execution: str, node: str | None, value: Value) -> None:
        """The run's own address was called. Raises NotFound, and Conflict where several nodes wait for it."""
        async with self._turn(execution) as raw, self._run(workspace, raw, None) as run:
            found = [w for w in run.waits.values() if w.why == "call" and node in (None, w.node.id)]
            if not found:
                raise NotFound(what="wait for a call", id=node or execution)
            if len(found) > 1:
                names = ", ".join(sorted({w.node.id for w in found}))
                raise Conflict(reason=f"Several nodes wait for a call; say which by ?node=: {names}")
            await self._end_wait(run, found[0], Output("main", value))

    async def child_ended(
        self, workspace: str, execution: str, node: str, path: str, child: str, outcome: Output | NodeFailed
    ) -> bool:
        """A run that a node called has ended; whether that is done with.

        It is not while the node is just about to wait for it, nor while its run is paused.
        """
        try:
            async with self._turn(execution) as raw, self._run(workspace, raw, None) as run:
                waiting = _waiting(run, "workflow", node, path)
                if waiting is None or waiting.data != child:
                    return not any(
                        work.node.id == node and work.frame.path_text == path for work in run.tasks.values()
                    )
                await self._end_wait(run, waiting, outcome)
        except (IllegalTransition, NotFound):
            return True
        except Conflict:
            # Paused: it is told when it runs again. Ended: nobody is there to be told.
            found = id_bytes(execution)
            return found is None or await self._state_of(workspace, found) in TERMINAL
        return True

    async def _end_wait(self, run: Run, waiting: Waiting, result: Output | NodeFailed) -> None:
        """The wait is over: the run goes on, and that is safe."""
        run.waiting = None
        self._timers.start(run)
        run.now_us = self._clock.now_us()
        self._host.walker.end_wait(run, waiting, result)
        self._host.walker.advance(run)
        await self._host.committed(run)

    @asynccontextmanager
    async def _turn(self, execution: str) -> AsyncIterator[bytes]:
        """The orders for one execution, one at a time. Raises NotFound."""
        raw = id_bytes(execution)
        if raw is None:
            raise NotFound(what="execution", id=execution)
        turn = self._turns.setdefault(raw, Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                yield raw
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[raw]

    @asynccontextmanager
    async def _run(self, workspace: str, raw: bytes, target: State | None) -> AsyncIterator[Run]:
        """The run in memory; it does not leave it meanwhile. Raises NotFound, IllegalTransition, Conflict.

        `target` is the state that the order leads to; None for an order that needs a running run.
        """
        _check(await self._state_of(workspace, raw), target)
        run = await self._host.in_hand(workspace, raw)
        try:
            _check(run.state, target)
            yield run
        finally:
            self._host.let_go(run)

    async def _state_of(self, workspace: str, raw: bytes) -> State:
        run = self._host.runs.get(raw)
        if run is not None and run.workspace == workspace and not run.broken:
            return run.state
        row = await self._executions.raw(workspace, raw)
        if row is None:
            raise NotFound(what="execution", id=id_text(raw))
        return State(row["state"])

    async def _cancel_row(self, workspace: str, raw: bytes, state: State) -> bool:
        """Cancel a run that is only a row, where it is in that state: nothing of it has to be let go."""
        run = self._host.runs.get(raw)
        if run is not None and run.state is State.pending and run.accepted is not None:
            await run.accepted
        if raw in self._host.runs:
            return False
        row = await self._queue.cancel_row(workspace, raw, state, self._clock.now_us())
        if row is None:
            return False
        self._host.ended_as_row(row, State.cancelled)
        return True

    async def _quiet(self, run: Run) -> None:
        """Wait until the effects that were let finish have ended, and are committed."""
        while run.tasks or run.leaving:
            tasks = [work.task for work in run.tasks.values()]
            if tasks:
                await asyncio.wait(tasks)
            await self._host.committed(run)


class Turn:
    """Whose turn it is at one execution, and how many want it."""

    __slots__ = ("lock", "wanted")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


def _waiting(run: Run, why: str, node: str, path: str) -> Waiting | None:
    """What a node waits for, where it waits for that."""
    for each in run.waits.values():
        if each.why == why and each.node.id == node and each.frame.path_text == path:
            return each
    return None


def _check(state: State, target: State | None) -> None:
    if target is None:
        if state is not State.running:
            raise Conflict(reason=f"The run is {state.name}")
        return
    check_transition(state, target)
    if state is State.pending and target is State.running:
        # The table's arrow is the queue's to take, not a person's.
        raise IllegalTransition(state=state.name, target=target.name)
