"""The gate around the whole application: who may ask at all, and under which name.

Host allow-list on every request (a page elsewhere that rebinds its name to this machine is refused),
`Origin` check on unsafe methods and upgrades (but for webhooks, which are called from anywhere), and
the headers that every answer carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flowfuse.errors import Denied, FlowFuseError
from flowfuse.pages.problems import problem_bytes
from flowfuse.pages.render import POLICY

HOOKS = ("/hook/", "/hook-draft/", "/resume/")
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Gate:
    """Checks a request before it reaches a route."""

    def __init__(self, hosts: Sequence[str], port: int) -> None:
        names = {*_LOOPBACK_NAMES, *(host.lower() for host in hosts)}
        self._hosts = frozenset(name.encode() for host in names for name in (host, f"{host}:{port}"))

    def refusal(self, scope: Any) -> FlowFuseError | None:
        """Why the request is refused; None where it may go on."""
        host = origin = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
        if host is None or host.lower() not in self._hosts:
            shown = (host or b"").decode("latin-1")
            return Denied(
                reason=f"The name “{shown}” is not one that this server answers to; add it to `hosts`"
            )
        if scope["path"].startswith(HOOKS):
            return Denied(reason="A webhook is no WebSocket") if scope["type"] == "websocket" else None
        if origin is None:
            return None
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return None
        if _authority(origin) != host.lower():
            return Denied(reason="The request comes from a page of another origin")
        return None

    async def refuse(self, error: FlowFuseError, scope: Any, send: Any) -> None:
        """Answer a refused request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": error.message[:100]})
            return
        body = problem_bytes(error, 403)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _authority(origin: bytes) -> bytes:
    """Host and port of an `Origin`; empty where it names none (`null`, or what no browser sends)."""
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower().encode()
    except ValueError:
        return b""


def with_headers(send: Any) -> Any:
    """A `send` that adds what every answer carries, unless the route has set it itself."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            headers += [pair for pair in _HEADERS if pair[0] not in there]
            if b"cache-control" not in there:
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await send(message)

    return sending
