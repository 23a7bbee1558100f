"""Webhooks over a real port: what is answered, when, and that nothing sent can break the server."""

from __future__ import annotations

import itertools
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.local import LocalServer
from tests.support.server import Answer, Witness, request

pytestmark = pytest.mark.slow

Document = dict[str, Any]


def hook(path: str, respond: str = "last_node", **config: Any) -> Document:
    return {"id": "hook", "type": "trigger.webhook", "config": {"path": path, "respond": respond, **config}}


def flow(name: str, *nodes: Document, edges: list[tuple[str, str]] | None = None) -> Document:
    """Nodes in a row, unless edges are given."""
    ids = [node["id"] for node in nodes]
    pairs = edges if edges is not None else list(itertools.pairwise(ids))
    return {"id": name, "nodes": list(nodes), "edges": [{"from": a, "to": b} for a, b in pairs]}


def fields(name: str, **values: Any) -> Document:
    return {"id": name, "type": "transform.set", "config": {"fields": values}}


def respond(**config: Any) -> Document:
    return {"id": "answer", "type": "action.respond", "config": config}


WAIT = {"id": "rest", "type": "action.wait", "config": {"seconds": 3600}}


@pytest.fixture
def publish(server: LocalServer) -> Callable[..., str]:
    """Publish a flow under a name; the address of its webhook."""

    def make(name: str, *nodes: Document, edges: list[tuple[str, str]] | None = None, **config: Any) -> str:
        server.publish(flow(name, hook(name, **config), *nodes, edges=edges))
        return f"{server.base}/hook/{name}"

    return make


def runs_of(server: LocalServer, workflow: str) -> list[dict[str, Any]]:
    return server.executions(workflow=workflow)


# -- how it answers


def test_at_once_answers_the_id_of_a_run_that_is_kept(server: LocalServer, publish: Any) -> None:
    answer = request("POST", publish("at-once", fields("out", n=1), respond="at_once"), {})
    assert (answer.status, list(answer.json)) == (202, ["id"])
    assert answer.headers["location"] == f"/api/v1/executions/{answer.json['id']}"
    assert server.api("GET", f"/executions/{answer.json['id']}").status == 200


def test_last_node_answers_the_result(publish: Any) -> None:
    address = publish("result", fields("out", twice="{{ trigger.body.n * 2 }}"))
    answer = request("POST", address, {"n": 4})
    assert (answer.status, answer.json) == (200, {"twice": 8})


def test_respond_node_says_status_headers_and_body(publish: Any) -> None:
    address = publish(
        "teapot",
        respond(status=418, headers={"X-Kind": "tea {{ trigger.body.kind }}"}, body={"short": True}),
        respond="respond_node",
    )
    answer = request("POST", address, {"kind": "oolong"})
    assert (answer.status, answer.json) == (418, {"short": True})
    assert answer.headers["x-kind"] == "tea oolong"
    assert answer.headers["content-type"] == "application/json"


def test_a_text_goes_out_as_it_is(publish: Any) -> None:
    address = publish("text", respond(body="{{ trigger.body.t }}"), respond="respond_node")
    answer = request("POST", address, {"t": "Grüße ☂"})
    assert answer.raw.decode() == "Grüße ☂"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_html_of_a_workflow_cannot_act_as_a_page_of_ours(publish: Any) -> None:
    headers = {
        "Content-Type": "text/html",
        "Content-Security-Policy": "script-src *",
        "Set-Cookie": "ff_session=stolen",
        "Content-Length": "1",
        "X-Content-Type-Options": "none",
    }
    address = publish("html", respond(headers=headers, body="<script>1</script>"), respond="respond_node")
    answer = request("POST", address, {})
    assert answer.raw == b"<script>1</script>"
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


def test_a_204_has_no_body(publish: Any) -> None:
    address = publish("empty", respond(status=204, body={"ignored": 1}), respond="respond_node")
    answer = request("POST", address, {})
    assert (answer.status, answer.raw) == (204, b"")


def test_a_respond_that_is_never_reached_gives_the_result(publish: Any) -> None:
    address = publish(
        "unreached",
        {"id": "check", "type": "condition.if", "config": {"condition": "{{ trigger.body.go }}"}},
        respond(body="reached"),
        fields("other", n=7),
        respond="respond_node",
        edges=[("hook", "check"), ("check.true", "answer"), ("check.false", "other")],
    )
    assert request("POST", address, {"go": True}).raw == b"reached"
    answer = request("POST", address, {"go": False})
    assert (answer.status, answer.json) == (200, {"n": 7})


def test_the_run_goes_on_behind_the_answer(server: LocalServer, publish: Any, witness: Witness) -> None:
    call = {"id": "late", "type": "action.http_request", "config": {"url": f"{witness.base}/late"}}
    address = publish("behind", respond(body="first"), call, respond="respond_node")
    assert request("POST", address, {}).raw == b"first"
    server.wait_until_idle()
    assert [mark["path"] for mark in witness.marks] == ["/late"]


@pytest.mark.parametrize("way", ["last_node", "respond_node"])
def test_after_respond_timeout_the_caller_is_told_where_to_look(
    server: LocalServer, publish: Any, witness: Witness, way: str
) -> None:
    witness.delay = 0.5
    call = {"id": "slow", "type": "action.http_request", "config": {"url": f"{witness.base}/slow"}}
    answer = request("POST", publish(f"slow-{way}", call, respond=way, respond_timeout=0.05), {})
    assert answer.status == 202
    assert answer.json == {"id": answer.json["id"], "state": "running"}
    assert answer.headers["location"] == f"/api/v1/executions/{answer.json['id']}"
    server.wait_until_idle()
    assert server.api("GET", f"/executions/{answer.json['id']}").json["execution"]["state"] == "completed"


@pytest.fixture
def busy(server: LocalServer) -> Iterator[Callable[[bool], None]]:
    """Keep the database from taking commits, and let it go again."""
    other = sqlite3.connect(server.data / "flowfuse.db", isolation_level=None, check_same_thread=False)
    yield lambda held: other.execute("BEGIN IMMEDIATE" if held else "ROLLBACK") and None
    other.close()


def test_nobody_is_answered_before_the_run_is_accepted(
    server: LocalServer, publish: Any, busy: Callable[[bool], None]
) -> None:
    call = {"id": "far", "type": "action.http_request", "config": {"url": "http://127.0.0.1:9/"}}
    address = publish("slow-disk", call, respond_timeout=0.05)
    busy(True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(request, "POST", address, {})
        with pytest.raises(TimeoutError):
            answer.result(0.5)
        busy(False)
        assert answer.result(10).status in (202, 500)


def test_an_end_that_is_not_committed_is_not_shown(
    server: LocalServer, publish: Any, witness: Witness, busy: Callable[[bool], None]
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    call = {"id": "slow", "type": "action.http_request", "config": {"url": f"{witness.base}/x"}}
    address = publish("slow-end", call, fields("out", v=1), respond_timeout=0.6)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(request, "POST", address, {})
        assert reached.wait(10)
        busy(True)
        go_on.set()
        assert (answer.result(10).status, answer.result().json["state"]) == (202, "running")
        busy(False)
    server.wait_until_idle()
    assert runs_of(server, "slow-end")[0]["state"] == "completed"


def test_a_durable_wait_answers_202_at_once(server: LocalServer, publish: Any) -> None:
    answer = request("POST", publish("waits", WAIT), {}, timeout=5)
    assert (answer.status, answer.json["state"]) == (202, "running")
    assert server.api("POST", f"/executions/{answer.json['id']}/cancel").status == 204


def test_a_pause_answers_202(server: LocalServer, publish: Any, witness: Witness) -> None:
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    call = {"id": "slow", "type": "action.http_request", "config": {"url": f"{witness.base}/x"}}
    address = publish("paused", call)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(request, "POST", address, {})
        assert reached.wait(10)
        (run,) = runs_of(server, "paused")
        assert server.api("POST", f"/executions/{run['id']}/pause").status == 204
        assert (answer.result(10).status, answer.result().json["state"]) == (202, "paused")
        go_on.set()
    assert server.api("POST", f"/executions/{run['id']}/cancel").status == 204


def test_a_failure_tells_the_caller_nothing_of_the_inside(publish: Any) -> None:
    fail = {"id": "stop", "type": "action.fail", "config": {"message": "the inner secret"}}
    answer = request("POST", publish("fails", fail), {})
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail", "id"}
    assert b"inner" not in answer.raw
    assert b"stop" not in answer.raw


def test_a_caller_who_leaves_stops_nothing(server: LocalServer, publish: Any, witness: Witness) -> None:
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    call = {"id": "slow", "type": "action.http_request", "config": {"url": f"{witness.base}/x"}}
    publish("left", call)
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        head = f"POST /hook/left HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 0\r\n\r\n"
        raw.sendall(head.encode())
        assert reached.wait(10)
    go_on.set()
    server.wait_until_idle()
    assert [run["state"] for run in runs_of(server, "left")] == ["completed"]


# -- what is taken


def test_names_in_the_path(server: LocalServer, publish: Any) -> None:
    server.publish(
        flow(
            "named",
            hook("shop/{shop}/orders/{order}", methods=["GET"]),
            fields("out", p="{{ trigger.params }}"),
        )
    )
    answer = request("GET", f"{server.base}/hook/shop/caf%C3%A9/orders/a%20b")
    assert answer.json == {"p": {"shop": "café", "order": "a b"}}
    assert request("GET", f"{server.base}/hook/shop/x/orders/").status == 404
    assert request("GET", f"{server.base}/hook/shop/x/y/orders/1").status == 404
    literal = request("GET", f"{server.base}/hook/shop/%7Bshop%7D/orders/%7Border%7D")
    assert literal.json == {"p": {"shop": "{shop}", "order": "{order}"}}


def test_a_name_that_comes_twice_in_a_path_breaks_nothing(server: LocalServer) -> None:
    server.publish(flow("twice", hook("{a}/twice/{a}"), fields("out", a="{{ trigger.params.a }}")))
    assert request("POST", f"{server.base}/hook/x/twice/x", {}).json == {"a": "x"}
    assert request("POST", f"{server.base}/hook/x/twice/y", {}).status == 404


def test_the_whole_call_is_the_value(publish: Any) -> None:
    address = publish("value", methods=["PUT"])
    answer = request(
        "PUT",
        f"{address}?a=1&a=2&a=&b=%C3%BC&flag",
        {"x": None},
        {"x-one": "1", "content-type": "application/json"},
    )
    value = answer.json
    assert value["method"] == "PUT"
    assert value["path"] == "/hook/value"
    assert value["query"] == {"a": ["1", "2", ""], "b": "ü", "flag": ""}
    assert value["headers"]["x-one"] == "1"
    assert value["body"] == {"x": None}


def test_a_session_of_ours_is_not_for_workflows(publish: Any) -> None:
    """A browser that is signed in sends it along, when somebody follows a link to a webhook."""
    address = publish("cookies")
    for ours in ("ff_session=s3cret-9", "__Host-ff_session=s3cret-9"):
        headers = request("POST", address, {}, {"Cookie": f"theme=dark; {ours}; id=7"}).json["headers"]
        assert headers["cookie"] == "theme=dark; id=7"
        assert "cookie" not in request("POST", address, {}, {"Cookie": ours}).json["headers"]


def test_a_header_that_comes_twice_is_not_lost(server: LocalServer, publish: Any) -> None:
    publish("repeated", fields("out", h="{{ trigger.headers['x-a'] }}"))
    head = f"POST /hook/repeated HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(f"{head}Connection: close\r\n\r\n".encode())
        assert b'{"h":"1, 2"}' in raw.makefile("rb").read()


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/x-www-form-urlencoded", urlencode({"a": "ü ", "b": ""}).encode(), {"a": "ü ", "b": ""}),
        ("application/x-www-form-urlencoded", b"a=1&a=2", {"a": ["1", "2"]}),
        ("application/x-www-form-urlencoded", "n=ü".encode(), {"n": "ü"}),
        ("text/plain", "Grüße".encode(), "Grüße"),
        ("application/vnd.x+json; charset=utf-8", b'{"a":1}', {"a": 1}),
        ("application/json", b"", None),
        ("text/xml", b"<a/>", "<a/>"),
    ],
)
def test_bodies_by_content_type(publish: Any, kind: str, body: bytes, expected: Any) -> None:
    address = publish(f"body-{abs(hash((kind, body)))}", fields("out", b="{{ trigger.body }}"))
    assert request("POST", address, body, {"content-type": kind}).json == {"b": expected}


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        b'{"a":1}x',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 900 + b"]" * 900,
        b"[9223372036854775808]",
        b"[-9223372036854775809]",
        b"[123456789012345678901234567890]",
        b"[1e999]",
        b"[NaN]",
        b'["\\ud800"]',
        b'"\xff"',
        b"1" * 5000,
    ],
)
def test_what_is_no_json_value_is_refused_and_the_server_goes_on(publish: Any, body: bytes) -> None:
    address = publish(f"bad-{abs(hash(body))}", fields("out", n=1))
    answer = request("POST", address, body)
    assert answer.status == 400, answer.raw
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["field"] == "body"
    assert request("POST", address, {}).json == {"n": 1}


def test_text_that_is_none_is_refused(publish: Any) -> None:
    answer = request("POST", publish("binary"), b"\xff\xfe\x00", {"content-type": "text/plain"})
    assert answer.status == 400


def test_the_largest_numbers_go_through(publish: Any) -> None:
    address = publish("largest", fields("out", b="{{ trigger.body }}"))
    numbers = [2**63 - 1, -(2**63), 0.1, 1e308]
    assert request("POST", address, numbers).json == {"b": numbers}


def test_too_large_is_413(publish: Any) -> None:
    address = publish("small", fields("out", n=1), max_bytes=100)
    assert request("POST", address, b'"' + b"x" * 98 + b'"').status == 200
    answer = request("POST", address, b'"' + b"x" * 99 + b'"')
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert request("POST", address, b" " * 3_000_000).status == 413
    assert request("POST", address, {}).status == 200


def test_a_wrong_method_is_405_and_says_which(publish: Any) -> None:
    address = publish("methods", methods=["GET", "PUT"])
    answer = request("POST", address, {})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, PUT")
    assert answer.json["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/hook/nothing-here", "/hook/", "/hook", "/hook/%00", "/hook/..%2f", "/hook/%ff"]
)
def test_an_unknown_path_is_404(server: LocalServer, path: str) -> None:
    answer = request("POST", server.base + path, {})
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_guessing_at_paths_asks_the_database_for_nothing(
    server: LocalServer, publish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("known")
    request("POST", server.base + "/hook/first", {})
    database, asked = server.app.engine.database, []
    rows = database.rows

    async def counted(sql: str, *more: Any) -> Any:
        asked.append(sql)
        return await rows(sql, *more)

    monkeypatch.setattr(database, "rows", counted)
    for number in range(20):
        for mount in ("hook", "hook-draft"):
            assert request("POST", f"{server.base}/{mount}/guess-{number}", {}).status == 404
    assert [sql for sql in asked if "workflows" in sql] == []


# -- duplicates


def test_a_duplicate_gets_the_first_runs_answer(server: LocalServer, publish: Any) -> None:
    address = publish("once", fields("out", id="{{ execution.id }}"))
    first = request("POST", address, {}, {"Idempotency-Key": "one"})
    for name in ("Idempotency-Key", "Webhook-Id", "X-GitHub-Delivery"):
        again = request("POST", address, {}, {name: "one"})
        assert (again.status, again.json) == (200, first.json)
    assert len(runs_of(server, "once")) == 1
    assert request("POST", address, {}, {"Idempotency-Key": "two"}).json != first.json


def test_a_named_header_is_the_only_one(server: LocalServer, publish: Any) -> None:
    address = publish("only", dedupe="X-Delivery")
    for _ in range(2):
        request("POST", address, {}, {"X-Delivery": "a"})
        request("POST", address, {}, {"Idempotency-Key": "a"})
    assert len(runs_of(server, "only")) == 3


def test_an_empty_delivery_id_is_none(server: LocalServer, publish: Any) -> None:
    address = publish("blank")
    for _ in range(2):
        request("POST", address, {}, {"Idempotency-Key": ""})
    assert len(runs_of(server, "blank")) == 2


@pytest.mark.parametrize("way", ["at_once", "last_node", "respond_node"])
def test_five_at_once_are_one_run_and_one_answer(
    server: LocalServer, publish: Any, witness: Witness, way: str
) -> None:
    witness.delay = 0.05
    call = {"id": "slow", "type": "action.http_request", "config": {"url": f"{witness.base}/x"}}
    address = publish(f"five-{way}", call, respond(status=201, body={"n": "{{ execution.id }}"}), respond=way)

    def deliver(name: str) -> Answer:
        return request("POST", address, {}, {"Idempotency-Key": name})

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(deliver, [f"d{n // 5}" for n in range(20)]))
    for group in range(4):
        same = answers[group * 5 : group * 5 + 5]
        assert len({(answer.status, answer.raw) for answer in same}) == 1, [a.raw for a in same]
    server.wait_until_idle()
    assert len(runs_of(server, f"five-{way}")) == 4
    assert len(witness.marks) == 4


def test_a_duplicate_outlives_the_timeout_of_the_first(publish: Any, witness: Witness) -> None:
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    call = {"id": "slow", "type": "action.http_request", "config": {"url": f"{witness.base}/x"}}
    address = publish("patience", call, fields("out", n=1), respond_timeout=0.4)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(request, "POST", address, {}, {"Idempotency-Key": "p"})
        assert reached.wait(10)
        assert first.result(10).status == 202
        second = pool.submit(request, "POST", address, {}, {"Idempotency-Key": "p"})
        go_on.set()
        assert second.result(10).status in (200, 202)
    assert request("POST", address, {}, {"Idempotency-Key": "p"}).json == {"n": 1}


def test_a_duplicate_of_a_failed_run_fails_alike(publish: Any) -> None:
    address = publish("failed-once", {"id": "stop", "type": "action.fail", "config": {"message": "no"}})
    first, again = (request("POST", address, {}, {"Idempotency-Key": "x"}) for _ in range(2))
    assert (first.status, first.raw) == (again.status, again.raw)


@pytest.mark.slow
def test_a_duplicate_is_known_after_a_restart(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "data").start()
    try:
        server.publish(
            flow(
                "again",
                hook("again", "respond_node"),
                respond(status=201, headers={"X-A": "b"}, body={"n": 1}),
            )
        )
        first = request("POST", f"{server.base}/hook/again", {}, {"Webhook-Id": "x"})
        server.stop()
        server.start()
        again = request("POST", f"{server.base}/hook/again", {}, {"Webhook-Id": "x"})
        assert (first.status, first.raw, first.headers["x-a"]) == (
            again.status,
            again.raw,
            again.headers["x-a"],
        )
        assert len(runs_of(server, "again")) == 1
    finally:
        server.stop()


# -- drafts, publishing


def test_a_draft_hook_runs_the_draft_as_a_test(server: LocalServer) -> None:
    server.publish(flow("drafted", hook("drafted"), fields("out", v=1)))
    etag = server.api("GET", "/workflows/drafted").headers["etag"]
    changed = flow("drafted", hook("drafted"), fields("out", v=2))
    assert server.api("PUT", "/workflows/drafted", changed, if_match=etag).status == 200
    assert request("POST", f"{server.base}/hook/drafted", {}).json == {"v": 1}
    assert request("POST", f"{server.base}/hook-draft/drafted", {}).json == {"v": 2}
    assert [run["mode"] for run in runs_of(server, "drafted")] == ["test", "production"]


def test_pinned_outputs_stand_in_only_in_a_test(server: LocalServer) -> None:
    pinned = {**fields("out", v=1), "pinned": {"v": "pinned"}}
    server.publish(flow("pinned", hook("pinned"), pinned))
    assert request("POST", f"{server.base}/hook/pinned", {}).json == {"v": 1}
    assert request("POST", f"{server.base}/hook-draft/pinned", {}).json == {"v": "pinned"}


def test_a_draft_that_cannot_run_says_so_and_hurts_no_other(server: LocalServer) -> None:
    for name, path in (("odd-number", 5), ("odd-none", None), ("odd-name", "x/{9}/{a}{a}")):
        assert server.api("POST", "/workflows", flow(name, hook(path))).status == 201  # type: ignore[arg-type]
    server.api("POST", "/workflows", flow("broken", hook("broken"), fields("out", v="{{ nodes.nope }}")))
    server.api("POST", "/workflows", flow("sound", hook("sound-draft"), fields("out", v=1)))
    assert request("POST", f"{server.base}/hook-draft/broken", {}).status == 422
    assert request("POST", f"{server.base}/hook-draft/sound-draft", {}).json == {"v": 1}
    assert request("POST", f"{server.base}/hook-draft/nothing", {}).status == 404
    assert request("POST", f"{server.base}/hook/sound-draft", {}).status == 404


def test_unpublishing_stops_it(server: LocalServer, publish: Any) -> None:
    address = publish("stopped")
    assert request("POST", address, {}).status == 200
    assert server.api("POST", "/workflows/stopped/unpublish").status == 204
    assert request("POST", address, {}).status == 404
    assert server.api("POST", "/workflows/stopped/publish", {}).status == 200
    assert request("POST", address, {}).status == 200
    assert server.api("DELETE", "/workflows/stopped").status == 204
    assert request("POST", address, {}).status == 404


@pytest.mark.parametrize("path", ["taken", "taken/{x}/by"])
def test_a_path_belongs_to_one_workflow(server: LocalServer, path: str) -> None:
    name = path.partition("/")[0] + str(len(path))
    server.publish(flow(name, hook(path)))
    server.api("POST", "/workflows", flow(f"{name}-too", hook(path.replace("{x}", "{y}"))))
    answer = server.api("POST", f"/workflows/{name}-too/publish", {})
    assert answer.status == 409
    assert name in answer.json["detail"]
    assert server.api("POST", f"/workflows/{name}/publish", {}).status == 200


def test_paths_are_made_when_they_are_missing(server: LocalServer) -> None:
    made = server.api("POST", "/workflows", flow("made", {"id": "hook", "type": "trigger.webhook"})).json
    path = made["document"]["nodes"][0]["config"]["path"]
    assert len(path) == 26
    assert server.api("POST", "/workflows/made/publish", {}).status == 200
    assert request("POST", f"{server.base}/hook/{path}", {}).status == 202


def test_the_first_calls_after_a_start_find_their_hooks(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "data").start()
    try:
        server.publish(flow("early", hook("early"), fields("out", n=1)))
        server.stop()
        server.start()
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: request("POST", f"{server.base}/hook/early", {}), range(64)))
        assert [answer.status for answer in answers] == [200] * 64
    finally:
        server.stop()


def test_new_versions_are_served_while_they_are_called(server: LocalServer, publish: Any) -> None:
    address = publish("moving", fields("out", v=0))
    stop, seen = threading.Event(), []

    def call() -> None:
        while not stop.is_set():
            seen.append(request("POST", address, {}))

    caller = threading.Thread(target=call)
    caller.start()
    for number in range(1, 6):
        etag = server.api("GET", "/workflows/moving").headers["etag"]
        changed = flow("moving", hook("moving"), fields("out", v=number))
        assert server.api("PUT", "/workflows/moving", changed, if_match=etag).status == 200
        assert server.api("POST", "/workflows/moving/publish", {}).status == 200
        assert request("POST", address, {}).json == {"v": number}
    stop.set()
    caller.join()
    values = [answer.json["v"] for answer in seen]
    assert values == sorted(values)


# -- who may call


def test_webhooks_are_called_from_any_origin_but_under_our_name_only(
    server: LocalServer, publish: Any
) -> None:
    address = publish("anyone")
    assert request("POST", address, {}, {"Origin": "https://elsewhere.example"}).status == 200
    assert request("POST", address, {}, {"Host": "rebound.example"}).status == 403


def test_a_websocket_at_a_webhook_is_refused(server: LocalServer, publish: Any) -> None:
    publish("no-socket")
    upgrade = (
        f"GET /hook/no-socket HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(upgrade.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 403")


def test_while_the_breaker_is_open_who_waits_for_an_answer_is_told_so(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "broken", breaker_failures=3).start()
    nodes = [
        {"id": "hook", "type": "trigger.webhook", "config": {"path": "sync", "respond": "last_node"}},
        {"id": "call", "type": "action.http_request", "config": {"url": "http://127.0.0.1:9/"}},
    ]
    server.publish({"id": "sync", "nodes": nodes, "edges": [{"from": "hook", "to": "call"}]})
    nodes[0]["config"] = {"path": "later"}
    server.publish({"id": "later", "nodes": nodes, "edges": [{"from": "hook", "to": "call"}]})
    assert [request("POST", f"{server.base}/hook/sync", {}).status for _ in range(3)] == [500] * 3
    refused = request("POST", f"{server.base}/hook/sync", {})
    assert (refused.status, refused.json["title"]) == (503, "circuit_open")
    assert 290 <= int(refused.headers["retry-after"]) <= 300
    accepted = request("POST", f"{server.base}/hook/later", {})
    assert accepted.status == 202
    assert server.api("GET", f"/executions/{accepted.json['id']}").json["execution"]["state"] == "pending"
    states = {each["connector"]: each["state"] for each in server.api("GET", "/breakers").json["items"]}
    assert states == {"": "open", "127.0.0.1:9": "open"}
    assert server.api("POST", "/breakers/try", {"connector": ""}).status == 204
    assert server.api("POST", "/breakers/try", {"connector": "nothing"}).status == 404
    server.stop()


def test_edits_of_a_draft_do_not_have_the_table_of_webhooks_read_anew(
    server: LocalServer, publish: Callable[..., str]
) -> None:
    address = publish("table")
    assert request("POST", address, {}).status == 200
    # What only a new reading would show: the path is gone from the database, and nobody is told.
    database = server.app.engine.database
    server.call(
        database.write(lambda connection: connection.execute("DELETE FROM hooks WHERE path = 'table'"))
    )
    for seq, name in enumerate(("one", "two", "three")):
        change = {"id": f"{seq}", "kind": "set", "node": "hook", "path": "name", "value": name}
        edited = server.api("POST", "/workflows/table/operations", {"operations": [change]})
        assert edited.json["accepted"] == [f"{seq}"]
        assert request("POST", address, {}).status == 200
    publish("another")
    assert request("POST", address, {}).status == 404
