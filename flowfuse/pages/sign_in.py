"""Signing in by password, by a one-time link or by an invitation, and out; making the owner."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from flowfuse.data.accounts import Accounts, check_name
from flowfuse.data.sessions import Link, Sessions
from flowfuse.errors import (
    CodeSpent,
    FlowFuseError,
    RequestInvalid,
    SignInNeeded,
    TooManyAttempts,
    WrongPassword,
)
from flowfuse.model import WORKSPACE
from flowfuse.pages.addresses import local_path
from flowfuse.pages.audit_trail import AuditTrail
from flowfuse.pages.auth import AuthManager, secret_of
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import PUBLIC, needs
from flowfuse.pages.page import page, refused

Asked = Request[Any, Any, Any]
CHOOSING = ("invitation", "password")
"""Kinds of links by which somebody chooses a password."""


class SignInForm(msgspec.Struct, forbid_unknown_fields=True):
    """What the sign-in page sends: e-mail and password, or a ticket and the second factor's code."""

    email: str = ""
    password: str = ""
    ticket: str = ""
    code: str = ""
    next: str = "/"


class SetupForm(msgspec.Struct, forbid_unknown_fields=True):
    """What the setup page sends."""

    code: str
    name: str
    email: str
    password: str


class InvitationForm(msgspec.Struct, forbid_unknown_fields=True):
    """What an invited person chooses."""

    name: str
    password: str


@get("/sign-in", opt=PUBLIC)
async def sign_in_page(request: Asked, auth: NamedDependency[AuthManager]) -> Response[Any]:
    """The way in."""
    try:
        await auth.identify(request)
    except SignInNeeded:
        next_page = local_path(request.query_params.get("next", "/"))
        return page(request, "sign_in.html", **_way_in(request, next=next_page))
    return Redirect("/", status_code=303)


@post("/sign-in", status_code=200, opt=PUBLIC)
async def sign_in(
    request: Asked, auth: NamedDependency[AuthManager], trail: NamedDependency[AuditTrail]
) -> Response[Any]:
    """Open a session, or ask for the second factor."""
    form = await read_form(request, SignInForm)
    client, old, next_page = auth.client_of(request), secret_of(request), local_path(form.next)
    try:
        if form.ticket:
            secret = await auth.second_factor(form.ticket, form.code, client, old)
        else:
            opened = await auth.sign_in(form.email, form.password, client, old)
            if opened.ticket:
                shown = _way_in(request, next=next_page, ticket=opened.ticket)
                return page(request, "sign_in.html", **shown)
            secret = opened.secret
    except (WrongPassword, TooManyAttempts) as error:
        if isinstance(error, WrongPassword):
            await trail.signed_in("sign_in_failed", "", form.email[:200], WORKSPACE, client.ip)
        ticket = form.ticket if isinstance(error, WrongPassword) else ""
        shown = _way_in(request, next=next_page, ticket=ticket, email=form.email, wrong=error.message)
        return _again(request, "sign_in.html", error, shown)
    return await _welcome(request, secret, next_page)


def _way_in(request: Asked, **values: Any) -> dict[str, Any]:
    state = request.app.state
    usual = {"next": "/", "ticket": "", "email": "", "wrong": "", "status": 200, "detail": ""}
    return {**usual, "by_password": state.auth.by_password, "sso": state.sso_name, **values}


def _again(request: Asked, template: str, error: FlowFuseError, shown: dict[str, Any]) -> Response[str]:
    return refused(page(request, template, **shown), error)


async def _welcome(request: Asked, secret: str, address: str = "/") -> Redirect:
    auth: AuthManager = request.app.state.auth
    response = Redirect(address, status_code=303)
    await auth.note_sign_in(request, secret)
    response.set_cookie(**auth.cookie_for(secret))
    return response


@get("/link/{code:str}", opt=PUBLIC)
async def use_link(
    request: Asked,
    code: FromPath[str],
    auth: NamedDependency[AuthManager],
    sessions: NamedDependency[Sessions],
    accounts: NamedDependency[Accounts],
) -> Response[Any]:
    """Open a session by a link's code; an invitation asks for a password first. Raises SignInNeeded."""
    link = await sessions.find_link(code)
    if link is not None and link.kind in CHOOSING:
        shown = await _choosing(code, link, accounts)
        return page(request, "invitation.html", **shown, wrong="", field="")
    secret = await sessions.use_link(code, auth.client_of(request))
    if secret is None:
        raise SignInNeeded()
    return await _welcome(request, secret)


@post("/link/{code:str}", status_code=200, opt=PUBLIC)
async def accept_invitation(
    request: Asked,
    code: FromPath[str],
    auth: NamedDependency[AuthManager],
    sessions: NamedDependency[Sessions],
    accounts: NamedDependency[Accounts],
) -> Response[Any]:
    """Take the password that an invited person chose, and sign them in. Raises SignInNeeded."""
    form = await read_form(request, InvitationForm)
    link = await sessions.find_link(code)
    if link is None or link.kind not in CHOOSING:
        raise SignInNeeded()
    try:
        name = check_name(form.name)
        await auth.set_password(link.user, form.password)
    except RequestInvalid as error:
        shown = await _choosing(code, link, accounts)
        wrong = {"wrong": error.parameters["reason"], "field": error.parameters["field"]}
        return _again(request, "invitation.html", error, {**shown, **wrong})
    await accounts.change(link.user, name=name, workspace_id=link.workspace)
    secret = await sessions.use_link(code, auth.client_of(request))
    if secret is None:
        raise SignInNeeded()
    if (await accounts.user(link.user)).has_totp:
        # A link stands for the password alone.
        await sessions.end(secret)
        return Redirect("/sign-in", status_code=303)
    return await _welcome(request, secret)


async def _choosing(code: str, link: Link, accounts: Accounts) -> dict[str, Any]:
    user, workspace = await accounts.user(link.user), await accounts.workspace(link.workspace)
    return {"code": code, "user": user, "workspace": workspace, "known": link.kind == "password"}


@post("/sign-out", guards=[needs("self")], status_code=303)
async def sign_out(
    request: Asked, auth: NamedDependency[AuthManager], sessions: NamedDependency[Sessions]
) -> Redirect:
    """End the session."""
    secret = secret_of(request)
    if secret:
        await sessions.end(secret)
    response = Redirect("/", status_code=303)
    response.delete_cookie(auth.cookie)
    return response


@get("/setup", opt=PUBLIC)
async def setup_page(request: Asked, auth: NamedDependency[AuthManager]) -> Response[Any]:
    """Where the owner is made; nothing, once there is one."""
    if auth.claimed:
        return Redirect("/sign-in", status_code=303)
    return page(request, "setup.html", form=SetupForm(request.query_params.get("code", ""), "", "", ""),
                wrong="", field="")  # fmt: skip


@post("/setup", status_code=200, opt=PUBLIC)
async def set_up(request: Asked, auth: NamedDependency[AuthManager]) -> Response[Any]:
    """Make the owner with the setup code. Raises CodeSpent."""
    form = await read_form(request, SetupForm)
    try:
        secret = await auth.set_up(form.code, form.name, form.email, form.password, auth.client_of(request))
    except (RequestInvalid, WrongPassword, TooManyAttempts, CodeSpent) as error:
        reason = error.parameters["reason"] if isinstance(error, RequestInvalid) else error.message
        field = error.parameters.get("field", "code")
        return _again(request, "setup.html", error, {"form": form, "wrong": reason, "field": field})
    return await _welcome(request, secret)
