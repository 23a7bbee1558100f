"""HookTrap: keeps the webhook calls that start nothing, so that a person can see and replay them.

A call for a workflow that is not published is caught whole; of one that was refused, what was sent
beside its body. Whatever a caller proves itself by is not kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flowfuse.data.calls import LONGEST_BODY, WebhookCalls
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.drafts import webhooks_of
from flowfuse.errors import FlowFuseError
from flowfuse.integrations.credential import REDACTED
from flowfuse.pages.hook_body import decode, is_text, query_of, read_whole
from flowfuse.pages.problems import status_of

log = logging.getLogger("flowfuse.hooks")

SELDOM_US = 100_000
UNKNOWN = 1000
"""So many addresses that lead nowhere are remembered, so that asking for them costs nothing."""
_SECRET = ("authorization", "cookie", "proxy-authorization")
_SECRET_WORDS = ("signature", "token", "secret", "api-key", "apikey", "password")


class HookTrap:
    """Catches what would be lost."""

    def __init__(self, workflows: WorkflowRepository, calls: WebhookCalls, now_us: Callable[[], int]) -> None:
        self._workflows, self._calls, self._now_us = workflows, calls, now_us
        self._refused: dict[tuple[str, str, str], int] = {}
        self._unknown: dict[str, None] = {}

    def forget(self) -> None:
        """A workflow was changed: an address that led nowhere may lead somewhere now."""
        self._unknown.clear()

    async def missed(
        self, path: str, pattern_of: Any, scope: Any, receive: Any, error: FlowFuseError
    ) -> None:
        """Nothing is published at an address: keep the call for the draft that waits there, if any does."""
        if path in self._unknown:
            return
        found = await self._waiting(path, pattern_of)
        if found is None:
            if len(self._unknown) >= UNKNOWN:
                self._unknown.clear()
            self._unknown[path] = None
            return
        workspace, workflow, node, params = found
        kind = _header(scope, b"content-type")
        body = await _body(kind, scope, receive)
        await self._keep((workspace, workflow, node), scope, error, body, params)

    async def refused(self, target: Any, scope: Any, error: FlowFuseError) -> None:
        """A call that its webhook refused; of a flood of them, a few."""
        key = (target.workspace, target.workflow, target.node)
        now = self._now_us()
        if now - self._refused.get(key, 0) < SELDOM_US:
            return
        if len(self._refused) >= UNKNOWN:
            self._refused.clear()
        self._refused[key] = now
        await self._keep(key, scope, error, None, {})

    async def _keep(
        self, key: tuple[str, str, str], scope: Any, error: FlowFuseError, body: Any, params: dict[str, str]
    ) -> None:
        request = {
            "method": scope["method"], "path": scope["path"], "params": params,
            "query": query_of(scope["query_string"]), "headers": shown_headers(scope), "body": body,
        }  # fmt: skip
        try:
            await self._calls.keep(*key, status=status_of(error), reason=error.message, request=request)
        except FlowFuseError as trouble:
            log.warning("A call of %s could not be kept: %s", scope["path"], trouble)

    async def _waiting(self, path: str, pattern_of: Any) -> tuple[str, str, str, dict[str, str]] | None:
        for workspace, name in await self._workflows.with_webhook(path):
            workflow = (await self._workflows.get(workspace, name)).document
            for pattern, node in webhooks_of(workflow):
                found = pattern_of(pattern).fullmatch(path)
                if found is not None:
                    return workspace, name, node, found.groupdict()
        return None


def shown_headers(scope: Any) -> dict[str, str]:
    """The headers of a call, without what proves who calls."""
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        hidden = name in _SECRET or any(word in name for word in _SECRET_WORDS)
        headers[name] = REDACTED if hidden else value.decode("latin-1")
    return headers


def _header(scope: Any, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


async def _body(kind: str, scope: Any, receive: Any) -> Any:
    """The body as a value, where it is text and not too long; what else it was, in words."""
    if not is_text(kind.partition(";")[0].strip().lower()):
        return f"({kind})"
    try:
        return await decode(await read_whole(receive, LONGEST_BODY, _header(scope, b"content-length")), kind)
    except FlowFuseError as error:
        return f"({error.message})"
