"""APIClient: one outgoing call – guard, authenticate, send, read (the only door to httpx).

An httpx timeout is no deadline, so the caller bounds the whole call; decoded bytes are counted while
they come, so that a small answer cannot become a large one. Redirects are followed here, each hop
guarded, and credentials stay behind at the border of an origin.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec

from flowfuse.errors import AddressDenied, ConnectionLost, NodeFailed, OutputInvalid, RemoteError
from flowfuse.integrations.addresses import AddressGuard
from flowfuse.integrations.credential import OpenCredential
from flowfuse.model import Value

MAX_DECODED = 32_000_000
MAX_HOPS = 5
CONNECT_SECONDS = 10.0
CALLS_PER_ORIGIN = 64
EXCERPT, EXCERPT_READ = 200, 10_000
"""Characters of a refusal that its error shows, and bytes of it that are read for them."""
MAX_LANES = 1000
IDLE_CHECK_SECONDS = 0.02
_REDIRECTS = (301, 302, 303, 307, 308)
_SENSITIVE = ("authorization", "cookie", "proxy-authorization")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One outgoing call, as a node asks for it."""

    method: str
    url: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    body: Value
    body_type: str
    response: str
    accept: Callable[[int], bool]
    idempotency_key: str
    literal_host: bool
    operator: bool
    credential: OpenCredential | None


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Value


class APIClient:
    """Sends calls over pooled connections; one pool for trusted hosts, one for hosts from data."""

    def __init__(self, guard: AddressGuard, own_port: int | None = None) -> None:
        self._guard = guard
        self._own_port = own_port
        self._clients: dict[tuple[bool, bool], Any] = {}
        self._lanes: dict[tuple[str, int | None], asyncio.Semaphore] = {}

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def send(self, call: Call) -> Answer:
        """Send a call and read its answer. Raises NodeFailed for everything that can go wrong."""
        import httpx

        headers, content = _content(call)
        headers["idempotency-key"] = headers.get("idempotency-key", call.idempotency_key)
        trusted = call.literal_host or call.operator
        try:
            url = httpx.URL(call.url)
            if call.query:
                url = url.copy_merge_params(tuple(call.query))
            _check_url(url, call.url)
            return await self._hops(call, url, headers, content, trusted)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise NodeFailed(reason=f"url: “{call.url[:200]}” is no address: {error}") from None
        except NodeFailed:
            raise
        except httpx.TimeoutException as error:
            raise ConnectionLost(method=call.method, host=_host(call.url), reason=_text(error)) from None
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise _lost(call, error) from None

    async def _hops(
        self, call: Call, url: Any, headers: dict[str, str], content: bytes | None, trusted: bool
    ) -> Answer:
        method = call.method
        for _ in range(MAX_HOPS + 1):
            request_headers, url = _with_credential(call.credential, url, headers)
            answer, location = await self._one(call, method, url, request_headers, content, trusted)
            if location is None:
                return answer
            following = url.join(location)
            _check_url(following, location)
            if following.host != url.host:
                # Where a peer sends us is data, whoever wrote the first address.
                trusted = call.operator
            if (following.scheme, following.host, following.port) != (url.scheme, url.host, url.port):
                headers = {k: v for k, v in headers.items() if k.lower() not in _SENSITIVE}
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, content = "GET", None
                headers = {k: v for k, v in headers.items() if k.lower() != "content-type"}
            url = following
        raise NodeFailed(reason=f"{call.method} {_host(call.url)}: more than {MAX_HOPS} redirects")

    async def _one(
        self, call: Call, method: str, url: Any, headers: dict[str, str], content: bytes | None, trusted: bool
    ) -> tuple[Answer, str | None]:
        client = self._client(trusted, url.path.startswith("/hook/"))
        request = client.build_request(method, url, headers=headers, content=content)
        async with self._lane(url.host, url.port):
            return await self._exchange(call, client, request)

    async def _exchange(self, call: Call, client: Any, request: Any) -> tuple[Answer, str | None]:
        response = await client.send(request, stream=True)
        try:
            location = response.headers.get("location")
            if response.status_code in _REDIRECTS and location:
                return Answer(response.status_code, {}, None), location
            raw = await _read(response)
        finally:
            await response.aclose()
        status = response.status_code
        if status >= 400 and not call.accept(status):
            raise _remote_error(call, request, response, raw)
        return Answer(status, _headers(response), _body(call, response, raw)), None

    def _lane(self, host: str, port: int | None) -> asyncio.Semaphore:
        """Bounds the calls under way to one origin: a hung peer takes no place from the others, and the
        pool, which looks at every waiting call for each that ends, never has many waiting."""
        lane = self._lanes.get((host, port))
        if lane is None:
            if len(self._lanes) > MAX_LANES:
                self._lanes = {key: each for key, each in self._lanes.items() if each.locked()}
            lane = self._lanes[(host, port)] = asyncio.Semaphore(CALLS_PER_ORIGIN)
        return lane

    def _client(self, trusted: bool, hook: bool) -> Any:
        """The pool for such calls. Only what asks for a webhook gets connections to FlowFuse's own port."""
        client = self._clients.get((trusted, hook))
        if client is None:
            closed_port = None if hook else self._own_port
            client = self._clients[trusted, hook] = _make_client(self._guard, trusted, closed_port)
        return client


async def resolve(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """All addresses of a host. Raises OSError."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def _make_client(guard: AddressGuard, trusted: bool, closed_port: int | None) -> Any:
    """An httpx client whose every connection goes through the guard."""
    import httpcore
    import httpx

    # They log addresses and headers, which is where credentials are.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
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
            addresses = await resolve(host, port)
            for address in addresses:
                reason = guard.refusal(host, address, port, trusted=trusted, closed_port=closed_port)
                if reason is not None:
                    raise AddressDenied(host=host, reason=reason)
            stream = await _connect_any(inner, addresses, port, timeout, socket_options)
            return Stream(stream)

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30.0)
    context = httpx.create_ssl_context(trust_env=False)
    transport = httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False)
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=GuardedBackend(),
    )
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS, pool=None),
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": "FlowFuse", "accept": "*/*"},
    )


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


async def _read(response: Any) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_DECODED:
            raise NodeFailed(reason=f"The answer is larger than {MAX_DECODED // 1_000_000} MB")
        parts.append(part)
    return b"".join(parts)


def _content(call: Call) -> tuple[dict[str, str], bytes | None]:
    """Headers (lower-case names) and bytes of the body."""
    headers = {name.lower(): value for name, value in call.headers}
    for name, value in headers.items():
        if any(ord(c) < 32 and c != "\t" for c in name + value) or not name.isascii():
            raise NodeFailed(reason=f"headers: “{name}” cannot be sent")
    body, kind = call.body, call.body_type
    if kind == "none" or (body is None and kind == "auto"):
        return headers, None
    if kind == "form":
        if not isinstance(body, dict):
            raise NodeFailed(reason="body: a form is an object of fields")
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
        return headers, urlencode(body, doseq=True).encode()
    if kind == "json" or (kind == "auto" and not isinstance(body, str)):
        headers.setdefault("content-type", "application/json")
        return headers, msgspec.json.encode(body)
    headers.setdefault("content-type", "text/plain; charset=utf-8")
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    return headers, text.encode()


def _with_credential(
    credential: OpenCredential | None, url: Any, headers: dict[str, str]
) -> tuple[dict[str, str], Any]:
    """The request's headers and address with the credential in its place. Raises AddressDenied."""
    if credential is None:
        return headers, url
    if not credential.allows(url.host):
        raise AddressDenied(
            host=url.host,
            reason=f"the credential “{credential.name}” may be sent to {', '.join(credential.hosts)}",
        )
    data = credential.data
    if credential.kind == "query":
        return headers, url.copy_set_param(data["name"], data["value"])
    if credential.kind == "header":
        return {**headers, data["name"].lower(): data["value"]}, url
    if credential.kind == "bearer":
        return {**headers, "authorization": f"Bearer {data['token']}"}, url
    import base64

    pair = base64.b64encode(f"{data['user']}:{data['password']}".encode()).decode()
    return {**headers, "authorization": f"Basic {pair}"}, url


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _body(call: Call, response: Any, raw: bytes) -> Value:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if call.response == "json" or (call.response == "auto" and (kind.endswith(("/json", "+json")))):
        if not raw:
            return None
        try:
            return msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            if call.response == "auto":
                return _decoded(response, raw)
            raise OutputInvalid(reason=f"the answer is not JSON: {error}") from None
    return _decoded(response, raw)


def _decoded(response: Any, raw: bytes) -> str:
    charset = response.charset_encoding or "utf-8"
    try:
        return raw.decode(charset)
    except (UnicodeDecodeError, LookupError):
        kind = response.headers.get("content-type", "no content type")
        raise OutputInvalid(reason=f"the answer is no text ({kind})") from None


def _remote_error(call: Call, request: Any, response: Any, raw: bytes) -> RemoteError:
    text = raw[:EXCERPT_READ].decode("utf-8", "replace").strip()
    if call.credential is not None:
        # Before it is cut: a part of a secret would not be found any more.
        text = call.credential.redact(text)
    detail = f": {text[:EXCERPT]}" if text else ""
    error = RemoteError(
        method=request.method, host=request.url.host, status=response.status_code, detail=detail
    )
    error.retry_after = _retry_after(response.headers.get("retry-after"))
    return error


def _retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header: a number or a date (RFC 9110 §10.2.3)."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _check_url(url: Any, text: str) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise NodeFailed(reason=f"url: “{text[:200]}” does not begin with http:// or https:// and a host")


def _lost(call: Call, error: Exception) -> NodeFailed:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NodeFailed):
            return cause
        cause = cause.__cause__ or cause.__context__
    return ConnectionLost(method=call.method, host=_host(call.url), reason=_text(error))


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _host(url: str) -> str:
    import httpx

    try:
        return httpx.URL(url).host or url[:100]
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return url[:100]
