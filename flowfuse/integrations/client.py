"""APIClient: one outgoing call – guard, authenticate, send, read.

An httpx timeout is no deadline, so the caller bounds the whole call; decoded bytes are counted while
they come, so that a small answer cannot become a large one. Redirects are followed here, each hop
guarded, and credentials stay behind at the border of an origin.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import msgspec

from flowfuse.data.files import FileStore
from flowfuse.errors import AddressDenied, ConfigInvalid, ConnectionLost, NodeFailed
from flowfuse.integrations.addresses import AddressGuard, Allowance
from flowfuse.integrations.answer import MAX_DECODED, Answer, Wanted, body_of, headers_of, remote_error
from flowfuse.integrations.content import Content, content_of, nothing
from flowfuse.integrations.credential import OpenCredential
from flowfuse.integrations.transport import judge, make_client, resolve
from flowfuse.model import Value

__all__ = ["MAX_DECODED", "APIClient", "Answer", "Call"]

MAX_HOPS = 5
CALLS_PER_ORIGIN = 64
MAX_LANES = 1000
OWN_PATHS = ("/hook/", "/demo/")
"""What workflows may call of FlowFuse itself."""
MAX_POOLS = 64
DIRECT = "none"
"""As a call's proxy: without the one of the settings."""
_REDIRECTS = (301, 302, 303, 307, 308)
_SENSITIVE = ("authorization", "cookie", "proxy-authorization")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One outgoing call, as a node asks for it. `max_bytes` 0 is the usual bound of its kind of answer."""

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
    max_bytes: int = 0
    proxy: str = ""
    workspace: str = ""


class APIClient:
    """Sends calls over pooled connections; one pool for trusted hosts, one for hosts from data."""

    def __init__(
        self,
        guard: AddressGuard,
        own_port: int | None = None,
        files: FileStore | None = None,
        *,
        proxy: str = "",
        no_proxy: Sequence[Allowance] = (),
    ) -> None:
        if (wrong := check_proxy(proxy)) is not None:
            raise ConfigInvalid(field="network.proxy", reason=wrong)
        self._guard = guard
        self._own_port = own_port
        self._files = files
        self._proxy, self._no_proxy = proxy, tuple(no_proxy)
        self._clients: dict[tuple[bool, bool, str], Any] = {}
        self._lanes: dict[tuple[str, int | None], asyncio.Semaphore] = {}

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def send(self, call: Call) -> Answer:
        """Send a call and read its answer. Raises NodeFailed for everything that can go wrong."""
        import httpx

        headers = _headers(call)
        headers["idempotency-key"] = headers.get("idempotency-key", call.idempotency_key)
        content = await content_of(call.body, call.body_type, headers, self._files, call.workspace)
        trusted = call.literal_host or call.operator
        try:
            url = httpx.URL(self._full(call))
            if call.query:
                url = url.copy_merge_params(tuple(call.query))
            _check_url(url, call.url)
            return await self._hops(call, url, content, trusted)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise NodeFailed(reason=f"url: “{call.url[:200]}” is no address: {error}") from None
        except NodeFailed:
            raise
        except httpx.TimeoutException as error:
            raise ConnectionLost(method=call.method, host=_host(call.url), reason=_text(error)) from None
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise _lost(call, error) from None

    def _full(self, call: Call) -> str:
        """The whole address of a call: one that begins with / in the document is FlowFuse's own."""
        if not call.url.startswith("/") or not call.literal_host or self._own_port is None:
            return call.url
        return f"http://127.0.0.1:{self._own_port}{call.url}"

    async def _hops(self, call: Call, url: Any, content: Content, trusted: bool) -> Answer:
        method, headers, make = call.method, content.headers, content.make
        for _ in range(MAX_HOPS + 1):
            request_headers, full_url = _with_credential(call.credential, url, headers)
            hop = Content(request_headers, make)
            answer, location = await self._one(call, method, full_url, hop, trusted)
            if location is None:
                return answer
            following = url.join(location)
            _check_url(following, location)
            if following.host != url.host:
                # Where a peer sends us is data, whoever wrote the first address.
                trusted = call.operator
            if (following.scheme, following.host, following.port) != (url.scheme, url.host, url.port):
                headers = {k: v for k, v in headers.items() if k not in _SENSITIVE}
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, make = "GET", nothing
                headers = {k: v for k, v in headers.items() if k not in ("content-type", "content-length")}
            url = following
        raise NodeFailed(reason=f"{call.method} {_host(call.url)}: more than {MAX_HOPS} redirects")

    async def _one(
        self, call: Call, method: str, url: Any, content: Content, trusted: bool
    ) -> tuple[Answer, str | None]:
        proxy = await self._proxy_for(call, url, trusted)
        client = self._client(trusted, url.path.startswith(OWN_PATHS), proxy)
        async with self._lane(url.host, url.port):
            with ExitStack() as stack:
                made = content.make(stack)
                request = client.build_request(method, url, headers=content.headers, **made)
                return await self._exchange(call, client, request)

    async def _exchange(self, call: Call, client: Any, request: Any) -> tuple[Answer, str | None]:
        response = await client.send(request, stream=True)
        try:
            location = response.headers.get("location")
            status = response.status_code
            if status in _REDIRECTS and location:
                return Answer(status, {}, None), location
            if status >= 400 and not call.accept(status):
                raise await remote_error(request, response, call.credential)
            wanted = Wanted(call.response, call.max_bytes, call.workspace, call.credential)
            body, size = await body_of(response, wanted, self._files)
        finally:
            await response.aclose()
        link = response.links.get("next", {}).get("url", "")
        return Answer(status, headers_of(response), body, size, link, str(request.url)), None

    async def _proxy_for(self, call: Call, url: Any, trusted: bool) -> str:
        """The proxy of a call; "" where it goes straight. The target is judged here, for its connection
        is made by the proxy. Raises AddressDenied."""
        proxy = call.proxy or self._proxy
        if not proxy or proxy == DIRECT:
            return ""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses = await resolve(url.host, port)
        except OSError:
            # A name that only the proxy knows: the document may give it, data may not.
            if trusted:
                return proxy
            raise
        if any(entry.covers(url.host, each, port) for entry in self._no_proxy for each in addresses):
            return ""
        if not call.proxy and all(each.is_loopback for each in addresses):
            return ""
        closed_port = None if url.path.startswith(OWN_PATHS) else self._own_port
        await judge(self._guard, url.host, port, trusted=trusted, closed_port=closed_port)
        return proxy

    def _lane(self, host: str, port: int | None) -> asyncio.Semaphore:
        """Bounds the calls under way to one origin: a hung peer takes no place from the others, and the
        pool, which looks at every waiting call for each that ends, never has many waiting."""
        lane = self._lanes.get((host, port))
        if lane is None:
            if len(self._lanes) > MAX_LANES:
                self._lanes = {key: each for key, each in self._lanes.items() if each.locked()}
            lane = self._lanes[(host, port)] = asyncio.Semaphore(CALLS_PER_ORIGIN)
        return lane

    def _client(self, trusted: bool, hook: bool, proxy: str) -> Any:
        """The pool for such calls. Only what asks for a webhook gets connections to FlowFuse's own port."""
        if proxy:
            # Every connection is one to the proxy, whose address a document or the settings give.
            trusted, hook = True, False
        client = self._clients.get((trusted, hook, proxy))
        if client is None:
            if len(self._clients) >= MAX_POOLS:
                raise NodeFailed(reason=f"proxy: more than {MAX_POOLS} different proxies are in use")
            closed_port = None if hook else self._own_port
            client = self._clients[trusted, hook, proxy] = make_client(
                self._guard, trusted, closed_port, proxy
            )
        return client


def join_url(here: str, address: str) -> tuple[str, str]:
    """An address as a page at `here` means it, and its host. Raises NodeFailed."""
    import httpx

    try:
        url = httpx.URL(here).join(address)
    except (httpx.InvalidURL, ValueError):
        raise NodeFailed(reason=f"“{address[:200]}” is no address") from None
    return str(url), url.host


def check_proxy(text: str) -> str | None:
    """Why a text is no proxy; None where it is one, or none at all."""
    if text in ("", DIRECT):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "this is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        return "this is not like http://proxy.example.org:3128"
    return None


def _headers(call: Call) -> dict[str, str]:
    """The document's headers with lower-case names. Raises NodeFailed for what cannot be sent."""
    headers = {name.lower(): value for name, value in call.headers}
    for name, value in headers.items():
        if any(ord(c) < 32 and c != "\t" for c in name + value) or not name.isascii():
            raise NodeFailed(reason=f"headers: “{name}” cannot be sent")
    return headers


def _with_credential(
    credential: OpenCredential | None, url: Any, headers: dict[str, str]
) -> tuple[dict[str, str], Any]:
    """The request's headers and address with the credential in its place. Raises AddressDenied."""
    if credential is None:
        return headers, url
    if not credential.allows(url.host):
        hosts = ", ".join(credential.hosts) or "no host"
        reason = f"the credential “{credential.name}” may be sent to {hosts}"
        raise AddressDenied(host=url.host, reason=reason)
    data = credential.data
    if credential.kind == "query":
        return headers, url.copy_set_param(data["name"], data["value"])
    if credential.kind == "header":
        return {**headers, data["name"].lower(): data["value"]}, url
    if credential.kind == "bearer":
        return {**headers, "authorization": f"Bearer {data['token']}"}, url
    if credential.kind != "basic":
        raise NodeFailed(reason=f"A credential of the kind {credential.kind} is not for outgoing calls")
    pair = base64.b64encode(f"{data['user']}:{data['password']}".encode()).decode()
    return {**headers, "authorization": f"Basic {pair}"}, url


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
