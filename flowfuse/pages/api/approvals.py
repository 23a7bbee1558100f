"""/api/v1/approvals: what waits for a person's decision."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.data.executions import ExecutionRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.history import History
from flowfuse.pages.api.body import answer, number, read_json
from flowfuse.pages.api.spec import items_of, spec
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of

Asked = Request[Any, Any, Any]
ASKING = {"approving": "approval", "asking": "ask"}
"""States of a node that waits for a person, and for what."""


class DecisionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A person's decision for a node that asks."""

    node: str
    decision: Literal["approved", "rejected"]
    path: str = ""
    comment: str = ""


@get(
    "/api/v1/approvals",
    guards=[signed_in],
    opt=spec(
        "Approvals", query={"limit": "How many executions at most."}, answer=items_of({"type": "object"})
    ),
)
async def list_approvals(
    request: Asked, executions: NamedDependency[ExecutionRepository], history: NamedDependency[History]
) -> Response[bytes]:
    """What waits for a decision (`approval`) or an answer (`ask`), the oldest first."""
    workspace, limit = workspace_of(request), number(request, "limit", 50, 1, 200)
    items = []
    for execution in await executions.waiting_for_people(workspace, limit):
        detail = await history.detail(workspace, execution.id)
        items += [
            {
                "execution": execution.id,
                "workflow": execution.workflow,
                "number": execution.number,
                "node": run.node,
                "path": run.path,
                "kind": ASKING[run.state],
                "question": run.waits_for,
                "input": run.input,
                "since": run.started,
                "until": execution.wake_at,
            }
            for run in detail.nodes
            if run.state in ASKING
        ]
    return answer({"items": items})


@post(
    "/api/v1/executions/{execution:str}/decide",
    guards=[needs("operate")],
    status_code=204,
    opt=spec(
        "Approvals",
        body=DecisionRequest,
        body_example={"node": "approve", "decision": "approved"},
        status=204,
    ),
)
async def decide(
    request: Asked, execution: FromPath[str], controller: NamedDependency[ExecutionController]
) -> None:
    """Approve or reject; the run goes on by that port."""
    asked = await read_json(request, DecisionRequest)
    await controller.orders.decide(
        workspace_of(request),
        execution,
        asked.node,
        asked.path,
        asked.decision,
        asked.comment,
        identity_of(request).name,
    )
