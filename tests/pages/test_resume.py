"""A run that waits for its own address, and for people's decisions, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.local import LocalServer
from tests.support.server import request

HOLDS = {
    "id": "holds",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "say", "type": "transform.set", "config": {"fields": {"url": "{{ execution.resume_url }}"}}},
        {"id": "hold", "type": "action.wait_for_call"},
    ],
    "edges": [{"from": "go", "to": "say"}, {"from": "say", "to": "hold"}],
}
ASKS = {
    "id": "asks",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "ask", "type": "action.approval", "config": {"title": "Pay {{ trigger.n }}?"}},
        {"id": "yes", "type": "transform.set", "config": {"fields": {"said": "{{ input.comment }}"}}},
    ],
    "edges": [{"from": "go", "to": "ask"}, {"from": "ask.approved", "to": "yes"}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "data").start()
    yield running
    running.stop()


def until(seen: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := seen()):
        assert time.monotonic() < deadline
    return found


def start(server: LocalServer, document: dict[str, Any], value: Any = None) -> str:
    server.publish(document)
    answer = server.api("POST", f"/workflows/{document['id']}/run", {"version": "published", "input": value})
    return str(answer.json["id"])


def detail(server: LocalServer, execution: str) -> Any:
    return server.api("GET", f"/executions/{execution}").json


def test_the_address_of_a_waiting_run(server: LocalServer) -> None:
    execution = start(server, HOLDS)
    until(lambda: detail(server, execution)["execution"]["waiting"] == "call")
    url = next(n for n in detail(server, execution)["nodes"] if n["node"] == "say")["output"]["url"]
    assert urlsplit(url).netloc == f"127.0.0.1:{server.port}"
    wrong = url[:-1] + ("0" if url[-1] != "0" else "1")
    assert request("POST", wrong, {}).status == 404
    sent = {"origin": "https://elsewhere.example", "content-type": "application/json; charset=utf-8",
            "cookie": "ff_session=s3cret-9; id=7"}  # fmt: skip
    answer = request("POST", f"{url}?a=1", b'{"done": true}', sent)
    assert (answer.status, answer.json) == (200, {"id": execution, "status": "resumed"})
    ended = until(lambda: (d := detail(server, execution))["execution"]["state"] == "completed" and d)
    assert ended["result"]["body"] == {"done": True}
    assert ended["result"]["query"] == {"a": "1"}
    assert ended["result"]["headers"]["cookie"] == "id=7"
    assert request("POST", url, {}).status == 409


def test_a_decision(server: LocalServer) -> None:
    execution = start(server, ASKS, {"n": 5})
    (asked,) = until(lambda: server.api("GET", "/approvals").json["items"])
    assert (asked["execution"], asked["node"], asked["kind"]) == (execution, "ask", "approval")
    assert asked["question"]["title"] == "Pay 5?"
    path = f"/executions/{execution}/decide"
    assert server.api("POST", path, {"node": "ask", "decision": "maybe"}).status == 400
    assert server.api("POST", path, {"node": "other", "decision": "approved"}).status == 404
    assert server.api("POST", path, {"node": "ask", "decision": "approved", "comment": "ok"}).status == 204
    ended = until(lambda: (d := detail(server, execution))["execution"]["state"] == "completed" and d)
    assert ended["result"] == {"said": "ok"}
    assert server.api("GET", "/approvals").json["items"] == []
