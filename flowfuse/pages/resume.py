"""/resume/…: the address that lets a run go on that waits for a call (`execution.resume_url`)."""

from __future__ import annotations

import hmac
from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.clock import id_bytes
from flowfuse.data.executions import ExecutionRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.errors import NotFound, RequestInvalid
from flowfuse.integrations.vault import CredentialVault
from flowfuse.pages.api.body import answer
from flowfuse.pages.guards import PUBLIC
from flowfuse.pages.hook_body import brackets_in, check_call, decode, is_text, kind_of, query_of, sent_headers

PURPOSE = "resume"


@route("/resume/{execution:str}/{signature:str}", http_method=["GET", "POST"], opt=PUBLIC)
async def resume_by_call(
    request: Request[Any, Any, Any],
    execution: FromPath[str],
    signature: FromPath[str],
    vault: NamedDependency[CredentialVault],
    controller: NamedDependency[ExecutionController],
    executions: NamedDependency[ExecutionRepository],
) -> Response[bytes]:
    """Give the call to the node that waits for it; `?node=` says which, where several do."""
    raw = id_bytes(execution)
    if raw is None or not hmac.compare_digest(signature.encode(), vault.sign(PURPOSE, raw).encode()):
        # Whoever has not the address learns nothing of what there is.
        raise NotFound(what="address", id="of a waiting run")
    workspace = await executions.workspace_of(raw)
    kind = kind_of(request.headers.get("content-type", ""))
    body = await request.body()
    if not is_text(kind):
        raise RequestInvalid(field="body", reason=f"a body of {kind} is not taken here")
    query = query_of(request.scope["query_string"])
    value = {
        "method": request.method,
        "query": query,
        "headers": sent_headers(request.scope),
        "body": await decode(body, kind),
    }
    await check_call(value, brackets_in(body))
    node = query.get("node")
    await controller.orders.called(workspace, execution, node if isinstance(node, str) else None, value)
    return answer({"id": execution, "status": "resumed"})
