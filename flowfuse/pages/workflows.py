"""One workflow: its graph, its runs, the field to start it with, its webhooks, its problems."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import Draft, WorkflowRepository
from flowfuse.engine.drafts import Drafts, webhooks_of
from flowfuse.engine.history import History
from flowfuse.errors import NotFound
from flowfuse.node import Catalogue
from flowfuse.pages.graph import GraphView, NodeView, graph_view
from flowfuse.pages.guards import signed_in, workspace_of
from flowfuse.pages.page import chosen_tab, page

TABS = ("runs", "input", "node", "webhook", "problems")
Asked = Request[Any, Any, Any]


class HookAddress(Struct, frozen=True):
    """Where a webhook of this workflow can be called."""

    address: str
    draft: bool


@get("/workflows/{workflow:str}", guards=[signed_in])
async def workflow_page(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
    drafts: NamedDependency[Drafts],
    history: NamedDependency[History],
    catalogue: NamedDependency[Catalogue],
) -> Response[str]:
    """A workflow's draft, read-only."""
    workspace, node = workspace_of(request), request.query_params.get("node", "")
    draft = await workflows.get(workspace, workflow)
    problems = drafts.check(draft.document)
    graph = graph_view(draft.document, catalogue, problems)
    return page(
        request,
        "workflow.html",
        workflow=draft.summary,
        graph=graph,
        chosen=next((placed for placed in draft.document.nodes if placed.id == node), None),
        tab=chosen_tab(request, TABS, "node" if node else "runs"),
        runs=await executions.list(workspace, workflow=workflow),
        problems=problems,
        hooks=_hooks(request, draft),
        triggers=_triggers(graph),
        input_text=await _input_text(request, workflow, executions, history),
    )


def _triggers(graph: GraphView) -> list[NodeView]:
    """What a run by hand can start at; first what is made for it."""
    triggers = [node for node in graph.nodes if not node.takes_input and not node.disabled]
    return sorted(triggers, key=lambda node: node.type != "trigger.manual")


def _hooks(request: Asked, draft: Draft) -> list[HookAddress]:
    """The addresses of the webhooks: the published ones first, since they are what others call."""
    base = str(request.base_url).rstrip("/")
    paths = [path for path, _ in webhooks_of(draft.document)]
    live = [HookAddress(f"{base}/hook/{path}", draft=False) for path in paths if draft.summary.active]
    return live + [HookAddress(f"{base}/hook-draft/{path}", draft=True) for path in paths]


async def _input_text(
    request: Asked, workflow: str, executions: ExecutionRepository, history: History
) -> str:
    """What the input field starts with: the input of the run that is to be run again, else nothing yet."""
    number = request.query_params.get("from", "")
    if not number.isdigit():
        return "{}"
    workspace = workspace_of(request)
    try:
        execution = await executions.by_number(workspace, workflow, int(number))
    except NotFound:
        return "{}"
    detail = await history.detail(workspace, execution.id)
    return msgspec.json.format(msgspec.json.encode(detail.input), indent=2).decode()
