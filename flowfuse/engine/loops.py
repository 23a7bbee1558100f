"""Loops: for-each and while, as nodes whose body is a scope that is walked once a round.

A body that is one straight chain of pure nodes runs in a tight loop and is recorded in blocks; any
other body gets a frame a round, and is walked like the run itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from flowfuse.engine import records
from flowfuse.engine.executor import as_node_error, error_value
from flowfuse.engine.frame import UNFIRED, Frame, halted, scope_result
from flowfuse.engine.plan import NodePlan, ScopePlan
from flowfuse.errors import ExpressionFailed, LoopLimit, NodeFailed, NodeTimeout
from flowfuse.expression import Heavy
from flowfuse.model import RUNNING, NodeError, Value
from flowfuse.node import Output, Params, pack

if TYPE_CHECKING:
    from flowfuse.engine.walker import Walker

BLOCK_SECONDS = 0.004
BLOCK_ROUNDS = 4096


class LoopState:
    """One loop node that is running: its rounds so far, and those under way."""

    __slots__ = (
        "closing", "concurrency", "error", "errors", "first_us", "frame", "frames", "items", "max_rounds",
        "next", "node", "on_item_error", "results", "slow_until", "stopping", "straight", "timer", "total",
        "value",
    )  # fmt: skip

    def __init__(self, frame: Frame, node: NodePlan, params: Any, first_us: int) -> None:
        self.frame, self.node, self.first_us = frame, node, first_us
        self.frames: dict[int, Frame] = {}
        self.next = 0
        self.slow_until = 0
        self.error: NodeError | None = None
        self.stopping = self.closing = False
        self.timer: Any = None
        self.results: list[Value] = []
        self.errors: list[dict[str, Value]] = []
        self.on_item_error = "fail"
        self.concurrency = 1
        self.items: list[Value] = []
        self.total = 0
        self.value: Value = None
        self.max_rounds = 0
        body = node.body
        assert body is not None
        self.straight = bool(body.chain) or not body.size
        """Whether rounds can run in a tight loop: one chain of pure nodes, or nothing at all."""
        if node.loop == "while":
            self.max_rounds = params.max_rounds
            self.value = params.initial
            return
        self.items = _batches(params.items, params.batch_size)
        self.total = len(self.items)
        self.results = [UNFIRED] * self.total
        self.concurrency = params.concurrency
        self.on_item_error = params.on_item_error

    @property
    def done_value(self) -> Value:
        """What leaves by `done`."""
        if self.node.loop == "while":
            return self.value
        results = [value for value in self.results if value is not UNFIRED]
        if self.on_item_error != "collect":
            return results
        return {"results": results, "errors": sorted(self.errors, key=lambda error: error["index"])}

    @property
    def deadline_us(self) -> int | None:
        """When the loop's timeout is over."""
        if self.node.timeout is None:
            return None
        return self.first_us + int(self.node.timeout * 1e6)


def _batches(items: Any, size: int) -> list[Value]:
    if not isinstance(items, list):
        raise ExpressionFailed(reason=f"items: expected a list, got {type(items).__name__}")
    return items if size == 1 else [items[i : i + size] for i in range(0, len(items), size)]


class Loops:
    """Starts, continues and ends loops, for the walker."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker

    def start(self, frame: Frame, node: NodePlan, first_us: int, params: Params) -> None:
        """A loop node's turn: record it, and start its first rounds."""
        run = frame.run
        try:
            loop = LoopState(frame, node, params, first_us)
            # What goes out by `item` is a value like any other.
            pack(loop.value if node.loop == "while" else loop.items)
        except NodeFailed as error:
            self._walker.fail(frame, node, error, 1)
            return
        self.enter(loop)
        run.write((records.LOOP, node.index, frame.path, first_us - run.base_us))
        self.set_timer(loop)
        self.pump(loop)

    def enter(self, loop: LoopState) -> None:
        """The run knows the loop as one that is under way."""
        loop.frame.active += 1
        loop.frame.run.loops[(loop.node.index, loop.frame.path)] = loop

    def set_timer(self, loop: LoopState) -> None:
        """A loop's timeout covers all of its rounds."""
        deadline = loop.deadline_us
        if deadline is not None and not loop.stopping:
            loop.timer = self._walker.clock.call_at(deadline, lambda: self._timed_out(loop))

    def pump(self, loop: LoopState) -> None:
        """Start the rounds that may start now; end the loop when there are none and none runs."""
        run = loop.frame.run
        if loop.closing or loop.frame.open < 0:
            return
        while len(loop.frames) < loop.concurrency and not self._stopped(loop):
            if run.state is not RUNNING or run.draining:
                return
            if not self._more(loop):
                break
            if loop.straight and not loop.frames and loop.next >= loop.slow_until:
                self._run_block(loop)
                if not self._stopped(loop) and loop.next >= loop.slow_until:
                    run.ready.append((loop, None))
                    return
            else:
                self.start_round(loop)
        if not loop.frames:
            self._close(loop)

    def start_round(self, loop: LoopState) -> None:
        """Make the next round's frame, and let the item fire into the body."""
        number = loop.next
        loop.next += 1
        frame = self._frame(loop, number)
        loop.frames[number] = frame
        if frame.open == 0:
            self._walker.check(frame)
        for arrow in frame.scope.entries:
            self._walker.arrive(frame, arrow, frame.item)

    def round_ended(self, frame: Frame) -> None:
        """A round has nothing left to do: take its result or its error, and go on."""
        loop: LoopState = frame.loop
        number = frame.path[-1]
        del loop.frames[number]
        if frame.error is None and halted(frame):
            self._schedule(loop)
            return
        error, value = frame.error, None
        if error is None:
            try:
                value = self._result(frame)
            except NodeFailed as failed:
                error = as_node_error(failed, loop.node, frame, 1)
        self._record_round(loop, number, error, value)
        self._schedule(loop)

    def _record_round(self, loop: LoopState, number: int, error: NodeError | None, value: Value) -> None:
        run, node = loop.frame.run, loop.node
        at = run.now_us - run.base_us
        path = loop.frame.path
        if error is None:
            try:
                run.write((records.ROUND, node.index, path, number, True, value, at), 5)
            except NodeFailed as failed:
                error = as_node_error(failed, node, loop.frame, 1)
            else:
                self.take_result(loop, number, value)
                return
        run.write((records.ROUND, node.index, path, number, False, msgspec.to_builtins(error), at), 5)
        self.take_error(loop, number, error)

    def take_result(self, loop: LoopState, number: int, value: Value) -> None:
        """Keep a round's result in its place; a while loop's is its next state."""
        if loop.node.loop == "while":
            loop.value = value
        else:
            loop.results[number] = value

    def take_error(self, loop: LoopState, number: int, error: NodeError) -> None:
        """What a failed round means for the loop."""
        if loop.on_item_error == "collect":
            loop.errors.append({"index": number, "error": error_value(error)})
        elif loop.on_item_error == "fail" and loop.error is None:
            loop.error = error
            loop.frame.run.failures += 1

    def _schedule(self, loop: LoopState) -> None:
        """Go on with the loop in its turn, so that bodies do not nest on the stack."""
        loop.frame.run.ready.append((loop, None))

    def _stopped(self, loop: LoopState) -> bool:
        return loop.error is not None or loop.stopping or halted(loop.frame)

    def _more(self, loop: LoopState) -> bool:
        """Whether there is a next round. A while loop's condition is asked here."""
        if loop.node.loop != "while":
            return loop.next < loop.total
        frame = self._frame(loop, loop.next)
        frame.node = None
        frame.inline = False
        try:
            wanted = bool(loop.node.condition(frame))  # type: ignore[misc]
            if wanted and loop.next >= loop.max_rounds:
                raise LoopLimit(limit=loop.max_rounds)
        except NodeFailed as error:
            loop.error = as_node_error(error, loop.node, loop.frame, 1)
            loop.frame.run.failures += 1
            return False
        return wanted

    def _frame(self, loop: LoopState, number: int) -> Frame:
        body = loop.node.body
        assert body is not None
        frame = Frame(body, loop.frame.run, loop.frame, (*loop.frame.path, number))
        frame.loop = loop
        frame.index = number
        frame.item = loop.value if loop.node.loop == "while" else loop.items[number]
        frame.input = frame.item
        frame.now_us = loop.first_us
        return frame

    def _result(self, frame: Frame) -> Value:
        closure = frame.loop.node.result
        if closure is None:
            return scope_result(frame)
        frame.node = None
        frame.inline = False
        return closure(frame)

    def _close(self, loop: LoopState) -> None:
        """All rounds have ended: the loop is done, or it has failed."""
        loop.closing = True
        frame, node = loop.frame, loop.node
        run = frame.run
        if loop.timer is not None:
            loop.timer.cancel()
        run.loops.pop((node.index, frame.path), None)
        frame.active -= 1
        run.now_us = self._walker.clock.now_us()
        if loop.error is not None:
            self._walker.fail_with(frame, node, loop.error, 1)
        elif self._stopped(loop):
            self._walker.check(frame)
        else:
            self._walker.complete(frame, node, Output("done", loop.done_value), 1)

    def _timed_out(self, loop: LoopState) -> None:
        run = loop.frame.run
        if loop.closing or run.state is not RUNNING or run.draining or run.broken:
            return
        self.expire(loop)
        self._walker.interrupt(run, loop)
        self._schedule(loop)
        self._walker.advance(run)

    def expire(self, loop: LoopState) -> None:
        """The loop's timeout is over: nothing new starts in it."""
        if loop.error is None:
            error = NodeTimeout(seconds=loop.node.timeout)
            loop.error = as_node_error(error, loop.node, loop.frame, 1)
        loop.frame.run.failures += 1
        loop.stopping = True

    def _run_block(self, loop: LoopState) -> None:
        """Rounds of a straight pure body, one after the other, until the slice is over.

        Whatever does not go smoothly (an error, a large expression) is left to the ordinary walk: the
        rounds before it are recorded, and that one round starts again there. The body is pure, so
        nothing has happened yet.
        """
        run = loop.frame.run
        clock = self._walker.clock
        first, begun, state = loop.next, clock.perf(), loop.value
        frame = self._frame(loop, first)
        frame.now_us = run.now_us
        steps = [(node.slot, node.step, node) for node in frame.scope.chain]
        columns: list[list[Value]] = [[] for _ in steps]
        results = [] if loop.node.result is not None or not steps else columns[-1]
        limit = begun + BLOCK_SECONDS
        smooth = True
        while self._more_in_block(loop, frame, first):
            try:
                self._one_round(loop, frame, steps, columns, results)
            except (Exception, Heavy):
                smooth = False
                break
            loop.next += 1
            if not loop.next & 15 and clock.perf() > limit:
                break
        self._record_block(loop, first, columns, results, begun, state)
        if not smooth:
            loop.slow_until = loop.next + 1

    def _more_in_block(self, loop: LoopState, frame: Frame, first: int) -> bool:
        if loop.next - first >= BLOCK_ROUNDS:
            return False
        if loop.node.loop == "while":
            return loop.next == first or self._more(loop)
        return loop.next < loop.total

    def _one_round(
        self,
        loop: LoopState,
        frame: Frame,
        steps: list[tuple[int, Callable[[Frame], Any] | None, NodePlan]],
        columns: list[list[Value]],
        results: list[Value],
    ) -> None:
        number = loop.next
        value = loop.value if loop.node.loop == "while" else loop.items[number]
        frame.index, frame.item = number, value
        frame.path = (*loop.frame.path, number)
        made = []
        for slot, step, node in steps:
            frame.input, frame.node = value, node
            outcome = step(frame)  # type: ignore[misc]
            if type(outcome) is not Output or outcome.note is not None:
                raise NotSmooth
            frame.values[slot] = value = outcome.value
            made.append(value)
        if loop.node.result is not None:
            frame.node = None
            value = loop.node.result(frame)
            results.append(value)
        elif not steps:
            value = None
            results.append(value)
        for column, each in zip(columns, made, strict=True):
            column.append(each)
        if loop.node.loop == "while":
            loop.value = value

    def _record_block(
        self,
        loop: LoopState,
        first: int,
        columns: list[list[Value]],
        results: list[Value],
        begun: float,
        state: Value,
    ) -> None:
        count = loop.next - first
        if not count:
            return
        run, node = loop.frame.run, loop.node
        del results[count:]
        body = node.body
        assert body is not None
        stored = [(each.index, column[:count]) for each, column in zip(body.chain, columns, strict=True)]
        own = results if node.result is not None or not columns else None
        took = int((self._walker.clock.perf() - begun) * 1e6)
        run.now_us = self._walker.clock.now_us()
        at = run.now_us - run.base_us
        try:
            run.write((records.BLOCK, node.index, loop.frame.path, first, count, stored, own, at, took), 5)
        except NodeFailed:
            # One of the values is not JSON: walk these rounds one by one, where the error finds its node.
            loop.next, loop.slow_until, loop.value = first, first + count, state
            return
        self.take_block(loop, first, results)

    def take_block(self, loop: LoopState, first: int, results: list[Value]) -> None:
        """Keep the results of recorded rounds."""
        loop.next = first + len(results)
        if loop.node.loop == "while":
            loop.value = results[-1]
        else:
            loop.results[first : first + len(results)] = results


class NotSmooth(NodeFailed):
    """Inside a block: this round needs the ordinary walk."""


def inside(scope: ScopePlan | None, path: tuple[int, ...], loop: LoopState) -> bool:
    """Whether a scope, at a path, lies in the body of that running loop."""
    if path[: len(loop.frame.path)] != loop.frame.path:
        return False
    while scope is not None:
        if scope is loop.node.body:
            return True
        scope = scope.parent
    return False
