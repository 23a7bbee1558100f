"""/settings/members: who is in the workspace, with which role; invitations; workspaces."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from flowfuse.data.accounts import Accounts
from flowfuse.data.roles import PERMISSIONS, ROLES
from flowfuse.data.sessions import Sessions
from flowfuse.errors import Conflict, Denied, RequestInvalid
from flowfuse.pages.api.accounts import InviteRequest, check_may_set, invite, user_of
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs, workspace_of
from flowfuse.pages.notices import back
from flowfuse.pages.page import language_of, page, refused
from flowfuse.pages.settings import places

Asked = Request[Any, Any, Any]
HERE = "/settings/members"


class RoleForm(msgspec.Struct, forbid_unknown_fields=True):
    """A member's new role; `remove` takes them out, `link` makes an invitation anew."""

    role: str = ""
    remove: bool = False
    link: bool = False


class WorkspaceForm(msgspec.Struct, forbid_unknown_fields=True):
    """The name of a new workspace, or a new name of this one."""

    name: str
    rename: bool = False


@get(HERE, guards=[needs("administer")])
async def member_list(request: Asked, accounts: NamedDependency[Accounts]) -> Response[str]:
    """Everybody in the workspace."""
    return await _shown(request, accounts)


async def _shown(request: Asked, accounts: Accounts, **more: Any) -> Response[str]:
    identity = identity_of(request)
    usual = {"field": "", "wrong": "", "form": None, "invitation": "", "invited": ""}
    return page(
        request, "settings_members.html", places=places(identity, language_of(request)), group="members",
        members=await accounts.members(identity.workspace), roles=ROLES, permissions=PERMISSIONS,
        workspace=await accounts.workspace(identity.workspace),
        workspaces=await accounts.workspaces(await user_of(identity, accounts)),
        **{**usual, **more},
    )  # fmt: skip


@post(HERE, guards=[needs("administer")], status_code=200)
async def invite_in_list(
    request: Asked, accounts: NamedDependency[Accounts], sessions: NamedDependency[Sessions]
) -> Response[str]:
    """Make somebody a member, and show the link to give them."""
    form, identity = await read_form(request, InviteRequest), identity_of(request)
    try:
        check_may_set(identity, None, form.role)
        _, path = await invite(accounts, sessions, identity.workspace, form)
    except (RequestInvalid, Conflict, Denied) as error:
        field, reason = error.parameters.get("field", "email"), error.parameters["reason"]
        return refused(await _shown(request, accounts, form=form, field=field, wrong=reason), error)
    note(request, form.email, form.role)
    link = f"{request.url.scheme}://{request.headers['host']}{path}" if path else ""
    return await _shown(request, accounts, invitation=link, invited=form.email)


@post(f"{HERE}/{{user:str}}", guards=[needs("administer")], status_code=200)
async def change_member(
    request: Asked,
    user: FromPath[str],
    accounts: NamedDependency[Accounts],
    sessions: NamedDependency[Sessions],
) -> Response[Any]:
    """Give a member another role, or take them out. Raises NotFound, Denied, Conflict."""
    form, identity = await read_form(request, RoleForm), identity_of(request)
    before = await accounts.role(identity.workspace, user)
    known = await accounts.user(user)
    if form.link:
        check_may_set(identity, before, before)
        if await accounts.elsewhere(identity.workspace, user):
            raise Denied(reason="They are in other workspaces, too, and choose their password themselves")
        note(request, known.name, "a link to choose a password")
        kind = "password" if known.has_password else "invitation"
        path = f"/link/{await sessions.make_link(identity.workspace, user, kind)}"
        link = f"{request.url.scheme}://{request.headers['host']}{path}"
        return await _shown(request, accounts, invitation=link, invited=known.email)
    check_may_set(identity, before, None if form.remove else form.role)
    if form.remove:
        await accounts.remove(identity.workspace, user)
    else:
        await accounts.set_role(identity.workspace, user, form.role)
    note(request, known.name, "removed" if form.remove else form.role)
    return back(request, HERE, "saved")


@post(f"{HERE}/workspaces", guards=[needs("own")], status_code=303)
async def change_workspaces(request: Asked, accounts: NamedDependency[Accounts]) -> Redirect:
    """Make a workspace and own it, or rename this one. Raises RequestInvalid."""
    form = await read_form(request, WorkspaceForm)
    if form.rename:
        await accounts.rename_workspace(workspace_of(request), form.name)
    else:
        await accounts.create_workspace(form.name, await user_of(identity_of(request), accounts))
    note(request, form.name)
    return back(request, HERE, "saved")
