"""/sign-in/oidc: signing in by the single sign-on that the settings name."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.data.accounts import Accounts
from flowfuse.errors import Denied, NotFound
from flowfuse.integrations.oidc import Person, SingleSignOn
from flowfuse.model import WORKSPACE
from flowfuse.pages.addresses import local_path
from flowfuse.pages.auth import AuthManager, secret_of
from flowfuse.pages.guards import PUBLIC

CALLBACK = "/sign-in/oidc/callback"
_BROWSER = "ff_oidc"
_SECONDS = 600

Asked = Request[Any, Any, Any]


class Newcomers(Struct, frozen=True):
    """What becomes of people who come by single sign-on for the first time."""

    role: str = ""
    domains: tuple[str, ...] = ()
    public_url: str = ""


@get("/sign-in/oidc", opt=PUBLIC)
async def begin_single_sign_on(
    request: Asked, sso: NamedDependency[SingleSignOn | None], newcomers: NamedDependency[Newcomers]
) -> Redirect:
    """Send the browser to the issuer. Raises NotFound where none is set, Denied."""
    if sso is None:
        raise NotFound(what="single sign-on", id="of this server")
    next_page = local_path(request.query_params.get("next", "/"))
    begun = await sso.begin(_redirect(request, newcomers), next_page)
    response = Redirect(begun.address, status_code=303)
    # Lax: it has to come along when the issuer sends the browser back.
    response.set_cookie(
        Cookie(
            key=_BROWSER, value=begun.browser, path=CALLBACK, httponly=True, samesite="lax",
            max_age=_SECONDS, secure=request.url.scheme == "https",
        )
    )  # fmt: skip
    return response


@get(CALLBACK, opt=PUBLIC)
async def finish_single_sign_on(
    request: Asked,
    sso: NamedDependency[SingleSignOn | None],
    newcomers: NamedDependency[Newcomers],
    auth: NamedDependency[AuthManager],
    accounts: NamedDependency[Accounts],
) -> Redirect:
    """Sign in whom the issuer sent back. Raises NotFound, Denied."""
    if sso is None:
        raise NotFound(what="single sign-on", id="of this server")
    query = request.query_params
    if "error" in query:
        told = query.get("error_description") or query["error"]
        raise Denied(reason=f"The single sign-on refused: {told[:300]}")
    browser = request.cookies.get(_BROWSER, "")
    person = await sso.finish(
        query.get("state", ""), query.get("code", ""), browser, _redirect(request, newcomers)
    )
    user = await _user_of(person, accounts, newcomers)
    secret = await auth.open_session(user, auth.client_of(request), secret_of(request))
    await auth.note_sign_in(request, secret)
    response = Redirect(local_path(person.next), status_code=303)
    response.set_cookie(**auth.cookie_for(secret))
    response.delete_cookie(_BROWSER, path=CALLBACK)
    return response


async def _user_of(person: Person, accounts: Accounts, newcomers: Newcomers) -> str:
    """Whom the issuer means: known by its name for them, else by their e-mail, else new."""
    known = await accounts.by_subject(person.issuer, person.subject)
    if known is not None:
        return known.id
    if not person.email:
        raise Denied(reason="The single sign-on gave no checked e-mail address for you")
    found = await accounts.find(person.email)
    if found is not None and found.single_sign_on:
        raise Denied(reason=f"{person.email} is already signed in by another account of the single sign-on")
    if found is None:
        domain = person.email.rpartition("@")[2]
        if not newcomers.role or (newcomers.domains and domain not in newcomers.domains):
            raise Denied(reason=f"{person.email} was not invited; ask an owner or admin for an invitation")
        found = await accounts.create(WORKSPACE, person.name, person.email, newcomers.role)
    await accounts.change(found.id, issuer=person.issuer, subject=person.subject)
    return found.id


def _redirect(request: Asked, newcomers: Newcomers) -> str:
    base = newcomers.public_url.rstrip("/") or f"{request.url.scheme}://{request.headers['host']}"
    return base + CALLBACK
