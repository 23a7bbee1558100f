"""Replay: brings a stored run back into memory by applying its records in their order.

What is committed is never run again: a record stands for the node. What had started and is not
recorded as ended is in doubt, and the node's `on_interrupted` says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from flowfuse.engine import records
from flowfuse.engine.frame import UNFIRED, Frame, halted
from flowfuse.engine.loops import LoopState, inside
from flowfuse.engine.plan import NodePlan
from flowfuse.engine.run import UNANSWERED, Run, Waiting
from flowfuse.engine.walker import Walker
from flowfuse.errors import Interrupted
from flowfuse.model import Answer, NodeError, Value
from flowfuse.node import Output, Wait

Key = tuple[int, tuple[int, ...]]


class Replay:
    """Applies records to a fresh Run, then hands over what is left to do."""

    def __init__(self, walker: Walker, run: Run) -> None:
        self._walker, self._run = walker, run
        self._awaiting: dict[Key, tuple[Frame, NodePlan]] = {}
        self._first: dict[Key, int] = {}
        self._attempts: dict[Key, int] = {}
        self._doubtful: dict[Key, int] = {}
        self._repeats: dict[Key, tuple[int, int]] = {}
        self._waits: dict[Key, Wait] = {}
        run.replaying = True

    def apply(self, base_us: int, segment: list[list[Any]]) -> None:
        """One segment's records."""
        run = self._run
        for record in segment:
            _APPLY[record[0]](self, record, base_us)
            run.seq += 1
            self._collect()

    def arrived(self, index: int, path: tuple[int, ...]) -> Value:
        """What came in at a node whose record is applied next."""
        node = self._run.plan.nodes[index]
        if node.type.is_trigger:
            return self._run.trigger_value
        frame = self._frame(node, path)
        value = frame.arrived[node.slot]
        return None if value is UNFIRED else value

    def items(self, index: int, path: tuple[int, ...]) -> Callable[[int, list[Any]], Value]:
        """The rounds' items of a loop whose block is applied next."""
        loop: LoopState = self._run.loops[(index, path)]
        if loop.node.loop != "while":
            return lambda number, record: loop.items[number]
        initial = loop.value

        def state(number: int, record: list[Any]) -> Value:
            """A while loop's state is the result of the round before."""
            results = record[6] if record[6] is not None else record[5][-1][1]
            return initial if number == record[3] else results[number - record[3] - 1]

        return state

    def hand_over(self) -> None:
        """After the last record: what was under way goes on."""
        run, walker = self._run, self._walker
        run.replaying = False
        run.now_us = run.base_us = walker.clock.now_us()
        for loop in run.loops.values():
            deadline = loop.deadline_us
            if deadline is not None and deadline <= run.now_us:
                walker.loops.expire(loop)
        doubtful = []
        for key, (frame, node) in self._awaiting.items():
            if halted(frame):
                continue
            if key in self._doubtful:
                doubtful.append((key, frame, node))
            else:
                self._go_on(key, frame, node)
        for key, frame, node in doubtful:
            if not halted(frame):
                self._in_doubt(frame, node, self._doubtful[key], self._first[key])
        for loop in list(run.loops.values()):
            walker.loops.set_timer(loop)
            run.ready.append((loop, None))
            for frame in list(loop.frames.values()):
                walker.check(frame)
        walker.check(run.root_frame)

    def stand_still(self) -> None:
        """After the last record of a run that does not run: it knows what it waits for, nothing goes on."""
        self._run.replaying = False
        for key in self._waits:
            frame, node = self._awaiting[key]
            if not halted(frame):
                self._go_on(key, frame, node)

    def _go_on(self, key: Key, frame: Frame, node: NodePlan) -> None:
        """A node that waits, is to be repeated, or had its turn coming."""
        run = self._run
        if key in self._waits:
            wait = self._waits[key]
            frame.active += 1
            attempt, first_us = self._attempts.get(key, 1), self._first.get(key, 0)
            run.waits[key] = Waiting(frame, node, wait.until_us, wait.why, attempt, first_us, wait.data)
        elif key in self._repeats:
            attempt, next_us = self._repeats[key]
            frame.active += 1
            self._walker.repeat_at(frame, node, attempt, next_us, self._first[key])
        elif key not in run.loops:
            run.ready.append((frame, node))

    def _in_doubt(self, frame: Frame, node: NodePlan, attempt: int, first_us: int) -> None:
        """An effect was under way when the process died."""
        policy = node.node.on_interrupted
        if policy == "retry":
            frame.active += 1
            self._walker.attempt_again(frame, node, attempt, first_us)
        elif policy == "fail":
            self._walker.fail(frame, node, Interrupted(), attempt)
        else:
            self._walker.wait(frame, node, Wait(0, "ask"), attempt, first_us)

    def _collect(self) -> None:
        """Nodes that became ready wait for their own record."""
        ready = self._run.ready
        while ready:
            frame, node = ready.popleft()
            if node is not None:
                self._awaiting[(node.index, frame.path)] = (frame, node)

    def _take(self, record: list[Any]) -> tuple[Frame, NodePlan]:
        """The place that a record speaks of; it is not waited for any more."""
        key = (record[1], tuple(record[2]))
        self._frame(self._run.plan.nodes[record[1]], key[1])
        for pending in (self._doubtful, self._repeats, self._waits):
            pending.pop(key, None)
        return self._awaiting.pop(key)

    def _frame(self, node: NodePlan, path: tuple[int, ...]) -> Frame:
        """The frame of a node at a path, starting the rounds that lead there."""
        if not path:
            return self._run.root_frame
        assert node.scope.loop is not None
        loop: LoopState = self._run.loops[(node.scope.loop.index, path[:-1])]
        while loop.next <= path[-1]:
            self._walker.loops.start_round(loop)
            self._collect()
        return loop.frames[path[-1]]

    def _start(self, record: list[Any], base_us: int) -> None:
        self._run.trigger_value = self._run.root_frame.trigger = record[2]
        self._walker.fire_trigger(self._run)

    def _done(self, record: list[Any], base_us: int) -> None:
        frame, node = self._take(record)
        run = self._run
        if node.loop and not node.disabled:
            self._forget_loop(node, frame)
        if run.answer is not None and run.answer.body is UNANSWERED:
            run.answer = Answer(run.answer.status, run.answer.headers, record[4])
        self._walker.decide(frame, node, record[3], record[4])

    def _attempt(self, record: list[Any], base_us: int) -> None:
        key = (record[1], tuple(record[2]))
        self._frame(self._run.plan.nodes[record[1]], key[1])
        self._first.setdefault(key, base_us + record[4])
        self._doubtful[key] = self._attempts[key] = record[3]
        self._repeats.pop(key, None)
        self._waits.pop(key, None)

    def _retry(self, record: list[Any], base_us: int) -> None:
        key = (record[1], tuple(record[2]))
        self._doubtful.pop(key, None)
        self._repeats[key] = (record[3] + 1, record[6])

    def _failed(self, record: list[Any], base_us: int) -> None:
        frame, node = self._take(record)
        if node.loop:
            self._forget_loop(node, frame)
        if record[6] is not None:
            self._walker.decide(frame, node, record[6], record[7])
            return
        self._run.failures += 1
        if frame.error is None:
            frame.error = msgspec.convert(record[5], NodeError)

    def _forget_loop(self, node: NodePlan, frame: Frame) -> None:
        if self._run.loops.pop((node.index, frame.path), None) is not None:
            frame.active -= 1

    def _wait(self, record: list[Any], base_us: int) -> None:
        key = (record[1], tuple(record[2]))
        self._frame(self._run.plan.nodes[record[1]], key[1])
        self._doubtful.pop(key, None)
        self._waits[key] = Wait(record[4], record[5], record[6])

    def _loop(self, record: list[Any], base_us: int) -> None:
        node = self._run.plan.nodes[record[1]]
        path = tuple(record[2])
        frame = self._frame(node, path)
        # The entry stays in `_awaiting` for the loop's own DONE, but the loop itself goes on by its rounds.
        frame.now_us, frame.inline = base_us + record[3], False
        try:
            params = self._walker.executor.resolve(frame, node, frame.arrived[node.slot])
            self._walker.loops.enter(LoopState(frame, node, params, base_us + record[3]))
        finally:
            frame.inline = True

    def _round(self, record: list[Any], base_us: int) -> None:
        _, index, path, number, ok, value, _ = record
        loop: LoopState = self._run.loops[(index, tuple(path))]
        body = loop.node.body
        assert body is not None
        while loop.next <= number:
            self._walker.loops.start_round(loop)
            self._collect()
        self._drop(loop, loop.frames.pop(number))
        if ok:
            self._walker.loops.take_result(loop, number, value)
        else:
            self._walker.loops.take_error(loop, number, msgspec.convert(value, NodeError))

    def _block(self, record: list[Any], base_us: int) -> None:
        _, index, path, first, _count, columns, results, *_ = record
        loop: LoopState = self._run.loops[(index, tuple(path))]
        self._walker.loops.take_block(loop, first, results if results is not None else columns[-1][1])

    def _drop(self, loop: LoopState, ended: Frame) -> None:
        """A round has ended: nothing inside it is waited for, and no loop in it goes on."""
        if ended.open == 0:
            return
        ended.open = -1
        run, depth, number = self._run, len(loop.frame.path), ended.path[-1]

        def within(key: Key) -> bool:
            index, path = key
            at_round = len(path) > depth and path[depth] == number
            return at_round and inside(run.plan.nodes[index].scope, path, loop)

        for key in [key for key in self._awaiting if within(key)]:
            del self._awaiting[key]
        for key in [key for key in run.loops if within(key)]:
            del run.loops[key]

    def _note(self, record: list[Any], base_us: int) -> None:
        if record[4] == "respond" and self._run.answer is None:
            self._run.answer = Answer(record[5], record[6], UNANSWERED)

    def _state(self, record: list[Any], base_us: int) -> None:
        """The row is the truth of the state; the record is the event."""

    def _interrupted(self, record: list[Any], base_us: int) -> None:
        """Ended from outside: it may have had its effect, so it stays in doubt."""


_APPLY: dict[int, Any] = {
    records.START: Replay._start,
    records.DONE: Replay._done,
    records.ATTEMPT: Replay._attempt,
    records.RETRY: Replay._retry,
    records.FAILED: Replay._failed,
    records.WAIT: Replay._wait,
    records.LOOP: Replay._loop,
    records.ROUND: Replay._round,
    records.BLOCK: Replay._block,
    records.NOTE: Replay._note,
    records.STATE: Replay._state,
    records.INTERRUPTED: Replay._interrupted,
}


def answer_question(walker: Walker, run: Run, key: Key, answer: str, output: Value) -> None:
    """A person's answer to `ask`: `retry` the effect, take it as `done`, or let the node `fail`."""
    waiting = run.waits.pop(key)
    frame, node = waiting.frame, waiting.node
    run.now_us = walker.clock.now_us()
    if answer == "retry":
        walker.attempt_again(frame, node, waiting.attempt, waiting.first_us)
        return
    frame.active -= 1
    if answer == "fail":
        walker.fail(frame, node, Interrupted(), waiting.attempt)
        return
    walker.complete(frame, node, Output(node.first_port, output), waiting.attempt)
