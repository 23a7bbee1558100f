"""The gate around the whole application: who may ask at all, and under which name.

Host allow-list on every request (a page elsewhere that rebinds its name to this machine is refused),
`Origin` and `Sec-Fetch-Site` checks on unsafe methods and upgrades (but for webhooks, which are called
from anywhere), and the headers that every answer carries. On the LAN, nothing but the setup page answers
until there is an owner.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from flowfuse.errors import Denied, FlowFuseError
from flowfuse.pages.problems import problem_bytes
from flowfuse.pages.render import POLICY

HOOKS = ("/hook/", "/hook-draft/", "/resume/")
SETUP_PATHS = ("/setup", "/static/", "/health", "/ready", "/api/v1/links")
"""What answers before there is an owner. Links take the install's token."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
_ELSEWHERE = (b"cross-site", b"same-site")
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Gate:
    """Checks a request before it reaches a route."""

    def __init__(
        self,
        hosts: Sequence[str],
        port: int,
        *,
        lan: bool = False,
        tls: bool = False,
        claimed: Callable[[], bool] = lambda: True,
    ) -> None:
        names = {*_LOOPBACK_NAMES, *(host.lower() for host in hosts)}
        self._hosts = frozenset(name.encode() for host in names for name in (host, f"{host}:{port}"))
        self._port, self._lan, self._claimed = port, lan, claimed
        self._headers = (*_HEADERS, _STRICT_TRANSPORT) if tls else _HEADERS
        self._no_owner = Denied(
            reason="FlowFuse has no owner yet; make one at /setup, with the terminal's code"
        )

    def refusal(self, scope: Any) -> FlowFuseError | None:
        """Why the request is refused; None where it may go on."""
        host = origin = site = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if host is None or not self._is_ours(host.lower()):
            shown = (host or b"").decode("latin-1")
            return Denied(
                reason=f"The name “{shown}” is not one that this server answers to; add it to `hosts`"
            )
        if self.setup_only and not scope["path"].startswith(SETUP_PATHS):
            return self._no_owner
        if scope["path"].startswith(HOOKS):
            return Denied(reason="A webhook is no WebSocket") if scope["type"] == "websocket" else None
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return None
        if site in _ELSEWHERE or (origin is not None and _authority(origin) != host.lower()):
            return Denied(reason="The request comes from a page of another origin")
        return None

    def _is_ours(self, host: bytes) -> bool:
        """Whether the server answers to that name. A page elsewhere can have its own name lead here, but
        no page's name is a bare address, so on the LAN every address will do."""
        if host in self._hosts:
            return True
        if not self._lan:
            return False
        name, _, port = host.decode("latin-1").rpartition(":")
        if not name or host.endswith(b"]"):
            name, port = host.decode("latin-1"), str(self._port)
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return port == str(self._port)

    @property
    def setup_only(self) -> bool:
        """Whether nothing but the setup page answers: others can reach the server, and nobody owns it."""
        return self._lan and not self._claimed()

    def with_headers(self, send: Any) -> Any:
        """A `send` that adds what every answer carries, unless the route has set it itself."""

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [pair for pair in self._headers if pair[0] not in there]
                if b"cache-control" not in there:
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        return sending

    async def refuse(self, error: FlowFuseError, scope: Any, send: Any) -> None:
        """Answer a refused request; without an owner, who reads a page is led to where one is made."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": error.message[:100]})
            return
        if error is self._no_owner and _reads_a_page(scope):
            await send({"type": "http.response.start", "status": 303, "headers": [(b"location", b"/setup")]})
            await send({"type": "http.response.body", "body": b""})
            return
        body = problem_bytes(error, 403)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _reads_a_page(scope: Any) -> bool:
    accepted = (value for name, value in scope["headers"] if name == b"accept")
    return scope["method"] in ("GET", "HEAD") and any(b"text/html" in value for value in accepted)


def _authority(origin: bytes) -> bytes:
    """Host and port of an `Origin`; empty where it names none (`null`, or what no browser sends)."""
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower().encode()
    except ValueError:
        return b""
