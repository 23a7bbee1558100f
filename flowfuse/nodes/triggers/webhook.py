"""Starts a run for each call of an address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from msgspec import field

from flowfuse.integrations.webhooks import Signature
from flowfuse.node import NodeType, Params, form

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
MAX_BYTES = 10_000_000


class SignatureParams(Params, frozen=True):
    """How a sender signs its calls."""

    header: Annotated[
        str, form("Header", "Holds the signature.", kind="plain", pattern=r"^[A-Za-z0-9-]{1,100}$")
    ] = "X-Signature"
    algorithm: Annotated[
        Literal["sha256", "sha1", "sha512"], form("Algorithm", widget="choice", kind="plain")
    ] = "sha256"
    encoding: Annotated[Literal["hex", "base64"], form("Written as", widget="choice", kind="plain")] = "hex"
    prefix: Annotated[
        str, form("Prefix", "Stands before the signature, such as `sha256=`.", kind="plain")
    ] = ""
    timestamp_header: Annotated[
        str,
        form(
            "Timestamp header",
            "Where the sender gives the time and signs `time.body`. Empty: the body alone is signed.",
            kind="plain",
        ),
    ] = ""
    tolerance: Annotated[
        float,
        form("Tolerance", "Seconds that it may be off.", widget="number", kind="plain", gt=0, le=86400),
    ] = 300.0

    def rule(self) -> Signature:
        """The same for whoever checks calls."""
        return Signature(
            self.header, self.algorithm, self.encoding, self.prefix, self.timestamp_header, self.tolerance
        )


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
        Literal["none", "basic", "bearer", "header", "hmac"],
        form(
            "Authentication",
            "Who may call, by the node's credential of the same kind. `hmac`: the sender signs the body.",
            widget="choice",
            kind="plain",
        ),
    ] = "none"
    signature: Annotated[
        SignatureParams,
        form("Signature", "How the sender signs, with `hmac`.", widget="json", kind="plain"),
    ] = field(default_factory=SignatureParams)
    dedupe: Annotated[
        str,
        form("Delivery id", "The header that names a delivery. Without it: Idempotency-Key, Webhook-Id, "
             "X-GitHub-Delivery. A second call with the same id gets the first run's answer.", kind="plain"),
    ] = ""  # fmt: skip
    max_bytes: Annotated[
        int, form("Largest body", "Bytes.", widget="number", kind="plain", ge=1, le=10_000_000_000)
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
    takes_credential = True
    params = WebhookParams
    output: ClassVar[Any] = WebhookValue
    example: ClassVar = {
        "id": "call",
        "type": "trigger.webhook",
        "config": {"path": "orders", "respond": "respond_node"},
    }

    def needs_credential(self, config: Mapping[str, Any]) -> bool:
        return bool(config.get("auth", "none") != "none")

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        path = config.get("path", "")
        if path.startswith("/") or path.endswith("/") or "//" in path:
            yield "path", f"“{path}”: a path has no slash at its ends, and no two in a row"
        if path.count("{") != path.count("}"):
            yield "path", f"“{path}”: a {{name}} is not closed"
