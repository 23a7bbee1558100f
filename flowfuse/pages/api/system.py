"""Node types, the document's schema, sign-in links, health."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from flowfuse import __version__, document
from flowfuse.data.accounts import Accounts
from flowfuse.data.database import Database
from flowfuse.data.sessions import Sessions
from flowfuse.data.storage import Storage
from flowfuse.engine.breaker import BreakerView
from flowfuse.engine.controller import ExecutionController
from flowfuse.errors import NotFound, Unavailable
from flowfuse.node import Catalogue
from flowfuse.nodes import describe
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.spec import items_of, spec
from flowfuse.pages.auth import AuthManager
from flowfuse.pages.gate import Gate
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of

Asked = Request[Any, Any, Any]


class LinkRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the link is for choosing a new password."""

    new_password: bool = False


@get("/api/v1/node-types", guards=[signed_in], opt=spec("System", answer=items_of({"type": "object"})))
async def node_types(catalogue: NamedDependency[Catalogue]) -> Response[bytes]:
    """Every node type with its config's schema and form."""
    return answer({"items": [describe(node_type) for node_type in catalogue]})


@get("/api/v1/schema", guards=[signed_in], opt=spec("System", answer={"type": "object"}))
async def document_schema() -> Response[bytes]:
    """The JSON Schema of the workflow document."""
    return answer(document.json_schema())


@post(
    "/api/v1/links",
    guards=[needs("own")],
    opt=spec(
        "System",
        body=LinkRequest,
        body_example={"new_password": False},
        answer={"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}},
        status=201,
    ),
)
async def make_link(
    request: Asked,
    accounts: NamedDependency[Accounts],
    sessions: NamedDependency[Sessions],
    auth: NamedDependency[AuthManager],
    gate: NamedDependency[Gate],
) -> Response[bytes]:
    """A one-time sign-in link, for 15 minutes; with `new_password`, for an hour, to choose one.

    On the LAN without an owner it is the way to make one.
    """
    if gate.setup_only:
        return answer({"path": f"/setup?code={auth.make_setup_code()}"}, 201)
    identity = identity_of(request)
    asked = await read_json(request, LinkRequest)
    kind = "password" if asked.new_password else "sign_in"
    code = await sessions.make_link(identity.workspace, identity.user or await accounts.owner(), kind)
    return answer({"path": f"/link/{code}"}, 201)


@get(["/health", "/api/v1/health"], opt=spec("System", public=True, answer={"type": "object"}))
async def health(storage: NamedDependency[Storage]) -> Response[bytes]:
    """The process answers; `damage` says what the check of the database's structure has found."""
    damage = {} if storage.damage is None else {"damage": storage.damage}
    return answer({"status": "ok", "version": __version__, **damage})


@get(["/ready", "/api/v1/ready"], opt=spec("System", public=True, answer={"type": "object"}))
async def ready(
    database: NamedDependency[Database], controller: NamedDependency[ExecutionController]
) -> Response[bytes]:
    """Whether work is accepted: the database can be written, and nobody is shutting down."""
    trouble = database.trouble
    try:
        controller.check_accepting()
    except Unavailable as error:
        trouble = error.message
    if trouble is None:
        return answer({"status": "ready"})
    return answer({"status": "unavailable", "detail": trouble}, 503, retry_after="5")


class TryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which breaker; the workspace's own has no connector."""

    connector: str = ""


@get("/api/v1/breakers", guards=[signed_in], opt=spec("System", answer=items_of(BreakerView)))
async def list_breakers(request: Asked, controller: NamedDependency[ExecutionController]) -> Response[bytes]:
    """The circuit breakers that have counted failures, or are not closed."""
    return answer({"items": controller.breaker.list(workspace_of(request))})


@post(
    "/api/v1/breakers/try",
    guards=[needs("operate")],
    status_code=204,
    opt=spec("System", body=TryRequest, body_example={"connector": "api.example.org"}, status=204),
)
async def try_breaker(request: Asked, controller: NamedDependency[ExecutionController]) -> None:
    """Let a call be tried now, without waiting for an open breaker's time."""
    asked = await read_json(request, TryRequest)
    if not controller.breaker.try_now(workspace_of(request), asked.connector):
        raise NotFound(what="open breaker", id=asked.connector or "of the workspace")
