"""Two runs of a workflow side by side: which nodes ended otherwise, gave something else, took longer."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from flowfuse.data.executions import ExecutionRepository
from flowfuse.engine.history import History
from flowfuse.errors import RequestInvalid
from flowfuse.model import Execution, ExecutionDetail, NodeRun
from flowfuse.node import Catalogue
from flowfuse.pages.addresses import whole_number
from flowfuse.pages.graph import GraphView, NodeView, graph_view
from flowfuse.pages.guards import signed_in, workspace_of
from flowfuse.pages.page import language_of, page

OTHERS = 30
"""Runs that are offered to compare with."""
Asked = Request[Any, Any, Any]


class Pair(Struct, frozen=True):
    """A node in both runs (in one round, where it lies in a loop); None where it did not run."""

    node: NodeView
    path: str
    before: NodeRun | None
    after: NodeRun | None

    @property
    def differs(self) -> bool:
        """Whether it ended otherwise, left by another port or gave another value."""
        if self.before is None or self.after is None:
            return self.before is not self.after
        one, other = self.before, self.after
        return (one.state, one.port) != (other.state, other.port) or _text(one) != _text(other)


@get("/workflows/{workflow:str}/runs/{number:int}/compare", guards=[signed_in])
async def compare_runs(
    request: Asked,
    workflow: FromPath[str],
    number: FromPath[int],
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
    catalogue: NamedDependency[Catalogue],
) -> Response[str]:
    """A run against another one (`with`): by itself the last that went through before it."""
    workspace = workspace_of(request)
    execution = await executions.by_number(workspace, workflow, number)
    others = [
        e for e in await executions.list(workspace, workflow=workflow, limit=OTHERS) if e.number != number
    ]
    other = await _other(request, workspace, workflow, others, number, executions)
    document = await history.document(workspace, execution.id)
    graph = graph_view(document, catalogue, language_of(request))
    after = await history.detail(workspace, execution.id)
    before = await history.detail(workspace, other.id) if other is not None else after
    pairs = paired(before, after, graph)
    chosen, path = request.query_params.get("node", ""), request.query_params.get("path", "")
    asked = pairs if graph.node(chosen) is None else [pair for pair in pairs if pair.node.id == chosen]
    shown = _shown(asked, path)
    different = [pair for pair in pairs if pair.differs]
    return page(
        request,
        "compare.html",
        workflow=document,
        execution=execution,
        other=other,
        others=others,
        graph=_marked(graph, different),
        pairs=pairs,
        different=different,
        node=shown.node.id if shown is not None else chosen,
        shown=shown,
    )


def _shown(pairs: list[Pair], path: str) -> Pair | None:
    """The wished round, else one that differs, else the first."""
    wished = [pair for pair in pairs if path and pair.path == path]
    different = [pair for pair in pairs if pair.differs]
    return next(iter(wished or different or pairs), None)


async def _other(
    request: Asked, workspace: str, workflow: str, others: list[Execution], number: int,
    executions: ExecutionRepository,
) -> Execution | None:  # fmt: skip
    name = request.query_params.get("with", "")
    if name:
        wanted = whole_number(name)
        if wanted is None:
            raise RequestInvalid(field="with", reason=f"“{name[:20]}” is no number of a run")
        return await executions.by_number(workspace, workflow, wanted)
    earlier = [each for each in others if each.number < number]
    good = [each for each in earlier if each.state == "completed"]
    return next(iter(good or earlier or others), None)


def paired(before: ExecutionDetail, after: ExecutionDetail, graph: GraphView) -> list[Pair]:
    """Every node (and round) of either run, in the order of the drawing."""
    old = {(run.node, run.path): run for run in before.nodes if run.state != "skipped"}
    new = {(run.node, run.path): run for run in after.nodes if run.state != "skipped"}
    found = []
    for node in graph.nodes:
        paths = dict.fromkeys([path for id, path in (*new, *old) if id == node.id])
        found += [Pair(node, path, old.get((node.id, path)), new.get((node.id, path))) for path in paths]
    return found


def _marked(graph: GraphView, different: list[Pair]) -> GraphView:
    counts: dict[str, int] = {}
    for pair in different:
        counts[pair.node.id] = counts.get(pair.node.id, 0) + 1
    nodes = [
        msgspec.structs.replace(
            node, mark="chg" if node.id in counts else "same", changes=counts.get(node.id, 0)
        )
        for node in graph.nodes
    ]
    return GraphView(nodes=nodes, edges=graph.edges, placed=graph.placed)


def _text(run: NodeRun) -> bytes:
    return msgspec.json.encode([run.output, run.error.message if run.error is not None else None])
