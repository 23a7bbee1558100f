"""Versions: the list, what differs between two on the canvas and in words, names, restoring, export."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from flowfuse import document
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.drafts import Drafts, as_copy
from flowfuse.model import Version, Workflow
from flowfuse.node import Catalogue
from flowfuse.pages.addresses import whole_number
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.versions import DRAFT, state_of
from flowfuse.pages.audit_trail import note
from flowfuse.pages.changes import Change, changes
from flowfuse.pages.drawing import Drawings
from flowfuse.pages.graph import EdgeView, GraphView, graph_view
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.page import language_of, page

BASE = "/workflows/{workflow:str}/versions"
Asked = Request[Any, Any, Any]


class NameRequest(Struct, forbid_unknown_fields=True):
    """What a version is called."""

    note: str


@get(BASE, guards=[signed_in])
async def versions_page(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    drawings: NamedDependency[Drawings],
    catalogue: NamedDependency[Catalogue],
) -> Response[str]:
    """Two states side by side: `a` (before), `b` (after; by itself the draft)."""
    workspace = workspace_of(request)
    language = language_of(request)
    drawing = await drawings.current(workspace, workflow, language)
    listed = list(await workflows.versions(workspace, workflow))
    after = request.query_params.get("b", DRAFT)
    before = request.query_params.get("a") or _before(after, listed, drawing.summary.published)
    new = await state_of(workspace, workflow, after, workflows)
    old = await state_of(workspace, workflow, before, workflows) if before else new
    found = changes(old, new, catalogue, language)
    node = request.query_params.get("node", found[0].node if found else "")
    return page(
        request,
        "versions.html",
        workflow=drawing.summary,
        drawing=drawing,
        versions=listed,
        before=before,
        after=after,
        changes=found,
        node=node,
        chosen=next((change for change in found if change.node == node), None),
        graph=compared(old, new, found, catalogue, language),
    )


def _before(after: str, listed: list[Version], published: int | None) -> str:
    """What a state is held against: the draft against what is live, a version against the one before it."""
    if after == DRAFT:
        newest = listed[0].number if listed else 0
        return str(published or newest or "")
    numbers = [version.number for version in listed]
    earlier = (whole_number(after) or 0) - 1
    return str(earlier) if earlier in numbers else ""


def compared(
    old: Workflow, new: Workflow, found: list[Change], catalogue: Catalogue, language: str
) -> GraphView:
    """The new state as it is drawn, with what is gone as ghosts; each node and edge with its mark."""
    marks = {change.node: change for change in found}
    there = {node.id for node in new.nodes}
    gone = [node for node in old.nodes if node.id not in there]
    kept = {(edge.source, edge.target) for edge in new.edges}
    was = {(edge.source, edge.target) for edge in old.edges}
    lost = [edge for edge in old.edges if (edge.source, edge.target) not in kept]
    both = msgspec.structs.replace(new, nodes=[*new.nodes, *gone], edges=[*new.edges, *lost])
    graph = graph_view(both, catalogue, language)
    nodes = [
        msgspec.structs.replace(
            node,
            mark=marks[node.id].kind if node.id in marks else "same",
            changes=len(marks[node.id].fields) if node.id in marks else 0,
        )
        for node in graph.nodes
    ]
    edges = [msgspec.structs.replace(edge, mark=_edge_mark(edge, was, kept)) for edge in graph.edges]
    return GraphView(nodes=nodes, edges=edges, placed=graph.placed)


def _edge_mark(edge: EdgeView, was: set[tuple[str, str]], kept: set[tuple[str, str]]) -> str:
    keys = {(edge.source, edge.target), (f"{edge.source}.{edge.port}", edge.target)}
    return "add" if not keys & was else "del" if not keys & kept else ""


@post(BASE, guards=[needs("build")])
async def name_draft(
    request: Asked, workflow: FromPath[str], drafts: NamedDependency[Drafts]
) -> Response[bytes]:
    """Keep the draft as a version with a name."""
    asked = await read_json(request, NameRequest)
    identity = identity_of(request)
    return answer(await drafts.keep(identity.workspace, workflow, asked.note.strip(), identity.name), 201)


@post(f"{BASE}/{{number:int}}/name", guards=[needs("build")], status_code=204)
async def name_version(
    request: Asked, workflow: FromPath[str], number: FromPath[int],
    workflows: NamedDependency[WorkflowRepository],
) -> None:  # fmt: skip
    """Give a version another name."""
    asked = await read_json(request, NameRequest)
    await workflows.rename_version(workspace_of(request), workflow, number, asked.note.strip())


@post(f"{BASE}/{{number:int}}/restore", guards=[needs("build")], status_code=200)
async def restore_version(
    request: Asked, workflow: FromPath[str], number: FromPath[int], drafts: NamedDependency[Drafts]
) -> Response[bytes]:
    """Make the draft what the version was."""
    identity = identity_of(request)
    draft = await drafts.restore(identity.workspace, workflow, number, identity.name)
    return answer({"seq": draft.summary.seq})


@get("/workflows/{workflow:str}/export", guards=[signed_in])
async def export(
    request: Asked, workflow: FromPath[str], workflows: NamedDependency[WorkflowRepository]
) -> Response[Any]:
    """The draft, or a version (`version`), as a file: YAML, or JSON with `format=json`."""
    name = request.query_params.get("version", DRAFT)
    found = await state_of(workspace_of(request), workflow, name, workflows)
    as_json = request.query_params.get("format") == "json"
    body = document.to_json(found, indent=2) if as_json else document.to_yaml(found).encode()
    kind = "json" if as_json else "yaml"
    disposition = {"content-disposition": f'attachment; filename="{workflow}.{kind}"'}
    return Response(body, media_type=f"application/{kind}", headers=disposition)


@post("/workflows", guards=[needs("build")], status_code=201)
async def new_workflow(request: Asked, drafts: NamedDependency[Drafts]) -> Response[bytes]:
    """A new, empty workflow, or one from a document (JSON or YAML); its address.

    With `copy`, it becomes another one beside the one whose id it has.
    """
    raw = await request.body()
    fresh = (
        document.read(raw)
        if raw.strip() not in (b"", b"{}")
        else Workflow(nodes=[], edges=[], name="New workflow")
    )
    if "copy" in request.query_params:
        fresh = as_copy(fresh)
    draft = await drafts.create(workspace_of(request), fresh)
    note(request, f"/workflows/{draft.summary.id}")
    return answer({"id": draft.summary.id, "address": f"/workflows/{draft.summary.id}"}, 201)
