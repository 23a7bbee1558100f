"""/api/v1/workflows: keep, change, check, publish and run documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.local import LocalServer
from tests.support.server import request

Document = dict[str, Any]


def flow(id: str | None = None, **more: Any) -> Document:
    """Doubles a number."""
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {"id": "out", "type": "transform.set", "config": {"fields": {"n": "{{ trigger.n * 2 }}"}}},
    ]
    document = {"nodes": nodes, "edges": [{"from": "go", "to": "out"}], **more}
    return document if id is None else {"id": id, **document}


def test_the_life_of_a_workflow(server: LocalServer) -> None:
    made = server.api("POST", "/workflows", flow("life", name="Life"))
    assert (made.status, made.headers["etag"]) == (201, '"1"')
    assert made.headers["location"] == "/api/v1/workflows/life"
    assert made.json["problems"] == []
    read = server.api("GET", "/workflows/life")
    assert read.json["document"] == flow("life", name="Life")
    assert read.headers["etag"] == '"1"'

    changed = server.api("PUT", "/workflows/life", flow(name="Other"), if_match='"1"')
    assert (changed.status, changed.headers["etag"]) == (200, '"2"')
    assert changed.json["document"] == flow("life", name="Other")
    assert [w["name"] for w in server.api("GET", "/workflows").json["items"] if w["id"] == "life"] == [
        "Other"
    ]

    published = server.api("POST", "/workflows/life/publish", {"note": "first"})
    assert (published.status, published.json["number"], published.json["note"]) == (200, 1, "first")
    assert server.api("POST", "/workflows/life/publish").json["number"] == 2
    versions = server.api("GET", "/workflows/life/versions").json["items"]
    assert [(v["number"], v["note"]) for v in versions] == [(2, ""), (1, "first")]
    assert server.api("POST", "/workflows/life/unpublish").status == 204

    assert server.api("DELETE", "/workflows/life").status == 204
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/publish"),
        ("POST", "/run"),
        ("GET", "/versions"),
    ):
        assert server.api(method, f"/workflows/life{path}").status == 404, path


def test_ids_are_made_when_they_are_missing(server: LocalServer) -> None:
    ids = [
        server.api("POST", "/workflows", flow(name="Crème brûlée!")).json["workflow"]["id"] for _ in range(3)
    ]
    assert ids[0] == "cr-me-br-l-e"
    assert len(set(ids)) == 3
    assert all(name.startswith("cr-me-br-l-e") for name in ids)
    assert server.api("POST", "/workflows", flow()).json["workflow"]["id"].startswith("workflow-")


def test_a_taken_id_is_a_conflict(server: LocalServer) -> None:
    assert server.api("POST", "/workflows", flow("taken")).status == 201
    again = server.api("POST", "/workflows", flow("taken"))
    assert (again.status, again.json["code"]) == (409, "conflict")


def test_yaml_in_and_out(server: LocalServer) -> None:
    text = b"id: as-yaml\nnodes:\n  - {id: go, type: trigger.manual, name: on}\nedges: []\n"
    made = server.api("POST", "/workflows", text, content_type="application/yaml")
    assert made.json["document"]["nodes"][0]["name"] == "on"
    read = server.api("GET", "/workflows/as-yaml", accept="application/yaml")
    assert read.headers["content-type"].startswith("application/yaml")
    assert b'name: "on"' in read.raw


# -- preconditions


@pytest.mark.parametrize(
    ("etag", "status", "code"),
    [
        (None, 428, "condition_missing"),
        ('"7"', 412, "stale_version"),
        ('"x"', 400, "request_invalid"),
        ("*", 400, "request_invalid"),
        ("²", 400, "request_invalid"),
        ("9" * 5000, 400, "request_invalid"),
    ],
)
def test_a_replacement_names_what_it_replaces(
    server: LocalServer, etag: str | None, status: int, code: str
) -> None:
    server.api("POST", "/workflows", flow("guarded"))
    headers = {} if etag is None else {"if_match": etag}
    answer = server.api("PUT", "/workflows/guarded", flow(name="x"), **headers)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert server.api("GET", "/workflows/guarded").json["document"] == flow("guarded")


def test_an_id_does_not_change(server: LocalServer) -> None:
    server.api("POST", "/workflows", flow("settled"))
    answer = server.api("PUT", "/workflows/settled", flow("moved"), if_match='"1"')
    assert (answer.status, answer.json["field"]) == (400, "id")


def test_a_draft_with_problems_is_kept_with_them(server: LocalServer) -> None:
    document = flow("wip", nodes=[{"id": "a.b".replace(".", "_"), "type": "no.such"}])
    document["edges"] = [{"from": "a_b", "to": "gone"}]
    made = server.api("POST", "/workflows", document)
    assert made.status == 201
    assert {p["path"] for p in made.json["problems"]} >= {"nodes.a_b.type", "edges[0].to"}
    # Also what an operation would refuse can be put as a whole.
    more = {**document, "edges": [*document["edges"], {"from": "gone", "to": "a_b"}]}
    assert server.api("PUT", "/workflows/wip", more, if_match='"1"').status == 200
    for act in ("publish", "run"):
        answer = server.api("POST", f"/workflows/wip/{act}", {})
        assert (answer.status, answer.json["code"]) == (422, "workflow_invalid")
        assert all(problem["severity"] == "error" for problem in answer.json["problems"])


def test_keys_that_no_path_can_name_are_put_all_the_same(server: LocalServer) -> None:
    server.api("POST", "/workflows", flow("keys"))
    odd = {"fields": {"a.b": 1, "": 2, "ü": 3}, "": 4, "x.y": 5}
    document = flow("keys", nodes=[{"id": "go", "type": "trigger.manual", "config": odd}], edges=[])
    answer = server.api("PUT", "/workflows/keys", document, if_match='"1"')
    assert (answer.status, answer.json["document"]["nodes"][0]["config"]) == (200, odd)


# -- validation


def test_every_problem_in_one_answer(server: LocalServer) -> None:
    document = {
        "id": "Not An Id",
        "colour": "red",
        "settings": {"timezone": "Mars/Olympus", "checkpoint_every": "often"},
        "nodes": [
            {"id": "go", "type": "trigger.manual"},
            {"id": "go", "type": "trigger.manual"},
            {"id": "Bad Id", "type": "transform.set"},
            {
                "id": "call",
                "type": "action.http_request",
                "config": {"methd": "GET"},
                "retry": {"attempts": 0},
            },
            {
                "id": "expr",
                "type": "transform.set",
                "config": {"fields": {"a": "{{ 1 + }}", "b": "{{ nodes.zzz }}"}},
            },
            {"id": "unknown", "type": "no.such"},
        ],
        "edges": [
            {"from": "go", "to": "call"},
            {"from": "call.nope", "to": "expr"},
            {"from": "call", "to": "nowhere"},
            {"from": "Bad Id", "to": "expr"},
        ],
    }
    problems = server.api("POST", "/workflows/validate", document).json["problems"]
    by_path = {problem["path"]: problem["code"] for problem in problems}
    assert set(by_path) >= {
        "id",
        "colour",
        "settings.timezone",
        "settings.checkpoint_every",
        "nodes[1].id",
        "nodes[2].id",
        "nodes.call.config.methd",
        "nodes.call.config.url",
        "nodes.call.retry.attempts",
        "nodes.expr.config.fields.a",
        "nodes.expr.config.fields.b",
        "nodes.unknown.type",
        "edges[1].from",
        "edges[2].to",
    }, sorted(by_path)
    assert server.api("GET", "/workflows/Not%20An%20Id").status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"5", b'"x"', b"{", b"\xff", b"[" * 10_000, b'{"nodes": 5, "edges": {}}',
        b'{"nodes": [5, null, {"id": 5}], "edges": [5]}', b'{"format": 99, "nodes": [], "edges": []}',
        b'{"format": true, "nodes": [], "edges": []}', b'{"nodes": [{"id": "a", "type": "x", "config": %b}], "edges": []}' % (b"[" * 900 + b"]" * 900),
        b'{"nodes": [{"id": "a", "type": "x", "config": {"n": 9223372036854775808}}], "edges": []}',
        b'{"nodes": [{"id": "a", "type": "x", "config": {"n": %b}}], "edges": []}' % (b'{"n":' * 900 + b"1" + b"}" * 900),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_with_its_problems(server: LocalServer, body: bytes) -> None:
    for path in ("/workflows", "/workflows/validate"):
        answer = server.api("POST", path, body)
        assert answer.status == (200 if path.endswith("validate") else 422), answer.raw
        assert answer.json["problems"], answer.raw
        assert {"path", "code", "message", "severity"} <= set(answer.json["problems"][0])


def test_the_draft_is_validated_on_request(server: LocalServer) -> None:
    server.api("POST", "/workflows", flow("checked", edges=[]))
    problems = server.api("POST", "/workflows/checked/validate").json["problems"]
    assert [(p["path"], p["severity"]) for p in problems if p["severity"] == "warning"] == [
        ("nodes.out", "warning")
    ]


# -- running


def test_run_waits_for_the_outcome(server: LocalServer) -> None:
    server.api("POST", "/workflows", flow("runs"))
    answer = server.api("POST", "/workflows/runs/run", {"input": {"n": 4}, "wait": 10})
    assert answer.json == {"id": answer.json["id"], "state": "completed", "result": {"n": 8}, "error": None}
    failed = server.api("POST", "/workflows/runs/run", {"input": {}, "wait": 10}).json
    assert (failed["state"], failed["error"]["node"], failed["error"]["code"]) == (
        "failed",
        "out",
        "expression_failed",
    )
    assert server.api("POST", "/workflows/runs/run", {"input": {"n": 1}}).status == 202
    refused = server.api("POST", "/workflows/runs/run", {"version": "published"})
    assert (refused.status, refused.json["field"]) == (400, "version")


@pytest.mark.parametrize(
    "body",
    [
        b'{"input": 9223372036854775808}', b'{"input": %b}' % (b"[" * 800 + b"]" * 800), b'{"trigger": "nope"}',
        b'{"version": "newest"}', b'{"inptu": 1}', b'{"wait": "long"}', b"[]", b"{", b"\xff", b'{"trigger": 5}',
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_400(server: LocalServer, body: bytes) -> None:
    server.api("POST", "/workflows", flow("refusing"))
    answer = server.api("POST", "/workflows/refusing/run", body)
    assert answer.status == 400, answer.raw
    assert server.executions(workflow="refusing") == []


def test_a_document_runs_without_being_kept(server: LocalServer) -> None:
    answer = server.api("POST", "/run", {"document": flow("passing"), "input": {"n": 3}})
    assert (answer.status, answer.json["state"], answer.json["result"]) == (200, "completed", {"n": 6})
    assert server.api("GET", "/workflows/passing").status == 404
    assert server.api("GET", f"/executions/{answer.json['id']}").json["execution"]["mode"] == "manual"
    invalid = server.api("POST", "/run", {"document": {"nodes": []}})
    assert (invalid.status, invalid.json["problems"][0]["path"]) == (422, "edges")
    assert server.api("POST", "/run", {"document": flow(), "input": 2**63}).status == 400


def test_several_triggers_have_to_be_named(server: LocalServer) -> None:
    nodes = [{"id": "a", "type": "trigger.manual"}, {"id": "b", "type": "trigger.manual"}]
    document = {"nodes": nodes, "edges": []}
    answer = server.api("POST", "/run", {"document": document})
    assert (answer.status, answer.json["field"]) == (400, "trigger")
    assert "a, b" in answer.json["detail"]
    assert server.api("POST", "/run", {"document": document, "trigger": "b", "input": 1}).json["result"] == 1


# -- the rest of the door


def test_node_types_and_schema(server: LocalServer) -> None:
    types = server.api("GET", "/node-types").json["items"]
    assert {"type", "family", "title", "summary", "schema", "fields"} <= set(types[0])
    assert "action.http_request" in {each["type"] for each in types}
    schema = server.api("GET", "/schema").json
    assert "Workflow" in schema["$ref"]


def test_health_needs_nobody_to_be_signed_in(server: LocalServer) -> None:
    for path in ("/health", "/ready", "/api/v1/health", "/api/v1/ready"):
        answer = request("GET", server.base + path)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), path


def test_a_state_that_is_known_is_not_sent_again(server: LocalServer) -> None:
    made = server.api("POST", "/workflows", {"id": "known", "nodes": [], "edges": []})
    etag = made.headers["etag"]
    assert server.api("GET", "/workflows/known", if_none_match=f'"0", {etag}').status == 304
    assert server.api("GET", "/workflows/known", if_none_match='"0"').status == 200


def test_what_is_not_there_is_said_with_its_address(server: LocalServer) -> None:
    answer = server.api("GET", "/no-such-thing")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert answer.json["detail"] == "There is nothing at /api/v1/no-such-thing."
    for language, said in (("en", "There is nothing at /nowhere."), ("de", "Unter /nowhere gibt es nichts.")):
        page = request(
            "GET", f"{server.base}/nowhere", headers={"Accept": "text/html", "Accept-Language": language}
        )
        assert page.status == 404
        assert said in page.raw.decode()


@pytest.mark.parametrize(
    ("when_taken", "outcome"), [("skip", "skipped"), ("replace", "replaced"), ("rename", "created")]
)
def test_an_import_meets_an_id_that_is_taken(server: LocalServer, when_taken: str, outcome: str) -> None:
    hook = {"id": "hook", "type": "trigger.webhook", "config": {"path": f"taken-{when_taken}"}}
    mine = {"id": f"taken-{when_taken}", "nodes": [hook], "edges": []}
    server.publish(mine)
    brought = {**mine, "name": "", "description": "brought"}
    asked = {"workflows": [brought], "when_taken": when_taken, "publish": True}
    answer = server.api("POST", "/import", asked).json
    assert answer["refused"] == []
    (item,) = answer["items"]
    assert item["outcome"] == outcome
    kept = server.api("GET", f"/workflows/{mine['id']}").json["document"]
    assert kept.get("description", "") == ("brought" if when_taken == "replace" else "")
    if when_taken == "rename":
        copy = server.api("GET", f"/workflows/{item['id']}").json["document"]
        assert item["id"] != mine["id"]
        assert copy["name"] == mine["id"]
        assert copy["nodes"][0]["config"]["path"] not in ("", f"taken-{when_taken}")


def test_an_import_refuses_an_id_that_is_taken_and_keeps_the_others(server: LocalServer) -> None:
    start = {"id": "start", "type": "trigger.manual"}
    server.publish({"id": "refused-twin", "nodes": [start], "edges": []})
    brought = [{"id": name, "nodes": [start], "edges": []} for name in ("refused-twin", "another-one")]
    answer = server.api("POST", "/import", {"workflows": brought}).json
    assert [item["id"] for item in answer["items"]] == ["another-one"]
    assert [each["index"] for each in answer["refused"]] == [0]
    assert "refused-twin" in answer["refused"][0]["reason"]
