"""/settings/account and /settings/keys: one's own name, password, second factor, sessions, looks and keys."""

from __future__ import annotations

import hmac
from functools import partial
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from flowfuse.clock import Clock, Ids
from flowfuse.data.accounts import Accounts, User, check_email, check_name
from flowfuse.data.keys import ApiKeys
from flowfuse.data.roles import PERMISSIONS
from flowfuse.data.second_factor import address_of, new_recovery_codes, new_totp, picture_of, step_of
from flowfuse.data.sessions import Sessions
from flowfuse.errors import Conflict, Denied, FlowFuseError, RequestInvalid, TooManyAttempts, WrongPassword
from flowfuse.integrations.vault import CredentialVault
from flowfuse.model import WORKSPACE
from flowfuse.pages.api.accounts import allowed_scopes, user_of
from flowfuse.pages.audit_trail import note
from flowfuse.pages.auth import TOTP_PLACE, AuthManager, secret_of
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs
from flowfuse.pages.language import LANGUAGES
from flowfuse.pages.notices import back
from flowfuse.pages.page import language_of, page, refused
from flowfuse.pages.settings import places

Asked = Request[Any, Any, Any]
HERE = "/settings/account"
FACTOR = "second factor"
KEYS = "/settings/keys"
THEMES = ("", "light", "dark")
DAY_US = 86_400 * 1_000_000


class ProfileForm(msgspec.Struct, forbid_unknown_fields=True):
    """One's name and e-mail, and how the pages look."""

    name: str
    email: str = ""
    language: str = ""
    theme: str = ""
    single_keys: Literal["on", "off"] = "on"


class PasswordForm(msgspec.Struct, forbid_unknown_fields=True):
    """A new password, and the old one where there is one."""

    password: str
    current: str = ""


class FactorForm(msgspec.Struct, forbid_unknown_fields=True):
    """Switching the second factor on (its secret, what shows that it was begun here, and a code of it) or
    off (the password)."""

    secret: str = ""
    begun: str = ""
    code: str = ""
    current: str = ""
    off: bool = False


class KeyForm(msgspec.Struct, forbid_unknown_fields=True):
    """A new key; `days` empty: it never expires."""

    name: str
    scopes: list[str] = []
    days: int | None = None


@get(HERE, guards=[needs("self")])
async def account(
    request: Asked, accounts: NamedDependency[Accounts], sessions: NamedDependency[Sessions]
) -> Response[str]:
    """One's own account."""
    return await _shown(request, accounts, sessions)


async def _shown(request: Asked, accounts: Accounts, sessions: Sessions, **more: Any) -> Response[str]:
    identity = identity_of(request)
    user = await accounts.user(await user_of(identity, accounts))
    usual: dict[str, Any] = {"field": "", "wrong": "", "factor": None, "codes": []}
    return page(
        request, "settings_account.html", places=places(identity, language_of(request)), group="account",
        user=user, sessions=await sessions.of(user.id), languages=LANGUAGES, themes=THEMES,
        workspaces=await accounts.workspaces(user.id), **{**usual, **more},
    )  # fmt: skip


def _wrong(error: FlowFuseError, field: str) -> dict[str, str]:
    reason = error.parameters.get("reason", "") or error.message
    return {"field": error.parameters.get("field", field), "wrong": reason}


@post(HERE, guards=[needs("self")], status_code=200)
async def change_profile(
    request: Asked, accounts: NamedDependency[Accounts], sessions: NamedDependency[Sessions]
) -> Response[Any]:
    """Change one's name, e-mail, language and theme."""
    form, identity = await read_form(request, ProfileForm), identity_of(request)
    user = await user_of(identity, accounts)
    try:
        values: dict[str, Any] = {"name": check_name(form.name)}
        if form.email.strip():
            values["email"] = check_email(form.email)
        values["language"] = form.language if form.language in LANGUAGES else ""
        values["single_keys"] = form.single_keys == "on"
        values["theme"] = form.theme if form.theme in THEMES else ""
        await accounts.change(user, **values)
    except FlowFuseError as error:
        return refused(await _shown(request, accounts, sessions, **_wrong(error, "email")), error)
    return back(request, HERE, "saved")


@post(f"{HERE}/password", guards=[needs("self")], status_code=200)
async def change_password(
    request: Asked,
    auth: NamedDependency[AuthManager],
    accounts: NamedDependency[Accounts],
    sessions: NamedDependency[Sessions],
) -> Response[Any]:
    """Choose a password. Other sessions end, and this one gets a new secret."""
    form, identity = await read_form(request, PasswordForm), identity_of(request)
    user = await accounts.user(await user_of(identity, accounts))
    try:
        if not user.email:
            raise RequestInvalid(field="email", reason="give an e-mail address first: one signs in by it")
        if user.has_password:
            await auth.check_password(user.id, form.current, auth.client_of(request))
        await auth.set_password(user.id, form.password, but=secret_of(request))
    except (RequestInvalid, WrongPassword, TooManyAttempts) as error:
        field = "current" if isinstance(error, WrongPassword | TooManyAttempts) else "password"
        return refused(await _shown(request, accounts, sessions, **_wrong(error, field)), error)
    response = back(request, HERE, "saved")
    if identity.via == "session":
        client = auth.client_of(request)
        fresh = await sessions.open(identity.workspace, user.id, client, instead_of=secret_of(request))
        response.set_cookie(**auth.cookie_for(fresh))
    return response


@post(f"{HERE}/second-factor", guards=[needs("self")], status_code=200)
async def change_second_factor(
    request: Asked,
    auth: NamedDependency[AuthManager],
    accounts: NamedDependency[Accounts],
    sessions: NamedDependency[Sessions],
    vault: NamedDependency[CredentialVault],
    clock: NamedDependency[Clock],
    ids: NamedDependency[Ids],
) -> Response[Any]:
    """Begin with the second factor (a secret to scan), switch it on with a code of it, or off."""
    form, identity = await read_form(request, FactorForm), identity_of(request)
    user = await accounts.user(await user_of(identity, accounts))
    if not user.has_password:
        raise Conflict(reason="Choose a password first: the second factor comes after it")
    signed = partial(_factor, vault, user)
    if form.secret and not hmac.compare_digest(form.begun.encode(), _sign(vault, user, form.secret).encode()):
        # Only who has typed the password has a secret of ours: a borrowed session brings its own.
        raise RequestInvalid(field="secret", reason="begin with the second factor anew, with your password")
    try:
        if form.off or user.has_totp:
            await auth.check_password(user.id, form.current, auth.client_of(request))
            await accounts.change(user.id, totp=None, recovery="[]", totp_step=0)
            note(request, detail="second factor switched off")
            return back(request, HERE, "saved")
        if not form.secret:
            await auth.check_password(user.id, form.current, auth.client_of(request))
            return await _shown(request, accounts, sessions, factor=signed(new_totp()))
        step = step_of(form.secret, form.code, clock.now_us(), 0)
        if step is None:
            raise RequestInvalid(field="code", reason="this is not the code that belongs to it now")
    except (RequestInvalid, WrongPassword, TooManyAttempts) as error:
        shown = _wrong(error, "factor-current")
        if form.secret:
            shown["factor"] = signed(form.secret)  # type: ignore[assignment]
        return refused(await _shown(request, accounts, sessions, **shown), error)
    codes, hashes = new_recovery_codes(ids)
    sealed = vault.seal(form.secret.encode(), WORKSPACE, TOTP_PLACE.format(user=user.id))
    kept = msgspec.json.encode(hashes).decode()
    await accounts.change(user.id, totp=sealed, totp_step=step, recovery=kept)
    note(request, detail="second factor switched on")
    return await _shown(request, accounts, sessions, codes=codes)


def _factor(vault: CredentialVault, user: User, secret: str) -> dict[str, str]:
    picture = picture_of(address_of(secret, user.email or "FlowFuse"))
    return {"secret": secret, "begun": _sign(vault, user, secret), "picture": picture}


def _sign(vault: CredentialVault, user: User, secret: str) -> str:
    return vault.sign(FACTOR, f"{user.id} {secret}".encode())


@post(f"{HERE}/sessions/{{session:str}}", guards=[needs("self")], status_code=303)
async def end_session_in_list(
    request: Asked, session: FromPath[str], sessions: NamedDependency[Sessions]
) -> Redirect:
    """End one of one's sessions, or all but this one (`others`). Raises NotFound."""
    identity = identity_of(request)
    if session == "others":
        await sessions.end_all(identity.user, but=secret_of(request))
    else:
        await sessions.end_one(identity.user, session)
    return back(request, HERE, "ended")


@post(f"{HERE}/workspace/{{workspace:str}}", guards=[needs("self")], status_code=303)
async def switch_workspace(
    request: Asked,
    workspace: FromPath[str],
    auth: NamedDependency[AuthManager],
    accounts: NamedDependency[Accounts],
    sessions: NamedDependency[Sessions],
) -> Redirect:
    """Go on in another workspace, in which one is a member. Raises NotFound."""
    identity = identity_of(request)
    if identity.via != "session":
        raise Denied(reason="Only a browser that is signed in goes to another workspace")
    await accounts.role(workspace, identity.user)
    await accounts.change(identity.user, workspace_id=workspace)
    client = auth.client_of(request)
    fresh = await sessions.open(workspace, identity.user, client, instead_of=secret_of(request))
    response = Redirect("/", status_code=303)
    response.set_cookie(**auth.cookie_for(fresh))
    return response


@get(KEYS, guards=[needs("self")])
async def key_list(
    request: Asked, keys: NamedDependency[ApiKeys], accounts: NamedDependency[Accounts]
) -> Response[str]:
    """One's keys; for who may administer the workspace, everybody's."""
    return await _keys(request, keys, accounts)


async def _keys(request: Asked, keys: ApiKeys, accounts: Accounts, **more: Any) -> Response[str]:
    identity = identity_of(request)
    whose = None if identity.may("administer") else await user_of(identity, accounts)
    usual = {"field": "", "wrong": "", "made": "", "form": None}
    return page(
        request, "settings_keys.html", places=places(identity, language_of(request)), group="keys",
        keys=await keys.list(identity.workspace, whose),
        scopes={name: words for name, words in PERMISSIONS.items() if identity.may(name)},
        **{**usual, **more},
    )  # fmt: skip


@post(KEYS, guards=[needs("self")], status_code=200)
async def make_key(
    request: Asked,
    keys: NamedDependency[ApiKeys],
    accounts: NamedDependency[Accounts],
    clock: NamedDependency[Clock],
) -> Response[str]:
    """Make a key, and show it this once."""
    form, identity = await read_form(request, KeyForm), identity_of(request)
    expires = None if not form.days else clock.now_us() + min(form.days, 3650) * DAY_US
    try:
        scopes = allowed_scopes(identity, form.scopes)
        user = await user_of(identity, accounts)
        _, key = await keys.create(identity.workspace, user, form.name, scopes, expires)
    except (RequestInvalid, Denied) as error:
        return refused(await _keys(request, keys, accounts, form=form, **_wrong(error, "scopes")), error)
    note(request, form.name, ", ".join(scopes))
    return await _keys(request, keys, accounts, made=key)


@post(f"{KEYS}/{{key:str}}/end", guards=[needs("self")], status_code=303)
async def end_key_in_list(
    request: Asked, key: FromPath[str], keys: NamedDependency[ApiKeys], accounts: NamedDependency[Accounts]
) -> Redirect:
    """End a key. Raises NotFound."""
    identity = identity_of(request)
    whose = None if identity.may("administer") else await user_of(identity, accounts)
    await keys.end(identity.workspace, key, whose)
    return back(request, KEYS, "deleted")
