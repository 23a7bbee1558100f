"""An answer leaves as one packet; what is not there yet is not waited for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn

from flowfuse.commands.protocol import JOINED, OnePacketProtocol

Send = Callable[[dict[str, Any]], Awaitable[None]]
BODIES = {
    "/whole": b"whole",
    "/limit": b"x" * JOINED,
    "/large": b"y" * (JOINED + 1),
    "/head": b"HTTP/1.1 200 OK",
}


class Peer:
    """A small application behind the protocol; `release` lets a body follow that keeps us waiting."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.release: asyncio.Event
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._answer,
                http=OnePacketProtocol,
                interface="asgi3",
                lifespan="off",
                log_level="warning",
                timeout_graceful_shutdown=2,
            )
        )
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self) -> None:
        self.release, self.loop = asyncio.Event(), asyncio.get_running_loop()
        self.loop.call_soon(self._ready.set)
        await self._server.serve(sockets=[self.listener])

    async def _answer(self, scope: Any, receive: Any, send: Send) -> None:
        path = scope["path"]
        status = 204 if path == "/none" else 200
        body = BODIES.get(path, b"")
        headers = [] if path in ("/later", "/none") else [(b"content-length", b"%d" % len(body))]
        if path == "/last":
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if path == "/later":
            await self.release.wait()
            await send({"type": "http.response.body", "body": b"late", "more_body": True})
        await send({"type": "http.response.body", "body": body})

    def let_go(self) -> None:
        self.loop.call_soon_threadsafe(self.release.set)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)


@pytest.fixture
def peer() -> Iterator[Peer]:
    there = Peer()
    try:
        yield there
    finally:
        there.stop()


@pytest.fixture
def connection(peer: Peer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", peer.port), timeout=20) as there:
        yield there


def ask(connection: socket.socket, path: str, method: str = "GET") -> bytes:
    """Ask, and take what the first packet brings."""
    connection.sendall(f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    return connection.recv(1 << 20)


def test_head_and_body_come_together(connection: socket.socket) -> None:
    for _ in range(50):
        head, _, body = ask(connection, "/whole").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert body == b"whole"


def test_a_head_does_not_wait_for_a_body_that_is_not_there(peer: Peer, connection: socket.socket) -> None:
    assert ask(connection, "/later").endswith(b"\r\n\r\n")
    peer.let_go()
    rest = b""
    while not rest.endswith(b"0\r\n\r\n"):
        rest += connection.recv(100)
    assert rest == b"4\r\nlate\r\n0\r\n\r\n"


@pytest.mark.parametrize("path", ["/limit", "/large", "/head", "/last"])
def test_nothing_is_lost_or_comes_in_another_order(connection: socket.socket, path: str) -> None:
    received = ask(connection, path)
    while len(received.partition(b"\r\n\r\n")[2]) < len(BODIES.get(path, b"")):
        received += connection.recv(1 << 20)
    assert received.partition(b"\r\n\r\n")[2] == BODIES.get(path, b"")


def test_an_answer_without_a_body_is_whole(connection: socket.socket) -> None:
    assert ask(connection, "/whole", "HEAD").endswith(b"content-length: 5\r\n\r\n")
    assert ask(connection, "/none").startswith(b"HTTP/1.1 204")
    assert ask(connection, "/whole").endswith(b"whole")


def test_what_was_asked_behind_it_is_answered_behind_it(connection: socket.socket) -> None:
    one = b"GET /whole HTTP/1.1\r\nhost: x\r\n\r\n"
    connection.sendall(one * 3)
    received = b""
    while received.count(b"whole") < 3:
        received += connection.recv(1 << 20)
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.endswith(b"whole")


def test_a_connection_that_ends_is_closed_after_its_answer(connection: socket.socket) -> None:
    assert b"connection: close" in ask(connection, "/last")
    assert connection.recv(100) == b""
