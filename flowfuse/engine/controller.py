"""ExecutionController: starts, pauses, resumes, cancels, recovers and drains runs.

It owns every run in memory and is the only one that changes an execution's state. What it decides is
committed before anything that depends on it leaves; what is not in memory is a row.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

from flowfuse.clock import Clock, Ids
from flowfuse.data.breakers import BreakerRepository
from flowfuse.data.executions import ExecutionRepository, ExecutionWrite
from flowfuse.data.follow_ups import FollowUpRepository
from flowfuse.data.workflows import Content, WorkflowRepository
from flowfuse.engine.admission import Admission
from flowfuse.engine.breaker import FAILURES, CircuitBreaker
from flowfuse.engine.calls import Calls
from flowfuse.engine.executor import NodeExecutor
from flowfuse.engine.frame import Frame
from flowfuse.engine.orders import Orders
from flowfuse.engine.plan import NodePlan, Plan, compile_plan
from flowfuse.engine.queue import Held, QueueManager
from flowfuse.engine.records import Blob
from flowfuse.engine.run import Run, change_of, row_of
from flowfuse.engine.state import StateManager
from flowfuse.engine.stored import StoredRuns
from flowfuse.engine.timers import Timers
from flowfuse.engine.waiters import Waiters
from flowfuse.engine.wakes import Wakes
from flowfuse.engine.walker import Walker
from flowfuse.errors import DatabaseUnavailable, DiskLow, Draining, NotFound, QueueFull
from flowfuse.events import EventBus, ExecutionAdvanced, FollowUpNoted, RunFinished
from flowfuse.model import RUNNING, TERMINAL, State, Value
from flowfuse.node import Catalogue

log = logging.getLogger("flowfuse.engine")

PLAN_CACHE = 512
HELD = "concurrency"
"""What a pending run waits for that is over its workflow's limit."""


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
        follow_ups: FollowUpRepository,
        breakers: BreakerRepository,
        queue: QueueManager,
        state: StateManager,
        executor: NodeExecutor,
        catalogue: Catalogue,
        max_running: int = 200,
        max_pending: int = 1_000_000,
        resume_url: Callable[[bytes], str] = lambda raw: "",
        breaker_failures: int = FAILURES,
    ) -> None:
        self.clock, self.ids, self._bus = clock, ids, bus
        self._executions, self._workflows = executions, workflows
        self._queue, self._state = queue, state
        self._catalogue = catalogue
        self._max_running, self._max_pending = max_running, max_pending
        self._resume_url = resume_url
        self.breaker = CircuitBreaker(clock, breakers, bus, self, failures=breaker_failures)
        self.walker = Walker(executor, clock, random, self.breaker, self)
        self.runs: dict[bytes, Run] = {}
        self._plans: dict[bytes, Plan] = {}
        self._answers, self._ends = Waiters(), Waiters()
        self._wakes = Wakes(clock, queue, self)
        self._timers = Timers(clock, self.walker)
        self.orders = Orders(clock, executions, queue, self._timers, self)
        self._admission = Admission(clock, queue, self)
        self._stored = StoredRuns(
            clock, executions, workflows, queue, state, self._timers, self.breaker, self
        )
        executor.caller = Calls(workflows, follow_ups, self)
        self._work = asyncio.Event()
        self.draining = False
        self.disk_free: int | None = None
        """Bytes that are left on the disk, where they are too few for new work."""
        self.died = False
        """Whether the process before this one ended without a shutdown."""
        self._idle = asyncio.Event()
        self._idle.set()

    # -- life of the service

    async def open(self) -> None:
        """Take over what a process before this one left; nothing is run again that was committed."""
        self.died = await self._queue.open()
        await self.breaker.open()
        await self._stored.open(died=self.died)
        self._work.set()

    async def work(self) -> None:
        """The loop that claims pending runs and continues interrupted ones. Never returns."""
        armed = False
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                if not armed:
                    await self._wakes.arm()
                    await self._admission.open()
                    armed = True
                await self._stored.claim_next(self._max_running)
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
        self._wakes.stop()
        for run in list(self.runs.values()):
            for work in run.tasks.values():
                work.task.cancel()
            self._timers.cancel(run)
        await self.breaker.close()
        self._answers.tell_all(self.runs)
        self._ends.tell_all(self.runs)
        try:
            await self._queue.close_cleanly()
        except DatabaseUnavailable as error:
            # The next start then takes this end for a death, which costs it nothing but a count.
            log.warning("The end could not be noted: %s", error)

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
        claim: Callable[[bytes], Any] | None = None,
        parent: str | None = None,
        blob: Blob | None = None,
        hurry: bool = True,
    ) -> Run:
        """Accept an execution and begin it. It is safe once `run.accepted` is done.

        `claim(id)` gives a change of other tables that stands or falls with the acceptance. `blob` is
        a large value as it is kept, where that was made beside the event loop. Without `hurry` whoever
        asks waits for the answer, so the acceptance may be committed together with what follows.
        Raises Draining, QueueFull, and OutputInvalid where the value is not JSON.
        """
        self.check_accepting()
        now_us = self.clock.now_us()
        run = Run(
            id=self.ids.new(), workspace=workspace, workflow_id=workflow, content_id=content_id, plan=plan,
            trigger=plan.trigger(trigger), trigger_value=value, mode=mode, now_us=now_us,
            epoch=self._queue.epoch, root=root, parent=parent,
        )  # fmt: skip
        run.hurry = hurry
        run.accepted = asyncio.get_running_loop().create_future()
        if delivery is not None:
            run.delivery = (*delivery, now_us)
        if claim is not None:
            run.also.append(claim(run.id))
        if blob is not None:
            run.remember(value, blob)
        self.walker.accept(run)
        held = self.waits_for(plan, mode)
        room = held is None and self._has_room() and not self.breaker.blocked_until(workspace)
        self.enter(run)
        if room:
            self._timers.start(run)
            self.walker.fire_trigger(run)
            self.walker.advance(run)
        else:
            run.state, run.started, run.since = State.pending, None, None
            run.waiting = held
            if held is None:
                self._queue.pending += 1
                self._queue.unsaved += 1
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
        claim: Callable[[bytes], Any] | None = None,
    ) -> Run:
        """`start`, and wait until the execution is accepted (the seed's executeWorkflow)."""
        run = self.start(
            workspace, workflow, content.id, self.plan(content), trigger, value, mode=mode, claim=claim
        )
        assert run.accepted is not None
        await run.accepted
        return run

    async def fire(
        self, workspace: str, workflow: str, trigger: str, value: Value, claim: Callable[[bytes], Any]
    ) -> None:
        """Accept a run of the published version; `claim(id)` is a change within the same commit.

        Raises NotFound where the workflow is not published, what `start` raises, and what the claim does.
        """
        content = await self._workflows.published(workspace, workflow)
        if content is None:
            raise NotFound(what="published workflow", id=workflow)
        await self.execute(workspace, workflow, content, trigger, value, claim=claim)

    async def wait_answer(self, run: Run, timeout: float) -> Run:
        """Wait until the run has answered, ended, or waits itself, or the timeout; the run as it is then.

        It is accepted by then. Only what is `told` is safe to show. Raises what kept it from being accepted.
        """
        if run.told:
            return run
        told = self._as_told(run, await self._answers.wait(run.id, timeout))
        if run.accepted is not None:
            await run.accepted
        return told

    def _as_told(self, run: Run, told: Run | State | None) -> Run:
        """The run that goes by this id now: it may have left the memory and come back meanwhile."""
        if isinstance(told, State):
            run.state, run.told = told, True
            return run
        return told if told is not None else self.runs.get(run.id, run)

    async def wait_end(self, run: Run, timeout: float) -> Run:
        """Wait until the execution has ended, through waits and pauses; the run as it is then."""
        if run.state in TERMINAL and not run.committing:
            return run
        return self._as_told(run, await self._ends.wait(run.id, timeout))

    @property
    def epoch(self) -> int:
        """The number of this ownership of the data folder."""
        return self._queue.epoch

    def check_accepting(self) -> None:
        """Raise Draining, DiskLow or QueueFull where no execution can be accepted."""
        if self.draining:
            raise Draining()
        if self.disk_free is not None:
            raise DiskLow(free=self.disk_free // 1_000_000)
        if self._queue.pending >= self._max_pending:
            raise QueueFull(pending=self._queue.pending)

    def _has_room(self) -> bool:
        """Whether a run may begin at once: there is a place, nobody is before it, nobody must be alone."""
        return len(self.runs) < self._max_running and self.may_wake() and not self._queue.claimable

    def room(self) -> bool:
        """Whether one more run may be in memory now (for Admission)."""
        return len(self.runs) < self._max_running and self.may_wake() and not self.draining

    def waits_for(self, plan: Plan, mode: str) -> str | None:
        """What a new run waits for beside a free place: its turn, where its workflow has a limit."""
        limited = plan.workflow.settings.concurrency > 0 and mode != "test"
        return HELD if limited else None

    def kept(self, workspace: str, workflow: str, waiting: str | None) -> None:
        """A pending run was committed as a row (for Copies): it begins when its turn comes."""
        if waiting is None:
            self._work.set()
        else:
            self._admission.look((workspace, workflow))

    async def plan_of(self, workspace: str, content_id: int) -> Plan:
        """The compiled form of a run's pinned content. Raises MissingType, NotFound."""
        return self.plan(await self._workflows.content(workspace, content_id))

    async def end_held(self, held: Held, state: State, reason: str) -> None:
        """End a run that has not begun (for Admission)."""
        row = await self._queue.end_held(held, state, reason, self.clock.now_us())
        if row is not None:
            self.ended_as_row(row, state)

    def enter(self, run: Run) -> None:
        """The run is being worked on."""
        run.draining, run.resume_url = self.draining, self._resume_url
        run.operator = self._queue.own_only
        self.runs[run.id] = run
        self._idle.clear()

    # -- commits (Host of the walker)

    def flush(self, run: Run) -> None:
        """Commit what the run has recorded; what waits for the commit leaves after it."""
        if run.gathering is not None:
            run.gathering.cancel()
            run.gathering = None
        run.hurry = False
        segment = run.take_segment()
        launches, run.launches = run.launches, []
        blobs, run.blobs = run.blobs, []
        # The end is recorded once; what is committed behind it ends nothing a second time.
        last = run.state in TERMINAL and segment is not None
        if last:
            run.note_what_follows()
        also, run.also = run.also, []
        noted, run.noted = run.noted, False
        insert = update = delivery = None
        if not run.inserted:
            insert, delivery = row_of(run), run.delivery
            run.inserted = True
        elif segment is not None or run.state in TERMINAL or run.waiting is not None:
            update = change_of(run)
        kept = segment
        if segment is not None and run.plan.sensitive:
            raw, first, workspace, data = segment
            kept = (raw, first, workspace, self._state.stored(workspace, data, run.plan))
        run.committing += 1
        run.leaving += len(launches)
        waits = run.waiting is not None and run.state is RUNNING
        ready = last or waits or run.state is State.paused or run.answer is not None
        callback = partial(self._committed, run, launches, segment, insert is not None, ready, last, noted)
        self._executions.database.submit(
            ExecutionWrite(
                self._executions,
                run.workspace,
                callback,
                token=run,
                insert=insert,
                segment=kept,
                update=update,
                delivery=delivery,
                blobs=blobs,
                also=also,
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
        noted: bool,
        number: int | None,
        error: BaseException | None,
    ) -> None:
        run.committing -= 1
        run.leaving -= len(launches)
        held = run.waiting == HELD and run.state is State.pending
        if accepted and run.state is State.pending and not held:
            self._queue.unsaved -= 1
        if error is not None:
            self._refused(run, error)
            return
        if accepted and run.accepted is not None and not run.accepted.done():
            run.accepted.set_result(None)
        if accepted and held:
            self._admission.look((run.workspace, run.workflow_id))
        if run.broken:
            return
        if noted:
            self._bus.publish(FollowUpNoted())
        for launch in launches:
            launch()
        if segment is not None:
            self._bus.publish(ExecutionAdvanced(run.workspace, run.id, segment[1], segment[3], run.plan))
        if ready and not run.told:
            run.told = True
            self._answers.tell(run)
        if last:
            self._ends.tell(run)
            self._leave(run)
            self._bus.publish(
                RunFinished(run.workspace, run.workflow_id, run.id, run.state, run.created, run.now_us)
            )
            self._admission.ended((run.workspace, run.workflow_id))
            run.let_go()
        elif run.committing == 0 and self._released(run):
            self._leave(run)

    def _refused(self, run: Run, error: BaseException) -> None:
        """A commit failed: nothing of it stands, and the run is read again from the database."""
        run.broken = True
        if run.dropped:
            return
        run.dropped = True
        for work in run.tasks.values():
            work.task.cancel()
        if run.accepted is not None and not run.accepted.done():
            if run.state is State.pending and run.waiting is None:
                self._queue.pending = max(0, self._queue.pending - 1)
            run.accepted.set_exception(error)
            # Whoever started the run may have left; then nobody asks for the error, which is no fault.
            run.accepted.exception()
        else:
            self._stored.read_again_later(run.workspace, run.id)
        self._answers.tell(run, error)
        self._leave(run)

    def settled(self, run: Run) -> None:
        """Nothing more can be done for the run now: commit, and see what it waits for."""
        if run.broken:
            return
        if run.waits and run.state is RUNNING and not run.draining:
            if not (run.tasks or run.launches or run.leaving or run.retries):
                self._begin_wait(run)
                return
            self._timers.arm_wake(run)
        if run.buffer or run.launches or not run.inserted:
            if run.may_gather():
                self._timers.gather(run, self.flush)
            else:
                self.flush(run)
        elif run.committing == 0 and self._released(run):
            self._leave(run)

    def _released(self, run: Run) -> bool:
        """Whether the run may leave the memory: it waits, is paused, pending or drained, and nothing runs."""
        if run.tasks or run.launches or run.buffer or run.held:
            return False
        if run.state is RUNNING:
            return (run.waiting is not None and not run.ready) or run.draining
        return True

    def _begin_wait(self, run: Run) -> None:
        timed = any(each.why == "time" for each in run.waits.values())
        run.waiting = "time" if timed else next(iter(run.waits.values())).why
        run.now_us = max(run.now_us, self.clock.now_us())
        self._timers.stop(run)
        self.flush(run)

    def live(self, run: Run, node: NodePlan, frame: Frame) -> None:
        """An attempt has left: an unnumbered mark for whoever watches."""
        self._bus.started(run.id, node.id, frame.path_text)

    def _leave(self, run: Run) -> None:
        if self.runs.get(run.id) is run:
            del self.runs[run.id]
        self._timers.cancel(run)
        self._stored.left(run.id)
        if run.waiting is not None and run.state is RUNNING and not run.broken:
            due = run.wake_at()
            if due is not None:
                self._wakes.by(due)
        self._admission.room_again()
        if self._queue.claimable or self._stored.left_over:
            self._work.set()
        self._check_idle()

    def _check_idle(self) -> None:
        if not self.runs:
            self._idle.set()

    # -- continuing stored runs

    async def continue_stored(self, workspace: str, raw: bytes) -> None:
        """Load a run and let it go on. Raises DatabaseUnavailable; the run is then tried again."""
        await self._stored.go_on(workspace, raw)

    def may_wake(self) -> bool:
        """Whether waiting runs may be continued: not beside one that must run alone."""
        return not self._stored.exclusive

    def in_memory(self, raw: bytes) -> bool:
        """Whether the run is being worked on."""
        return raw in self.runs

    def calls_possible(self) -> None:
        """A breaker is not in the way any more (for CircuitBreaker)."""
        self._queue.barred = 0
        self._work.set()
        self._wakes.by(self.clock.now_us())

    def work_waits(self) -> None:
        """There is something to claim or to read again."""
        self._work.set()

    # -- orders

    async def pause(self, workspace: str, execution: str) -> None:
        """Start nothing new in a run; what runs is let finish (the seed's pauseExecution)."""
        await self.orders.pause(workspace, execution)

    async def resume(self, workspace: str, execution: str) -> None:
        """Let a paused run go on (the seed's resumeExecution)."""
        await self.orders.resume(workspace, execution)

    async def cancel(self, workspace: str, execution: str) -> None:
        """Stop a run for good; a running effect is ended (the seed's cancelExecution)."""
        await self.orders.cancel(workspace, execution)

    async def answer(
        self, workspace: str, execution: str, node: str, path: str, answer: str, output: Value = None
    ) -> None:
        """A person's answer for an effect in doubt: `retry`, `done` or `fail`."""
        await self.orders.answer(workspace, execution, node, path, answer, output)

    async def in_hand(self, workspace: str, raw: bytes) -> Run:
        """The run, loaded where it is not in memory; it stays there until `let_go`."""
        while True:
            run = await self._stored.load(workspace, raw)
            if self.runs.get(raw) is run:
                run.held += 1
                return run

    def freed(self, run: Run) -> None:
        """The run does not count as running any more: another one of its workflow may begin."""
        self._admission.ended((run.workspace, run.workflow_id))

    def let_go(self, run: Run) -> None:
        """An order is done with the run: it goes on, or may leave the memory again."""
        run.held -= 1
        if self.runs.get(run.id) is not run or run.broken or run.state in TERMINAL:
            return
        if run.state is State.running and not self.draining:
            self.walker.advance(run)
        elif run.committing == 0 and self._released(run):
            self._leave(run)

    async def committed(self, run: Run) -> None:
        """Commit what the run has recorded, and wait until it is safe. Raises DatabaseUnavailable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled(number: int | None, error: BaseException | None) -> None:
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(None)

        self.flush(run)
        self._executions.database.submit(ExecutionWrite(self._executions, run.workspace, settled, token=run))
        await done

    async def reload(self, run: Run) -> None:
        """Lay a run's memory anew from what is committed, so that a pause leaves no trace of its moment."""
        self._leave(run)
        await self.continue_stored(run.workspace, run.id)

    def ended_as_row(self, row: sqlite3.Row, state: State) -> None:
        """A run that was not in memory has ended: tell whoever listens, and let the next one begin."""
        ids = row["workspace_id"], row["workflow_id"], bytes(row["id"])
        self._answers.tell_state(ids[2], state)
        self._ends.tell_state(ids[2], state)
        self._bus.publish(RunFinished(*ids, state, row["created"], self.clock.now_us()))
        self._admission.ended(ids[:2])
        self._bus.publish(FollowUpNoted())

    def paused_as_row(self, row: sqlite3.Row) -> None:
        """A run that could not be loaded was paused: nobody waits for its answer, its place is free."""
        self._answers.tell_state(bytes(row["id"]), State.paused)
        self._admission.ended((row["workspace_id"], row["workflow_id"]))
