"""The editor: a workflow's draft on the canvas, the chosen node in the bench, what is typed in previewed."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import Draft, WorkflowRepository
from flowfuse.engine.graph import Graph
from flowfuse.engine.history import History
from flowfuse.errors import NotFound
from flowfuse.expression import library
from flowfuse.model import Node, Workflow, WorkflowSummary
from flowfuse.node import Catalogue
from flowfuse.pages.addresses import whole_number
from flowfuse.pages.api.body import answer, number, read_json, to_edit
from flowfuse.pages.drawing import Drawings
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.language import say
from flowfuse.pages.page import chosen_tab, language_of, page, reader_of
from flowfuse.pages.palette import palette
from flowfuse.pages.reasons import reason
from flowfuse.pages.run_reader import RunReader
from flowfuse.pages.run_view import run_view
from flowfuse.pages.sample import (
    preview,
    sample,
)
from flowfuse.pages.values import tree, whole_json
from flowfuse.sandbox.docs import members

ONE = "/workflows/{workflow:str}"
TABS = ("node", "timeline", "input", "problems")
STARTS = ("trigger.manual", "trigger.webhook", "trigger.schedule")
"""What an empty canvas offers first."""
KINDS = (
    ("bearer", "a token in the header “Authorization”", (("token", "Token", True),)),
    ("header", "a header of its own", (("name", "Header", False), ("value", "Value", True))),
    ("basic", "user and password", (("user", "User", False), ("password", "Password", True))),
    ("query", "a parameter of the address", (("name", "Parameter", False), ("value", "Value", True))),
)
"""The kinds of credentials in words, with the fields of their secret halves."""
INPUT_JSON = 200_000
"""Characters of an input that the page brings with it."""
Asked = Request[Any, Any, Any]


class PreviewRequest(Struct, forbid_unknown_fields=True):
    """A field as it stands in the form, perhaps not kept yet."""

    node: str
    field: str
    value: Any = None
    path: str = ""
    run: int | None = None


@get(ONE, guards=[signed_in])
async def editor_page(
    request: Asked,
    workflow: FromPath[str],
    drawings: NamedDependency[Drawings],
    run_reader: NamedDependency[RunReader],
    catalogue: NamedDependency[Catalogue],
) -> Response[str]:
    """A workflow's draft, to be edited."""
    language = language_of(request)
    drawing = await drawings.current(workspace_of(request), workflow, language)
    input_text, input_from = await _last_input(request, drawing.draft, run_reader)
    return page(
        request,
        "editor.html",
        with_styles=True,
        drawing=drawing,
        may_build=identity_of(request).may("build"),
        workflow=drawing.summary,
        draft=_data(drawing.document),
        cards=_data(drawings.cards(workflow, drawing.cards.values(), language)),
        chosen=request.query_params.get("node", ""),
        tab=chosen_tab(request, TABS, "node"),
        kinds=KINDS,
        ghosts=[entry for entry in palette(catalogue, language) if entry.type in STARTS],
        input_text=input_text,
        input_from=input_from,
    )


@get(f"{ONE}/input", guards=[signed_in])
async def input_of_run(
    request: Asked,
    workflow: FromPath[str],
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
) -> Response[bytes]:
    """What the run `from` was started with, as JSON to be edited."""
    workspace, number = workspace_of(request), whole_number(request.query_params.get("from", ""))
    if number is None:
        raise NotFound(what="run", id=request.query_params.get("from", ""))
    execution = await executions.by_number(workspace, workflow, number)
    return await to_edit(await history.given(workspace, execution.id))


@get(f"{ONE}/delta", guards=[signed_in])
async def editor_delta(
    request: Asked, workflow: FromPath[str], drawings: NamedDependency[Drawings]
) -> Response[bytes]:
    """What of the drawing is other than in the state `after`."""
    after = number(request, "after", 0, 0, 10**9)
    outline = "outline" in request.query_params
    reader = reader_of(request)
    return answer(await drawings.delta(workspace_of(request), workflow, after, reader, outline=outline))


@get("/palette", guards=[signed_in])
async def palette_entries(request: Asked, catalogue: NamedDependency[Catalogue]) -> Response[bytes]:
    """Everything that can be put on a canvas, and the functions that expressions may call."""
    functions = [
        {
            "name": f.name,
            "group": f.group,
            "signature": f.signature,
            "summary": f.summary,
            "example": f.example,
        }
        for f in library()
    ]
    return answer(
        {"nodes": palette(catalogue, language_of(request)), "functions": functions, "modules": members()}
    )


@get(f"{ONE}/settings", guards=[signed_in])
async def settings(
    request: Asked, workflow: FromPath[str], workflows: NamedDependency[WorkflowRepository]
) -> Response[str]:
    """The workflow's own fields, for the bench while no node is chosen."""
    workspace = workspace_of(request)
    draft = await workflows.get(workspace, workflow)
    others = _error_workflows(await workflows.list(workspace), draft.document, language_of(request))
    return page(request, "editor/_settings.html", own=draft.document, others=others)


def _error_workflows(summaries: list[WorkflowSummary], own: Workflow, language: str) -> list[tuple[str, str]]:
    """What a failure may start, as (id, words), also what stands there and cannot be started."""
    chosen = own.settings.error_workflow
    found = [("", say(language, "nothing"))]
    for each in sorted(summaries, key=lambda summary: summary.name.lower()):
        name = each.name or each.id
        if each.published is None:
            name = say(language, "{name}, not published", name=name)
        if each.id != own.id or each.id == chosen:
            found.append((each.id, name))
    if chosen and all(id != chosen for id, _ in found):
        found.append((chosen, say(language, "{name}, which is not there", name=chosen)))
    return found


@post(f"{ONE}/preview", guards=[needs("read")], status_code=200)
async def preview_field(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    catalogue: NamedDependency[Catalogue],
    run_reader: NamedDependency[RunReader],
    clock: NamedDependency[Clock],
) -> Response[bytes]:
    """What a field would come to: `{text, kind, error, missing}`."""
    asked = await read_json(request, PreviewRequest)
    workspace = workspace_of(request)
    draft = await workflows.get(workspace, workflow)
    placed = placed_node(draft, asked.node)
    node_type = catalogue.find(placed.type, placed.version)
    if node_type is None or asked.field not in {field.name for field in node_type.fields}:
        raise NotFound(what="field", id=asked.field)
    graph = Graph(draft.document, catalogue)
    detail = await run_reader.shown(workspace, draft, str(asked.run or ""))
    known = sample(graph, placed, detail, asked.path)
    found = await asyncio.to_thread(
        preview, graph, placed, node_type, asked.field, asked.value, known, clock.now_us()
    )
    language = language_of(request)
    branch = tree(found.value, language=language)
    text = branch.text if not branch.children else msgspec.json.encode(found.value).decode()[:400]
    return answer({"text": text, "kind": branch.kind, "known": found.known,
                   "error": reason(language, found.error),
                   "missing": found.missing})  # fmt: skip


@get(f"{ONE}/progress/{{number:int}}", guards=[signed_in])
async def progress(
    request: Asked,
    workflow: FromPath[str],
    number: FromPath[int],
    drawings: NamedDependency[Drawings],
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
    clock: NamedDependency[Clock],
) -> Response[bytes]:
    """How far a run is, on the draft's own nodes: their counts, the bar, the timeline."""
    workspace = workspace_of(request)
    execution = await executions.by_number(workspace, workflow, number)
    detail = await history.detail(workspace, execution.id)
    drawing = await drawings.current(workspace, workflow, language_of(request))
    view = run_view(detail, drawing.graph, clock.now_us())
    render = request.app.state.templates.render
    context: dict[str, Any] = {
        "language": language_of(request),
        "execution": detail.execution, "detail": detail, "view": view, "graph": drawing.graph,
        "workflow": drawing.summary, "address": f"/workflows/{workflow}/runs/{number}",
    }  # fmt: skip
    return answer({
        "states": render("run/_states.html", **context),
        "bar": render("editor/_running.html", **context),
        "timeline": render("editor/_timeline.html", **context),
        "failed": detail.execution.error.node if detail.execution.error else "",
    })  # fmt: skip


def _data(value: Any) -> str:
    """JSON for a data block of the page: nothing in it can end the block."""
    from markupsafe import Markup

    text = msgspec.json.encode(value).decode()
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def placed_node(draft: Draft, node: str) -> Node:
    """A node of the draft. Raises NotFound."""
    found = next((placed for placed in draft.document.nodes if placed.id == node), None)
    if found is None:
        raise NotFound(what="node", id=node)
    return found


async def _last_input(request: Asked, draft: Draft, run_reader: RunReader) -> tuple[str, int | None]:
    """What the input field starts with: the input of the named run, else of the last, else nothing yet.

    Of a large one only the run's number: it is brought when it is needed.
    """
    try:
        run = request.query_params.get("from", "")
        detail = await run_reader.shown(workspace_of(request), draft, run)
    except NotFound:
        detail = None
    if detail is None or detail.input is None:
        return "{}", None
    text = whole_json(detail.input, INPUT_JSON)
    if text is not None:
        return text, None
    # A run of a part is shown with the input of the last whole one.
    whole = await run_reader.shown(workspace_of(request), draft, "")
    own = detail.execution.trigger in {node.id for node in draft.document.nodes}
    return "", (detail if own or whole is None else whole).execution.number
