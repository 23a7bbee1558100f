"""Who may use a route. Every route has `signed_in`, or says that it is public."""

from __future__ import annotations

import hmac
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from flowfuse.errors import SignInNeeded
from flowfuse.model import WORKSPACE

COOKIE = "ff_session"
PUBLIC = {"public": True}
"""The explicit mark of a route that everybody may use: `opt=PUBLIC`."""


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A program with the install's token, or a browser with a session. Raises SignInNeeded."""
    state = connection.app.state
    authorization = connection.headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        if not hmac.compare_digest(authorization[7:].strip().encode(), state.token.encode()):
            raise SignInNeeded()
        connection.scope["state"]["workspace"] = WORKSPACE
        return
    secret = connection.cookies.get(COOKIE)
    workspace = await state.accounts.workspace_of(secret) if secret else None
    if workspace is None:
        raise SignInNeeded()
    connection.scope["state"]["workspace"] = workspace


def workspace_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The workspace of whoever passed the guard."""
    return str(connection.scope["state"]["workspace"])


def check_routes(app: Litestar) -> None:
    """Refuse to build an application with a route that is neither guarded nor marked public."""
    for route in app.routes:
        handlers: Any = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            # OPTIONS is the framework's own answer: the methods of a route, nothing else.
            if handler.opt.get("public") or getattr(handler, "http_methods", None) == {"OPTIONS"}:
                continue
            if signed_in not in handler.resolve_guards():
                raise TypeError(f"The route {route.path} has neither a guard nor a public mark")
