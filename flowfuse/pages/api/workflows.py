"""/api/v1/workflows."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse import document
from flowfuse.data.workflows import Draft, WorkflowRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.drafts import Drafts, outcome
from flowfuse.engine.operations import Applied, Operation
from flowfuse.errors import WorkflowInvalid
from flowfuse.model import Problem, Value, Version, WorkflowSummary
from flowfuse.pages.api.body import answer, if_match, number, read_json
from flowfuse.pages.api.spec import WORKFLOW, items_of, spec
from flowfuse.pages.audit_trail import note
from flowfuse.pages.drawing import Drawings
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.page import reader_of

BASE = "/api/v1/workflows"
DOCUMENT_MEDIA = ("application/json", "application/yaml")
EXAMPLE = {
    "id": "greet",
    "name": "Greet",
    "nodes": [
        {"id": "call", "type": "trigger.webhook", "config": {"path": "greet", "respond": "last_node"}},
        {
            "id": "hello",
            "type": "transform.set",
            "config": {"fields": {"text": "Hello {{ trigger.body.name }}"}},
        },
    ],
    "edges": [{"from": "call", "to": "hello"}],
}
OPERATIONS = {
    "operations": [
        {"id": "0c1e", "kind": "set", "node": "hello", "path": "name", "value": "Say hello", "base": 1}
    ]
}
PROBLEMS: dict[str, Any] = {
    "type": "object",
    "required": ["problems"],
    "properties": {"problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}}},
}
DRAFT: dict[str, Any] = {
    "type": "object",
    "required": ["workflow", "document", "problems"],
    "properties": {
        "workflow": {"$ref": "#/components/schemas/WorkflowSummary"},
        "document": WORKFLOW,
        **PROBLEMS["properties"],
    },
}
OUTCOME: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state", "result", "error"],
    "properties": {"id": {"type": "string"}, "state": {"type": "string"}, "result": {}, "error": {}},
}
Asked = Request[Any, Any, Any]


class PublishRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A word on what changed."""

    note: str = ""


class RunRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How to start a workflow by hand."""

    input: Any = None
    trigger: str | None = None
    version: Literal["draft", "published"] = "draft"
    wait: float = 0


class OperationsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Operations on a draft, in their order."""

    operations: list[Operation]


@get(BASE, guards=[signed_in], opt=spec("Workflows", answer=items_of(WorkflowSummary)))
async def list_workflows(request: Asked, workflows: NamedDependency[WorkflowRepository]) -> Response[bytes]:
    """All workflows, the last changed first."""
    return answer({"items": await workflows.list(workspace_of(request))})


@post(
    BASE,
    guards=[needs("build")],
    opt=spec(
        "Workflows", body=WORKFLOW, body_example=EXAMPLE, media=DOCUMENT_MEDIA, answer=DRAFT, status=201
    ),
)
async def create_workflow(request: Asked, drafts: NamedDependency[Drafts]) -> Response[bytes]:
    """Keep a document as a new workflow. JSON or YAML."""
    draft = await drafts.create(workspace_of(request), await _in_thread(request, document.read))
    note(request, f"/workflows/{draft.summary.id}")
    return _draft_answer(draft, drafts.check(draft.document), 201)


@post(
    f"{BASE}/validate",
    guards=[needs("read")],
    opt=spec(
        "Workflows", body={"type": "object"}, body_example=EXAMPLE, media=DOCUMENT_MEDIA, answer=PROBLEMS
    ),
)
async def validate_document(request: Asked, drafts: NamedDependency[Drafts]) -> Response[bytes]:
    """All problems of a document, kept nowhere."""
    try:
        problems = drafts.check_raw(await _in_thread(request, document.parse))
    except WorkflowInvalid as error:
        problems = error.problems
    return answer({"problems": problems})


@get(f"{BASE}/{{workflow:str}}", guards=[signed_in], opt=spec("Workflows", answer=DRAFT))
async def get_workflow(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    drafts: NamedDependency[Drafts],
) -> Response[Any]:
    """A workflow with its draft; `Accept: application/yaml` gives the document as YAML.

    `If-None-Match` with the ETag of a state that is known gives 304 while it is that.
    """
    draft = await workflows.get(workspace_of(request), workflow)
    known = [text.strip().removeprefix("W/") for text in request.headers.get("if-none-match", "").split(",")]
    if _etag(draft) in known:
        return Response(b"", status_code=304, headers={"etag": _etag(draft)})
    if "yaml" in request.headers.get("accept", ""):
        text = document.to_yaml(draft.document)
        return Response(text, media_type="application/yaml", headers={"etag": _etag(draft)})
    return _draft_answer(draft, drafts.check(draft.document))


@put(
    f"{BASE}/{{workflow:str}}",
    guards=[needs("build")],
    opt=spec(
        "Workflows",
        headers={"If-Match": "The ETag of the draft that is replaced."},
        body=WORKFLOW,
        body_example=EXAMPLE,
        media=DOCUMENT_MEDIA,
        answer=DRAFT,
    ),
)
async def put_workflow(
    request: Asked, workflow: FromPath[str], drafts: NamedDependency[Drafts]
) -> Response[bytes]:
    """Replace the draft that `If-Match` names."""
    based_on = if_match(request)
    replacement = await _in_thread(request, document.read)
    draft = await drafts.save(workspace_of(request), workflow, replacement, based_on)
    return _draft_answer(draft, drafts.check(draft.document))


@delete(f"{BASE}/{{workflow:str}}", guards=[needs("build")], opt=spec("Workflows", status=204))
async def delete_workflow(request: Asked, workflow: FromPath[str], drafts: NamedDependency[Drafts]) -> None:
    """Remove a workflow. Its executions stay."""
    await drafts.delete(workspace_of(request), workflow)


@post(
    f"{BASE}/{{workflow:str}}/operations",
    guards=[needs("build")],
    status_code=200,
    opt=spec("Workflows", body=OperationsRequest, body_example=OPERATIONS, answer=Applied),
)
async def operate(
    request: Asked,
    workflow: FromPath[str],
    drafts: NamedDependency[Drafts],
    drawings: NamedDependency[Drawings],
) -> Response[bytes]:
    """Change the draft by operations; what contradicts a later change is handed back.

    With `parts=SEQ` the answer also holds what of the editor's drawing is other than at that number.
    """
    asked = await read_json(request, OperationsRequest)
    after = number(request, "parts", -1, 0, 10**9)
    result = await drafts.operate(workspace_of(request), workflow, asked.operations)
    if after < 0:
        return answer(result, etag=f'"{result.seq}"')
    outline = "outline" in request.query_params
    delta = await drawings.delta(workspace_of(request), workflow, after, reader_of(request), outline=outline)
    return answer({**msgspec.structs.asdict(result), "delta": delta}, etag=f'"{result.seq}"')


@post(
    f"{BASE}/{{workflow:str}}/validate",
    guards=[needs("read")],
    status_code=200,
    opt=spec("Workflows", answer=PROBLEMS),
)
async def validate_workflow(
    request: Asked,
    workflow: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    drafts: NamedDependency[Drafts],
) -> Response[bytes]:
    """All problems of the draft."""
    draft = await workflows.get(workspace_of(request), workflow)
    return answer({"problems": drafts.check(draft.document)})


@post(
    f"{BASE}/{{workflow:str}}/publish",
    guards=[needs("build")],
    status_code=200,
    opt=spec("Workflows", body=PublishRequest, body_example={"note": "Ships abroad"}, answer=Version),
)
async def publish(
    request: Asked, workflow: FromPath[str], drafts: NamedDependency[Drafts]
) -> Response[bytes]:
    """Make the draft the version that triggers fire."""
    asked = await read_json(request, PublishRequest)
    return answer(
        await drafts.publish(workspace_of(request), workflow, asked.note, identity_of(request).name)
    )


@post(
    f"{BASE}/{{workflow:str}}/unpublish",
    guards=[needs("build")],
    status_code=204,
    opt=spec("Workflows", status=204),
)
async def unpublish(request: Asked, workflow: FromPath[str], drafts: NamedDependency[Drafts]) -> None:
    """Stop the triggers; accepted runs go on."""
    await drafts.unpublish(workspace_of(request), workflow)


@get(f"{BASE}/{{workflow:str}}/versions", guards=[signed_in], opt=spec("Versions", answer=items_of(Version)))
async def list_versions(
    request: Asked, workflow: FromPath[str], workflows: NamedDependency[WorkflowRepository]
) -> Response[bytes]:
    """The published versions, newest first."""
    await workflows.get(workspace_of(request), workflow)
    return answer({"items": await workflows.versions(workspace_of(request), workflow)})


@post(
    f"{BASE}/{{workflow:str}}/run",
    guards=[needs("operate")],
    opt=spec(
        "Workflows",
        body=RunRequest,
        body_example={"input": {"name": "Ada"}, "wait": 10},
        answer=OUTCOME,
        status=202,
    ),
)
async def run_workflow(
    request: Asked,
    workflow: FromPath[str],
    drafts: NamedDependency[Drafts],
    controller: NamedDependency[ExecutionController],
) -> Response[bytes]:
    """Start a run by hand; with `wait` (seconds), answer with its outcome if it ends by then."""
    asked = await read_json(request, RunRequest)
    value: Value = asked.input
    run = await drafts.run(
        workspace_of(request), workflow, value, trigger=asked.trigger, published=asked.version == "published"
    )
    if asked.wait > 0:
        run = await controller.wait_end(run, min(asked.wait, 300.0))
    return answer(outcome(run), 202, location=f"/api/v1/executions/{run.execution_view['id']}")


async def _in_thread(request: Asked, read: Any) -> Any:
    """Read the body as a document beside the event loop: a large YAML text takes its time."""
    yaml = True if "yaml" in request.headers.get("content-type", "") else None
    return await asyncio.to_thread(read, await request.body(), yaml=yaml)


def _draft_answer(draft: Draft, problems: list[Problem], status: int = 200) -> Response[bytes]:
    body = {
        "workflow": draft.summary,
        "document": msgspec.Raw(document.to_json(draft.document)),
        "problems": problems,
    }
    return answer(body, status, etag=_etag(draft), location=f"{BASE}/{draft.summary.id}")


def _etag(draft: Draft) -> str:
    return f'"{draft.summary.seq}"'
