"""Web Application, server half: the site's table of contents."""

from __future__ import annotations

from flowfuse.pages.api import API
from flowfuse.pages.auth import sign_out, use_link
from flowfuse.pages.live import live

ROUTES = (
    use_link,
    sign_out,
    live,
    *API,
)
