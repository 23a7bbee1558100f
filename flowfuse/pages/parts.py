"""Running a part of a draft on the data of an earlier run; reading a document without keeping it."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any, Literal

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from flowfuse import document
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.drafts import Drafts, outcome
from flowfuse.engine.graph import Graph
from flowfuse.engine.parts import part_of
from flowfuse.errors import NotFound, RequestInvalid
from flowfuse.model import Value
from flowfuse.node import Catalogue
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.guards import needs, workspace_of
from flowfuse.pages.run_reader import RunReader
from flowfuse.pages.sample import sample

Asked = Request[Any, Any, Any]


class PartRequest(Struct, forbid_unknown_fields=True):
    """Which part, with the data of which run and round."""

    node: str
    kind: Literal["alone", "to", "from"] = "alone"
    input: Any = None
    run: int | None = None
    path: str = ""


@post("/workflows/{workflow:str}/run-part", guards=[needs("build")])
async def run_part_of(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    drafts: NamedDependency[Drafts],
    catalogue: NamedDependency[Catalogue],
    run_reader: NamedDependency[RunReader],
) -> Response[bytes]:
    """Start a part of the draft by hand: a node alone, all up to it, or all from it on."""
    asked = await read_json(request, PartRequest)
    workspace = workspace_of(request)
    draft = await workflows.get(workspace, workflow)
    graph = Graph(draft.document, catalogue)
    placed = graph.nodes.get(asked.node)
    if placed is None:
        raise NotFound(what="node", id=asked.node)
    run = str(asked.run) if asked.run is not None else ""
    detail = await run_reader.shown(workspace, draft, run)
    known = sample(graph, placed, detail, asked.path)
    rounds = {loop: values.get("item") for loop, values in known.loops.items()}
    part = part_of(graph, asked.node, asked.kind, known.nodes, rounds)
    value: Value = asked.input if asked.kind == "to" else known.roots.get("trigger", asked.input)
    trigger = _trigger_of(Graph(part, catalogue), detail.execution.trigger if detail is not None else "")
    started = await drafts.run_document(workspace, part, value, trigger=trigger, mode="test")
    return answer(outcome(started), 202)


def _trigger_of(graph: Graph, last: str) -> str | None:
    """Of several triggers the one that began the shown run, else the first."""
    return last if last in graph.triggers else next(iter(graph.triggers), None)


@post("/documents/read", guards=[needs("read")], status_code=200)
async def read_document(request: Asked) -> Response[bytes]:
    """A document from YAML or JSON text, kept nowhere: `{document}`; of a CSV table, its rows: `{rows}`."""
    raw = await request.body()
    if request.headers.get("content-type", "").startswith("text/csv"):
        return answer({"rows": await asyncio.to_thread(_rows, raw)})
    found = await asyncio.to_thread(document.read, raw)
    return answer({"document": msgspec.Raw(document.to_json(found))})


def _rows(raw: bytes) -> list[dict[str, str]]:
    """The rows of a CSV text as objects by their column's name. Raises RequestInvalid."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestInvalid(field="body", reason="this table is not in UTF-8") from None
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:4096], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    reader = csv.DictReader(io.StringIO(text), dialect=dialect)
    try:
        return [{str(key): cell or "" for key, cell in row.items() if key is not None} for row in reader]
    except csv.Error as error:
        raise RequestInvalid(field="body", reason=f"this is no CSV table: {error}") from None
