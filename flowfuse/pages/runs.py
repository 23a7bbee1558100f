"""One run on its own pinned content, and the runs of one workflow."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from flowfuse.clock import Clock
from flowfuse.data.executions import PAGE, ExecutionRepository
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.history import History
from flowfuse.model import Execution
from flowfuse.node import Catalogue
from flowfuse.pages.addresses import whole_number
from flowfuse.pages.graph import graph_view
from flowfuse.pages.guards import signed_in, workspace_of
from flowfuse.pages.page import chosen_tab, language_of, page
from flowfuse.pages.run_reader import RunReader
from flowfuse.pages.run_view import run_view

ONE = "/workflows/{workflow:str}/runs/{number:int}"
TABS = ("node", "timeline", "run")
Asked = Request[Any, Any, Any]


@get("/workflows/{workflow:str}/runs", guards=[signed_in])
async def workflow_runs(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
) -> Response[str]:
    """The runs of one workflow, newest first."""
    workspace, query = workspace_of(request), request.query_params
    draft = await workflows.get(workspace, workflow)
    found = await executions.list(workspace, workflow=workflow, before=query.get("before") or None)
    older = f"/workflows/{workflow}/runs?before={found[-1].id}" if len(found) >= PAGE else None
    return page(request, "workflow_runs.html", workflow=draft.summary, runs=found, next_page=older)


@get("/runs/{execution:str}", guards=[signed_in])
async def run_by_id(
    request: Asked, execution: FromPath[str], executions: NamedDependency[ExecutionRepository]
) -> Redirect:
    """From an execution's id to its page."""
    found = await executions.get(workspace_of(request), execution)
    return Redirect(f"/workflows/{found.workflow}/runs/{found.number}", status_code=303)


@get(ONE, guards=[signed_in])
async def run(
    request: Asked,
    workflow: FromPath[str],
    number: FromPath[int],
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
    run_reader: NamedDependency[RunReader],
    catalogue: NamedDependency[Catalogue],
    clock: NamedDependency[Clock],
) -> Response[str]:
    """One run, live while it goes on."""
    execution = await executions.by_number(workspace_of(request), workflow, number)
    return await _run_page(request, "run.html", execution, history, run_reader, catalogue, clock)


@get(f"{ONE}/part", guards=[signed_in])
async def run_part(
    request: Asked,
    workflow: FromPath[str],
    number: FromPath[int],
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
    run_reader: NamedDependency[RunReader],
    catalogue: NamedDependency[Catalogue],
    clock: NamedDependency[Clock],
) -> Response[str]:
    """What changes of that page while the run goes on, or when another node is chosen."""
    execution = await executions.by_number(workspace_of(request), workflow, number)
    return await _run_page(request, "run/_part.html", execution, history, run_reader, catalogue, clock)


async def _run_page(
    request: Asked,
    template: str,
    execution: Execution,
    history: History,
    run_reader: RunReader,
    catalogue: Catalogue,
    clock: Clock,
) -> Response[str]:
    workspace, query = workspace_of(request), request.query_params
    detail = await run_reader.detail(workspace, execution)
    document = await history.document(workspace, execution.id)
    graph = graph_view(document, catalogue, language_of(request))
    view = run_view(detail, graph, clock.now_us(), query.get("node", ""), query.get("path", ""))
    return page(
        request,
        template,
        workflow=document,
        execution=detail.execution,
        detail=detail,
        graph=graph,
        view=view,
        version=await history.version(workspace, detail.execution),
        tab=chosen_tab(request, TABS, "node"),
        attempt=whole_number(query.get("attempt", "")),
    )
