"""/api/v1/run: a document runs without being kept as a workflow."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency

from flowfuse import document
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.drafts import Drafts, outcome
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.spec import spec
from flowfuse.pages.api.workflows import EXAMPLE, OUTCOME
from flowfuse.pages.guards import needs, workspace_of

LONGEST_WAIT = 3600.0


class RunDocumentRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A document and the input of its trigger."""

    document: Any
    input: Any = None
    trigger: str | None = None
    mode: Literal["manual", "test"] = "manual"
    wait: float = LONGEST_WAIT


@post(
    "/api/v1/run",
    guards=[needs("build")],
    status_code=200,
    opt=spec(
        "Executions", body=RunDocumentRequest, body_example={"document": EXAMPLE, "input": 1}, answer=OUTCOME
    ),
)
async def run_document(
    request: Request[Any, Any, Any],
    drafts: NamedDependency[Drafts],
    controller: NamedDependency[ExecutionController],
) -> Response[bytes]:
    """Run a document and wait for its end: `{id, state, result, error}`. The server's network rules hold."""
    asked = await read_json(request, RunDocumentRequest)
    run = await drafts.run_document(
        workspace_of(request),
        document.from_raw(asked.document),
        asked.input,
        trigger=asked.trigger,
        mode=asked.mode,
    )
    run = await controller.wait_end(run, min(max(asked.wait, 0.0), LONGEST_WAIT))
    return answer(outcome(run))
