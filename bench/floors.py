"""What the figures are held against, and the small tools to measure with."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import statistics
import time
from typing import Any
from urllib.parse import urlsplit

LITESTAR = """
import sys, uvicorn
from litestar import Litestar, post

@post("/echo", status_code=200)
async def echo(data: dict) -> dict:
    return data

uvicorn.run(Litestar([echo], openapi_config=None), port=int(sys.argv[1]), log_level="error")
"""

STUB = """
import asyncio, sys, uvloop

class Stub(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while b"\\r\\n\\r\\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\\r\\n\\r\\n")
            number = int(head.split(b"i=", 1)[1].split(b" ", 1)[0].split(b"&", 1)[0])
            body = b'{"i":%d,"v":%d}' % (number, 3 * number)
            self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n"
                                 b"content-length: %d\\r\\n\\r\\n%b" % (len(body), body))

async def main():
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

uvloop.run(main())
"""


LARGE = """
import asyncio, sys

async def serve(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    left = int(sys.argv[2]) if b"/large" in head else 2
    kind = b"application/octet-stream" if left > 2 else b"application/json"
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: %b\\r\\ncontent-length: %d\\r\\n"
                 b"connection: close\\r\\n\\r\\n" % (kind, left))
    piece = b"{}" if left == 2 else bytes(range(256)) * 1024
    while left:
        writer.write(piece[:left])
        left -= min(left, len(piece))
        await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


TICKS = """
import asyncio, json, sys, time
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

ticks = []

async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        at = time.time()
        asked = urlsplit(head.split(b" ")[1].decode())
        due = parse_qs(asked.query).get("due")
        if due:
            ticks.append({"at": at, "due": datetime.fromisoformat(due[0]).timestamp()})
        body = json.dumps(ticks if asked.path == "/ticks" else {}).encode()
        writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n"
                     b"content-length: %d\\r\\n\\r\\n%b" % (len(body), body))

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def hammer(url: str, body: dict[str, Any], length: float, connections: int = 8) -> float:
    """Right answers a second over so many kept connections, for `length` seconds."""
    parts = urlsplit(url)
    content = json.dumps(body).encode()
    sent = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    ).encode() + content

    async def one(until: float) -> int:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        count = 0
        while time.perf_counter() < until:
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(size)
            count += 1
        writer.close()
        return count

    async def all_of_them() -> float:
        begun = time.perf_counter()
        counts = await asyncio.gather(*(one(begun + length) for _ in range(connections)))
        return sum(counts) / (time.perf_counter() - begun)

    return asyncio.run(all_of_them())


class BareCalls:
    """Parallel GETs by plain httpx in one gather, on the same event loop implementation as the product."""

    def __init__(self, port: int, count: int) -> None:
        import httpx
        import uvloop

        self._url, self._count = f"http://127.0.0.1:{port}/item", count
        self._loop = uvloop.new_event_loop()
        self._client = httpx.AsyncClient()

    def once(self) -> float:
        """Seconds of one gather, answers decoded."""
        begun = time.perf_counter()
        self._loop.run_until_complete(self._gather())
        return time.perf_counter() - begun

    def close(self) -> None:
        """Close the client and its loop."""
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()

    async def _gather(self) -> None:
        calls = (self._client.get(self._url, params={"i": number}) for number in range(self._count))
        for answer in await asyncio.gather(*calls):
            answer.json()


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def request(
    method: str, url: str, body: Any = None, timeout: float = 60, headers: dict[str, str] | None = None
) -> Any:
    """One request on a fresh connection; the decoded answer. Raises OSError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        content = None if body is None else json.dumps(body).encode()
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, content, {"content-type": "application/json", **(headers or {})})
        return json.loads(connection.getresponse().read() or b"null")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()


def wait_for(url: str) -> None:
    """Until the address answers."""
    for _ in range(600):
        try:
            request("GET", url)
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def bare_code(count: int) -> float:
    """Median seconds of a fresh session of the sandbox's package, by itself in this process."""
    from pydantic_monty import Monty

    took = []
    with Monty(min_processes=1, max_processes=1) as pool:
        for _ in range(count):
            begun = time.perf_counter()
            with pool.checkout() as session:
                session.feed_run("a + b", inputs={"a": 3, "b": 4})
            took.append(time.perf_counter() - begun)
    return statistics.median(took)
