"""/help: how things are called and done, in a page."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from flowfuse.pages.guards import signed_in
from flowfuse.pages.page import page


@get("/help", guards=[signed_in])
async def help_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Words, keys, and where to read on."""
    return page(request, "help.html")
