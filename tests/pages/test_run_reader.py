"""A run that is looked at again is not read again, and never shown as it was before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from flowfuse.model import Execution, ExecutionDetail
from flowfuse.pages import run_reader
from flowfuse.pages.run_reader import KEPT, RunReader
from tests.support.local import LocalServer

FLOW: dict[str, Any] = {
    "id": "read",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "ask", "type": "action.approval", "config": {"title": "Go on?"}},
    ],
    "edges": [{"from": "go", "to": "ask"}],
}
QUICK: dict[str, Any] = {"id": "quick", "nodes": [FLOW["nodes"][0]], "edges": []}


def found(server: LocalServer, id: str) -> Execution:
    execution: Execution = server.call(server.app.engine.executions.get("main", id))
    return execution


def read(server: LocalServer, reader: RunReader, id: str) -> ExecutionDetail:
    detail: ExecutionDetail = server.call(reader.detail("main", found(server, id)))
    return detail


def ran(server: LocalServer) -> str:
    done = server.api("POST", "/workflows/quick/run", {"input": {"a": 1}, "wait": 30}).json
    assert done["state"] == "completed"
    id: str = done["id"]
    return id


def test_what_has_ended_is_read_once_and_forgotten_for_others(server: LocalServer) -> None:
    assert server.api("POST", "/workflows", QUICK).status == 201
    reader = RunReader(server.app.engine.executions, server.app.engine.history)
    runs = [ran(server) for _ in range(KEPT + 1)]
    first = read(server, reader, runs[0])
    assert first.input == {"a": 1}
    assert read(server, reader, runs[0]) is first
    for id in runs[1:]:
        read(server, reader, id)
    assert read(server, reader, runs[0]) is not first


def test_what_is_too_large_is_not_held(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_reader, "KEPT_BYTES", 5)
    reader = RunReader(server.app.engine.executions, server.app.engine.history)
    id = ran(server)
    assert read(server, reader, id) is not read(server, reader, id)


def test_what_goes_on_is_read_as_it_stands(server: LocalServer) -> None:
    assert server.api("POST", "/workflows", FLOW).status == 201
    reader = RunReader(server.app.engine.executions, server.app.engine.history)
    id = server.api("POST", "/workflows/read/run", {"input": None, "wait": 0}).json["id"]
    until(lambda: [run.state for run in read(server, reader, id).nodes] == ["done", "approving"])
    decision = {"node": "ask", "decision": "approved"}
    assert server.api("POST", f"/executions/{id}/decide", decision).status == 204
    until(lambda: found(server, id).state == "completed")
    assert [run.state for run in read(server, reader, id).nodes] == ["done", "done"]


def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come to that")
