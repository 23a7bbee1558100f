"""A template as the answer to a request: for its reader, in their language and time zone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from litestar import Request, Response

from flowfuse.errors import FlowFuseError
from flowfuse.pages.language import chosen_language
from flowfuse.pages.notices import notice_of
from flowfuse.pages.problems import retry_headers, status_of
from flowfuse.pages.render import policy_for

ZONE_COOKIE = "tz"
"""Written by web/static/zone.js."""


def page(
    request: Request[Any, Any, Any], template: str, *, with_styles: bool = False, **context: Any
) -> Response[str]:
    """The rendered template as an HTML answer.

    `with_styles`: its text editors bring style elements, which the policy lets through by a nonce.
    """
    nonce = secrets.token_urlsafe(16) if with_styles else ""
    reader = reader_of(request)
    context.setdefault("notice", notice_of(request, reader["language"]))
    # On a phone the bench is a sheet; whoever was sent a tab of it sees it at once.
    context.setdefault("has_sheet", "tab" in request.query_params)
    html = request.app.state.templates.render(template, nonce=nonce, **reader, **context)
    headers = {"content-security-policy": policy_for(nonce)} if nonce else {}
    return Response(html, media_type="text/html", headers=headers)


def refused(shown: Response[str], error: FlowFuseError) -> Response[str]:
    """A form's page once more, with what was wrong in it, under the status of the error."""
    shown.status_code = status_of(error)
    shown.headers.update(retry_headers(error))
    return shown


def reader_of(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Who reads, as templates ask for it: `identity` (None before signing in), language, theme, zone."""
    identity = request.scope["state"].get("identity")
    return {
        "identity": identity,
        "language": language_of(request),
        "theme": identity.theme if identity is not None else "",
        "zone": zone_of(request),
    }


def language_of(request: Request[Any, Any, Any]) -> str:
    """The reader's language: as they chose it, else as their browser asks for it."""
    identity = request.scope["state"].get("identity")
    wanted = identity.language if identity is not None else ""
    return chosen_language(wanted, request.headers.get("accept-language", ""))


def zone_of(request: Request[Any, Any, Any]) -> str:
    """The reader's time zone as the browser named it; empty where it did not."""
    return unquote(request.cookies.get(ZONE_COOKIE, ""))


def chosen_tab(request: Request[Any, Any, Any], tabs: Sequence[str], usual: str) -> str:
    """The tab that the address names, or the usual one."""
    tab = request.query_params.get("tab", "")
    return tab if tab in tabs else usual
