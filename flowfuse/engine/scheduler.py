"""SchedulerService: starts what is due (cron, every, once), each due time once (only door to apscheduler).

A due time is a row; the run that it starts is accepted in the commit that takes the row. The service
enqueues and never executes. There is one timer, an APScheduler date job for the earliest due time of all
schedules, set anew at least every few seconds, since the wall clock may jump.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec

from flowfuse.clock import RECHECK_SECONDS, Clock
from flowfuse.data.schedules import ScheduleRepository, claim_due
from flowfuse.engine.recurrence import GRACE_US, Recurrence, iso
from flowfuse.errors import Duplicate, FlowFuseError, Unavailable
from flowfuse.events import EventBus, TriggersChanged
from flowfuse.faults import crash_point
from flowfuse.model import Schedule, Value

log = logging.getLogger("flowfuse.scheduler")

CATCH_UP_MOST = 100
"""`catch_up: all` starts at most this many missed runs, the newest."""
BATCH = 100
AGAIN_SECONDS = 1.0
# Going through a long time of every-minute moments takes a while; it is then done beside the event loop.
_LONG_US = 3600 * 1_000_000


class Starter(Protocol):
    """Accepts runs: what the scheduler asks of the controller."""

    async def fire(
        self, workspace: str, workflow: str, trigger: str, value: Value, claim: Callable[[bytes], Any]
    ) -> None:
        """Accept a run of the published version; `claim(id)` is a change within the same commit."""


class Alarm(Protocol):
    """One timer."""

    def set(self, when_us: int, ring: Callable[[], None]) -> None:
        """Ring at that moment; what was set before does not ring."""

    def stop(self) -> None:
        """No more ringing."""


class DateJob:
    """The alarm as one APScheduler date job."""

    def __init__(self) -> None:
        self._scheduler: Any = None

    def set(self, when_us: int, ring: Callable[[], None]) -> None:
        if self._scheduler is None:
            from apscheduler.schedulers.asyncio import AsyncIOScheduler

            self._scheduler = AsyncIOScheduler(timezone=UTC, event_loop=asyncio.get_running_loop())
            self._scheduler.start()

        async def job() -> None:
            ring()

        self._scheduler.add_job(
            job,
            "date",
            run_date=datetime.fromtimestamp(when_us / 1e6, UTC),
            id="due",
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=100,
        )

    def stop(self) -> None:
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None


class Due(NamedTuple):
    """What is to be done for a schedule: what fires, and what was missed and does not."""

    fires: list[int]
    skipped_from: int | None
    skipped: int
    following: int | None


class SchedulerService:
    """Cron jobs, recurring and one-time runs of published workflows."""

    def __init__(
        self, clock: Clock, schedules: ScheduleRepository, starter: Starter, bus: EventBus, alarm: Alarm
    ) -> None:
        self._clock, self._schedules, self._starter, self._alarm = clock, schedules, starter, alarm
        self._wake = asyncio.Event()
        self._held_up = False
        bus.listen(TriggersChanged, lambda _: self._wake.set())

    async def work(self) -> None:
        """The loop that starts what is due and sets the timer for the next. Never returns."""
        self._wake.set()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._round()
        finally:
            self._alarm.stop()

    async def pause(self, workspace: str, workflow: str, node: str) -> None:
        """Let nothing of a schedule fire until it is resumed. Raises NotFound."""
        await self._schedules.pause(workspace, workflow, node, paused=True, next_due=None)
        self._wake.set()

    async def resume(self, workspace: str, workflow: str, node: str) -> None:
        """Let a paused schedule go on with its next due time from now. Raises NotFound."""
        schedule = await self._schedules.get(workspace, workflow, node)
        following = recurrence_of(schedule).after(self._clock.now_us())
        await self._schedules.pause(workspace, workflow, node, paused=False, next_due=following)
        self._wake.set()

    async def _round(self) -> None:
        try:
            while schedules := await self._schedules.due(self._clock.now_us(), BATCH):
                for schedule in schedules:
                    await self._catch_up(schedule)
            following = await self._schedules.next_due()
        except Unavailable as error:
            if not self._held_up:
                log.warning("What is due has to wait: %s", error)
            self._held_up = True
            self._set(self._clock.now_us() + int(AGAIN_SECONDS * 1e6))
            return
        self._held_up = False
        if following is not None:
            self._set(following)

    def _set(self, when_us: int) -> None:
        recheck = self._clock.now_us() + int(RECHECK_SECONDS * 1e6)
        self._alarm.set(min(when_us, recheck), self._wake.set)

    async def _catch_up(self, schedule: Schedule) -> None:
        """Fire and skip what is due of one schedule, in the order of time."""
        now = self._clock.now_us()
        assert schedule.next_due is not None
        work = partial(what_is_due, recurrence_of(schedule), schedule.catch_up, schedule.next_due, now)
        due = await asyncio.to_thread(work) if now - schedule.next_due > _LONG_US else work()
        if due.skipped_from is not None:
            first = due.fires[0] if due.fires else due.following
            await self._schedules.skip(schedule, due.skipped_from, due.skipped, "skipped", first, now)
        for number, moment in enumerate(due.fires):
            following = due.fires[number + 1] if number + 1 < len(due.fires) else due.following
            await self._fire(schedule, moment, following, now)

    async def _fire(self, schedule: Schedule, due_us: int, following: int | None, now_us: int) -> None:
        timezone = recurrence_of(schedule).timezone
        value = {"due": iso(due_us, timezone), "fired": iso(now_us, timezone)}
        crash_point("before_fire")
        try:
            await self._starter.fire(
                schedule.workspace,
                schedule.workflow,
                schedule.node,
                value,
                lambda execution: claim_due(schedule, due_us, following, execution, now_us),
            )
        except Duplicate:
            await self._schedules.skip(schedule, due_us, 1, "fired", following, now_us)
        except Unavailable:
            raise
        except FlowFuseError as error:
            log.error("%s.%s cannot be started: %s", schedule.workflow, schedule.node, error)
            await self._schedules.skip(schedule, due_us, 1, f"refused: {error}", following, now_us)
        except Exception:
            # What is wrong with one workflow must not keep the others from their time.
            log.exception("%s.%s cannot be started", schedule.workflow, schedule.node)
            await self._schedules.skip(schedule, due_us, 1, "refused: internal", following, now_us)


def recurrence_of(schedule: Schedule) -> Recurrence:
    """When a schedule is due."""
    return msgspec.json.decode(schedule.recurrence, type=Recurrence)


def what_is_due(recurrence: Recurrence, catch_up: str, first_us: int, now_us: int) -> Due:
    """Of the due times from `first_us` to now: which fire, and how many were missed by too much.

    One that is late by less than the grace always fires; for what was missed by more, `catch_up` says
    `none`, `last` or `all` (at most the newest hundred).
    """
    keep = {"none": 0, "last": 1, "all": CATCH_UP_MOST}[catch_up]
    chosen: deque[int] = deque(maxlen=keep)
    fires: list[int] = []
    following: int | None = first_us
    late = now_us - GRACE_US
    missed = recurrence.steps_between(first_us, late) - keep
    skipped_from = recurrence.after(first_us - 1) if missed > 0 else None
    if skipped_from is None:
        missed = 0
    else:
        # Of what is neither fired nor chosen nothing but the number is asked for.
        first_us = skipped_from + missed * recurrence.every_us
    for moment in recurrence.all_after(first_us - 1):
        if moment > now_us:
            following = moment
            break
        if moment >= late and now_us - moment <= recurrence.grace_us(moment):
            fires.append(moment)
            continue
        missed += 1
        if skipped_from is None:
            skipped_from = moment
        chosen.append(moment)
    else:
        following = None
    skipped = missed - len(chosen)
    return Due([*chosen, *fires], skipped_from if skipped else None, skipped, following)
