"""/schedules: when workflows start by the clock – a week as a calendar, and the list to pause in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.schedules import ScheduleRepository
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.scheduler import SchedulerService, recurrence_of
from flowfuse.model import Fire, Schedule
from flowfuse.pages import words
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import needs, signed_in, workspace_of
from flowfuse.pages.notices import back
from flowfuse.pages.page import language_of, page, zone_of
from flowfuse.pages.schedule_words import schedule_words

Asked = Request[Any, Any, Any]
MOST_STARTS = 200
DAY_US = 86_400 * 1_000_000
DAYS = 7
MOST_IN_A_DAY = 12
FEW = 5
"""More starts than so many of a schedule in a day are one line."""


class ScheduleRow(Struct, frozen=True):
    """A schedule with what it means and what became of its last due times."""

    schedule: Schedule
    name: str
    words: str
    timezone: str
    last: Fire | None


class Start(Struct, frozen=True):
    """A start in the calendar; `often` stands for many of a day, `together`: others start at that time."""

    at: int
    workflow: str
    name: str
    often: bool
    together: bool


class Day(Struct, frozen=True):
    """A day of the calendar."""

    date: date
    is_today: bool
    starts: list[Start]
    more: int


class PauseForm(msgspec.Struct, forbid_unknown_fields=True):
    """Which schedule to stop, or let go on."""

    workflow: str
    node: str
    pause: bool


def coming_starts(planned: Sequence[Schedule], now: int, until: int) -> list[tuple[int, Schedule]]:
    """(when, which schedule) of what starts by itself until then, in order."""
    found: list[tuple[int, Schedule]] = []
    for schedule in planned:
        if schedule.paused or schedule.next_due is None or schedule.next_due > until:
            continue
        for due in islice(recurrence_of(schedule).all_after(now), MOST_STARTS):
            if due > until:
                break
            found.append((due, schedule))
    return sorted(found, key=lambda each: (each[0], each[1].workflow))


@get("/schedules", guards=[signed_in])
async def schedule_list(
    request: Asked,
    schedules: NamedDependency[ScheduleRepository],
    workflows: NamedDependency[WorkflowRepository],
    clock: NamedDependency[Clock],
) -> Response[str]:
    """All schedules, and the coming week."""
    workspace, zone, now = workspace_of(request), zone_of(request), clock.now_us()
    language = language_of(request)
    names = {summary.id: summary.name for summary in await workflows.list(workspace)}
    planned = await schedules.list(workspace)
    rows = []
    for schedule in planned:
        recurrence = recurrence_of(schedule)
        fires = await schedules.fires(workspace, schedule.workflow, schedule.node, 1)
        name = names.get(schedule.workflow, schedule.workflow)
        last = fires[0] if fires else None
        said = schedule_words(recurrence, language)
        rows.append(ScheduleRow(schedule, name, said, recurrence.timezone, last))
    return page(request, "schedules.html", rows=rows, days=_week(planned, names, now, zone))


@post("/schedules", guards=[needs("operate")], status_code=303)
async def pause_in_list(request: Asked, scheduler: NamedDependency[SchedulerService]) -> Redirect:
    """Stop a schedule, or let it go on with its next due time from now. Raises NotFound."""
    form, workspace = await read_form(request, PauseForm), workspace_of(request)
    change = scheduler.pause if form.pause else scheduler.resume
    await change(workspace, form.workflow, form.node)
    note(request, f"/workflows/{form.workflow}", "paused" if form.pause else "resumed")
    return back(request, "/schedules", "saved")


def _week(planned: Sequence[Schedule], names: dict[str, str], now: int, zone: str) -> list[Day]:
    today = words.local(now, zone).date()
    days, begin = [], now
    for offset in range(DAYS):
        end = words.midnight(words.midnight(now, zone) + (offset + 1) * DAY_US + DAY_US // 2, zone)
        shown = _day(planned, names, begin, end)
        day = today + timedelta(days=offset)
        days.append(Day(day, offset == 0, shown[:MOST_IN_A_DAY], max(0, len(shown) - MOST_IN_A_DAY)))
        begin = end - 1
    return days


def _day(planned: Sequence[Schedule], names: dict[str, str], after: int, before: int) -> list[Start]:
    """A day's starts, in order; of a schedule that comes often, one line before them."""
    starts: list[tuple[int, str, bool]] = []
    for schedule in planned:
        if schedule.paused or schedule.next_due is None or schedule.next_due >= before:
            continue
        moments = islice(recurrence_of(schedule).all_after(after), FEW + 1)
        within = [at for at in moments if at < before]
        often = len(within) > FEW
        starts += [(at, schedule.workflow, often) for at in (within[:1] if often else within)]
    at_minute = Counter(at // 60_000_000 for at, _, often in starts if not often)
    found = [
        Start(
            at, workflow, names.get(workflow, workflow), often, not often and at_minute[at // 60_000_000] > 1
        )
        for at, workflow, often in starts
    ]
    return sorted(found, key=lambda start: (not start.often, start.at))
