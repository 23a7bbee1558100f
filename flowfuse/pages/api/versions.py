"""/api/v1/workflows/{id}/versions …, and all workflows at once: export and import."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse import document
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.drafts import Drafts, as_copy
from flowfuse.errors import Conflict, FlowFuseError, RequestInvalid, WorkflowInvalid
from flowfuse.model import Version, Workflow
from flowfuse.node import Catalogue
from flowfuse.pages.addresses import whole_number
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.spec import WORKFLOW, spec
from flowfuse.pages.api.workflows import EXAMPLE
from flowfuse.pages.changes import Change, changes
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.identity import Identity

BASE = "/api/v1/workflows/{workflow:str}/versions"
DRAFT = "draft"
Asked = Request[Any, Any, Any]
BUNDLE: dict[str, Any] = {
    "type": "object",
    "required": ["format", "workflows"],
    "properties": {"format": {"const": 1}, "workflows": {"type": "array", "items": WORKFLOW}},
}


class NameRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a version is called."""

    note: str = ""


class ImportRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Documents to keep; what to do about an id that is taken."""

    workflows: list[Any]
    format: Literal[1] = 1
    when_taken: Literal["refuse", "rename", "replace", "skip"] = "refuse"
    publish: bool = False


class Imported(msgspec.Struct, frozen=True):
    """What became of each document, in their order."""

    items: list[dict[str, Any]]
    refused: list[dict[str, Any]]


async def state_of(workspace: str, workflow: str, name: str, workflows: WorkflowRepository) -> Workflow:
    """The draft, or a version by its number. Raises NotFound, RequestInvalid."""
    if name == DRAFT:
        return (await workflows.get(workspace, workflow)).document
    number = whole_number(name)
    if number is None:
        raise RequestInvalid(field="version", reason=f"“{name[:40]}” is no number of a version, nor “draft”")
    return (await workflows.version(workspace, workflow, number)).document


@post(
    BASE,
    guards=[needs("build")],
    opt=spec(
        "Versions", body=NameRequest, body_example={"note": "Before the move"}, answer=Version, status=201
    ),
)
async def keep_version(
    request: Asked, workflow: FromPath[str], drafts: NamedDependency[Drafts]
) -> Response[bytes]:
    """Keep the draft as a version with a name, without publishing it."""
    asked = await read_json(request, NameRequest)
    identity = identity_of(request)
    return answer(await drafts.keep(identity.workspace, workflow, asked.note.strip(), identity.name), 201)


@get(f"{BASE}/{{number:int}}", guards=[signed_in], opt=spec("Versions", answer=WORKFLOW))
async def get_version(
    request: Asked,
    workflow: FromPath[str],
    number: FromPath[int],
    workflows: NamedDependency[WorkflowRepository],
) -> Response[Any]:
    """A version's document; `Accept: application/yaml` gives it as YAML."""
    found = (await workflows.version(workspace_of(request), workflow, number)).document
    if "yaml" in request.headers.get("accept", ""):
        return Response(document.to_yaml(found), media_type="application/yaml")
    return answer(msgspec.Raw(document.to_json(found)))


@post(
    f"{BASE}/{{number:int}}/restore",
    guards=[needs("build")],
    status_code=200,
    opt=spec(
        "Versions", answer={"type": "object", "required": ["seq"], "properties": {"seq": {"type": "integer"}}}
    ),
)
async def restore_version(
    request: Asked, workflow: FromPath[str], number: FromPath[int], drafts: NamedDependency[Drafts]
) -> Response[bytes]:
    """Make the draft what the version was."""
    identity = identity_of(request)
    draft = await drafts.restore(identity.workspace, workflow, number, identity.name)
    return answer({"seq": draft.summary.seq})


@get(
    "/api/v1/workflows/{workflow:str}/compare",
    guards=[needs("read")],
    opt=spec(
        "Versions",
        query={"a": "A version's number, or “draft”.", "b": "The same, of what came later (“draft”)."},
        answer={"type": "object", "required": ["changes"]},
    ),
)
async def compare(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    catalogue: NamedDependency[Catalogue],
) -> Response[bytes]:
    """What differs between two states, node by node and field by field."""
    workspace = workspace_of(request)
    after = await state_of(workspace, workflow, request.query_params.get("b") or DRAFT, workflows)
    name = request.query_params.get("a")
    if not name:
        raise RequestInvalid(
            field="a", reason="name the state that the other is compared with: a number, or “draft”"
        )
    before = await state_of(workspace, workflow, name, workflows)
    return answer({"changes": [_shown(change) for change in changes(before, after, catalogue)]})


def _shown(change: Change) -> dict[str, Any]:
    return {"node": change.node, "kind": change.kind, "title": change.title, "fields": change.fields}


@get(
    "/api/v1/export",
    guards=[needs("read")],
    opt=spec(
        "Workflows", query={"tag": "Only with this tag.", "folder": "Only in this folder."}, answer=BUNDLE
    ),
)
async def export_all(request: Asked, workflows: NamedDependency[WorkflowRepository]) -> Response[bytes]:
    """All workflows' drafts as one document; without secrets, which documents never hold."""
    workspace = workspace_of(request)
    tag, folder = request.query_params.get("tag"), request.query_params.get("folder")
    chosen = [
        found.id
        for found in await workflows.list(workspace)
        if (not tag or tag in found.tags) and (not folder or found.folder == folder)
    ]
    drafts = [(await workflows.get(workspace, name)).document for name in sorted(chosen)]
    return answer({"format": 1, "workflows": [msgspec.Raw(document.to_json(draft)) for draft in drafts]})


@post(
    "/api/v1/import",
    guards=[needs("build")],
    status_code=200,
    opt=spec("Workflows", body=ImportRequest, body_example={"workflows": [EXAMPLE]}, answer=Imported),
)
async def import_all(
    request: Asked, drafts: NamedDependency[Drafts], workflows: NamedDependency[WorkflowRepository]
) -> Response[bytes]:
    """Keep documents as workflows, each by itself: what is wrong with one does not keep the others out."""
    asked = await read_json(request, ImportRequest)
    items: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for index, raw in enumerate(asked.workflows):
        try:
            items.append(await _import_one(identity_of(request), raw, asked, drafts, workflows))
        except WorkflowInvalid as error:
            refused.append({"index": index, "reason": error.message, "problems": error.problems})
        except FlowFuseError as error:
            refused.append({"index": index, "reason": error.message})
    return answer(Imported(items, refused))


async def _import_one(
    identity: Identity, raw: Any, asked: ImportRequest, drafts: Drafts, workflows: WorkflowRepository
) -> dict[str, Any]:
    workspace = identity.workspace
    wanted = await asyncio.to_thread(document.from_raw, raw)
    outcome = "created"
    try:
        draft = await drafts.create(workspace, wanted)
    except Conflict:
        if asked.when_taken == "refuse" or wanted.id is None:
            raise
        if asked.when_taken == "skip":
            return {"id": wanted.id, "outcome": "skipped"}
        if asked.when_taken == "rename":
            draft = await drafts.create(workspace, as_copy(wanted))
        else:
            current = await workflows.get(workspace, wanted.id)
            draft = await drafts.save(workspace, wanted.id, wanted, current.summary.seq)
            outcome = "replaced"
    name = draft.summary.id
    if asked.publish:
        await drafts.publish(workspace, name, author=identity.name)
    return {"id": name, "outcome": outcome, "published": asked.publish}
