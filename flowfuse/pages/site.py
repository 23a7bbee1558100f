"""The site: every route with the services behind it, as one Litestar application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Litestar, asgi
from litestar.datastructures import State
from litestar.di import Provide

from flowfuse.pages import routes
from flowfuse.pages.answers import EXCEPTION_HANDLERS
from flowfuse.pages.audit_trail import AuditTrail
from flowfuse.pages.guards import PUBLIC, check_routes
from flowfuse.pages.hooks import Hooks

MAX_BODY = 10_000_000


def make_site(
    services: Mapping[str, Any],
    state: Mapping[str, Any],
    hooks: Hooks,
    trail: AuditTrail,
    extra: Sequence[Any] = (),
) -> Litestar:
    """All pages and the API; `services` are what handlers may ask for by name, `extra` are more routes.

    Raises TypeError where a route has neither a guard nor a public mark.
    """
    site = Litestar(
        [
            *routes(),
            *extra,
            asgi("/hook", is_mount=True, opt=PUBLIC, copy_scope=False)(hooks.published),
            asgi("/hook-draft", is_mount=True, opt=PUBLIC, copy_scope=False)(hooks.draft),
        ],
        dependencies={name: _given(service) for name, service in services.items()},
        before_send=[trail.before_send],
        exception_handlers=EXCEPTION_HANDLERS,
        state=State(dict(state)),
        openapi_config=None,
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    check_routes(site)
    return site


def _given(service: Any) -> Provide:
    """A singleton as a named dependency."""

    def provide() -> Any:
        return service

    return Provide(provide, sync_to_thread=False, use_cache=True)
