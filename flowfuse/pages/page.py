"""A template as the answer to a request: in the reader's time zone, with what the address asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from litestar import Request, Response

ZONE_COOKIE = "tz"
"""Written by web/static/zone.js."""


def page(request: Request[Any, Any, Any], template: str, **context: Any) -> Response[str]:
    """The rendered template as an HTML answer."""
    html = request.app.state.templates.render(template, zone=zone_of(request), **context)
    return Response(html, media_type="text/html")


def zone_of(request: Request[Any, Any, Any]) -> str:
    """The reader's time zone as the browser named it; empty where it did not."""
    return unquote(request.cookies.get(ZONE_COOKIE, ""))


def chosen_tab(request: Request[Any, Any, Any], tabs: Sequence[str], usual: str) -> str:
    """The tab that the address names, or the usual one."""
    tab = request.query_params.get("tab", "")
    return tab if tab in tabs else usual
