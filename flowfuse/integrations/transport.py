"""Guarded connections: pools whose every connection goes to an address that was judged.

With `client`, the only door to httpx and its transport.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Iterable
from typing import Any

from flowfuse.errors import AddressDenied
from flowfuse.integrations.addresses import AddressGuard
from flowfuse.integrations.answer import ACCEPT_ENCODING

CONNECT_SECONDS = 10.0
IDLE_CHECK_SECONDS = 0.02
MAX_IDLE = 100
IDLE_SECONDS = 30.0


async def resolve(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """All addresses of a host. Raises OSError."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


async def judge(
    guard: AddressGuard, host: str, port: int, *, trusted: bool, closed_port: int | None
) -> list[Any]:
    """The host's addresses, all of which may be reached. Raises AddressDenied, OSError."""
    addresses = await resolve(host, port)
    for address in addresses:
        reason = guard.refusal(host, address, port, trusted=trusted, closed_port=closed_port)
        if reason is not None:
            raise AddressDenied(host=host, reason=reason)
    return addresses


def make_client(guard: AddressGuard, trusted: bool, closed_port: int | None, proxy: str = "") -> Any:
    """An httpx client whose every connection goes through the guard, to the peer or to the proxy."""
    import httpcore
    import httpx

    # They log addresses and headers, which is where credentials are.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    context = httpx.create_ssl_context(trust_env=False)
    limits: dict[str, Any] = {
        "ssl_context": context, "max_connections": None, "max_keepalive_connections": MAX_IDLE,
        "keepalive_expiry": IDLE_SECONDS, "network_backend": _backend(guard, trusted, closed_port),
    }  # fmt: skip
    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
    if proxy:
        url = httpx.URL(proxy)
        auth = (url.username, url.password) if url.username else None
        limits.update(proxy_url=str(url.copy_with(username=None, password=None)), proxy_auth=auth)
        if url.scheme == "https":
            limits["proxy_ssl_context"] = context
        transport._pool = httpcore.AsyncHTTPProxy(**limits)
    else:
        transport._pool = httpcore.AsyncConnectionPool(**limits)
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS, pool=None),
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": "FlowFuse", "accept": "*/*", "accept-encoding": ACCEPT_ENCODING},
    )


def _backend(guard: AddressGuard, trusted: bool, closed_port: int | None) -> Any:
    import httpcore

    loop = asyncio.get_running_loop()
    # The backend that httpcore itself takes for asyncio; ours only chooses the address.
    inner = httpcore.AnyIOBackend()

    class Stream(httpcore.AsyncNetworkStream):
        """A connection that does not ask the system, for each call that ends, whether it is still idle.

        The pool looks at all of its idle connections then; with 20 at once that was half of a call's cost.
        """

        def __init__(self, stream: Any) -> None:
            self._stream = stream
            self._asked, self._readable = -1.0, False

        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return bytes(await self._stream.read(max_bytes, timeout))

        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            await self._stream.write(buffer, timeout)

        async def aclose(self) -> None:
            await self._stream.aclose()

        async def start_tls(
            self,
            ssl_context: ssl.SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,
        ) -> Any:
            return Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

        def get_extra_info(self, info: str) -> Any:
            if info != "is_readable":
                return self._stream.get_extra_info(info)
            now = loop.time()
            if now - self._asked > IDLE_CHECK_SECONDS:
                self._asked, self._readable = now, bool(self._stream.get_extra_info(info))
            return self._readable

    class GuardedBackend(httpcore.AsyncNetworkBackend):
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> Any:
            addresses = await judge(guard, host, port, trusted=trusted, closed_port=closed_port)
            return Stream(await _connect_any(inner, addresses, port, timeout, socket_options))

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    return GuardedBackend()


async def _connect_any(
    backend: Any, addresses: list[Any], port: int, timeout: float | None, options: Iterable[Any] | None
) -> Any:
    """Connect to the first of the checked addresses that answers."""
    import httpcore

    error: Exception | None = None
    for address in addresses:
        try:
            return await backend.connect_tcp(str(address), port, timeout, None, options)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, OSError) as failed:
            error = failed
    raise error if error is not None else httpcore.ConnectError("the host has no address")
