"""/api/v1/schedules: when workflows start by the clock."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.clock import Clock
from flowfuse.data.schedules import ScheduleRepository
from flowfuse.engine.recurrence import Recurrence, iso, parse_recurrence
from flowfuse.engine.scheduler import SchedulerService, recurrence_of
from flowfuse.model import Fire, Schedule
from flowfuse.pages.api.body import answer, number, read_json
from flowfuse.pages.api.spec import items_of, spec
from flowfuse.pages.guards import needs, signed_in, workspace_of
from flowfuse.pages.page import language_of
from flowfuse.pages.schedule_words import schedule_words

BASE = "/api/v1/schedules"
ONE = f"{BASE}/{{workflow:str}}/{{node:str}}"
Asked = Request[Any, Any, Any]
COMING = 5
PREVIEW: dict[str, Any] = {
    "type": "object",
    "required": ["words", "coming"],
    "properties": {"words": {"type": "string"}, "coming": {"type": "array", "items": {"type": "string"}}},
}
SHOWN: dict[str, Any] = {"type": "object", "required": ["workflow", "node", "words", "paused", "next_due"]}


class PreviewRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A schedule as it stands in a trigger's config."""

    cron: str = ""
    every: float | str | None = None
    at: str = ""
    timezone: str = "UTC"


def coming(recurrence: Recurrence, after_us: int, count: int = COMING) -> list[str]:
    """The next due times as ISO 8601 text in the schedule's timezone."""
    return [iso(due, recurrence.timezone) for due in islice(recurrence.all_after(after_us), count)]


def _shown(schedule: Schedule, now_us: int) -> dict[str, Any]:
    recurrence = recurrence_of(schedule)
    return {
        "workflow": schedule.workflow,
        "node": schedule.node,
        "words": recurrence.words(),
        "timezone": recurrence.timezone,
        "catch_up": schedule.catch_up,
        "paused": schedule.paused,
        "next_due": schedule.next_due,
        "coming": [] if schedule.paused else coming(recurrence, now_us),
    }


@get(
    BASE,
    guards=[signed_in],
    opt=spec("Schedules", query={"workflow": "Only of this workflow."}, answer=items_of(SHOWN)),
)
async def list_schedules(
    request: Asked, schedules: NamedDependency[ScheduleRepository], clock: NamedDependency[Clock]
) -> Response[bytes]:
    """All schedules of published workflows, the earliest due first; `workflow` limits them to one."""
    found = await schedules.list(workspace_of(request), request.query_params.get("workflow") or None)
    return answer({"items": [_shown(schedule, clock.now_us()) for schedule in found]})


@post(
    f"{BASE}/preview",
    guards=[needs("read")],
    status_code=200,
    opt=spec(
        "Schedules",
        body=PreviewRequest,
        body_example={"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"},
        answer=PREVIEW,
    ),
)
async def preview_schedule(request: Asked, clock: NamedDependency[Clock]) -> Response[bytes]:
    """What a schedule means, in words, and when it would be due next."""
    asked = await read_json(request, PreviewRequest)
    now = clock.now_us()
    recurrence = parse_recurrence(
        cron=asked.cron, every=asked.every, at=asked.at, timezone=asked.timezone or "UTC", anchor_us=now
    )
    words = schedule_words(recurrence, language_of(request))
    return answer({"words": words, "coming": coming(recurrence, now)})


@get(
    f"{ONE}/fires",
    guards=[signed_in],
    opt=spec("Schedules", query={"limit": "How many at most."}, answer=items_of(Fire)),
)
async def list_fires(
    request: Asked,
    workflow: FromPath[str],
    node: FromPath[str],
    schedules: NamedDependency[ScheduleRepository],
) -> Response[bytes]:
    """What became of the last due times, newest first."""
    await schedules.get(workspace_of(request), workflow, node)
    limit = number(request, "limit", 50, 1, 500)
    return answer({"items": await schedules.fires(workspace_of(request), workflow, node, limit)})


@post(f"{ONE}/pause", guards=[needs("operate")], status_code=204, opt=spec("Schedules", status=204))
async def pause_schedule(
    request: Asked, workflow: FromPath[str], node: FromPath[str], scheduler: NamedDependency[SchedulerService]
) -> None:
    """Let nothing fire until it is resumed."""
    await scheduler.pause(workspace_of(request), workflow, node)


@post(f"{ONE}/resume", guards=[needs("operate")], status_code=204, opt=spec("Schedules", status=204))
async def resume_schedule(
    request: Asked, workflow: FromPath[str], node: FromPath[str], scheduler: NamedDependency[SchedulerService]
) -> None:
    """Let it go on with its next due time from now."""
    await scheduler.resume(workspace_of(request), workflow, node)
