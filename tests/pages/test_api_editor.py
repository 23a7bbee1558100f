"""What the editor asks the server for: the drawing's delta, previews, parts of a run, versions."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from tests.support.local import LocalServer
from tests.support.server import Answer, request

Document = dict[str, Any]
FLOW: Document = {
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "numbers", "type": "transform.set", "config": {"fields": {"list": "{{ trigger.list }}"}}},
        {"id": "each", "type": "loop.for_each", "config": {"items": "{{ input.list }}"}},
        {"id": "double", "type": "transform.set", "config": {"fields": {"n": "{{ item * 2 }}"}}},
        {"id": "again", "type": "transform.set", "config": {"fields": {"m": "{{ input.n + nodes.double.n }}"}}},
        {"id": "big", "type": "condition.if", "config": {"condition": "{{ len(input) > 1 }}"}},
        {"id": "yes", "type": "transform.set", "config": {"fields": {"many": "{{ nodes.each[0].m }}"}}},
    ],
    "edges": [
        {"from": "go", "to": "numbers"}, {"from": "numbers", "to": "each"}, {"from": "each.item", "to": "double"},
        {"from": "double", "to": "again"}, {"from": "each.done", "to": "big"}, {"from": "big.true", "to": "yes"},
    ],
}  # fmt: skip


@pytest.fixture
def flow(server: LocalServer, request: pytest.FixtureRequest) -> str:
    """A workflow of this test's own, run once."""
    id = request.node.name.replace("_", "-")[:60].replace("[", "-").replace("]", "")
    assert server.api("POST", "/workflows", {**FLOW, "id": id}).status == 201
    ran = server.api("POST", f"/workflows/{id}/run", {"input": {"list": [1, 2]}, "wait": 10})
    assert ran.json["state"] == "completed", ran.raw
    return id


def ask(server: LocalServer, method: str, path: str, body: Any = None) -> Answer:
    token = (server.data / "token").read_text().strip()
    return request(method, f"{server.base}{path}", body, {"authorization": f"Bearer {token}"})


def preview(server: LocalServer, flow: str, node: str, field: str, value: Any, **more: Any) -> Document:
    asked = {"node": node, "field": field, "value": value, **more}
    answer = ask(server, "POST", f"/workflows/{flow}/preview", asked)
    assert answer.status == 200, answer.raw
    found: Document = answer.json
    return found


def test_an_edit_is_answered_with_the_cards_that_it_changed(server: LocalServer, flow: str) -> None:
    whole = ask(server, "GET", f"/workflows/{flow}/delta").json
    assert set(whole["cards"]) == {node["id"] for node in FLOW["nodes"]}
    operation = {"id": "1", "kind": "set", "node": "big", "path": "name", "value": "Many?"}
    body = {"operations": [operation]}
    delta = server.api("POST", f"/workflows/{flow}/operations?parts={whole['seq']}", body).json["delta"]
    assert set(delta["nodes"]) == set(delta["cards"]) == {"big"}
    assert "Many?" in delta["cards"]["big"]
    assert delta["order"] == whole["order"]


def test_a_moved_card_is_not_drawn_anew(server: LocalServer, flow: str) -> None:
    seq = ask(server, "GET", f"/workflows/{flow}/delta").json["seq"]
    operation = {"id": "m", "kind": "set", "node": "big", "path": "position", "value": {"x": 4, "y": 8}}
    body = {"operations": [operation]}
    delta = server.api("POST", f"/workflows/{flow}/operations?parts={seq}", body).json["delta"]
    assert delta["cards"] == {}
    assert delta["nodes"]["big"]["position"] == {"x": 4, "y": 8}


def test_a_field_is_previewed_with_the_data_of_the_last_run(server: LocalServer, flow: str) -> None:
    assert preview(server, flow, "yes", "fields", {"a": "{{ nodes.each[1].m }}"})["text"] == '{"a":8}'
    assert preview(server, flow, "double", "fields", "{{ item }}")["text"] == "2"
    assert preview(server, flow, "double", "fields", "{{ item }}", path="each:0")["text"] == "1"
    assert preview(server, flow, "again", "fields", "{{ loops.each.index }}", path="each:1")["text"] == "1"


def test_a_preview_names_what_is_wrong_and_tells_it_from_what_is_not_known_yet(
    server: LocalServer, flow: str
) -> None:
    wrong = preview(server, flow, "yes", "fields", "{{ nodes.each.nope }}")
    assert wrong["error"]
    assert not wrong["missing"]
    assert "nowhere" in preview(server, flow, "yes", "fields", "{{ nodes.nowhere }}")["error"]
    fresh = f"{flow[:50]}-fresh"
    assert server.api("POST", "/workflows", {**FLOW, "id": fresh}).status == 201
    unknown = preview(server, fresh, "yes", "fields", "{{ nodes.each }}")
    assert unknown["missing"]
    pinned = {"id": "p", "kind": "set", "node": "each", "path": "pinned", "value": [{"m": 5}]}
    server.api("POST", f"/workflows/{fresh}/operations", {"operations": [pinned]})
    assert preview(server, fresh, "yes", "fields", "{{ nodes.each[0].m }}")["text"] == "5"


def run_part(server: LocalServer, flow: str, **asked: Any) -> Document:
    started = ask(server, "POST", f"/workflows/{flow}/run-part", asked)
    assert started.status == 202, started.raw
    for _ in range(200):
        found = server.api("GET", f"/executions/{started.json['id']}").json
        if found["execution"]["finished"]:
            assert found["execution"]["state"] == "completed", found
            return {node["node"]: node["output"] for node in found["nodes"] if node["state"] == "done"}
    raise AssertionError("it did not end")


def test_a_node_runs_alone_on_the_data_it_had(server: LocalServer, flow: str) -> None:
    assert run_part(server, flow, node="yes")["yes"] == {"many": 4}
    assert run_part(server, flow, node="again", path="each:1")["again"] == {"m": 8}


def test_a_run_goes_up_to_a_node_or_from_it_on(server: LocalServer, flow: str) -> None:
    upto = run_part(server, flow, node="each", kind="to", input={"list": [5]})
    assert upto["each"] == [{"m": 20}] if "again" in upto else True
    assert "big" not in upto
    rest = run_part(server, flow, node="big", kind="from", run=1)
    assert rest["yes"] == {"many": 4}


def test_a_version_can_be_named_compared_and_restored(server: LocalServer, flow: str) -> None:
    assert ask(server, "POST", f"/workflows/{flow}/versions", {"note": "good"}).json["number"] == 1
    change = {"id": "x", "kind": "remove_node", "node": "yes"}
    server.api("POST", f"/workflows/{flow}/operations", {"operations": [change]})
    page = ask(server, "GET", f"/workflows/{flow}/versions").raw.decode()
    assert "df-del" in page
    assert "good" in page
    assert ask(server, "POST", f"/workflows/{flow}/versions/1/restore", {}).status == 200
    document = server.api("GET", f"/workflows/{flow}").json["document"]
    assert any(node["id"] == "yes" for node in document["nodes"])
    notes = [version["note"] for version in server.api("GET", f"/workflows/{flow}/versions").json["items"]]
    assert notes == ["Before v1 was restored", "good"]
    assert ask(server, "POST", f"/workflows/{flow}/versions/9/restore", {}).status == 404


def test_each_card_of_a_comparison_leads_to_its_node(server: LocalServer, flow: str) -> None:
    server.api("POST", f"/workflows/{flow}/run", {"input": {"list": [1]}, "wait": 10})
    ask(server, "POST", f"/workflows/{flow}/versions", {"note": "good"})
    change = {"id": "x", "kind": "remove_node", "node": "yes"}
    server.api("POST", f"/workflows/{flow}/operations", {"operations": [change]})
    for path in (f"/workflows/{flow}/versions", f"/workflows/{flow}/runs/2/compare"):
        page = ask(server, "GET", path).raw.decode()
        links = set(re.findall(r'data-open="(\w+)" href="([^"]+)"', page))
        assert {id for id, _ in links} == {node["id"] for node in FLOW["nodes"]}
        for id, link in links:
            there = ask(server, "GET", html.unescape(link)).raw.decode()
            chosen = re.findall(r'<\w+ class="(?:node|loop) [^>]*is-selected[^>]* data-node="(\w+)"', there)
            assert chosen == [id], link


def test_what_is_exported_can_be_brought_in_again(server: LocalServer, flow: str) -> None:
    text = ask(server, "GET", f"/workflows/{flow}/export")
    assert "attachment" in text.headers["content-disposition"]
    read = ask(server, "POST", "/documents/read", text.raw).json["document"]
    assert [node["id"] for node in read["nodes"]] == [node["id"] for node in FLOW["nodes"]]
    made = ask(server, "POST", "/workflows", text.raw.replace(flow.encode(), f"{flow[:40]}-two".encode()))
    assert made.status == 201, made.raw


def test_a_pinned_node_shows_its_value_and_nothing_of_how_it_failed(server: LocalServer) -> None:
    """Pinned as a test needs it, an answer without its headers takes the place of the node, and of its trouble."""
    retry = {"attempts": 2, "initial": 0, "backoff": "fixed"}
    call = {
        "id": "call", "type": "action.http_request", "config": {"url": "http://127.0.0.1:9/x"}, "retry": retry,
    }  # fmt: skip
    last = {"id": "last", "type": "transform.set", "config": {"fields": {"name": "{{ input.body.name }}"}}}
    document = {
        "id": "mocked",
        "nodes": [{"id": "go", "type": "trigger.manual"}, call, last],
        "edges": [{"from": "go", "to": "call"}, {"from": "call", "to": "last"}],
    }
    assert server.api("POST", "/workflows", document).status == 201
    run = {"input": None, "wait": 10}
    assert server.api("POST", "/workflows/mocked/run", run).json["state"] == "failed"
    shown = ask(server, "GET", "/workflows/mocked/bench?node=call&run=1").json["bench"]
    assert "connection_lost" in shown
    assert 'class="attempts"' in shown
    pin = {"id": "1", "kind": "set", "node": "call", "path": "pinned", "value": {"body": {"name": "Lamp"}}}
    assert server.api("POST", "/workflows/mocked/operations", {"operations": [pin]}).status == 200
    shown = ask(server, "GET", "/workflows/mocked/bench?node=call&run=1").json["bench"]
    assert "Lamp" in shown
    assert "connection_lost" not in shown
    assert 'class="attempts"' not in shown
    ran = server.api("POST", "/workflows/mocked/run", run).json
    assert (ran["state"], ran["result"]) == ("completed", {"name": "Lamp"})
