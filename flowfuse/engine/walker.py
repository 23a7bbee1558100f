"""Walker: moves a run along its plan.

Pure nodes run here and now, one after the other; only a node with effects, or an expression too large
for the event loop, becomes a task. What has to wait for a commit is put into `run.launches`. The walk
gives way to other work every few milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import msgspec

from flowfuse.clock import Clock, id_bytes
from flowfuse.engine import records
from flowfuse.engine.breaker import CircuitBreaker
from flowfuse.engine.executor import NodeExecutor, as_node_error, error_route, pinned_outcome, retry_delay
from flowfuse.engine.frame import Frame, halted, scope_result
from flowfuse.engine.loops import Loops, LoopState, inside
from flowfuse.engine.plan import Arrow, NodePlan
from flowfuse.engine.run import FLUSH_BYTES, FLUSH_SECONDS, Repeat, Run, Waiting, Work
from flowfuse.errors import FlowFuseError, NodeFailed, NodeTimeout, UnknownFault, WaitExpired
from flowfuse.expression import Heavy
from flowfuse.faults import crash_point
from flowfuse.model import RUNNING, NodeError, State, Value
from flowfuse.node import LogNote, Outcome, Output, Params, Wait

log = logging.getLogger("flowfuse.engine")

SLICE_SECONDS = 0.004


class Host(Protocol):
    """What the walker asks of the controller."""

    def flush(self, run: Run) -> None:
        """Commit what the run has recorded; launch afterwards what waits for it."""

    def settled(self, run: Run) -> None:
        """Nothing more can be done for the run at this moment."""

    def live(self, run: Run, node: NodePlan, frame: Frame) -> None:
        """An attempt has left: tell whoever watches."""


class Walker:
    """Walks the plans of runs."""

    def __init__(
        self,
        executor: NodeExecutor,
        clock: Clock,
        random: Callable[[], float],
        breaker: CircuitBreaker,
        host: Host,
    ) -> None:
        self.executor, self.clock, self.breaker, self.host = executor, clock, breaker, host
        self._random = random
        self.loops = Loops(self)

    def accept(self, run: Run) -> None:
        """Record the acceptance. Raises OutputInvalid where the trigger's value is not JSON."""
        run.write((records.START, run.trigger.index, run.trigger_value), 2)

    def fire_trigger(self, run: Run) -> None:
        """The run's trigger leaves by its port; the other triggers count as skipped."""
        frame = run.root_frame
        for trigger in run.plan.triggers:
            if trigger is not run.trigger:
                frame.open -= 1
                for arrow in trigger.no_route[1]:
                    self._dead(frame, arrow.target)
        self.decide(frame, run.trigger, "main", run.trigger_value)

    def advance(self, run: Run) -> None:
        """Do what can be done now, for a slice of time."""
        if run.walking:
            return
        run.walking = True
        try:
            more = self._walk(run)
        finally:
            run.walking = False
        if not more:
            self.host.settled(run)
            return
        if run.buffer and (run.buffer_bytes > FLUSH_BYTES or self.clock.perf() - run.oldest > FLUSH_SECONDS):
            self.host.flush(run)
        if not run.scheduled:
            run.scheduled = True
            asyncio.get_running_loop().call_soon(self._continue, run)

    def _continue(self, run: Run) -> None:
        run.scheduled = False
        if run.state is RUNNING:
            self.advance(run)

    def _walk(self, run: Run) -> bool:
        """Enter ready nodes until none is left or the slice is over; whether some are left."""
        ready = run.ready
        begun = self.clock.perf()
        if not run.buffer:
            run.oldest = begun
        limit, steps = begun + SLICE_SECONDS, 0
        while ready and run.state is RUNNING and not run.draining:
            frame, node = ready.popleft()
            if node is None:
                self.loops.pump(frame)
            elif run.failures and halted(frame):
                self.check(frame)
            else:
                try:
                    self._enter(frame, node)
                except Exception:
                    self._broke(frame, node)
            steps += 1
            if not steps & 7 and self.clock.perf() > limit:
                break
        return bool(ready) and run.state is RUNNING and not run.draining

    def _broke(self, frame: Frame, node: NodePlan) -> None:
        """A defect of a node's type, or of ours: the node fails, and its run lets go of its place."""
        log.exception("A node of type %s broke", node.type.type)
        self.fail(frame, node, UnknownFault(), 1)

    def _enter(self, frame: Frame, node: NodePlan) -> None:
        value = frame.input = frame.arrived[node.slot]
        run = frame.run
        if run.mode == "test":
            pinned = pinned_outcome(node)
            if pinned is not None:
                self.complete(frame, node, pinned, 1)
                return
        if node.step is None:
            # What now() gives is kept with the first attempt, so both are one reading of the clock.
            frame.now_us = run.now_us = self.clock.now_us()
            then = self.loops.start if node.loop else self._begin
            self.with_params(frame, node, value, partial(then, frame, node, run.now_us))
            return
        try:
            outcome = self.executor.run_pure(frame, node)
        except NodeFailed as error:
            self.fail(frame, node, error, 1)
            return
        if outcome is None:
            self._offload(frame, node, self.executor.heavy_run(frame, node), self._heavy_done)
            return
        if run.large and self.executor.needs_blob(run, outcome):
            self._offload(frame, node, lambda: outcome, self._heavy_done)
            return
        self.complete(frame, node, outcome, 1)

    def complete(self, frame: Frame, node: NodePlan, outcome: Outcome, attempt: int) -> None:
        """A node has ended well: store it and go on behind it."""
        if type(outcome) is Wait:
            self.wait(frame, node, outcome, attempt)
            return
        assert isinstance(outcome, Output)
        try:
            self.executor.store(frame, node, outcome, attempt)
        except NodeFailed as error:
            self.fail(frame, node, error, attempt)
            return
        self.decide(frame, node, outcome.port, outcome.value)

    def decide(self, frame: Frame, node: NodePlan, port: str, value: Value) -> None:
        """Give the value to the edges of the port; the edges of all other ports will never fire."""
        frame.values[node.slot] = value
        frame.open -= 1
        live, dead = node.routes.get(port, node.no_route)
        for arrow in live:
            target = arrow.target
            if target.in_count == 1:
                frame.arrived[target.slot] = value
                frame.run.ready.append((frame, target))
            else:
                self.arrive(frame, arrow, value)
        for arrow in dead:
            self._dead(frame, arrow.target)
        if frame.open == 0:
            self._end(frame)

    def arrive(self, frame: Frame, arrow: Arrow, value: Value) -> None:
        """An edge has fired."""
        target = arrow.target
        slot = target.slot
        if target.in_count == 1:
            frame.arrived[slot] = value
            frame.run.ready.append((frame, target))
            return
        frame.pending[slot] -= 1
        if target.any_join:
            if not frame.fired[slot]:
                frame.fired[slot] = True
                frame.arrived[slot] = value
                frame.sources[slot] = [(arrow.source, value)]
                frame.run.ready.append((frame, target))
            return
        if frame.fired[slot]:
            frame.arrived[slot].append((arrow.order, arrow.source, value))
        else:
            frame.fired[slot] = True
            frame.arrived[slot] = [(arrow.order, arrow.source, value)]
        if frame.pending[slot] == 0:
            self._join(frame, target)

    def _join(self, frame: Frame, node: NodePlan) -> None:
        """All edges of an `all` join are decided, and some fired: its input is known."""
        arrived = sorted(frame.arrived[node.slot], key=lambda arrival: arrival[0])
        one = len(arrived) == 1
        frame.arrived[node.slot] = arrived[0][2] if one else {source: value for _, source, value in arrived}
        frame.sources[node.slot] = [(source, value) for _, source, value in arrived]
        frame.run.ready.append((frame, node))

    def _dead(self, frame: Frame, node: NodePlan) -> None:
        """An edge will never fire; what has no other way to be reached is skipped, and all behind it."""
        stack = [node]
        while stack:
            current = stack.pop()
            slot = current.slot
            frame.pending[slot] -= 1
            if frame.pending[slot] > 0:
                continue
            if frame.fired[slot]:
                if not current.any_join:
                    self._join(frame, current)
                continue
            frame.open -= 1
            stack.extend(arrow.target for arrow in current.no_route[1])

    def fail(self, frame: Frame, node: NodePlan, error: NodeFailed, attempt: int) -> None:
        """A node has failed for good: on_error says what that means."""
        frame.run.now_us = self.clock.now_us()
        self.fail_with(frame, node, as_node_error(error, node, frame, attempt), attempt)

    def fail_with(self, frame: Frame, node: NodePlan, error: NodeError, attempt: int) -> None:
        """The same with the error as it is recorded."""
        run = frame.run
        port, value = error_route(node, error, frame.arrived[node.slot])
        at = run.now_us - run.base_us
        plain = msgspec.to_builtins(error)
        run.write((records.FAILED, node.index, frame.path, attempt, at, plain, port, value), 7)
        if port is None:
            self.stop_frame(frame, error)
            return
        self.decide(frame, node, port, value)
        if run.failures:
            self.check(frame)

    def stop_frame(self, frame: Frame, error: NodeError) -> None:
        """Nothing new starts in this frame, nor inside it; it ends when what runs has ended."""
        frame.run.failures += 1
        if frame.error is None:
            frame.error = error
        self.abandon(frame.run)
        self.check(frame)

    def abandon(self, run: Run) -> None:
        """Waits and pending repeats do not run, so they need not be waited for when their frame stops."""
        freed = []
        for pending in (run.waits, run.retries):
            for key in [key for key, each in pending.items() if halted(each.frame)]:
                each = pending.pop(key)
                if isinstance(each, Waiting):
                    self.let_go(run, each)
                else:
                    each.cancel()
                each.frame.active -= 1
                freed.append(each.frame)
        for frame in freed:
            self.check(frame)

    def check(self, frame: Frame) -> None:
        """Something in the frame has ended: perhaps it was the last."""
        if frame.open < 0:
            return
        stopped = frame.error is not None or (frame.run.failures > 0 and halted(frame))
        if (stopped and frame.active == 0) or frame.open == 0:
            self._end(frame)

    def _end(self, frame: Frame) -> None:
        if frame.run.replaying:
            return
        if frame.parent is not None:
            frame.open = -1
            self.loops.round_ended(frame)
            return
        run = frame.run
        if run.state is State.paused and frame.error is None:
            return
        frame.open = -1
        self.finish(run)

    def finish(self, run: Run) -> None:
        """The run has nothing left to do: its terminal state and its result."""
        frame = run.root_frame
        run.now_us = max(run.now_us, self.clock.now_us())
        if frame.error is not None:
            run.error = frame.error
            run.move(State.failed, frame.error.code)
            return
        run.result = run.answer.body if run.answer is not None else scope_result(frame)
        run.move(State.completed)

    def with_params(self, frame: Frame, node: NodePlan, value: Value, then: Callable[[Params], None]) -> None:
        """Resolve a node's Params, in a worker thread where they are large, and go on with them."""
        try:
            params = self.executor.resolve(frame, node, value)
        except NodeFailed as error:
            self.fail(frame, node, error, 1)
        except Heavy:
            resolving = self.executor.heavy_resolve(frame, node, value)
            self._offload(frame, node, resolving, lambda _frame, _node, result: then(result))
        else:
            then(params)

    def _offload(
        self,
        frame: Frame,
        node: NodePlan,
        heavy: Callable[[], Any],
        then: Callable[[Frame, NodePlan, Any], None],
    ) -> None:
        frame.active += 1
        work = Work(frame, node, 0)
        work.begin(self._await(work, heavy, then))

    async def _await(
        self, work: Work, heavy: Callable[[], Any], then: Callable[[Frame, NodePlan, Any], None]
    ) -> None:
        frame, node = work.frame, work.node
        try:
            result: Any = await self.executor.off_loop(heavy)
        except NodeFailed as error:
            result = error
        except Exception:
            log.exception("A node of type %s broke", node.type.type)
            result = UnknownFault()
        await self.executor.make_blob(frame.run, result)
        if not work.end():
            return
        frame.active -= 1
        if isinstance(result, NodeFailed):
            self.fail(frame, node, result, 1)
        elif frame.run.failures and halted(frame):
            self.check(frame)
        else:
            try:
                then(frame, node, result)
            except Exception:
                self._broke(frame, node)
        self.advance(frame.run)

    def _heavy_done(self, frame: Frame, node: NodePlan, outcome: Outcome) -> None:
        self.complete(frame, node, outcome, 1)

    def _begin(self, frame: Frame, node: NodePlan, first_us: int, params: Params) -> None:
        """The first attempt. A detached node has no effect, so nothing needs to be committed before it."""
        if not node.type.detached or node.node.retry is not None:
            self._attempt(frame, node, first_us, params)
            return
        frame.active += 1
        work = Work(frame, node, 0)
        work.begin(self._effect(work, params, first_us))
        self.host.live(frame.run, node, frame)

    def _attempt(
        self, frame: Frame, node: NodePlan, first_us: int, params: Params, attempt: int = 1, at_us: int = 0
    ) -> None:
        """Record an attempt; its effect leaves after the commit."""
        trial = False
        if node.type.remote:
            connector = node.type.connector_of(params)
            until, trial = self.breaker.admit(frame.run.workspace, connector)
            if until:
                self.wait(frame, node, Wait(until, "breaker", [attempt, connector]), attempt, first_us)
                return
        self.executor.begin(frame, node, attempt, at_us or first_us)
        frame.active += 1
        frame.run.launches.append(partial(self._launch, frame, node, params, attempt, first_us, trial))

    def _launch(
        self, frame: Frame, node: NodePlan, params: Params, attempt: int, first_us: int, trial: bool
    ) -> None:
        run = frame.run
        if run.state is not RUNNING and run.state is not State.paused:
            if trial:
                self.breaker.released(run.workspace, node.type.connector_of(params))
            return
        if run.failures and halted(frame):
            # Something failed while the attempt was being committed: it does not leave any more.
            frame.active -= 1
            if trial:
                self.breaker.released(run.workspace, node.type.connector_of(params))
            self.check(frame)
            self.advance(run)
            return
        crash_point("before_effect")
        work = Work(frame, node, attempt)
        work.begin(self._effect(work, params, first_us, trial))
        self.host.live(run, node, frame)

    async def _effect(self, work: Work, params: Params, first_us: int, trial: bool = False) -> None:
        frame, node, attempt = work.frame, work.node, work.attempt or 1
        result: Outcome | NodeFailed
        frame.now_us = first_us
        try:
            result = await self._called(frame, node, params, attempt, trial)
        except NodeFailed as error:
            result = error
        except FlowFuseError as error:
            result = UnknownFault() if error.code == "internal" else NodeFailed(reason=error.message)
        except Exception:
            log.exception("A node of type %s broke", node.type.type)
            result = UnknownFault()
        crash_point("after_effect")
        await self.executor.make_blob(frame.run, result)
        if not work.end():
            return
        if work.attempt:
            frame.run.hurry = True
        self._effect_ended(frame, node, result, attempt, first_us)
        self.advance(frame.run)

    async def _called(
        self, frame: Frame, node: NodePlan, params: Params, attempt: int, trial: bool
    ) -> Outcome:
        """Run a node with effects; what it came to counts for the breaker, if it calls another service."""
        if not node.type.remote:
            return await self.executor.run_effect(frame, node, params, attempt)
        workspace, connector = frame.run.workspace, node.type.connector_of(params)
        try:
            result = await self.executor.run_effect(frame, node, params, attempt)
        except NodeFailed as error:
            self.breaker.ended(workspace, connector, error, trial=trial)
            raise
        except asyncio.CancelledError:
            if trial:
                self.breaker.released(workspace, connector)
            raise
        self.breaker.ended(workspace, connector, result, trial=trial)
        return result

    def interrupt(self, run: Run, under: LoopState | None = None) -> None:
        """End what runs of a run, or only of the body of one loop; effects are noted as interrupted."""
        freed = self.end_tasks(run, under)
        self.abandon(run)
        for frame in freed:
            self.check(frame)

    def end_tasks(self, run: Run, under: LoopState | None = None) -> list[Frame]:
        """Cancel tasks, and note the effects among them as interrupted; the frames that they were in."""
        run.now_us = self.clock.now_us()
        freed = []
        for (index, path), work in list(run.tasks.items()):
            if under is not None and not inside(work.node.scope, path, under):
                continue
            del run.tasks[(index, path)]
            work.task.cancel()
            if work.attempt:
                run.hurry = True
                at = run.now_us - run.base_us
                run.write((records.INTERRUPTED, index, path, work.attempt, at))
            work.frame.active -= 1
            freed.append(work.frame)
        return freed

    def time_out(self, run: Run, limit: float) -> None:
        """The workflow's own timeout is over: nothing new starts, what runs is ended."""
        frame = run.root_frame
        run.now_us = self.clock.now_us()
        if frame.error is None:
            frame.error = NodeError("workflow_timeout", f"The run took longer than {limit:g} s.")
        run.failures += 1
        self.interrupt(run)
        self.check(frame)
        self.advance(run)

    def _effect_ended(
        self, frame: Frame, node: NodePlan, result: Outcome | NodeFailed, attempt: int, first_us: int
    ) -> None:
        frame.run.now_us = self.clock.now_us()
        if isinstance(result, NodeFailed) and result.printed:
            frame.run.take_note(frame, node, LogNote("info", result.printed))
        if isinstance(result, NodeFailed) and self._repeat(frame, node, result, attempt, first_us):
            return
        frame.active -= 1
        if isinstance(result, NodeFailed):
            self.fail(frame, node, result, attempt)
        else:
            if node.type.detached and node.node.retry is None:
                # No attempt is recorded, so what it took is counted from here.
                frame.run.now_us = first_us
            self.complete(frame, node, result, attempt)
        if frame.run.failures:
            self.check(frame)

    def _repeat(self, frame: Frame, node: NodePlan, error: NodeFailed, attempt: int, first_us: int) -> bool:
        """Arrange the next attempt, where the error and the node's retry allow one."""
        run, retry = frame.run, node.node.retry
        if retry is None or not error.retryable or attempt >= retry.attempts:
            return False
        if run.failures and halted(frame):
            return False
        delay = retry_delay(retry, attempt, error, self._random())
        next_us = run.now_us + int(delay * 1e6)
        plain = msgspec.to_builtins(as_node_error(error, node, frame, attempt))
        at = run.now_us - run.base_us
        run.write((records.RETRY, node.index, frame.path, attempt, at, plain, next_us))
        self.repeat_at(frame, node, attempt + 1, next_us, first_us)
        return True

    def repeat_at(self, frame: Frame, node: NodePlan, attempt: int, next_us: int, first_us: int) -> None:
        """Start an attempt later; the frame already counts the node as active."""
        key = (node.index, frame.path)
        run = frame.run
        if run.state is not RUNNING:
            return
        again = partial(self._again, frame, node, attempt, first_us)
        run.retries[key] = Repeat(frame, self.clock.call_at(next_us, again))

    def _again(self, frame: Frame, node: NodePlan, attempt: int, first_us: int) -> None:
        run = frame.run
        run.retries.pop((node.index, frame.path), None)
        if run.state is not RUNNING or run.draining:
            return
        self.attempt_again(frame, node, attempt, first_us)
        self.advance(run)

    def attempt_again(self, frame: Frame, node: NodePlan, attempt: int, first_us: int) -> None:
        """The same effect once more: inputs worked out as for its first attempt. Still active."""
        frame.active -= 1
        frame.run.now_us = self.clock.now_us()
        frame.now_us = first_us
        then = partial(self._attempt, frame, node, first_us, attempt=attempt, at_us=frame.run.now_us)
        self.with_params(frame, node, frame.arrived[node.slot], then)

    def wait(self, frame: Frame, node: NodePlan, wait: Wait, attempt: int = 1, first_us: int = 0) -> None:
        """A durable wait: a record and a mark on the row, no task."""
        run = frame.run
        run.now_us = self.clock.now_us()
        if wait.why == "time" and wait.until_us <= run.now_us:
            self.complete(frame, node, Output("main", frame.arrived[node.slot]), 1)
            return
        at = run.now_us - run.base_us
        try:
            run.write((records.WAIT, node.index, frame.path, at, wait.until_us, wait.why, wait.data), 6)
        except NodeFailed as error:
            self.fail(frame, node, error, attempt)
            return
        frame.active += 1
        run.waits[(node.index, frame.path)] = Waiting(
            frame, node, wait.until_us, wait.why, attempt, first_us or frame.now_us, wait.data
        )

    def end_wait(self, run: Run, waiting: Waiting, result: Output | NodeFailed) -> None:
        """What a node waited for has come, or will not come any more."""
        del run.waits[(waiting.node.index, waiting.frame.path)]
        run.hurry = True
        self._effect_ended(waiting.frame, waiting.node, result, waiting.attempt, waiting.first_us)

    def _is_due(self, waiting: Waiting, run: Run) -> bool:
        if waiting.why == "breaker" and not self.breaker.blocked_until(run.workspace, waiting.behind[1]):
            # It may have closed before its time.
            return True
        return 0 < waiting.until_us <= run.now_us

    def _over(self, run: Run, waiting: Waiting) -> Output | NodeFailed:
        """What a wait comes to when its time is over."""
        if waiting.why == "time":
            return Output("main", waiting.frame.arrived[waiting.node.slot])
        self.let_go(run, waiting)
        if waiting.why == "workflow":
            return NodeTimeout(seconds=waiting.node.timeout)
        return WaitExpired(what="decided" if waiting.why == "approval" else "called")

    def let_go(self, run: Run, waiting: Waiting) -> None:
        """A wait is given up: a run that was called for it is to be cancelled."""
        if waiting.why == "workflow":
            called = id_bytes(waiting.data)
            assert called is not None
            run.note_follow_up("cancel", called)

    def wake(self, run: Run) -> None:
        """End the waits whose time has come."""
        run.now_us = self.clock.now_us()
        due = [key for key, each in run.waits.items() if self._is_due(each, run)]
        for key in due:
            # One that ended badly may have stopped the frame, and taken the other waits with it.
            waiting = run.waits.get(key)
            if waiting is not None and waiting.repeats:
                del run.waits[key]
                self.attempt_again(waiting.frame, waiting.node, waiting.behind[0], waiting.first_us)
            elif waiting is not None:
                self.end_wait(run, waiting, self._over(run, waiting))
        self.advance(run)
