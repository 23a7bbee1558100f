"""Values marked sensitive are sealed wherever they are stored, and hidden where they are shown (§9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowfuse.clock import id_bytes
from flowfuse.document import from_raw
from flowfuse.engine.retry import Retry
from flowfuse.engine.sensitive import hidden
from flowfuse.engine.validation import ValidationEngine
from flowfuse.nodes import described
from tests.engine.test_retry import Again
from tests.support.flows import effect, flow, node, put
from tests.support.local import LocalServer
from tests.support.server import request
from tests.support.simulation import Engine, World

CARD = "4111-1111-sEcReT-1111"
DOCUMENT: dict[str, Any] = {
    "id": "pay",
    "settings": {"sensitive": ["trigger.body.card", "nodes.token"]},
    "nodes": [
        {"id": "hook", "type": "trigger.webhook", "config": {"path": "pay", "respond": "last_node"}},
        {"id": "token", "type": "transform.set", "config": {"fields": {"t": "{{ 'tok-' + trigger.body.card }}"}}},
        {"id": "copy", "type": "transform.set", "config": {"fields": {"of": "{{ nodes.token.t }}", "n": 1}}},
        {"id": "log", "type": "action.log", "config": {"message": "paid by {{ input.of }}"}},
        {"id": "big", "type": "transform.set", "config": {"fields": {"big": "{{ trigger.body.card + ('x' * 400000) }}"}}},
        {"id": "check", "type": "condition.if", "config": {"condition": "{{ trigger.body.ok }}"}},
        {"id": "stop", "type": "action.fail", "config": {"message": "refused: {{ nodes.token.t }}"}},
        {"id": "end", "type": "transform.set", "config": {"fields": {"card": "{{ trigger.body.card }}", "n": 2}}},
    ],
    "edges": [
        {"from": a, "to": b}
        for a, b in (
            ("hook", "token"), ("token", "copy"), ("copy", "log"), ("log", "big"), ("big", "check"),
            ("check.false", "stop"), ("check.true", "end"),
        )
    ],
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "data").start()
    yield running
    running.stop()


def test_what_a_run_was_given_is_read_from_its_beginning_alone(server: LocalServer) -> None:
    open_one = {**DOCUMENT, "id": "open", "settings": {}}
    open_one["nodes"] = [{**DOCUMENT["nodes"][0], "config": {"path": "open"}}, *DOCUMENT["nodes"][1:]]
    for document in (DOCUMENT, open_one):
        server.publish(document)
        request("POST", f"{server.base}/hook/{document['id']}", {"card": CARD, "ok": True})
    history = server.app.engine.history
    for each in server.executions():
        given = server.call(history.given("main", each["id"]))
        assert given == server.call(history.detail("main", each["id"])).input
        assert given["body"]["card"] == (CARD if each["workflow"] == "open" else "•••")


def test_nothing_of_it_is_kept_in_the_open(server: LocalServer) -> None:
    server.publish(DOCUMENT)
    answer = request("POST", f"{server.base}/hook/pay", {"card": CARD, "ok": True})
    assert answer.json == {"card": CARD, "n": 2}
    assert request("POST", f"{server.base}/hook/pay", {"card": CARD, "ok": False}).status == 500
    again = request("POST", f"{server.base}/hook/pay", {"card": CARD, "ok": True}, {"idempotency-key": "k"})
    assert (
        request("POST", f"{server.base}/hook/pay", {"card": CARD, "ok": True}, {"idempotency-key": "k"}).json
        == again.json
    )
    shown = b""
    for each in server.executions():
        shown += server.api("GET", f"/executions/{each['id']}").raw
        detail = server.api("GET", f"/executions/{each['id']}").json
        outputs = {run["node"]: run["output"] for run in detail["nodes"]}
        assert outputs["token"] == "•••"
        assert outputs["copy"] == {"of": "•••", "n": 1}
        assert outputs["hook"]["body"]["card"] == "•••"
        assert outputs["hook"]["body"]["ok"] in (True, False)
    assert CARD.encode() not in shown
    assert "refused: •••" in shown.decode()
    server.call(server.app.engine.database.fold_journal())
    server.stop()
    for path in server.data.rglob("*"):
        if path.is_file():
            assert CARD.encode() not in path.read_bytes(), path
    server.start()
    assert server.executions()[0]["state"] in ("completed", "failed")


def test_a_sealed_run_outlives_restarts_and_is_retried(world: World, engine: Engine) -> None:
    workflow = flow(
        put("secret", "{{ trigger.card }}"), effect("a", value="{{ nodes.secret.v }}", seconds=5),
        node("wait", "action.wait", seconds=50), effect("b", value="{{ trigger.card }}", fails=1),
        edges="start>secret secret>a a>wait wait>b", sensitive=["trigger.card", "nodes.secret"],
    )  # fmt: skip
    started = engine.start(workflow, {"card": CARD})
    engine.advance(2)
    engine = world.reboot()
    engine.advance(20)
    engine = world.reboot()
    assert engine.finish(started.id).state == "failed"
    assert {entry.value for entry in world.ledger.entries} == {CARD}
    for table, column in (("segments", "data"), ("blobs", "data")):
        for row in world.rows(f"SELECT {column} AS data FROM {table}"):
            assert CARD.encode() not in bytes(row["data"])
    again = Again(engine)
    assert isinstance(again.service, Retry)
    fresh = again(started.id)
    assert world.ledger.entries[-1].value == CARD
    for row in world.rows("SELECT data FROM segments WHERE execution_id = ?", id_bytes(fresh.id)):
        assert CARD.encode() not in bytes(row["data"])


def test_what_a_run_says_and_answers_by_hides_it(engine: Engine) -> None:
    workflow = flow(
        put("token", "{{ trigger.card }}"), node("log", "action.log", message="paid by {{ input.v }}"),
        node("answer", "action.respond", headers={"X-Card": "{{ trigger.card }}"}, body="{{ trigger.card }}"),
        edges="start>token token>log log>answer", sensitive=["trigger.card", "nodes.token"],
    )  # fmt: skip
    started = engine.start(workflow, {"card": CARD})
    engine.finish(started.id)
    assert [event.message for event in engine.events(started.id) if event.message] == ["paid by •••"]
    answer = hidden(engine.detail(started.id), started.plan).answer
    assert answer is not None
    assert (answer.headers["X-Card"], answer.body) == ("•••", "•••")


@pytest.mark.parametrize("path", ["nodes.nothing", "nodes", "input.card", "trigger..card", ""])
def test_a_path_that_names_nothing_is_a_problem(path: str) -> None:
    document = from_raw({**DOCUMENT, "settings": {"sensitive": [path]}})
    problems = ValidationEngine(described()).check(document)
    assert [(p.path, p.severity) for p in problems if p.code == "unknown_path"] == [
        ("settings.sensitive[0]", "error")
    ]
