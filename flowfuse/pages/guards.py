"""Who may use a route. Every route says which permission it needs, or that it is public."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from flowfuse.data.roles import PERMISSIONS, SELF, roles_with
from flowfuse.errors import Denied, SignInNeeded
from flowfuse.model import WORKSPACE
from flowfuse.pages.identity import Identity

PUBLIC = {"public": True}
"""The explicit mark of a route that everybody may use: `opt=PUBLIC`."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]


@cache
def needs(permission: str) -> Guard:
    """The guard of a route that needs this permission (flowfuse/data/roles.py has them all)."""
    if permission not in PERMISSIONS and permission != SELF:
        raise TypeError(f"There is no permission “{permission}”")

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        identity = await identify(connection)
        if not identity.may(permission):
            raise Denied(reason=_refusal(identity, permission))

    guard.permission = permission  # type: ignore[attr-defined]
    return guard


async def signed_in(connection: Connection, handler: BaseRouteHandler) -> None:
    """Whoever may read: for routes that only show. Raises SignInNeeded, Denied."""
    await needs("read")(connection, handler)


signed_in.permission = "read"  # type: ignore[attr-defined]


async def identify(connection: Connection) -> Identity:
    """Who asks. Raises SignInNeeded, also where a page says for whom it was opened and that is not they.

    A page stays open while its browser goes on to another workspace, or somebody else signs in there.
    """
    known = connection.scope["state"].get("identity")
    if known is None:
        known = connection.scope["state"]["identity"] = await connection.app.state.auth.identify(connection)
    found: Identity = known
    if connection.query_params.get("whose", found.whose) != found.whose:
        raise SignInNeeded()
    return found


def identity_of(connection: Connection) -> Identity:
    """Whoever passed the guard."""
    found: Identity = connection.scope["state"]["identity"]
    return found


def workspace_of(connection: Connection) -> str:
    """The workspace of whoever passed the guard."""
    return identity_of(connection).workspace


def check_first_workspace(connection: Connection) -> None:
    """For what the whole install has one of. Raises Denied but in the first workspace."""
    if workspace_of(connection) != WORKSPACE:
        raise Denied(reason="This holds for the whole install: the first workspace has it in hand")


def permission_of(handler: Any) -> str | None:
    """The permission that a route needs; None where no guard of ours asks for one."""
    for guard in handler.resolve_guards():
        found: str | None = getattr(guard, "permission", None)
        if found is not None:
            return found
    return None


def check_routes(app: Litestar) -> None:
    """Refuse to build an application with a route that is neither guarded nor marked public.

    A route that changes something has to say by `needs(…)` what it needs: that somebody is signed in is
    not enough.
    """
    for route in app.routes:
        handlers: Any = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            # OPTIONS is the framework's own answer: the methods of a route, nothing else.
            methods = set(getattr(handler, "http_methods", None) or {"GET"})
            if handler.opt.get("public") or methods == {"OPTIONS"}:
                continue
            if permission_of(handler) is None:
                raise TypeError(f"The route {route.path} has neither a guard nor a public mark")
            if methods - SAFE and signed_in in handler.resolve_guards():
                raise TypeError(f"The route {route.path} changes something: say by needs(…) who may")


def _refusal(identity: Identity, permission: str) -> str:
    if permission == SELF:
        return "This belongs to a person's own account; sign in with a browser"
    roles = ", ".join(roles_with(permission))
    if identity.via in ("key", "jwt"):
        return f"This key may not: it needs the scope “{permission}”, and an owner who is one of {roles}"
    return f"A member with the role {identity.role} may not do this; it takes one of {roles}"
