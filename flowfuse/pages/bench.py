"""The bench of the editor: the chosen node with what comes in, its form and what it gave."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Struct

from flowfuse.data.workflows import Draft, WorkflowRepository
from flowfuse.engine.drafts import webhooks_of
from flowfuse.engine.graph import Graph
from flowfuse.errors import NotFound
from flowfuse.integrations.vault import CredentialVault
from flowfuse.model import Node, Value
from flowfuse.node import Catalogue
from flowfuse.pages.api.body import answer, to_edit
from flowfuse.pages.drawing import Drawings
from flowfuse.pages.editor import ONE, placed_node
from flowfuse.pages.form import form_of
from flowfuse.pages.guards import signed_in, workspace_of
from flowfuse.pages.page import language_of, page
from flowfuse.pages.run_reader import RunReader
from flowfuse.pages.sample import Sample, completions, default_timeout, sample
from flowfuse.pages.values import twig, within

PRESETS = (
    ("*/15 * * * *", "every 15 minutes"), ("0 * * * *", "every hour"), ("0 9 * * *", "daily at 9"),
    ("0 9 * * 1-5", "weekdays at 9"), ("0 9 * * 1", "Mondays at 9"), ("0 9 1 * *", "the 1st of a month"),
)  # fmt: skip
VIEWS = ("tree", "table", "json", "schema")
"""The ways of looking at a value."""
OUTPUT = "output"
"""Where the paths into what the node gave begin. It is no name of an expression."""
Asked = Request[Any, Any, Any]


class HookAddress(Struct, frozen=True):
    """Where a webhook of this workflow can be called."""

    address: str
    draft: bool


class _Data(NamedTuple):
    """What the two columns of data show."""

    roots: list[tuple[str, Value, bool]]
    """What an expression can begin with: its name, its value, whether it is open."""
    arrived: Value
    pinned: bool
    output_known: bool
    output: Value


@get(f"{ONE}/bench", guards=[signed_in])
async def bench(
    request: Asked,
    workflow: FromPath[str],
    drawings: NamedDependency[Drawings],
    catalogue: NamedDependency[Catalogue],
    run_reader: NamedDependency[RunReader],
    vault: NamedDependency[CredentialVault],
) -> Response[bytes]:
    """The chosen node: what comes in, its form, what it gave."""
    workspace, query = workspace_of(request), request.query_params
    drawing = await drawings.current(workspace, workflow, language_of(request))
    draft = drawing.draft
    placed = placed_node(draft, query.get("node", ""))
    graph = Graph(draft.document, catalogue)
    detail = await run_reader.shown(workspace, draft, query.get("run", ""))
    known = sample(graph, placed, detail, query.get("path", ""))
    node_type = catalogue.find(placed.type, placed.version)
    view = drawing.graph.node(placed.id)
    templates = request.app.state.templates
    html = await asyncio.to_thread(
        templates.render,
        "editor/_bench.html",
        language=language_of(request),
        node=view,
        placed=placed,
        type=node_type,
        fields=form_of(placed, node_type, drawing.problems) if node_type is not None else [],
        known=known,
        run=detail.execution if detail is not None else None,
        credentials=await vault.list(workspace),
        presets=PRESETS,
        hooks=_hooks(request, draft) if placed.type == "trigger.webhook" else [],
        timeout_words=default_timeout(node_type, placed) if node_type is not None else "",
        view=query.get("view") if query.get("view") in VIEWS else VIEWS[0],
        **_data(placed, known)._asdict(),
    )
    who = templates.render("editor/_who.html", language=language_of(request), node=view)
    names = completions(graph, placed, known)
    return answer({"bench": html, "who": who, "names": names, "path": known.path})


@get(f"{ONE}/output", guards=[signed_in])
async def output(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    catalogue: NamedDependency[Catalogue],
    run_reader: NamedDependency[RunReader],
) -> Response[bytes]:
    """All of what a node gave, or is pinned to, as JSON to be edited: the bench shows only its beginning."""
    shown = await _shown(request, workflow, workflows, catalogue, run_reader)
    if not shown.output_known:
        raise NotFound(what="output", id=request.query_params.get("node", ""))
    return await to_edit(shown.output)


@get(f"{ONE}/rows", guards=[signed_in])
async def rows(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    catalogue: NamedDependency[Catalogue],
    run_reader: NamedDependency[RunReader],
) -> Response[str]:
    """What lies in a value of the bench `at` a path, for a branch that is opened."""
    shown = await _shown(request, workflow, workflows, catalogue, run_reader)
    at = request.query_params.get("at", "")
    known = [(name, value) for name, value, _ in shown.roots]
    known += [(OUTPUT, shown.output)] if shown.output_known else []
    for name, value in known:
        if at == name or at.startswith((f"{name}.", f"{name}[")):
            return _rows(request, name, value, at)
    raise NotFound(what="value", id=at)


def _rows(request: Asked, name: str, value: Value, at: str) -> Response[str]:
    try:
        inner, depth = within(value, at[len(name) :])
    except (LookupError, ValueError):
        raise NotFound(what="value", id=at) from None
    branch = twig(inner, at, language_of(request), depth=depth)
    return page(request, "editor/_rows.html", branch=branch, at=at, movable=name != OUTPUT)


async def _shown(
    request: Asked,
    workflow: str,
    workflows: WorkflowRepository,
    catalogue: Catalogue,
    run_reader: RunReader,
) -> _Data:
    """The data of the node, run and round that the query names."""
    workspace, query = workspace_of(request), request.query_params
    draft = await workflows.get(workspace, workflow)
    placed = placed_node(draft, query.get("node", ""))
    detail = await run_reader.shown(workspace, draft, query.get("run", ""))
    return _data(placed, sample(Graph(draft.document, catalogue), placed, detail, query.get("path", "")))


def _data(placed: Node, known: Sample) -> _Data:
    roots: list[tuple[str, Value, bool]] = [
        (name, known.roots[name], True) for name in ("input", "item") if name in known.roots
    ]
    roots += [("trigger", known.roots["trigger"], False)] if "trigger" in known.roots else []
    roots += [(f"nodes.{id}", value, False) for id, value in known.nodes.items()]
    roots += [("vars", known.roots["vars"], False)] if known.roots.get("vars") else []
    pinned = placed.pinned is not UNSET
    ran = known.ran
    done = ran is not None and (ran.state == "done" or ran.output is not None)
    output = placed.pinned if pinned else ran.output if ran is not None and done else None
    return _Data(roots, known.roots.get("input"), pinned, pinned or done, output)


def _hooks(request: Asked, draft: Draft) -> list[HookAddress]:
    """The addresses of the webhooks: the published ones first, since they are what others call."""
    base = str(request.base_url).rstrip("/")
    paths = [path for path, _ in webhooks_of(draft.document)]
    live = [HookAddress(f"{base}/hook/{path}", draft=False) for path in paths if draft.summary.active]
    return live + [HookAddress(f"{base}/hook-draft/{path}", draft=True) for path in paths]
