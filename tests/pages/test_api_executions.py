"""/api/v1/executions: lists by cursor, every node's story, orders."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from tests.support.local import LocalServer
from tests.support.server import Witness

pytestmark = pytest.mark.slow

Document = dict[str, Any]


def flow(id: str, *nodes: Document) -> Document:
    nodes = ({"id": "go", "type": "trigger.manual"}, *nodes)
    ids = [node["id"] for node in nodes]
    return {
        "id": id,
        "nodes": list(nodes),
        "edges": [{"from": a, "to": b} for a, b in itertools.pairwise(ids)],
    }


def fields(id: str, **values: Any) -> Document:
    return {"id": id, "type": "transform.set", "config": {"fields": values}}


def call(id: str, url: str, **more: Any) -> Document:
    return {"id": id, "type": "action.http_request", "config": {"url": url}, **more}


WAIT = {"id": "rest", "type": "action.wait", "config": {"seconds": 3600}}


def run(server: LocalServer, document: Document, value: Any = None, wait: float = 10) -> Any:
    """Run a document; `{id, state, result, error}`."""
    answer = server.api("POST", "/run", {"document": document, "input": value, "wait": wait})
    assert answer.status == 200, answer.raw
    return answer.json


def detail(server: LocalServer, id: str) -> Any:
    return server.api("GET", f"/executions/{id}").json


def order(server: LocalServer, id: str, verb: str) -> int:
    return server.api("POST", f"/executions/{id}/{verb}").status


def test_lists_go_by_cursor_newest_first(server: LocalServer) -> None:
    document = flow("listed", fields("out", n="{{ trigger }}"))
    ids = [run(server, document, n)["id"] for n in range(7)][::-1]
    seen: list[str] = []
    cursor = ""
    for size in (3, 3, 1):
        page = server.api("GET", f"/executions?workflow=listed&limit=3&cursor={cursor}").json
        assert len(page["items"]) == size
        seen += [item["id"] for item in page["items"]]
        cursor = page["cursor"]
    assert cursor is None
    assert seen == ids
    assert [item["number"] for item in page["items"]] == [1]
    everything = server.api("GET", "/executions?limit=500").json["items"]
    assert [item["id"] for item in everything] == sorted((item["id"] for item in everything), reverse=True)


def test_lists_are_filtered_by_state(server: LocalServer) -> None:
    fail = {"id": "stop", "type": "action.fail", "config": {"message": "no"}}
    ended = run(server, flow("filtered", fail))
    run(server, flow("filtered", fields("out", n=1)))
    for query in ("state=failed&workflow=filtered", "state=failed"):
        items = server.api("GET", f"/executions?{query}").json["items"]
        assert ended["id"] in [item["id"] for item in items]
        assert {item["state"] for item in items} == {"failed"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 400),
        ("limit=501", 400),
        ("limit=%C2%B2", 400),
        (f"limit={'0' * 5000}1", 400),
        ("limit=-1", 400),
        ("state=done", 400),
        ("cursor=nonsense", 400),
        ("cursor=00000000-0000-0000-0000-000000000000", 200),
        ("workflow=nope", 200),
        ("workflow=nope&cursor=00000000-0000-0000-0000-000000000000", 200),
    ],
)
def test_odd_questions(server: LocalServer, query: str, status: int) -> None:
    answer = server.api("GET", f"/executions?{query}")
    assert answer.status == status, answer.raw
    if status == 200:
        assert answer.json == {"items": [], "cursor": None}


def test_the_detail_has_each_nodes_input_output_attempts_and_timing(
    server: LocalServer, witness: Witness
) -> None:
    witness.status["/flaky"] = [503, 200]
    retry = {"attempts": 2, "initial": 0.01}
    document = flow(
        "told", fields("first", n="{{ trigger.n }}"), call("ask", f"{witness.base}/flaky", retry=retry)
    )
    found = detail(server, run(server, document, {"n": 5})["id"])
    assert found["execution"]["state"] == "completed"
    assert found["input"] == {"n": 5}
    nodes = {node["node"]: node for node in found["nodes"]}
    assert nodes["first"]["input"] == {"n": 5}
    assert nodes["first"]["output"] == {"n": 5}
    ask = nodes["ask"]
    assert (ask["input"], ask["output"]["status"], ask["state"]) == ({"n": 5}, 200, "done")
    assert [(a["number"], a["outcome"]) for a in ask["attempts"]] == [(1, "failed"), (2, "done")]
    assert ask["attempts"][0]["error"]["code"] == "remote_error"
    assert found["execution"]["created"] <= ask["started"] <= ask["ended"] <= found["execution"]["finished"]
    keys = {mark["key"] for mark in witness.marks}
    assert len(keys) == 1


def test_events_are_numbered_without_a_gap(server: LocalServer) -> None:
    ended = run(server, flow("events", fields("a", n=1), fields("b", n=2)))
    events = server.api("GET", f"/executions/{ended['id']}/events").json["items"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    later = server.api("GET", f"/executions/{ended['id']}/events?after=2").json["items"]
    assert later == events[2:]
    assert server.api("GET", f"/executions/{ended['id']}/events?after=-1").status == 400
    cuts = server.api("GET", f"/executions/{ended['id']}/checkpoints").json["items"]
    assert {"execution_id", "checkpoint_index", "timestamp", "state"} == set(cuts[0])


def test_a_waiting_run_is_paused_resumed_and_cancelled(server: LocalServer) -> None:
    started = run(server, flow("ordered", WAIT), wait=0)
    id = started["id"]
    assert started["state"] == "running"
    assert order(server, id, "pause") == 204
    assert detail(server, id)["execution"]["state"] == "paused"
    assert order(server, id, "pause") == 409
    assert order(server, id, "resume") == 204
    assert detail(server, id)["execution"]["state"] == "running"
    assert order(server, id, "resume") == 409
    assert order(server, id, "cancel") == 204
    for verb in ("pause", "resume", "cancel"):
        answer = server.api("POST", f"/executions/{id}/{verb}")
        assert (answer.status, answer.json["code"]) == (409, "illegal_transition")
    assert detail(server, id)["execution"]["state"] == "cancelled"


def test_cancel_ends_a_running_effect(server: LocalServer, witness: Witness) -> None:
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    started = run(server, flow("ended", call("ask", f"{witness.base}/x"), fields("after", n=1)), wait=0)
    assert reached.wait(10)
    assert order(server, started["id"], "cancel") == 204
    found = detail(server, started["id"])
    go_on.set()
    assert found["execution"]["state"] == "cancelled"
    assert {n["node"]: n["state"] for n in found["nodes"]} == {
        "go": "done", "ask": "interrupted", "after": "skipped",
    }  # fmt: skip


@pytest.mark.parametrize("id", ["nonsense", "00000000-0000-0000-0000-000000000000", "%00", "0" * 300])
def test_what_is_not_there_is_404(server: LocalServer, id: str) -> None:
    for path in ("", "/events", "/checkpoints"):
        assert server.api("GET", f"/executions/{id}{path}").status == 404
    for verb in ("pause", "resume", "cancel"):
        assert server.api("POST", f"/executions/{id}/{verb}").status == 404
    answer = server.api("POST", f"/executions/{id}/answer", {"node": "a", "answer": "fail"})
    assert answer.status == 404


def test_an_answer_needs_a_question(server: LocalServer) -> None:
    started = run(server, flow("asked", WAIT), wait=0)
    path = f"/executions/{started['id']}/answer"
    assert server.api("POST", path, {"node": "rest", "answer": "retry"}).status == 404
    for body in (
        {"node": "rest", "answer": "perhaps"},
        {"node": "rest"},
        {"node": "rest", "answer": "done", "output": 2**63},
    ):
        assert server.api("POST", path, body).status == 400
    assert order(server, started["id"], "cancel") == 204
    assert server.api("POST", path, {"node": "rest", "answer": "retry"}).status == 409
