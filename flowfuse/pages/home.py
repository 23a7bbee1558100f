"""Home: how today went, the workflows by last activity, the last runs."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.model import Execution, WorkflowSummary
from flowfuse.pages import words
from flowfuse.pages.guards import signed_in, workspace_of
from flowfuse.pages.page import page, zone_of

SPARK = 30
LAST_RUNS = 10


class HomeRow(Struct, frozen=True):
    """A workflow with its last runs, oldest first."""

    summary: WorkflowSummary
    recent: list[Execution]

    @property
    def active_at(self) -> int:
        """When something last happened with it."""
        return self.recent[-1].created if self.recent else self.summary.updated


@get("/", guards=[signed_in])
async def home(
    request: Request[Any, Any, Any],
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
    clock: NamedDependency[Clock],
) -> Response[str]:
    """The first page."""
    workspace = workspace_of(request)
    summaries = await workflows.list(workspace)
    recent = await executions.recent(workspace, [summary.id for summary in summaries], SPARK)
    rows = [HomeRow(summary, list(reversed(recent[summary.id]))) for summary in summaries]
    return page(
        request,
        "home.html",
        workflows=sorted(rows, key=lambda row: row.active_at, reverse=True),
        runs=await executions.list(workspace, limit=LAST_RUNS),
        today=await executions.count_since(workspace, words.midnight(clock.now_us(), zone_of(request))),
        names={summary.id: summary.name for summary in summaries},
    )
