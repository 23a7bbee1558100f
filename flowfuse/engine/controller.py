"""ExecutionController: starts, pauses, resumes, cancels, recovers and drains runs.

It owns every run in memory and is the only one that changes an execution's state. What it decides is
committed before anything that depends on it leaves; what is not in memory is a row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from flowfuse.clock import Clock, Ids, id_bytes, id_text
from flowfuse.data.executions import ExecutionRepository, ExecutionWrite
from flowfuse.data.workflows import Content, WorkflowRepository
from flowfuse.engine.executor import NodeExecutor
from flowfuse.engine.frame import Frame
from flowfuse.engine.plan import MissingType, NodePlan, Plan, compile_plan
from flowfuse.engine.queue import QueueManager, Recovered
from flowfuse.engine.replay import Replay, answer_question
from flowfuse.engine.run import Run
from flowfuse.engine.state import StateManager
from flowfuse.engine.walker import Walker
from flowfuse.errors import (
    Conflict,
    DatabaseUnavailable,
    Draining,
    FlowFuseError,
    IllegalTransition,
    NotFound,
    QueueFull,
)
from flowfuse.events import EventBus, ExecutionAdvanced, RunFinished
from flowfuse.model import TERMINAL, Answer, NodeError, State, Value, check_transition, json_bytes, seconds
from flowfuse.node import Catalogue

log = logging.getLogger("flowfuse.engine")

CLAIM_BATCH = 64
PLAN_CACHE = 512


class ExecutionController:
    """The orchestrator of workflow runs (the seed's box of the same name)."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        random: Callable[[], float],
        bus: EventBus,
        executions: ExecutionRepository,
        workflows: WorkflowRepository,
        queue: QueueManager,
        state: StateManager,
        executor: NodeExecutor,
        catalogue: Catalogue,
        max_running: int = 200,
        max_pending: int = 1_000_000,
    ) -> None:
        self.clock, self.ids, self._bus = clock, ids, bus
        self._executions, self._workflows = executions, workflows
        self._queue, self._state = queue, state
        self._catalogue = catalogue
        self._max_running, self._max_pending = max_running, max_pending
        self.walker = Walker(executor, clock, random, self)
        self.runs: dict[bytes, Run] = {}
        self._loading: dict[bytes, asyncio.Task[Run]] = {}
        self._plans: dict[bytes, Plan] = {}
        self._waiters: dict[bytes, list[asyncio.Future[None]]] = {}
        self._ends: dict[bytes, list[asyncio.Future[Run]]] = {}
        self._recovered = Recovered()
        self._alone: bytes | None = None
        self._reread: set[tuple[str, bytes]] = set()
        self._work = asyncio.Event()
        self._wake_at: int | None = None
        self._wake_timer: Any = None
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    # -- life of the service

    async def open(self) -> None:
        """Take over what a process before this one left; nothing is run again that was committed."""
        died = await self._queue.open()
        self._recovered = await self._queue.recover(died=died)
        for workspace, raw in self._recovered.poisoned:
            await self._give_up(workspace, raw)
        self._work.set()

    async def work(self) -> None:
        """The loop that claims pending runs and continues interrupted ones. Never returns."""
        await self._arm_wake()
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._claim_next()
            except DatabaseUnavailable:
                self._work.set()
                await self.clock.sleep(0.5)

    async def try_again(self) -> None:
        """After a failed commit: see whether commits succeed again, and let dropped runs go on."""
        try:
            await self._queue.probe()
        except DatabaseUnavailable:
            return
        self._work.set()

    async def drain(self, grace: float) -> None:
        """Stop taking work; let running nodes end within `grace` seconds; leave the rest to be resumed."""
        self.draining = True
        for run in list(self.runs.values()):
            run.draining = True
            self.settled(run)
        self._check_idle()
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d run(s) did not end within %s s and will be resumed", len(self.runs), grace)
        for run in list(self.runs.values()):
            for task in run.tasks.values():
                task.cancel()
        for future in [f for waiters in self._waiters.values() for f in waiters]:
            if not future.done():
                future.set_result(None)
        await self._queue.close_cleanly()

    # -- starting

    def plan(self, content: Content) -> Plan:
        """The compiled form of a frozen content. Raises WorkflowInvalid, MissingType."""
        plan = self._plans.get(content.hash)
        if plan is None:
            plan = compile_plan(content.document, self._catalogue, content.hash)
            if len(self._plans) >= PLAN_CACHE:
                del self._plans[next(iter(self._plans))]
            self._plans[content.hash] = plan
        return plan

    def start(
        self,
        workspace: str,
        workflow: str,
        content_id: int,
        plan: Plan,
        trigger: str,
        value: Value,
        *,
        mode: str = "production",
        delivery: tuple[str, str] | None = None,
        root: bytes | None = None,
    ) -> Run:
        """Accept an execution and begin it. It is safe once `run.accepted` is done.

        Raises Draining, QueueFull, DatabaseUnavailable.
        """
        self._check_accepting()
        now_us = self.clock.now_us()
        run = Run(
            id=self.ids.new(),
            workspace=workspace,
            workflow_id=workflow,
            content_id=content_id,
            plan=plan,
            trigger=plan.trigger(trigger),
            trigger_value=value,
            mode=mode,
            now_us=now_us,
            epoch=self._queue.epoch,
            root=root,
        )
        run.accepted = asyncio.get_running_loop().create_future()
        if delivery is not None:
            run.delivery = (*delivery, now_us)
        self._enter(run)
        if self._has_room():
            self._begin_timers(run)
            self.walker.start(run)
            self.walker.advance(run)
        else:
            run.state, run.started = State.pending, None
            self.walker.start(run)
            run.ready.clear()
            self._queue.pending += 1
            self.flush(run)
        return run

    async def execute(
        self,
        workspace: str,
        workflow: str,
        content: Content,
        trigger: str,
        value: Value,
        *,
        mode: str = "production",
    ) -> Run:
        """`start`, and wait until the execution is accepted (the seed's executeWorkflow)."""
        run = self.start(workspace, workflow, content.id, self.plan(content), trigger, value, mode=mode)
        assert run.accepted is not None
        await run.accepted
        return run

    async def wait_answer(self, run: Run, timeout: float) -> Answer | None:
        """Wait until the run has answered, ended, or waits itself; None after the timeout or a wait.

        Raises what kept it from being accepted.
        """
        if run.answered is None:
            run.answered = asyncio.get_running_loop().create_future()
            self._waiters.setdefault(run.id, []).append(run.answered)
        try:
            async with asyncio.timeout(timeout):
                await run.answered
        except TimeoutError:
            return None
        finally:
            self._waiters.pop(run.id, None)
        return run.answer

    async def wait_end(self, run: Run, timeout: float) -> Run:
        """Wait until the execution has ended, through waits and pauses; the run as it is then."""
        if run.state in TERMINAL:
            if run.accepted is not None:
                await run.accepted
            return run
        ended: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._ends.setdefault(run.id, []).append(ended)
        try:
            async with asyncio.timeout(timeout):
                return await ended
        except TimeoutError:
            return self.runs.get(run.id, run)
        finally:
            self._ends.pop(run.id, None)

    def _check_accepting(self) -> None:
        if self.draining:
            raise Draining()
        if self._queue.pending >= self._max_pending:
            raise QueueFull(pending=self._queue.pending)

    def _has_room(self) -> bool:
        return len(self.runs) <= self._max_running and self._alone is None and self._queue.pending == 0

    def _enter(self, run: Run) -> None:
        self.runs[run.id] = run
        self._idle.clear()

    def _begin_timers(self, run: Run) -> None:
        """The workflow's timeout covers running time: not the queue, a pause or a wait."""
        run.since = self.clock.now_us()
        limit = run.plan.workflow.settings.timeout
        if limit is not None:
            left = int(seconds(limit) * 1e6) - run.ran_us
            run.workflow_timer = self.clock.call_at(
                self.clock.now_us() + left, partial(self._timed_out, run, seconds(limit))
            )

    def _timed_out(self, run: Run, limit: float) -> None:
        if run.state is State.running and not run.broken:
            self.walker.time_out(run, limit)

    # -- commits (Host of the walker)

    def flush(self, run: Run) -> None:
        """Commit what the run has recorded; what waits for the commit leaves after it."""
        segment = run.take_segment()
        launches, run.launches = run.launches, []
        blobs, run.blobs = run.blobs, []
        insert = update = delivery = None
        if not run.inserted:
            insert, delivery = _row(run), run.delivery
            run.inserted = True
        elif segment is not None or run.state in TERMINAL or run.waiting is not None:
            update = _update(run)
        run.committing += 1
        last = run.state in TERMINAL
        ready = last or run.waiting is not None or run.state is State.paused or run.answer is not None
        callback = partial(self._committed, run, launches, segment, insert is not None, ready, last)
        self._executions.database.submit(
            ExecutionWrite(
                self._executions,
                run.workspace,
                callback,
                token=run,
                insert=insert,
                segment=segment,
                update=update,
                delivery=delivery,
                blobs=blobs,
            )
        )

    def _committed(
        self,
        run: Run,
        launches: list[Callable[[], None]],
        segment: tuple[bytes, int, str, bytes] | None,
        accepted: bool,
        ready: bool,
        last: bool,
        number: int | None,
        error: BaseException | None,
    ) -> None:
        run.committing -= 1
        if error is not None:
            self._refused(run, error)
            return
        if accepted and run.accepted is not None and not run.accepted.done():
            run.accepted.set_result(None)
        if run.broken:
            return
        for launch in launches:
            launch()
        if segment is not None:
            self._bus.publish(ExecutionAdvanced(run.workspace, run.id, segment[1], segment[3], run.plan))
        if ready and run.answered is not None and not run.answered.done():
            run.answered.set_result(None)
        if last:
            for ended in self._ends.get(run.id, ()):
                if not ended.done():
                    ended.set_result(run)
            self._leave(run)
            self._bus.publish(
                RunFinished(run.workspace, run.workflow_id, run.id, run.state, run.created, run.now_us)
            )
        elif run.committing == 0 and self._released(run):
            self._leave(run)

    def _refused(self, run: Run, error: BaseException) -> None:
        """A commit failed: nothing of it stands, and the run is read again from the database."""
        run.broken = True
        for task in run.tasks.values():
            task.cancel()
        if run.accepted is not None and not run.accepted.done():
            run.accepted.set_exception(error)
            run.accepted.exception()
        else:
            self._reread.add((run.workspace, run.id))
            self._work.set()
        if run.answered is not None and not run.answered.done():
            run.answered.set_exception(error)
        if self.runs.get(run.id) is run:
            self._leave(run)

    def settled(self, run: Run) -> None:
        """Nothing more can be done for the run now: commit, and see what it waits for."""
        if run.broken:
            return
        busy = bool(run.tasks or run.launches or run.retries)
        if run.state is State.running and run.waits and not busy and not run.draining:
            self._begin_wait(run)
            return
        if run.waits and run.state is State.running:
            self._arm_run_wake(run)
        if run.buffer or run.launches or not run.inserted:
            self.flush(run)
        elif run.committing == 0 and self._released(run):
            self._leave(run)

    def _released(self, run: Run) -> bool:
        """Whether the run may leave the memory: it waits, is paused, pending or drained, and nothing runs."""
        if run.tasks or run.launches or run.buffer:
            return False
        if run.state is State.running:
            return (run.waiting is not None and not run.ready) or run.draining
        return True

    def _begin_wait(self, run: Run) -> None:
        times = [each.until_us for each in run.waits.values() if each.why == "time"]
        run.waiting = "time" if times else next(iter(run.waits.values())).why
        self._stop_running_time(run)
        self.flush(run)
        if times:
            self._wake_by(min(times))

    def _arm_run_wake(self, run: Run) -> None:
        """Some branches wait while others run: the run stays in memory, with one timer."""
        times = [each.until_us for each in run.waits.values() if each.why == "time"]
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if times:
            run.timer = self.clock.call_at(min(times), partial(self._run_wake, run))

    def _run_wake(self, run: Run) -> None:
        run.timer = None
        if run.state is State.running and not run.draining and not run.broken and run.waiting is None:
            self.walker.wake(run)

    def live(self, run: Run, node: NodePlan, frame: Frame) -> None:
        """An attempt has left: an unnumbered mark for whoever watches."""
        self._bus.started(run.id, node.id, frame.path_text)

    def _leave(self, run: Run) -> None:
        if self.runs.get(run.id) is run:
            del self.runs[run.id]
        self._stop_timers(run)
        if self._alone == run.id:
            self._alone = None
        if self._queue.pending or self._recovered.resume or self._recovered.suspects:
            self._work.set()
        self._check_idle()

    def _check_idle(self) -> None:
        if not self.runs:
            self._idle.set()

    def _stop_running_time(self, run: Run) -> None:
        """Running time ends here: a wait, a pause."""
        run.ran_us += max(0, self.clock.now_us() - run.since)
        self._stop_timers(run)

    def _stop_timers(self, run: Run) -> None:
        for timer in (run.timer, run.workflow_timer):
            if timer is not None:
                timer.cancel()
        run.timer = run.workflow_timer = None
        for repeat in run.retries.values():
            repeat.cancel()

    # -- continuing stored runs

    async def _claim_next(self) -> None:
        """Continue what a restart left, then what waits, as long as there is room."""
        while not self.draining and self._alone is None:
            await self._read_again()
            if self._recovered.suspects:
                if self.runs:
                    return
                place = self._recovered.suspects.popleft()
                self._alone = place[1]
                await self._queue.claim([place])
                await self._continue(*place)
                return
            room = min(CLAIM_BATCH, self._max_running - len(self.runs))
            if room <= 0:
                return
            resume = self._recovered.resume
            if resume:
                places = [resume.popleft() for _ in range(min(room, len(resume)))]
                await self._queue.claim(places)
            else:
                places = (
                    await self._queue.claim_pending(room, self.clock.now_us()) if self._queue.pending else []
                )
            if not places:
                return
            for place in places:
                await self._continue(*place)

    async def _read_again(self) -> None:
        """Runs whose commit failed: as soon as commits succeed again, they go on from what is stored."""
        for place in list(self._reread):
            await self._queue.claim([place])
            self._reread.discard(place)
            await self._continue(*place)

    async def _continue(self, workspace: str, raw: bytes) -> None:
        try:
            run = await self._in_memory(workspace, raw)
        except IllegalTransition:
            return
        except FlowFuseError as error:
            log.error("Run %s cannot be continued: %s", id_text(raw), error)
            if self._alone == raw:
                self._alone = None
            return
        if run.state is State.running:
            self.walker.advance(run)

    async def _in_memory(self, workspace: str, raw: bytes) -> Run:
        """The run, loaded where it is not in memory. Raises NotFound, and IllegalTransition when it ended."""
        while True:
            run = self.runs.get(raw)
            if run is not None and not run.broken:
                return run
            loading = self._loading.get(raw)
            if loading is None:
                loading = asyncio.get_running_loop().create_task(self._load(workspace, raw))
                self._loading[raw] = loading
                loading.add_done_callback(lambda _: self._loading.pop(raw, None))
            return await asyncio.shield(loading)

    async def _load(self, workspace: str, raw: bytes) -> Run:
        row = await self._executions.raw(workspace, raw)
        if row is None:
            raise NotFound(what="execution", id=id_text(raw))
        state = State(row["state"])
        if state in TERMINAL:
            raise IllegalTransition(state=state.name, target=State.running.name)
        content = await self._workflows.content(workspace, row["content_id"])
        try:
            plan = self.plan(content)
        except MissingType as missing:
            await self._pause_row(workspace, raw, "missing_type")
            raise Conflict(reason=str(missing)) from None
        records = await self._state.log(workspace, id_text(raw))
        run = await self._state.load(row, plan, records, self._queue.epoch)
        replay = Replay(self.walker, run)
        for _first, base, segment in records:
            replay.apply(base, segment)
        waiters = self._waiters.get(raw)
        if waiters:
            run.answered = waiters[0]
        run.waiting = None
        self._enter(run)
        if state is State.running:
            self._begin_timers(run)
            replay.hand_over()
            if run.waits:
                self.walker.wake(run)
        else:
            run.replaying = False
        return run

    async def _pause_row(self, workspace: str, raw: bytes, reason: str) -> None:
        """A run whose node types are not there any more is paused, visibly; it does not fail."""

        def pause(connection: Any) -> None:
            connection.execute(
                "UPDATE executions SET state = ?, reason = ? WHERE id = ? AND workspace_id = ? AND state = ?",
                (State.paused, reason, raw, workspace, State.running),
            )

        await self._executions.database.write(pause)

    async def _give_up(self, workspace: str, raw: bytes) -> None:
        """A poisonous run: the process died with it three times in a row, the last time alone."""
        run = await self._in_memory(workspace, raw)
        run.error = NodeError(
            "poison", "The server stopped three times in a row while this run was under way."
        )
        run.ready.clear()
        run.launches.clear()
        run.move(State.failed, "poison")
        self.flush(run)

    # -- waiting for a time

    def _wake_by(self, when_us: int) -> None:
        if self._wake_at is not None and self._wake_at <= when_us:
            return
        if self._wake_timer is not None:
            self._wake_timer.cancel()
        self._wake_at = when_us
        self._wake_timer = self.clock.call_at(when_us, self._wake_due)

    async def _arm_wake(self) -> None:
        following = await self._queue.next_wake()
        if following is not None:
            self._wake_by(following)

    def _wake_due(self) -> None:
        self._wake_at = self._wake_timer = None
        if not self.draining:
            self._waking = asyncio.get_running_loop().create_task(self._wake_all())

    async def _wake_all(self) -> None:
        """Continue every run whose time has come; then set the timer for the next."""
        try:
            while True:
                places = await self._queue.due(self.clock.now_us(), CLAIM_BATCH)
                places = [place for place in places if place[1] not in self.runs]
                if not places:
                    break
                await self._queue.claim(places)
                for place in places:
                    await self._continue(*place)
        except DatabaseUnavailable:
            self._wake_by(self.clock.now_us() + 1_000_000)
            return
        await self._arm_wake_later()

    async def _arm_wake_later(self) -> None:
        following = await self._queue.next_wake()
        if following is not None:
            # A row that is due but in memory has its wait committed soon; it must not make a busy loop.
            self._wake_by(max(following, self.clock.now_us() + 2_000))

    # -- orders

    async def pause(self, workspace: str, execution: str) -> None:
        """Start nothing new in a run; what runs is let finish (the seed's pauseExecution)."""
        run = await self._find(workspace, execution, State.paused)
        self._stop_running_time(run)
        run.move(State.paused)
        await self._ordered(run)

    async def resume(self, workspace: str, execution: str) -> None:
        """Let a paused run go on (the seed's resumeExecution)."""
        run = await self._find(workspace, execution, State.running)
        check_transition(run.state, State.running)
        if run.state is State.pending:
            raise IllegalTransition(state="pending", target="running")
        if run.tasks or run.committing:
            await self._until_quiet(run)
        run.move(State.running)
        await self._ordered(run)
        # Memory is laid anew from what is committed, so that a pause leaves no trace of its moment.
        self._leave(run)
        await self._continue(workspace, run.id)

    async def cancel(self, workspace: str, execution: str) -> None:
        """Stop a run for good; a running effect is ended (the seed's cancelExecution)."""
        run = await self._find(workspace, execution, State.cancelled)
        check_transition(run.state, State.cancelled)
        if run.state is State.pending:
            self._queue.pending = max(0, self._queue.pending - 1)
        run.now_us = self.clock.now_us()
        self.walker.record_interrupted(run)
        run.ready.clear()
        run.launches.clear()
        run.move(State.cancelled, "cancelled")
        for task in list(run.tasks.values()):
            task.cancel()
        await self._ordered(run)

    async def answer(
        self, workspace: str, execution: str, node: str, path: str, answer: str, output: Value = None
    ) -> None:
        """A person's answer for an effect in doubt: `retry`, `done` or `fail`."""
        run = await self._find(workspace, execution, State.running)
        if run.state is not State.running:
            raise Conflict(reason=f"The run is {run.state.name}")
        for key, each in run.waits.items():
            if each.why == "ask" and each.node.id == node and each.frame.path_text == path:
                answer_question(self.walker, run, key, answer, output)
                run.waiting = None
                self.walker.advance(run)
                return
        raise NotFound(what="question", id=node)

    async def _find(self, workspace: str, execution: str, target: State) -> Run:
        """The run that an order is for. Raises NotFound, IllegalTransition."""
        raw = id_bytes(execution)
        if raw is None:
            raise NotFound(what="execution", id=execution)
        row = await self._executions.raw(workspace, raw)
        run = self.runs.get(raw)
        if row is None and run is None:
            raise NotFound(what="execution", id=execution)
        if run is None and row is not None and State(row["state"]) in TERMINAL:
            raise IllegalTransition(state=State(row["state"]).name, target=target.name)
        found = await self._in_memory(workspace, raw)
        check_transition(found.state, target) if target is not State.running else None
        return found

    async def _ordered(self, run: Run) -> None:
        """Commit an order and wait until it is safe."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled(number: int | None, error: BaseException | None) -> None:
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(None)

        self.flush(run)
        self._executions.database.submit(ExecutionWrite(self._executions, run.workspace, settled, token=run))
        await done

    async def _until_quiet(self, run: Run) -> None:
        """Wait for effects that were let finish, and for their commits."""
        while run.tasks or run.committing:
            await asyncio.gather(*run.tasks.values(), return_exceptions=True)
            await asyncio.sleep(0)


def _row(run: Run) -> tuple[Any, ...]:
    """The columns of a new row; the writer fills in the number."""
    return (
        run.id, run.workspace, run.workflow_id, 0, run.content_id, int(run.state), run.waiting,
        _wake_at(run), run.trigger.id, run.mode, None if run.root == run.id else run.root, run.priority,
        run.owner, run.epoch, run.seq, 0, run.deaths, run.created, run.started, _finished(run), run.ran_us,
        run.reason, None if run.error is None else json_bytes(run.error),
    )  # fmt: skip


def _update(run: Run) -> tuple[Any, ...]:
    """The columns that change with a run."""
    return (
        int(run.state), run.waiting, _wake_at(run), run.epoch, run.seq, run.claim_seq, run.deaths,
        run.started, _finished(run), run.ran_us, run.reason,
        None if run.error is None else json_bytes(run.error), run.id,
    )  # fmt: skip


def _finished(run: Run) -> int | None:
    return run.now_us if run.state in TERMINAL else None


def _wake_at(run: Run) -> int | None:
    if run.waiting != "time" or run.state is not State.running:
        return None
    return min(each.until_us for each in run.waits.values() if each.why == "time")
