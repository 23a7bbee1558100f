"""Starts a run for each call of an address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from msgspec import field

from flowfuse.node import NodeType, Params, form

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
MAX_BYTES = 10_000_000


class WebhookParams(Params, frozen=True):
    """Where a webhook listens, and how it answers."""

    path: Annotated[
        str,
        form("Path", "Behind /hook/. Made when it is missing. `{name}` takes one part of the address.",
             kind="plain", pattern=r"^[A-Za-z0-9._~{}/-]{0,200}$"),
    ] = ""  # fmt: skip
    methods: Annotated[
        list[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]],
        form("Methods", "The HTTP methods that are taken.", widget="list", kind="plain"),
    ] = field(default_factory=lambda: ["POST"])
    respond: Annotated[
        Literal["at_once", "last_node", "respond_node"],
        form(
            "Answer",
            "At once, with the result of the run, or by a Respond node.",
            widget="choice",
            kind="plain",
        ),
    ] = "at_once"
    respond_timeout: Annotated[
        float, form("Answer within", "Seconds; after that the caller is told where to look.", widget="number",
                    kind="plain", gt=0, le=3600),
    ] = 30.0  # fmt: skip
    auth: Annotated[
        Literal["none"], form("Authentication", "Who may call.", widget="choice", kind="plain")
    ] = "none"
    dedupe: Annotated[
        str,
        form("Delivery id", "The header that names a delivery. Without it: Idempotency-Key, Webhook-Id, "
             "X-GitHub-Delivery. A second call with the same id gets the first run's answer.", kind="plain"),
    ] = ""  # fmt: skip
    max_bytes: Annotated[
        int, form("Largest body", "Bytes.", widget="number", kind="plain", ge=1, le=1_000_000_000)
    ] = MAX_BYTES


class WebhookValue(TypedDict):
    """What a call gives."""

    method: str
    path: str
    params: dict[str, str]
    query: dict[str, Any]
    headers: dict[str, str]
    body: Any


class WebhookTrigger(NodeType):
    type = "trigger.webhook"
    title = "Webhook"
    summary = "Starts when its address is called."
    icon = "hook"
    is_trigger = True
    params = WebhookParams
    output: ClassVar[Any] = WebhookValue
    example: ClassVar = {
        "id": "call",
        "type": "trigger.webhook",
        "config": {"path": "orders", "respond": "respond_node"},
    }

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        path = config.get("path", "")
        if path.startswith("/") or path.endswith("/") or "//" in path:
            yield "path", f"“{path}”: a path has no slash at its ends, and no two in a row"
        if path.count("{") != path.count("}"):
            yield "path", f"“{path}”: a {{name}} is not closed"
