"""/api/v1/me, members, workspaces, sessions, keys, tokens: people, and what programs sign in with."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.data.accounts import Accounts, Member, Workspace
from flowfuse.data.keys import ApiKey, ApiKeys
from flowfuse.data.sessions import Session, Sessions
from flowfuse.data.tokens import TokenPair, Tokens
from flowfuse.errors import Denied
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.spec import items_of, spec
from flowfuse.pages.audit_trail import note
from flowfuse.pages.guards import PUBLIC, identity_of, needs, signed_in, workspace_of
from flowfuse.pages.identity import Identity

Asked = Request[Any, Any, Any]


class InviteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to invite, and as what."""

    email: str
    role: str
    name: str = ""


class RoleRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A member's new role."""

    role: str


class WorkspaceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A workspace's name."""

    name: str


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A new key. `expires` is UTC microseconds; empty: never."""

    name: str
    scopes: list[str]
    expires: int | None = None


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a new pair of tokens may do: at most what whoever asks may."""

    scopes: list[str]


class RefreshRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A refresh token."""

    refresh_token: str


def check_may_set(identity: Identity, old: str | None, new: str | None) -> None:
    """Owners are made and unmade by owners alone. Raises Denied."""
    if "owner" in (old, new) and not identity.may("own"):
        raise Denied(reason="Only an owner makes, changes or removes owners")


def allowed_scopes(identity: Identity, wanted: list[str]) -> list[str]:
    """The scopes, where whoever asks has them all. Raises Denied."""
    beyond = [scope for scope in wanted if not identity.may(scope)]
    if beyond:
        raise Denied(reason=f"You may not “{beyond[0]}” yourself, so no key of yours may")
    return wanted


async def user_of(identity: Identity, accounts: Accounts) -> str:
    """Whose keys and links are made: the person's, for the install's token its owner's."""
    return identity.user or await accounts.owner()


@get("/api/v1/me", guards=[signed_in], opt=spec("Accounts", answer={"type": "object"}))
async def get_me(request: Asked) -> Response[bytes]:
    """Who asks, in which workspace, and what they may."""
    identity = identity_of(request)
    return answer({**msgspec.to_builtins(identity), "permissions": sorted(identity.permissions)})


@get("/api/v1/members", guards=[signed_in], opt=spec("Accounts", answer=items_of(Member)))
async def list_members(request: Asked, accounts: NamedDependency[Accounts]) -> Response[bytes]:
    """Everybody in the workspace."""
    return answer({"items": await accounts.members(workspace_of(request))})


@post(
    "/api/v1/members",
    guards=[needs("administer")],
    opt=spec(
        "Accounts",
        body=InviteRequest,
        body_example={"email": "ada@example.org", "role": "editor"},
        answer={"type": "object", "required": ["user", "path"]},
        status=201,
    ),
)
async def invite_member(
    request: Asked, accounts: NamedDependency[Accounts], sessions: NamedDependency[Sessions]
) -> Response[bytes]:
    """Make somebody a member; `path` is the invitation to give them, where they cannot sign in yet."""
    asked, identity = await read_json(request, InviteRequest), identity_of(request)
    check_may_set(identity, None, asked.role)
    user, path = await invite(accounts, sessions, identity.workspace, asked)
    note(request, asked.email, asked.role)
    return answer({"user": user, "path": path}, 201)


async def invite(
    accounts: Accounts, sessions: Sessions, workspace: str, asked: InviteRequest
) -> tuple[str, str]:
    """(user id, the invitation's address, empty where the person can sign in already).

    A link is the key to all of a person's workspaces, so who is known elsewhere gets none from here.
    """
    user = await accounts.create(workspace, asked.name, asked.email, asked.role)
    if user.has_password or user.single_sign_on or await accounts.elsewhere(workspace, user.id):
        return user.id, ""
    return user.id, f"/link/{await sessions.make_link(workspace, user.id, 'invitation')}"


@patch(
    "/api/v1/members/{user:str}",
    guards=[needs("administer")],
    status_code=204,
    opt=spec("Accounts", body=RoleRequest, body_example={"role": "operator"}, status=204),
)
async def change_role(request: Asked, user: FromPath[str], accounts: NamedDependency[Accounts]) -> None:
    """Give a member another role; their sessions end."""
    asked, identity = await read_json(request, RoleRequest), identity_of(request)
    check_may_set(identity, await accounts.role(identity.workspace, user), asked.role)
    await accounts.set_role(identity.workspace, user, asked.role)
    note(request, (await accounts.user(user)).name, asked.role)


@delete("/api/v1/members/{user:str}", guards=[needs("administer")], opt=spec("Accounts", status=204))
async def remove_member(request: Asked, user: FromPath[str], accounts: NamedDependency[Accounts]) -> None:
    """Take somebody out of the workspace, with their keys."""
    identity = identity_of(request)
    check_may_set(identity, await accounts.role(identity.workspace, user), None)
    await accounts.remove(identity.workspace, user)
    note(request, (await accounts.user(user)).name)


@get("/api/v1/workspaces", guards=[signed_in], opt=spec("Accounts", answer=items_of(Workspace)))
async def list_workspaces(request: Asked, accounts: NamedDependency[Accounts]) -> Response[bytes]:
    """The workspaces in which whoever asks is a member."""
    user = await user_of(identity_of(request), accounts)
    return answer({"items": await accounts.workspaces(user)})


@post(
    "/api/v1/workspaces",
    guards=[needs("own")],
    opt=spec("Accounts", body=WorkspaceRequest, body_example={"name": "Lab"}, answer=Workspace, status=201),
)
async def create_workspace(request: Asked, accounts: NamedDependency[Accounts]) -> Response[bytes]:
    """Make a new, empty workspace, and own it."""
    asked = await read_json(request, WorkspaceRequest)
    made = await accounts.create_workspace(asked.name, await user_of(identity_of(request), accounts))
    note(request, made.name)
    return answer(made, 201)


@get("/api/v1/sessions", guards=[needs("self")], opt=spec("Accounts", answer=items_of(Session)))
async def list_sessions(request: Asked, sessions: NamedDependency[Sessions]) -> Response[bytes]:
    """One's own live sessions."""
    return answer({"items": await sessions.of(identity_of(request).user)})


@delete("/api/v1/sessions/{session:str}", guards=[needs("self")], opt=spec("Accounts", status=204))
async def end_session(request: Asked, session: FromPath[str], sessions: NamedDependency[Sessions]) -> None:
    """Sign out one of one's own sessions."""
    await sessions.end_one(identity_of(request).user, session)


@get("/api/v1/keys", guards=[needs("self")], opt=spec("Accounts", answer=items_of(ApiKey)))
async def list_keys(request: Asked, keys: NamedDependency[ApiKeys]) -> Response[bytes]:
    """The keys of the workspace, for who may administer it; else one's own."""
    identity = identity_of(request)
    whose = None if identity.may("administer") else identity.user
    return answer({"items": await keys.list(identity.workspace, whose)})


@post(
    "/api/v1/keys",
    guards=[needs("self")],
    opt=spec(
        "Accounts",
        body=KeyRequest,
        body_example={"name": "deploy", "scopes": ["read", "build"]},
        answer={"type": "object", "required": ["id", "key"]},
        status=201,
    ),
)
async def create_key(
    request: Asked, keys: NamedDependency[ApiKeys], accounts: NamedDependency[Accounts]
) -> Response[bytes]:
    """Make a key for programs. It is shown this once."""
    asked, identity = await read_json(request, KeyRequest), identity_of(request)
    scopes, user = allowed_scopes(identity, asked.scopes), await user_of(identity, accounts)
    id, key = await keys.create(identity.workspace, user, asked.name, scopes, asked.expires)
    note(request, asked.name, ", ".join(scopes))
    return answer({"id": id, "key": key}, 201)


@delete("/api/v1/keys/{key:str}", guards=[needs("self")], opt=spec("Accounts", status=204))
async def end_key(request: Asked, key: FromPath[str], keys: NamedDependency[ApiKeys]) -> None:
    """End a key: one's own, or any of the workspace for who may administer it."""
    identity = identity_of(request)
    await keys.end(identity.workspace, key, None if identity.may("administer") else identity.user)


@post(
    "/api/v1/tokens",
    guards=[needs("read")],
    opt=spec("Accounts", body=TokenRequest, body_example={"scopes": ["read"]}, answer=TokenPair, status=201),
)
async def issue_tokens(
    request: Asked, tokens: NamedDependency[Tokens], accounts: NamedDependency[Accounts]
) -> Response[bytes]:
    """A short access token (a JWT), and a refresh token for the next: at most what one may oneself."""
    asked, identity = await read_json(request, TokenRequest), identity_of(request)
    if identity.via == "jwt":
        raise Denied(reason="An access token makes no others; renew it by its refresh token")
    scopes, user = allowed_scopes(identity, asked.scopes), await user_of(identity, accounts)
    return answer(await tokens.issue(identity.workspace, user, scopes, identity.key or None), 201)


@post(
    "/api/v1/tokens/refresh",
    status_code=200,
    opt={
        **spec("Accounts", body=RefreshRequest, body_example={"refresh_token": "…"}, answer=TokenPair),
        **PUBLIC,
    },
)
async def refresh_tokens(request: Asked, tokens: NamedDependency[Tokens]) -> Response[bytes]:
    """The next pair for a refresh token, which works once; a second time it ends all that came of it."""
    return answer(await tokens.renew((await read_json(request, RefreshRequest)).refresh_token))


@post(
    "/api/v1/tokens/revoke",
    status_code=204,
    opt={
        **spec("Accounts", body=RefreshRequest, body_example={"refresh_token": "…"}, status=204),
        **PUBLIC,
    },
)
async def revoke_tokens(request: Asked, tokens: NamedDependency[Tokens]) -> None:
    """End a refresh token and the access tokens that came with it, at once."""
    await tokens.revoke((await read_json(request, RefreshRequest)).refresh_token)
