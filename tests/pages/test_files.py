"""Files over HTTP: given out to be saved only, to who is signed in; taken in while they come."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.local import LocalServer
from tests.support.server import request


def upload(
    server: LocalServer, data: bytes, name: str = "a.bin", kind: str = "application/pdf"
) -> dict[str, object]:
    answer = server.api("POST", f"/files?name={name}", data, content_type=kind)
    assert answer.status == 201, answer.raw
    value: dict[str, object] = answer.json
    return value


def test_up_and_down(server: LocalServer) -> None:
    data = os.urandom(12_000_000)
    value = upload(server, data)
    sha = hashlib.sha256(data).hexdigest()
    assert value == {"$file": sha, "name": "a.bin", "type": "application/pdf", "size": len(data)}
    answer = server.api("GET", f"/files/{sha}?name=r%C3%BC.pdf")
    assert (answer.status, answer.raw) == (200, data)


def test_a_file_is_never_a_page_of_ours(server: LocalServer) -> None:
    value = upload(server, b"<script>alert(1)</script>", "x.html", "text/html")
    answer = server.api("GET", f"/files/{value['$file']}?name=x%22%0d%0ax-evil:1.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "x-evil" not in answer.headers


def test_only_for_who_is_signed_in(server: LocalServer) -> None:
    value = upload(server, b"private")
    for path in (f"/files/{value['$file']}", f"/api/v1/files/{value['$file']}"):
        assert request("GET", server.base + path).status == 401
    assert request("POST", f"{server.base}/api/v1/files", b"x").status == 401


def test_what_is_not_kept(server: LocalServer) -> None:
    for name in ("0" * 64, "x", "..", "%2e%2e%2fflowfuse.db", "tmp"):
        assert server.api("GET", f"/files/{name}").status == 404


def test_an_upload_that_breaks_off_leaves_nothing(server: LocalServer) -> None:
    token = (server.data / "token").read_text().strip()

    def kept() -> list[Path]:
        return sorted((server.data / "files").rglob("*"))

    before = kept()
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 10)) as peer:
        head = f"POST /api/v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 9000000\r\n\r\n"
        peer.sendall(head.encode() + b"x" * 2_000_000)
        _until(server, lambda: kept() != before)
    _until(server, lambda: kept() == before)


def _until(server: LocalServer, holds: Callable[[], bool]) -> None:
    """Ask the server for something, again and again, till it holds; it has ten seconds."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        request("GET", f"{server.base}/health")
