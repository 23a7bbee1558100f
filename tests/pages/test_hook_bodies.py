"""Bodies of webhooks: JSON, forms, text, parts and files; bounds that hold while they come; hostile ones (T8)."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.local import LocalServer
from tests.support.server import Answer, request

pytestmark = pytest.mark.slow

COUNT = itertools.count()
Publish = Callable[..., str]


@pytest.fixture
def publish(server: LocalServer) -> Publish:
    def make(**config: Any) -> str:
        name = f"body{next(COUNT)}"
        given = {"path": name, "respond": "last_node", **config}
        hook = {"id": "hook", "type": "trigger.webhook", "config": given}
        server.publish({"id": name, "nodes": [hook], "edges": []})
        return f"{server.base}/hook/{name}"

    return make


def body_of(answer: Answer) -> Any:
    assert answer.status == 200, answer.raw
    return answer.json["body"]


def part(name: str, content: bytes, filename: str | None = None, kind: str = "") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"' if filename is not None else ""
    head += f"\r\nContent-Type: {kind}" if kind else ""
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


PARTS = {"content-type": "multipart/form-data; boundary=b"}
END = b"--b--\r\n"


def temporary(server: LocalServer) -> list[str]:
    folder = server.data / "files" / "tmp"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("application/json", b'{"a": [1]}', {"a": [1]}),
        ("application/vnd.api+json", b"[]", []),
        (
            "application/x-www-form-urlencoded",
            b"a=1&b=x+y&b=%C3%BC&c=",
            {"a": "1", "b": ["x y", "ü"], "c": ""},
        ),
        ("text/plain; charset=utf-8", "ü".encode(), "ü"),
        ("application/xml", b"<a/>", "<a/>"),
        ("application/x-ndjson", b"1\n2\n", "1\n2\n"),
        ("application/json", b"", None),
        ("image/png", b"", None),
    ],
)
def test_bodies_by_type(publish: Publish, kind: str, raw: bytes, value: Any) -> None:
    assert body_of(request("POST", publish(), raw, {"content-type": kind})) == value


def test_what_is_no_text_becomes_a_file(server: LocalServer, publish: Publish) -> None:
    raw = os.urandom(3_000_000)
    body = body_of(request("POST", publish(), raw, {"content-type": "application/pdf"}))
    sha = hashlib.sha256(raw).hexdigest()
    assert body == {"$file": sha, "name": "body", "type": "application/pdf", "size": len(raw)}
    assert server.app.engine.files.path(sha).read_bytes() == raw
    assert temporary(server) == []


def test_a_multipart_form(server: LocalServer, publish: Publish) -> None:
    image = os.urandom(2_500_000)
    raw = (
        part("note", "ü\r\n--c".encode()) + part("many", b"1") + part("many", b"2")
        + part("photo", image, "a/b ü.png", "image/png") + part("empty", b"", "") + part("none", b"", "none.txt") + END
    )  # fmt: skip
    body = body_of(request("POST", publish(), raw, PARTS))
    assert body["note"] == "ü\r\n--c"
    assert body["many"] == ["1", "2"]
    sha = hashlib.sha256(image).hexdigest()
    assert body["photo"] == {"$file": sha, "name": "b ü.png", "type": "image/png", "size": len(image)}
    assert body["empty"] is None
    assert body["none"]["size"] == 0
    assert server.app.engine.files.path(sha).read_bytes() == image
    assert temporary(server) == []


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("multipart/form-data", END),
        ("multipart/form-data; boundary=", END),
        ("multipart/form-data; boundary=b", b"garbage"),
        ("multipart/form-data; boundary=b", part("a", b"1", "f")),
        ("multipart/form-data; boundary=b", b"--b\r\nno colon\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", part("a", b"\xff\xfe") + END),
        ("multipart/form-data; boundary=b", b"".join(part(f"f{n}", b"") for n in range(1100)) + END),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n\r\n--b--\r\n"),
        ("multipart/form-data; boundary=\xff", END),
    ],
)
def test_hostile_forms_are_refused_and_leave_nothing(
    server: LocalServer, publish: Publish, kind: str, raw: bytes
) -> None:
    url = publish()
    answer = request("POST", url, raw, {"content-type": kind})
    assert (answer.status, answer.json["code"]) == (400, "request_invalid")
    assert temporary(server) == []
    assert server.executions(workflow=url.rpartition("/")[2]) == []


@pytest.mark.parametrize("kind", ["application/json", "image/png", "multipart/form-data; boundary=b"])
def test_the_bound_holds_while_the_body_comes(server: LocalServer, publish: Publish, kind: str) -> None:
    """Said by its length: refused before it comes. Sent in chunks without one: as soon as it is too much."""
    url = publish(max_bytes=100_000)
    path = url.removeprefix(server.base)
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 10)) as peer:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: 99999999999\r\n\r\n"
        peer.sendall(head.encode())
        assert b" 413 " in peer.recv(1000)
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 10)) as peer:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        peer.sendall(head.encode())
        piece = part("f", b"x" * 60_000, "x.bin") if "multipart" in kind else b"x" * 60_000
        with contextlib.suppress(OSError):
            for _ in range(50):
                peer.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        assert b" 413 " in peer.recv(1000)
    assert temporary(server) == []
    assert server.executions(workflow=url.rpartition("/")[2]) == []


def test_a_caller_that_leaves_in_the_middle_leaves_nothing(server: LocalServer, publish: Publish) -> None:
    path = publish().removeprefix(server.base)
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 10)) as peer:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 5000000\r\n\r\n"
        peer.sendall(head.encode() + b"x" * 3_000_000)
    for _ in range(200):
        if not temporary(server):
            break
        request("GET", f"{server.base}/health")
    assert temporary(server) == []
    assert server.executions(workflow=path.rpartition("/")[2]) == []


def test_a_file_by_a_value_of_ones_own_is_refused(server: LocalServer, publish: Publish) -> None:
    """A file's value stands for content; whoever knows a hash must not get the file by it."""
    url = publish()
    for body in (b'{"$file": "%b"}' % (b"0" * 64), b'{"a": [{"\\u0024file": "%b"}]}' % (b"a" * 64)):
        answer = request("POST", url, body)
        assert (answer.status, answer.json["field"]) == (400, "body")
    for value in ("../../../etc/passwd", 5, None, {"$file": 1}):
        assert body_of(request("POST", url, {"$file": value})) == {"$file": value}


def test_a_large_body_is_held_to_the_same_rules(publish: Publish) -> None:
    url, rows = publish(), b",".join([b'{"id":1,"tags":["a"]}'] * 100_000)
    envelope = b'{"data": {"more": 0, "items": [%b]}}'
    assert body_of(request("POST", url, envelope % rows)) == json.loads(envelope % rows)
    for wrong in (b"9223372036854775808", b"[" * 700 + b"]" * 700, b'{"$file": "%b"}' % (b"0" * 64)):
        answer = request("POST", url, envelope % (rows + b"," + wrong))
        assert (answer.status, answer.json["field"]) == (400, "body"), wrong[:30]


def test_a_file_is_answered_as_itself(server: LocalServer) -> None:
    hook = {"id": "hook", "type": "trigger.webhook", "config": {"path": "give", "respond": "respond_node"}}
    node = {
        "id": "answer",
        "type": "action.respond",
        "config": {"body": "{{ trigger.body }}", "headers": {"X-A": "1"}},
    }
    server.publish({"id": "give", "nodes": [hook, node], "edges": [{"from": "hook", "to": "answer"}]})
    raw = os.urandom(2_500_000)
    answer = request("POST", f"{server.base}/hook/give", raw, {"content-type": "image/png"})
    assert (answer.status, answer.raw) == (200, raw)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''body"
    assert (answer.headers["content-security-policy"], answer.headers["x-a"]) == ("sandbox", "1")


def test_a_full_disk_refuses_a_file_and_keeps_the_rest(
    server: LocalServer, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = publish()

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flowfuse.data.files.os.write", full)
    answer = request("POST", url, b"x" * 100, {"content-type": "image/png"})
    assert (answer.status, answer.json["code"]) == (503, "file_not_kept")
    assert "No space left" in answer.json["detail"]
    assert body_of(request("POST", url, {"a": 1})) == {"a": 1}
    monkeypatch.undo()
    assert body_of(request("POST", url, b"x" * 100, {"content-type": "image/png"}))["size"] == 100
