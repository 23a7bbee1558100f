"""Signing in by a one-time link, and out."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from flowfuse.data.accounts import SESSION_US, Accounts
from flowfuse.errors import SignInNeeded
from flowfuse.pages.guards import COOKIE, PUBLIC, signed_in


@get("/link/{code:str}", opt=PUBLIC)
async def use_link(code: FromPath[str], accounts: NamedDependency[Accounts]) -> Redirect:
    """Open a session by a link's code and go to the first page. Raises SignInNeeded."""
    secret = await accounts.use_link(code)
    if secret is None:
        raise SignInNeeded()
    response = Redirect("/", status_code=303)
    response.set_cookie(
        Cookie(
            key=COOKIE, value=secret, path="/", httponly=True, samesite="lax", max_age=SESSION_US // 1_000_000
        )
    )
    return response


@post("/sign-out", guards=[signed_in], status_code=303)
async def sign_out(request: Request[Any, Any, Any], accounts: NamedDependency[Accounts]) -> Redirect:
    """End the session."""
    secret = request.cookies.get(COOKIE)
    if secret:
        await accounts.end(secret)
    response = Redirect("/", status_code=303)
    response.delete_cookie(COOKIE)
    return response
