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
from itertools import islice
from typing import Any

from flowfuse.clock import Clock, Ids, id_text
from flowfuse.data.executions import ExecutionRepository, ExecutionWrite
from flowfuse.data.workflows import Content, WorkflowRepository
from flowfuse.engine.executor import NodeExecutor
from flowfuse.engine.frame import Frame
from flowfuse.engine.orders import Orders
from flowfuse.engine.plan import MissingType, NodePlan, Plan, compile_plan
from flowfuse.engine.queue import CLAIM_BATCH, QueueManager, Recovered
from flowfuse.engine.replay import Replay
from flowfuse.engine.run import Run, change_of, row_of
from flowfuse.engine.state import StateManager
from flowfuse.engine.timers import Timers
from flowfuse.engine.waiters import Waiters
from flowfuse.engine.wakes import Wakes
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
from flowfuse.model import RUNNING, TERMINAL, Answer, NodeError, State, Value
from flowfuse.node import Catalogue

log = logging.getLogger("flowfuse.engine")

PLAN_CACHE = 512
POISON = NodeError("poison", "The server stopped three times in a row while this run was under way.")


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
        self._answers, self._ends = Waiters(), Waiters()
        self._wakes = Wakes(clock, queue, self)
        self._timers = Timers(clock, self.walker)
        self._orders = Orders(clock, executions, queue, self._timers, self)
        self._recovered = Recovered()
        self._alone: bytes | None = None
        self._reread: set[tuple[str, bytes]] = set()
        self._work = asyncio.Event()
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    # -- life of the service

    async def open(self) -> None:
        """Take over what a process before this one left; nothing is run again that was committed."""
        died = await self._queue.open()
        self._recovered = await self._queue.recover(died=died)
        for workspace, raw in self._recovered.poisoned:
            row = await self._queue.give_up(workspace, raw, POISON, self.clock.now_us())
            if row is not None:
                self.ended_as_row(row, State.failed)
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
                    armed = True
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
        self._wakes.stop()
        for run in list(self.runs.values()):
            for work in run.tasks.values():
                work.task.cancel()
            self._timers.cancel(run)
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
    ) -> Run:
        """Accept an execution and begin it. It is safe once `run.accepted` is done.

        `claim(id)` gives a change of other tables that stands or falls with the acceptance.
        Raises Draining, QueueFull, and OutputInvalid where the value is not JSON.
        """
        self.check_accepting()
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
        if claim is not None:
            run.also.append(claim(run.id))
        self.walker.accept(run)
        room = self._has_room()
        self._enter(run)
        if room:
            self._timers.start(run)
            self.walker.fire_trigger(run)
            self.walker.advance(run)
        else:
            run.state, run.started, run.since = State.pending, None, None
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

    async def wait_answer(self, run: Run, timeout: float) -> Answer | None:
        """Wait until the run has answered, ended, or waits itself; None after the timeout or a wait.

        Raises what kept it from being accepted.
        """
        if not run.told:
            await self._answers.wait(run.id, timeout)
        return run.answer

    async def wait_end(self, run: Run, timeout: float) -> Run:
        """Wait until the execution has ended, through waits and pauses; the run as it is then."""
        if run.state in TERMINAL and not run.committing:
            return run
        ended = await self._ends.wait(run.id, timeout)
        return ended if ended is not None else self.runs.get(run.id, run)

    @property
    def epoch(self) -> int:
        """The number of this ownership of the data folder."""
        return self._queue.epoch

    def check_accepting(self) -> None:
        """Raise Draining or QueueFull where no execution can be accepted."""
        if self.draining:
            raise Draining()
        if self._queue.pending >= self._max_pending:
            raise QueueFull(pending=self._queue.pending)

    def _has_room(self) -> bool:
        """Whether a run may begin at once: there is a place, nobody is before it, nobody must be alone."""
        alone = self._alone is not None or self._recovered.suspects
        return len(self.runs) < self._max_running and not alone and self._queue.pending == 0

    def _enter(self, run: Run) -> None:
        run.draining = self.draining
        self.runs[run.id] = run
        self._idle.clear()

    # -- commits (Host of the walker)

    def flush(self, run: Run) -> None:
        """Commit what the run has recorded; what waits for the commit leaves after it."""
        segment = run.take_segment()
        launches, run.launches = run.launches, []
        blobs, run.blobs = run.blobs, []
        also, run.also = run.also, []
        insert = update = delivery = None
        if not run.inserted:
            insert, delivery = row_of(run), run.delivery
            run.inserted = True
        elif segment is not None or run.state in TERMINAL or run.waiting is not None:
            update = change_of(run)
        run.committing += 1
        run.leaving += len(launches)
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
        number: int | None,
        error: BaseException | None,
    ) -> None:
        run.committing -= 1
        run.leaving -= len(launches)
        if accepted and run.state is State.pending:
            self._queue.unsaved -= 1
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
        if ready and not run.told:
            run.told = True
            self._answers.tell(run)
        if last:
            self._ends.tell(run)
            self._leave(run)
            self._bus.publish(
                RunFinished(run.workspace, run.workflow_id, run.id, run.state, run.created, run.now_us)
            )
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
            if run.state is State.pending:
                self._queue.pending = max(0, self._queue.pending - 1)
            run.accepted.set_exception(error)
            # Whoever started the run may have left; then nobody asks for the error, which is no fault.
            run.accepted.exception()
        else:
            self._reread.add((run.workspace, run.id))
            self._work.set()
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
        if self._alone == run.id:
            self._alone = None
        if run.waiting is not None and run.state is RUNNING and not run.broken:
            due = run.wake_at()
            if due is not None:
                self._wakes.by(due)
        if self._queue.pending or self._recovered.resume or self._recovered.suspects:
            self._work.set()
        self._check_idle()

    def _check_idle(self) -> None:
        if not self.runs:
            self._idle.set()

    # -- continuing stored runs

    async def _claim_next(self) -> None:
        """Continue what a restart left, then what waits, as long as there is room."""
        while not self.draining and self._alone is None:
            await self._read_again()
            if self._recovered.suspects:
                if self.runs:
                    return
                place = self._recovered.suspects[0]
                await self._queue.claim([place])
                self._recovered.suspects.popleft()
                self._alone = place[1]
                await self.continue_stored(*place)
                return
            room = min(CLAIM_BATCH, self._max_running - len(self.runs))
            if room <= 0:
                return
            resume = self._recovered.resume
            if resume:
                places = list(islice(resume, room))
                await self._queue.claim(places)
                for _ in places:
                    resume.popleft()
            else:
                places = (
                    await self._queue.claim_pending(room, self.clock.now_us()) if self._queue.pending else []
                )
            if not places:
                return
            for number, place in enumerate(places):
                try:
                    await self.continue_stored(*place)
                except DatabaseUnavailable:
                    self._reread.update(places[number:])
                    raise

    async def _read_again(self) -> None:
        """Runs whose commit failed: as soon as commits succeed again, they go on from what is stored."""
        for place in list(self._reread):
            await self._queue.claim([place])
            self._reread.discard(place)
            await self.continue_stored(*place)

    async def continue_stored(self, workspace: str, raw: bytes) -> None:
        """Load a run and let it go on. Raises DatabaseUnavailable; the run is then tried again."""
        try:
            run = await self._in_memory(workspace, raw)
        except IllegalTransition:
            self._not_alone(raw)
            return
        except DatabaseUnavailable:
            self._not_alone(raw)
            self._reread.add((workspace, raw))
            self._work.set()
            raise
        except FlowFuseError as error:
            log.error("Run %s cannot be continued: %s", id_text(raw), error)
            self._not_alone(raw)
            return
        if run.state is RUNNING:
            self.walker.advance(run)

    def _not_alone(self, raw: bytes) -> None:
        if self._alone == raw:
            self._alone = None
            self._work.set()

    def may_wake(self) -> bool:
        """Whether waiting runs may be continued: not beside one that must run alone."""
        return self._alone is None and not self._recovered.suspects

    def in_memory(self, raw: bytes) -> bool:
        """Whether the run is being worked on."""
        return raw in self.runs

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
            await self._queue.pause_row(workspace, raw, "missing_type")
            raise Conflict(reason=str(missing)) from None
        records = await self._state.log(workspace, id_text(raw))
        run = await self._state.load(row, plan, records, self._queue.epoch)
        replay = Replay(self.walker, run)
        for _first, base, segment in records:
            replay.apply(base, segment)
        run.waiting = None
        self._enter(run)
        if state is RUNNING:
            self._timers.start(run)
            replay.hand_over()
            if run.state is not State.running:
                # It only had its end still to be recorded.
                self.settled(run)
            elif run.waits and not self.draining:
                self.walker.wake(run)
        else:
            run.replaying = False
        return run

    # -- orders

    async def pause(self, workspace: str, execution: str) -> None:
        """Start nothing new in a run; what runs is let finish (the seed's pauseExecution)."""
        await self._orders.pause(workspace, execution)

    async def resume(self, workspace: str, execution: str) -> None:
        """Let a paused run go on (the seed's resumeExecution)."""
        await self._orders.resume(workspace, execution)

    async def cancel(self, workspace: str, execution: str) -> None:
        """Stop a run for good; a running effect is ended (the seed's cancelExecution)."""
        await self._orders.cancel(workspace, execution)

    async def answer(
        self, workspace: str, execution: str, node: str, path: str, answer: str, output: Value = None
    ) -> None:
        """A person's answer for an effect in doubt: `retry`, `done` or `fail`."""
        await self._orders.answer(workspace, execution, node, path, answer, output)

    async def in_hand(self, workspace: str, raw: bytes) -> Run:
        """The run, loaded where it is not in memory; it stays there until `let_go`."""
        while True:
            run = await self._in_memory(workspace, raw)
            if self.runs.get(raw) is run:
                run.held += 1
                return run

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
        """A run that was not in memory has ended: tell whoever listens."""
        ids = row["workspace_id"], row["workflow_id"], bytes(row["id"])
        self._bus.publish(RunFinished(*ids, state, row["created"], self.clock.now_us()))
