"""The Code Editor's server half: what is wrong with a source, and what it gives on the data of a past run."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.engine.graph import Graph
from flowfuse.errors import CodeError, NodeFailed, NodeTimeout, NotFound
from flowfuse.model import Node, Value, seconds
from flowfuse.node import Catalogue
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.drawing import Drawings
from flowfuse.pages.guards import needs, workspace_of
from flowfuse.pages.page import language_of
from flowfuse.pages.run_reader import RunReader
from flowfuse.pages.sample import Sample, preview, sample
from flowfuse.pages.values import shown_json
from flowfuse.sandbox.runner import DEFAULT_SECONDS, CodeRunner

CODE = "action.code"
Asked = Request[Any, Any, Any]


class SourceRequest(Struct, forbid_unknown_fields=True):
    """A source as it stands in the editor, perhaps not kept yet."""

    node: str
    source: str
    run: int | None = None
    path: str = ""


@post("/workflows/{workflow:str}/code/check", guards=[needs("read")], status_code=200)
async def check_code(
    request: Asked,
    workflow: FromPath[str],
    drawings: NamedDependency[Drawings],
    runner: NamedDependency[CodeRunner],
) -> Response[bytes]:
    """What the sandbox's checker finds in a source: `{problems: [{line, column, message, severity}]}`."""
    asked = await read_json(request, SourceRequest)
    drawing = await drawings.current(workspace_of(request), workflow, language_of(request))
    node = _placed(drawing.draft.document.nodes, asked.node)
    return answer({"problems": await asyncio.to_thread(runner.check, asked.source, list(_inputs(node)))})


@post("/workflows/{workflow:str}/code/try", guards=[needs("build")], status_code=200)
async def try_code(
    request: Asked,
    workflow: FromPath[str],
    drawings: NamedDependency[Drawings],
    catalogue: NamedDependency[Catalogue],
    run_reader: NamedDependency[RunReader],
    runner: NamedDependency[CodeRunner],
    clock: NamedDependency[Clock],
) -> Response[bytes]:
    """Run a source on the inputs it would have had: `{result, printed, error}`. Nothing is kept."""
    asked = await read_json(request, SourceRequest)
    workspace = workspace_of(request)
    drawing = await drawings.current(workspace, workflow, language_of(request))
    node = _placed(drawing.draft.document.nodes, asked.node)
    detail = await run_reader.shown(workspace, drawing.draft, str(asked.run or ""))
    graph = Graph(drawing.draft.document, catalogue)
    known = sample(graph, node, detail, asked.path)
    given, missing = await asyncio.to_thread(inputs_of, graph, node, known, clock.now_us())
    if missing:
        return answer({"result": "", "printed": "", "error": {"message": missing}})
    limit = seconds(node.timeout) if node.timeout is not None else DEFAULT_SECONDS
    zone = drawing.draft.document.settings.timezone
    try:
        result = await runner.run(
            asked.source, given, timeout=limit, now_us=clock.now_us(), timezone=zone, seed="try"
        )
    except (CodeError, NodeTimeout) as error:
        return answer({"result": "", "printed": getattr(error, "printed", ""), "error": _told(error)})
    return answer({"result": shown_json(result.value), "printed": result.printed, "error": None})


def inputs_of(graph: Graph, node: Node, known: Sample, now_us: int) -> tuple[dict[str, Value], str]:
    """A code node's globals as they would be, and why one of them cannot be worked out yet."""
    node_type = graph.types.get(node.id)
    values: dict[str, Value] = {}
    for name, value in _inputs(node).items():
        if node_type is None:
            break
        found = preview(graph, node, node_type, "inputs", value, known, now_us)
        if not found.known:
            return values, f"{name}: {found.error}"
        values[name] = found.value
    return values, ""


def _inputs(node: Node) -> dict[str, Value]:
    inputs = node.config.get("inputs")
    return inputs if isinstance(inputs, dict) else {}


def _placed(nodes: list[Node], id: str) -> Node:
    found = next((node for node in nodes if node.id == id and node.type == CODE), None)
    if found is None:
        raise NotFound(what="code node", id=id)
    return found


def _told(error: NodeFailed) -> dict[str, Any]:
    where = ("line", "column", "excerpt")
    return {"message": error.message, **{k: v for k, v in error.parameters.items() if k in where}}
