"""HookTrap: keeps the webhook calls that start nothing, so that a person can see and replay them.

A call for a workflow that is not published is caught whole; of one that was refused, what was sent
beside its body. Whatever a caller proves itself by is not kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from flowfuse.data.calls import LONGEST_BODY, WebhookCalls
from flowfuse.data.workflows import Hook, WorkflowRepository
from flowfuse.errors import FlowFuseError, NodeFailed
from flowfuse.integrations.credential import REDACTED
from flowfuse.integrations.vault import CredentialVault
from flowfuse.pages.hook_body import decode, is_text, kind_of, query_of, read_whole, sent_headers
from flowfuse.pages.hook_paths import DraftHooks
from flowfuse.pages.problems import status_of

log = logging.getLogger("flowfuse.hooks")

CAUGHT, REFUSED = 100, 2
"""So many calls in a second are looked at. Who is refused comes often, and brings nothing."""
COUNTED = 1000
"""So many addresses and webhooks are counted at once."""
_SECRET = ("authorization", "cookie", "proxy-authorization")
_SECRET_WORDS = ("signature", "token", "secret", "api-key", "apikey", "password")


class Caught(Struct, frozen=True):
    """Whose webhook a call was for, and by which kind of credential it knows its callers."""

    workspace: str
    workflow: str
    node: str
    auth: str
    credential: str | None


class HookTrap:
    """Catches what would be lost."""

    def __init__(
        self,
        workflows: WorkflowRepository,
        calls: WebhookCalls,
        vault: CredentialVault,
        drafts: DraftHooks,
        now_us: Callable[[], int],
    ) -> None:
        self._workflows, self._calls, self._vault, self._now_us = workflows, calls, vault, now_us
        self._drafts = drafts
        self._counted: dict[Any, tuple[int, int]] = {}

    async def missed(self, path: str, scope: Any, receive: Any, error: FlowFuseError) -> None:
        """Nothing is published at an address: keep the call for the draft that waits there, if any does."""
        try:
            found = await self._drafts.find(path)
            if found is None or self._is_flooded(path, CAUGHT):
                return
            hook, params = found
            caught = await self._waiting(hook)
            if caught is None:
                return
            body = await _body(_header(scope, b"content-type"), scope, receive)
            await self._keep(caught, scope, error, body, params)
        except FlowFuseError as trouble:
            _could_not(scope, trouble)

    async def refused(self, target: Any, scope: Any, error: FlowFuseError) -> None:
        """A call that its webhook refused."""
        caught = Caught(target.workspace, target.workflow, target.node, target.params.auth, target.credential)
        if self._is_flooded(caught, REFUSED):
            return
        try:
            await self._keep(caught, scope, error, None, {})
        except FlowFuseError as trouble:
            _could_not(scope, trouble)

    def _is_flooded(self, key: Any, most: int) -> bool:
        """Whether there were more than `most` within this second: each costs a look and a write."""
        second = self._now_us() // 1_000_000
        if len(self._counted) >= COUNTED:
            self._counted.clear()
        before = self._counted.get(key, (second, 0))
        count = before[1] + 1 if before[0] == second else 1
        self._counted[key] = (second, count)
        return count > most

    async def _keep(
        self, caught: Caught, scope: Any, error: FlowFuseError, body: Any, params: dict[str, str]
    ) -> None:
        headers = shown_headers(scope, await self._proof(caught))
        request = {
            "method": scope["method"], "path": scope["path"], "params": params,
            "query": query_of(scope["query_string"]), "headers": headers, "body": body,
        }  # fmt: skip
        key = (caught.workspace, caught.workflow, caught.node)
        await self._calls.keep(*key, status=status_of(error), reason=error.message, request=request)

    async def _proof(self, caught: Caught) -> str:
        """The header by which a caller is known here, beside the usual ones; empty where there is none."""
        if caught.auth != "header" or caught.credential is None:
            return ""
        try:
            return (await self._vault.open(caught.workspace, caught.credential)).data.get("name", "").lower()
        except NodeFailed:
            return ""  # a credential that is not there proves nothing

    async def _waiting(self, hook: Hook) -> Caught | None:
        """What a draft's webhook asks of its callers; None where it was taken away meanwhile."""
        workflow = (await self._workflows.get(hook.workspace, hook.workflow)).document
        placed = next((node for node in workflow.nodes if node.id == hook.node), None)
        if placed is None:
            return None
        auth = str(placed.config.get("auth", "none"))
        return Caught(hook.workspace, hook.workflow, hook.node, auth, placed.credential)


def _could_not(scope: Any, trouble: FlowFuseError) -> None:
    log.warning("A call of %s could not be kept: %s", scope["path"], trouble)


def shown_headers(scope: Any, hide: str) -> dict[str, str]:
    """The headers of a call without what proves who calls; `hide` is the header that proves it here."""
    return {
        name: REDACTED if name in (*_SECRET, hide) or any(word in name for word in _SECRET_WORDS) else value
        for name, value in sent_headers(scope).items()
    }


def _header(scope: Any, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


async def _body(kind: str, scope: Any, receive: Any) -> Any:
    """The body as a value, where it is text and not too long; what else it was, in words."""
    if not is_text(kind_of(kind)):
        return f"({kind})"
    try:
        raw = await read_whole(receive, LONGEST_BODY, _header(scope, b"content-length"))
        return await decode(raw, kind_of(kind))
    except FlowFuseError as error:
        return f"({error.message})"
