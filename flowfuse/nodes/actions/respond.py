"""Answers the caller of a webhook; the run goes on behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from flowfuse.errors import ExpressionFailed
from flowfuse.node import Config, NodeType, Outcome, Output, Params, RespondNote, form


class RespondParams(Params, frozen=True):
    """The answer: status, headers, body."""

    status: Annotated[int, form("Status", "The HTTP status.", widget="number", ge=100, le=599)] = 200
    headers: Annotated[dict[str, Any], form("Headers", "Of the answer.", widget="key_value")] = {}  # noqa: RUF012
    body: Annotated[
        Any, form("Body", "A text or a file goes out as it is, all else as JSON.", widget="json")
    ] = None


class Respond(NodeType):
    type = "action.respond"
    title = "Respond"
    summary = "Answers the caller of the webhook. The first answer of a run counts."
    icon = "reply"
    params = RespondParams
    example: ClassVar = {
        "id": "answer",
        "type": "action.respond",
        "config": {"status": 200, "body": {"ok": True, "id": "{{ trigger.body.id }}"}},
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        body = config.get("body")
        if config.constant("status") and config.constant("headers"):
            fixed = RespondNote(_status(config.plain("status")), _headers(config.plain("headers")))
            return lambda frame: Output("main", body(frame), fixed)
        status, headers = config.get("status"), config.get("headers")
        return lambda frame: Output(
            "main", body(frame), RespondNote(_status(status(frame)), _headers(headers(frame)))
        )


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 200 <= value <= 599:
        raise ExpressionFailed(reason=f"status: {value!r} is no HTTP status of an answer (200 … 599)")
    return value


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ExpressionFailed(reason="headers: expected an object")
    headers = {}
    for name, content in value.items():
        text = content if isinstance(content, str) else "" if content is None else str(content)
        if not name.isascii() or any(c in name for c in ' \r\n\t:"(),/;<=>?@[]{}') or not name:
            raise ExpressionFailed(reason=f"headers: “{name}” is no name of a header")
        if any((ord(c) < 32 and c != "\t") or ord(c) > 255 for c in text):
            raise ExpressionFailed(
                reason=f"headers: the value of “{name}” has characters that a header cannot hold"
            )
        headers[name] = text
    return headers
