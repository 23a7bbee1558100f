"""StoredRuns: takes up runs that are rows – pending, interrupted by a restart, dropped by a failed commit.

Claiming is committed before a run goes on, so that one that ends the process is known to have been under
way. One that was under way at two deaths in a row is run alone, with nothing claimed beside it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import Protocol

from flowfuse.clock import Clock, id_text
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import Content, WorkflowRepository
from flowfuse.engine.breaker import CircuitBreaker
from flowfuse.engine.plan import Plan
from flowfuse.engine.queue import CLAIM_BATCH, QueueManager, Recovered
from flowfuse.engine.replay import Replay
from flowfuse.engine.run import Run
from flowfuse.engine.state import StateManager
from flowfuse.engine.timers import Timers
from flowfuse.engine.walker import Walker
from flowfuse.errors import DatabaseUnavailable, FlowFuseError, IllegalTransition, NotFound
from flowfuse.model import RUNNING, TERMINAL, NodeError, State

log = logging.getLogger("flowfuse.engine")

POISON = NodeError("poison", "The server stopped three times in a row while this run was under way.")

UNREADABLE = NodeError("unreadable", "What is stored of this run cannot be read; the server's log says more.")


class Host(Protocol):
    """What taking up stored runs asks of the controller."""

    runs: dict[bytes, Run]
    walker: Walker
    draining: bool

    def plan(self, content: Content) -> Plan:
        """The compiled form of a frozen content."""

    def enter(self, run: Run) -> None:
        """The run is being worked on."""

    def settled(self, run: Run) -> None:
        """Nothing more can be done for the run now."""

    def ended_as_row(self, row: sqlite3.Row, state: State) -> None:
        """A run that was not in memory has ended."""

    def paused_as_row(self, row: sqlite3.Row) -> None:
        """A run that is not in memory was paused."""

    def work_waits(self) -> None:
        """There is something to claim or to read again."""


class StoredRuns:
    """Claims and loads runs; each is in memory once, whoever asks for it."""

    def __init__(
        self,
        clock: Clock,
        executions: ExecutionRepository,
        workflows: WorkflowRepository,
        queue: QueueManager,
        state: StateManager,
        timers: Timers,
        breaker: CircuitBreaker,
        host: Host,
    ) -> None:
        self._clock, self._executions, self._workflows = clock, executions, workflows
        self._queue, self._state, self._timers, self._host = queue, state, timers, host
        self._breaker = breaker
        self._recovered = Recovered()
        self._alone: bytes | None = None
        self._reread: set[tuple[str, bytes]] = set()
        self._loading: dict[bytes, asyncio.Task[Run]] = {}

    @property
    def exclusive(self) -> bool:
        """Whether a run must be alone, or soon will be."""
        return self._alone is not None or bool(self._recovered.suspects)

    @property
    def left_over(self) -> bool:
        """Whether runs that a restart left wait to be continued."""
        return bool(self._recovered.resume or self._recovered.suspects)

    async def open(self, *, died: bool) -> None:
        """See what the process before this one left; what kills processes is given up."""
        self._recovered = await self._queue.recover(died=died)
        for workspace, raw in self._recovered.poisoned:
            row = await self._queue.give_up(workspace, raw, POISON, self._clock.now_us())
            if row is not None:
                self._host.ended_as_row(row, State.failed)

    def left(self, raw: bytes) -> None:
        """A run has left the memory."""
        if self._alone == raw:
            self._alone = None

    def read_again_later(self, workspace: str, raw: bytes) -> None:
        """A commit of the run failed: it goes on from what is stored, as soon as commits succeed again."""
        self._reread.add((workspace, raw))
        self._host.work_waits()

    async def claim_next(self, most: int) -> None:
        """Continue what a restart left, then what waits, until `most` runs are in memory."""
        host = self._host
        while not host.draining and self._alone is None:
            await self._read_again()
            if self._recovered.suspects:
                if not host.runs:
                    await self._run_alone()
                return
            room = min(CLAIM_BATCH, most - len(host.runs))
            places = await self._claim(room) if room > 0 else []
            if not places:
                return
            for number, place in enumerate(places):
                try:
                    await self.go_on(*place)
                except DatabaseUnavailable:
                    self._reread.update(places[number:])
                    raise

    async def _run_alone(self) -> None:
        place = self._recovered.suspects[0]
        await self._queue.claim([place])
        self._recovered.suspects.popleft()
        self._alone = place[1]
        await self.go_on(*place)

    async def _claim(self, room: int) -> list[tuple[str, bytes]]:
        resume = self._recovered.resume
        if not resume:
            if not self._queue.claimable:
                return []
            blocked = self._breaker.blocked_workspaces()
            return await self._queue.claim_pending(room, self._clock.now_us(), blocked)
        # One after the other: what is claimed counts as under way, should the process die now.
        place = resume[0]
        await self._queue.claim([place])
        resume.popleft()
        return [place]

    async def _read_again(self) -> None:
        for place in list(self._reread):
            await self._queue.claim([place])
            self._reread.discard(place)
            await self.go_on(*place)

    async def go_on(self, workspace: str, raw: bytes) -> None:
        """Load a run and let it go on. Raises DatabaseUnavailable; the run is then tried again."""
        try:
            run = await self.load(workspace, raw)
        except IllegalTransition:
            self._not_alone(raw)
            return
        except DatabaseUnavailable:
            self._not_alone(raw)
            self.read_again_later(workspace, raw)
            raise
        except sqlite3.Error:
            # The database's trouble, not the run's.
            raise
        except Exception as error:
            await self._set_aside(workspace, raw, error)
            return
        if run.state is RUNNING:
            self._host.walker.advance(run)

    async def _set_aside(self, workspace: str, raw: bytes, error: Exception) -> None:
        """A run that cannot be loaded is paused: else it would be taken again and again."""
        known = isinstance(error, FlowFuseError)
        log.error("Run %s cannot be continued: %s", id_text(raw), error, exc_info=not known)
        self._not_alone(raw)
        told = NodeError(error.code, error.message) if isinstance(error, FlowFuseError) else UNREADABLE
        row = await self._queue.pause_row(workspace, raw, told.code, told)
        if row is not None:
            self._host.paused_as_row(row)

    def _not_alone(self, raw: bytes) -> None:
        if self._alone == raw:
            self._alone = None
            self._host.work_waits()

    async def load(self, workspace: str, raw: bytes) -> Run:
        """The run, loaded where it is not in memory. Raises NotFound, and IllegalTransition when it ended."""
        while True:
            run = self._host.runs.get(raw)
            if run is not None and not run.broken:
                return run
            loading = self._loading.get(raw)
            if loading is None:
                loading = asyncio.get_running_loop().create_task(self._read(workspace, raw))
                self._loading[raw] = loading
                loading.add_done_callback(lambda _: self._loading.pop(raw, None))
            return await asyncio.shield(loading)

    async def _read(self, workspace: str, raw: bytes) -> Run:
        row = await self._executions.raw(workspace, raw)
        if row is None:
            raise NotFound(what="execution", id=id_text(raw))
        state = State(row["state"])
        if state in TERMINAL:
            raise IllegalTransition(state=state.name, target=State.running.name)
        content = await self._workflows.content(workspace, row["content_id"])
        plan = self._host.plan(content)
        records = await self._state.log(workspace, id_text(raw))
        run = await self._state.load(row, plan, records, self._queue.epoch)
        replay = Replay(self._host.walker, run)
        for _first, base, segment in records:
            replay.apply(base, segment)
        run.waiting = None
        self._host.enter(run)
        if state is RUNNING:
            self._hand_over(run, replay)
        else:
            replay.stand_still()
        return run

    def _hand_over(self, run: Run, replay: Replay) -> None:
        self._timers.start(run)
        replay.hand_over()
        if run.state is not State.running:
            # It only had its end still to be recorded.
            self._host.settled(run)
        elif run.waits and not self._host.draining:
            self._host.walker.wake(run)
