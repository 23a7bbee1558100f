"""/schedules: when workflows start by the clock – a week as a calendar, and the list to pause in."""

from __future__ import annotations

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
from flowfuse.pages.page import page, zone_of

Asked = Request[Any, Any, Any]
MOST_STARTS = 200
DAY_US = 86_400 * 1_000_000
DAYS = 7
MOST_IN_A_DAY = 12
_FEWEST = 5
"""As many starts a day make one line of a schedule instead."""


class ScheduleRow(Struct, frozen=True):
    """A schedule with what it means and what became of its last due times."""

    schedule: Schedule
    name: str
    words: str
    timezone: str
    last: Fire | None


class Start(Struct, frozen=True):
    """A start in the calendar; `count` of them where they come often, `together` with others' at one time."""

    at: int
    workflow: str
    name: str
    count: int
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
    names = {summary.id: summary.name for summary in await workflows.list(workspace)}
    planned = await schedules.list(workspace)
    rows = []
    for schedule in planned:
        recurrence = recurrence_of(schedule)
        fires = await schedules.fires(workspace, schedule.workflow, schedule.node, 1)
        name = names.get(schedule.workflow, schedule.workflow)
        last = fires[0] if fires else None
        rows.append(ScheduleRow(schedule, name, recurrence.words(), recurrence.timezone, last))
    begin = words.midnight(now, zone)
    starts = coming_starts(planned, now, begin + DAYS * DAY_US)
    return page(request, "schedules.html", rows=rows, days=_week(starts, names, now, zone))


@post("/schedules", guards=[needs("operate")], status_code=303)
async def pause_in_list(request: Asked, scheduler: NamedDependency[SchedulerService]) -> Redirect:
    """Stop a schedule, or let it go on with its next due time from now. Raises NotFound."""
    form, workspace = await read_form(request, PauseForm), workspace_of(request)
    change = scheduler.pause if form.pause else scheduler.resume
    await change(workspace, form.workflow, form.node)
    note(request, f"/workflows/{form.workflow}", "paused" if form.pause else "resumed")
    return back(request, "/schedules", "saved")


def _week(starts: Sequence[tuple[int, Schedule]], names: dict[str, str], now: int, zone: str) -> list[Day]:
    today = words.local(now, zone).date()
    by_day: dict[date, list[tuple[int, Schedule]]] = {}
    for at, schedule in starts:
        by_day.setdefault(words.local(at, zone).date(), []).append((at, schedule))
    days = []
    for offset in range(DAYS):
        day = today + timedelta(days=offset)
        shown = _day(by_day.get(day, []), names)
        days.append(Day(day, offset == 0, shown[:MOST_IN_A_DAY], max(0, len(shown) - MOST_IN_A_DAY)))
    return days


def _day(starts: list[tuple[int, Schedule]], names: dict[str, str]) -> list[Start]:
    """A day's starts: a schedule that comes often is one line."""
    at_minute: dict[int, set[str]] = {}
    per: dict[tuple[str, str], list[int]] = {}
    for at, schedule in starts:
        at_minute.setdefault(at // 60_000_000, set()).add(schedule.workflow)
        per.setdefault((schedule.workflow, schedule.node), []).append(at)
    found = []
    for (workflow, _), moments in per.items():
        often = len(moments) > _FEWEST
        for at in moments[:1] if often else moments:
            together = len(at_minute[at // 60_000_000]) > 1
            count = len(moments) if often else 1
            found.append(Start(at, workflow, names.get(workflow, workflow), count, together))
    return sorted(found, key=lambda start: start.at)
