"""Outgoing calls: each hop guarded, credentials only where they may go, own port closed, answers bounded."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from flowfuse.errors import AddressDenied, ConnectionLost, NodeFailed, OutputInvalid, RemoteError
from flowfuse.integrations.addresses import AddressGuard, parse_allowance
from flowfuse.integrations.client import MAX_DECODED, Answer, APIClient, Call
from flowfuse.integrations.credential import OpenCredential

pytestmark = pytest.mark.slow

Peer = Callable[[bytes], bytes]


class Peers:
    """Peers on ports of this machine, each answering raw bytes by the request it got."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self._servers: list[asyncio.Server] = []

    async def open(self, answer: Peer) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                request = await reader.readuntil(b"\r\n\r\n")
                self.seen.append(request)
                writer.write(answer(request))
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    made = Peers()
    yield made
    await made.close()


def ok(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def to(location: str, status: str = "302 Found") -> Peer:
    return lambda request: ok(b"", f"location: {location}", status=status)


async def send(
    url: str, *, own_port: int | None = None, allow: list[str] | None = None, **fields: Any
) -> Answer:
    client = APIClient(AddressGuard([parse_allowance(text) for text in allow or ()]), own_port)
    usual: dict[str, Any] = {
        "method": "GET", "query": [], "headers": [], "body": None, "body_type": "auto", "response": "auto",
        "accept": lambda status: False, "idempotency_key": "ff-0", "literal_host": True, "operator": False,
        "credential": None,
    }  # fmt: skip
    try:
        async with asyncio.timeout(10):
            return await client.send(Call(url=url, **{**usual, **fields}))
    finally:
        await client.close()


def bearer(*hosts: str) -> OpenCredential:
    return OpenCredential(
        name="c", kind="bearer", data={"token": "the-secret"}, hosts=hosts or ("127.0.0.1",)
    )


# -- addresses


async def test_a_host_of_the_document_may_be_loopback_and_one_from_data_not(peers: Peers) -> None:
    port = await peers.open(lambda request: ok())
    assert (await send(f"http://127.0.0.1:{port}/")).status == 200
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
        with pytest.raises(AddressDenied):
            await send(f"http://{host}:{port}/", literal_host=False)
    assert (
        await send(f"http://127.0.0.1:{port}/", literal_host=False, allow=[f"127.0.0.1:{port}"])
    ).status == 200
    assert (await send(f"http://127.0.0.1:{port}/", literal_host=False, operator=True)).status == 200
    assert len(peers.seen) == 3


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "//168.63.129.16/"]
)
@pytest.mark.parametrize("operator", [True, False])
async def test_a_redirect_to_metadata_is_refused(peers: Peers, location: str, operator: bool) -> None:
    port = await peers.open(to(location))
    with pytest.raises(AddressDenied, match="metadata|link-local"):
        await send(f"http://127.0.0.1:{port}/", operator=operator, allow=["0.0.0.0/0", "::/0"])


async def test_where_a_peer_sends_us_is_data(peers: Peers) -> None:
    inner = await peers.open(lambda request: ok())
    port = await peers.open(to(f"http://localhost:{inner}/"))
    with pytest.raises(AddressDenied, match="localhost"):
        await send(f"http://127.0.0.1:{port}/")
    assert len(peers.seen) == 1


async def test_redirects_are_followed_a_few_times(peers: Peers) -> None:
    last = await peers.open(lambda request: ok(b'{"here":1}', "content-type: application/json"))
    port = await peers.open(to(f"http://127.0.0.1:{last}/x"))
    assert (await send(f"http://127.0.0.1:{port}/")).body == {"here": 1}
    endless = await peers.open(to("/again"))
    with pytest.raises(NodeFailed, match="5 redirects"):
        await send(f"http://127.0.0.1:{endless}/")


@pytest.mark.parametrize(
    ("status", "expected"),
    [("301 M", b"GET"), ("302 F", b"GET"), ("303 S", b"GET"), ("307 T", b"POST"), ("308 P", b"POST")],
)
async def test_methods_over_redirects(peers: Peers, status: str, expected: bytes) -> None:
    last = await peers.open(lambda request: ok())
    port = await peers.open(to(f"http://127.0.0.1:{last}/", status))
    await send(f"http://127.0.0.1:{port}/", method="POST", body={"a": 1})
    assert peers.seen[-1].startswith(expected)
    assert (b"content-type" in peers.seen[-1]) is (expected == b"POST")


# -- the own port


async def test_of_the_own_port_only_the_webhooks(peers: Peers) -> None:
    port = await peers.open(lambda request: ok())
    assert (await send(f"http://127.0.0.1:{port}/hook/x", own_port=port)).status == 200
    paths = (
        "/",
        "/api/v1/workflows",
        "/hook",
        "/hook-draft/x",
        "/hook/../api/v1/x",
        "/hook/./../x",
        "/HOOK/x",
    )
    for path in paths:
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):
            with pytest.raises(AddressDenied, match="FlowFuse itself"):
                await send(f"http://{host}:{port}{path}", own_port=port, allow=["0.0.0.0/0"])
    assert len(peers.seen) == 1


async def test_a_redirect_into_the_own_port_is_refused(peers: Peers) -> None:
    own = await peers.open(lambda request: ok())
    port = await peers.open(to(f"http://127.0.0.1:{own}/api/v1/workflows"))
    with pytest.raises(AddressDenied, match="FlowFuse itself"):
        await send(f"http://127.0.0.1:{port}/", own_port=own)


async def test_a_connection_to_a_webhook_is_no_way_to_the_rest(peers: Peers) -> None:
    own = await peers.open(lambda request: ok() if b"/hook/" in request else ok(status="500 NO"))
    client = APIClient(AddressGuard(), own)
    call = Call(
        method="GET", url=f"http://127.0.0.1:{own}/hook/x", query=[], headers=[], body=None, body_type="auto",
        response="auto", accept=lambda status: False, idempotency_key="", literal_host=True, operator=False,
        credential=None,
    )  # fmt: skip
    assert (await client.send(call)).status == 200
    import msgspec

    with pytest.raises(AddressDenied):
        await client.send(msgspec.structs.replace(call, url=f"http://127.0.0.1:{own}/api/v1/x"))
    await client.close()


# -- credentials


async def test_a_credential_goes_to_its_hosts_alone(peers: Peers) -> None:
    port = await peers.open(lambda request: ok())
    await send(f"http://127.0.0.1:{port}/", credential=bearer())
    assert b"authorization: Bearer the-secret" in peers.seen[-1]
    for hosts in (("example.org",), (".127.0.0.1",), ("27.0.0.1",)):
        with pytest.raises(AddressDenied, match="may be sent to"):
            await send(f"http://127.0.0.1:{port}/", credential=bearer(*hosts))
    assert len(peers.seen) == 1


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("example.org", True), ("EXAMPLE.org.", True), ("a.example.org", False), ("b.dot.net", True), ("dot.net", False),
     ("evildot.net", False), ("example.org.evil", False)],
)  # fmt: skip
def test_hosts_of_a_credential(host: str, allowed: bool) -> None:
    assert bearer("example.org", ".dot.net").allows(host) is allowed


async def test_a_redirect_takes_no_credential_along(peers: Peers) -> None:
    other = await peers.open(lambda request: ok())
    port = await peers.open(to(f"http://localhost:{other}/"))
    with pytest.raises(AddressDenied, match="may be sent to"):
        await send(f"http://127.0.0.1:{port}/", credential=bearer(), operator=True)
    # A header that the document itself set stays behind at the border of an origin.
    await send(
        f"http://127.0.0.1:{port}/", headers=[("Authorization", "own"), ("X-Kept", "1")], operator=True
    )
    assert b"authorization" not in peers.seen[-1].lower()
    assert b"x-kept: 1" in peers.seen[-1].lower()


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("header", {"name": "X-Key", "value": "v 1"}, b"x-key: v 1\r\n"),
        ("basic", {"user": "u", "password": "pä"}, b"authorization: Basic dTpww6Q=\r\n"),
        ("query", {"name": "key", "value": "a b&c"}, b"GET /?a=1&key=a+b%26c HTTP"),
    ],
)
async def test_kinds(peers: Peers, kind: str, data: dict[str, str], expected: bytes) -> None:
    port = await peers.open(lambda request: ok())
    credential = OpenCredential(name="c", kind=kind, data=data, hosts=("127.0.0.1",))
    await send(f"http://127.0.0.1:{port}/", query=[("a", "1")], credential=credential)
    assert expected.lower() in peers.seen[-1].lower().replace(b"%20", b"+")
    assert data.get("value", data.get("password", "")) not in repr(credential)


async def test_a_secret_is_not_cut_into_an_error(peers: Peers) -> None:
    for before in range(150, 200, 7):
        port = await peers.open(lambda request, n=before: ok(b"x" * n + b"the-secret tail", status="400 Bad"))  # type: ignore[misc]
        with pytest.raises(RemoteError) as caught:
            await send(f"http://127.0.0.1:{port}/", credential=bearer())
        assert "the-" not in caught.value.message


# -- peers that misbehave


async def test_answers_are_bounded(peers: Peers) -> None:
    bomb = gzip.compress(b"0" * (MAX_DECODED + 1))
    port = await peers.open(lambda request: ok(bomb, "content-encoding: gzip"))
    with pytest.raises(NodeFailed, match="larger than"):
        await send(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"])
async def test_a_connection_that_breaks_is_lost(peers: Peers, raw: bytes) -> None:
    port = await peers.open(lambda request: raw)
    with pytest.raises(ConnectionLost) as caught:
        await send(f"http://127.0.0.1:{port}/")
    assert caught.value.retryable


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionLost):
        await send("http://127.0.0.1:9/")


@pytest.mark.parametrize("retry", [("7", 7.0), ("x", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)])
async def test_retry_after(peers: Peers, retry: tuple[str, float | None]) -> None:
    port = await peers.open(lambda request: ok(b"", f"retry-after: {retry[0]}", status="429 Slow"))
    with pytest.raises(RemoteError) as caught:
        await send(f"http://127.0.0.1:{port}/")
    assert caught.value.retry_after == retry[1]


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://a/", "http://", "http://[", "http://a:99999/", "file:///etc/passwd", "http://\ud800/"],
)
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(NodeFailed):
        await send(url)


@pytest.mark.parametrize(
    "headers", [[("X-A", "a\r\nX-B: b")], [("X-Ä", "1")], [("X-A", "\x00")], [("X-A", "ü")], [("a b", "1")]]
)
async def test_headers_that_cannot_be_sent(peers: Peers, headers: list[tuple[str, str]]) -> None:
    port = await peers.open(lambda request: ok())
    with contextlib.suppress(NodeFailed):
        await send(f"http://127.0.0.1:{port}/", headers=headers)
    assert not [seen for seen in peers.seen if b"\r\nX-B" in seen]


async def test_bodies_by_type(peers: Peers) -> None:
    json_port = await peers.open(lambda request: ok(b"[1", "content-type: application/json"))
    assert (await send(f"http://127.0.0.1:{json_port}/")).body == "[1"
    with pytest.raises(OutputInvalid):
        await send(f"http://127.0.0.1:{json_port}/", response="json")
    raw_port = await peers.open(lambda request: ok(b"\xff\xfe", "content-type: image/png"))
    with pytest.raises(OutputInvalid):
        await send(f"http://127.0.0.1:{raw_port}/")


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("gzip", gzip.compress(b"a" * 5_000_000)),
        ("gzip", gzip.compress(b"a" * 2_500_000) + gzip.compress(b"a" * 2_500_000)),
        ("deflate", zlib.compress(b"a" * 5_000_000)),
        ("identity", b"a" * 5_000_000),
    ],
)
async def test_encodings(peers: Peers, encoding: str, raw: bytes) -> None:
    port = await peers.open(lambda request: ok(raw, f"content-encoding: {encoding}"))
    assert (await send(f"http://127.0.0.1:{port}/")).body == "a" * 5_000_000


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [("gzip", b"no gzip"), ("gzip", gzip.compress(b"abc", mtime=0)[:-4]), ("br", b"x"), ("gzip, gzip", b"x")],
)
async def test_encodings_that_lie(peers: Peers, encoding: str, raw: bytes) -> None:
    port = await peers.open(lambda request: ok(raw, f"content-encoding: {encoding}"))
    with pytest.raises(OutputInvalid):
        await send(f"http://127.0.0.1:{port}/")


async def test_a_bomb_takes_no_memory(peers: Peers) -> None:
    """A gigabyte of zeros in a megabyte; many at once."""
    bomb = zlib.compress(b"0" * 300_000_000, 9)
    port = await peers.open(lambda request: ok(bomb, "content-encoding: deflate"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls = [send(f"http://127.0.0.1:{port}/", max_bytes=4_000_000) for _ in range(10)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, NodeFailed) and "larger than 4 MB" in each.message for each in ended)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100
