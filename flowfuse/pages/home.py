"""DashboardUI, the first page: what needs somebody, how today goes, the workflows by last activity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.accounts import Accounts
from flowfuse.data.dead_letters import DeadLetters
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.histogram import Histogram
from flowfuse.data.schedules import ScheduleRepository
from flowfuse.data.storage import Storage
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.breaker import CLOSED
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.history import History
from flowfuse.engine.scheduler import recurrence_of
from flowfuse.errors import Conflict
from flowfuse.model import Execution, Schedule, StatisticsPart, WorkflowSummary
from flowfuse.pages import words
from flowfuse.pages.api.body import answer
from flowfuse.pages.audit_trail import note
from flowfuse.pages.charts import SPARK, chart
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.inbox import Question, questions
from flowfuse.pages.notices import back
from flowfuse.pages.page import language_of, page, zone_of
from flowfuse.pages.schedule_words import schedule_words
from flowfuse.pages.schedules import coming_starts
from flowfuse.pages.tour import tour_for

SHOWN = 12
NEXT = 4
CAUSES, QUESTIONS = 3, 3
DAY_US = 86_400 * 1_000_000
BUCKET_US = 20 * 60 * 1_000_000


class TryForm(Struct, forbid_unknown_fields=True):
    """Which breaker is meant; the workspace's own has no connector."""

    connector: str = ""


class NextStart(Struct, frozen=True):
    """When a workflow starts next by itself, and its schedule in words."""

    at: int
    workflow: str
    name: str
    words: str


class WorkflowRow(Struct, frozen=True):
    """A workflow with its last runs, oldest first, and when it starts next by itself."""

    summary: WorkflowSummary
    recent: list[Execution]
    next_due: int | None = None

    @property
    def active_at(self) -> int:
        """When something last happened with it."""
        return self.recent[-1].created if self.recent else self.summary.updated

    @property
    def rate(self) -> float | None:
        """The share of the last runs that went through; None where none has ended."""
        ended = [run for run in self.recent if run.finished]
        return sum(run.state == "completed" for run in ended) / len(ended) if ended else None


@get("/", guards=[signed_in])
async def home(
    request: Request[Any, Any, Any],
    accounts: NamedDependency[Accounts],
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
    schedules: NamedDependency[ScheduleRepository],
    dead_letters: NamedDependency[DeadLetters],
    history: NamedDependency[History],
    storage: NamedDependency[Storage],
    histogram: NamedDependency[Histogram],
    controller: NamedDependency[ExecutionController],
    clock: NamedDependency[Clock],
) -> Response[str]:
    """The first page."""
    workspace, zone, now = workspace_of(request), zone_of(request), clock.now_us()
    summaries = await workflows.list(workspace)
    planned = await schedules.list(workspace)
    due = {each.workflow: each.next_due for each in reversed(planned) if not each.paused}
    names = {summary.id: summary.name for summary in summaries}
    begin = words.midnight(now, zone)
    parts = await histogram.parts(workspace, since=begin, until=begin + DAY_US, bucket=BUCKET_US, now=now)
    starts = coming_starts(planned, now, begin + DAY_US)
    causes = await dead_letters.causes(workspace)
    asked = await questions(workspace, executions, history)
    breakers = [each for each in controller.breaker.list(workspace) if each.state != CLOSED]
    return page(
        request,
        "home.html",
        workflows=await _rows(workspace, summaries, executions, due),
        names=names,
        number=len(summaries),
        day=chart(
            parts, since=begin, until=begin + DAY_US, bucket=BUCKET_US, zone=zone, now=now,
            coming=[(at, names.get(schedule.workflow, schedule.workflow)) for at, schedule in starts],
        ),
        starts=len(starts),
        next_starts=_next_starts(planned, names, language_of(request)),
        today=_by_state(parts),
        causes=causes[:CAUSES],
        more_causes=len(causes) - CAUSES,
        questions=asked[:QUESTIONS],
        more_questions=len(asked) - QUESTIONS,
        damage=storage.damage,
        low=storage.low(),
        breakers=breakers,
        needs=needs_of(len(causes) + len(breakers), asked, storage),
        tour=await tour_for(identity_of(request), accounts, summaries, workflows),
    )  # fmt: skip


@get("/counts", guards=[signed_in])
async def counts(
    request: Request[Any, Any, Any],
    executions: NamedDependency[ExecutionRepository],
    dead_letters: NamedDependency[DeadLetters],
) -> Response[bytes]:
    """What the nav counts: only where somebody has to act."""
    workspace = workspace_of(request)
    waiting = await executions.waiting_for_people(workspace, 100)
    return answer({"failed": await dead_letters.count(workspace), "waiting": len(waiting)})


@get("/more", guards=[signed_in])
async def more(request: Request[Any, Any, Any]) -> Response[str]:
    """The rest of the nav, for a small screen."""
    return page(request, "more.html", admin=identity_of(request).may("administer"))


@post("/breakers/try", guards=[needs("operate")], status_code=303)
async def try_service(
    request: Request[Any, Any, Any], controller: NamedDependency[ExecutionController]
) -> Redirect:
    """Let one call through an open breaker now. Raises Conflict where it is open no more."""
    form, workspace = await read_form(request, TryForm), workspace_of(request)
    if not controller.breaker.try_now(workspace, form.connector):
        raise Conflict(reason="Calls go through again already")
    note(request, form.connector)
    return back(request, "/", "saved")


def needs_of(failing: int, asked: Sequence[Question], storage: Storage) -> int:
    """How many things need somebody."""
    return failing + len(asked) + (storage.damage is not None) + (storage.low() is not None)


async def _rows(
    workspace: str,
    summaries: Sequence[WorkflowSummary],
    executions: ExecutionRepository,
    due: dict[str, int | None],
) -> list[WorkflowRow]:
    """The workflows in which something happened last."""
    last = await executions.recent(workspace, [summary.id for summary in summaries], 1)
    latest = [WorkflowRow(each, list(last[each.id])) for each in summaries]
    latest = sorted(latest, key=lambda row: row.active_at, reverse=True)[:SHOWN]
    recent = await executions.recent(workspace, [row.summary.id for row in latest], SPARK)
    return [
        WorkflowRow(row.summary, list(reversed(recent[row.summary.id])), due.get(row.summary.id))
        for row in latest
    ]


def _next_starts(planned: Sequence[Schedule], names: dict[str, str], language: str) -> list[NextStart]:
    """Each schedule's next start; they come the soonest first, and what comes often is not the whole list."""
    soon = [(each.next_due, each) for each in planned if each.next_due is not None and not each.paused]
    return [
        NextStart(
            due, each.workflow, names.get(each.workflow, each.workflow),
            schedule_words(recurrence_of(each), language),
        )
        for due, each in soon[:NEXT]
    ]  # fmt: skip


def _by_state(parts: Sequence[StatisticsPart]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for state, number in part.states.items():
            total[state] = total.get(state, 0) + number
    return total
