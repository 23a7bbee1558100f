"""`flowfuse validate | import | export`."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowfuse import document
from tests.commands.conftest import Command
from tests.support.local import LocalServer

Write = Callable[[str, Any], str]

GO = {"id": "go", "type": "trigger.manual"}


def fields(id: str, **values: Any) -> dict[str, Any]:
    return {"id": id, "type": "transform.set", "config": {"fields": values or {"n": 1}}}


def edges(*pairs: str) -> list[dict[str, str]]:
    return [dict(zip(("from", "to"), pair.split(">"), strict=True)) for pair in pairs]


# -- validate

PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "type": ({"nodes": [GO, {"id": "x", "type": "no.such"}], "edges": edges("go>x")}, {"nodes.x.type": "no.such"}),
    "version": ({"nodes": [GO, {**fields("x"), "version": 99}], "edges": edges("go>x")}, {"nodes.x.version": "99"}),
    "port": ({"nodes": [GO, fields("x")], "edges": edges("go.nope>x")}, {"edges[0].from": "nope"}),
    "missing config": (
        {"nodes": [GO, {"id": "x", "type": "action.http_request"}], "edges": edges("go>x")},
        {"nodes.x.config.url": "missing"},
    ),
    "wrong config": (
        {"nodes": [GO, {"id": "x", "type": "loop.for_each", "config": {"items": [], "concurrency": "many"}}], "edges": edges("go>x")},
        {"nodes.x.config.concurrency": "many"},
    ),
    "unknown config": (
        {"nodes": [GO, {"id": "x", "type": "action.log", "config": {"message": "m", "colour": 1}}], "edges": edges("go>x")},
        {"nodes.x.config.colour": "no such field"},
    ),
    "unknown field": ({"nodes": [{**GO, "colour": 1}], "edges": []}, {"nodes.go.colour": "no such field"}),
    "bad id": ({"nodes": [GO, fields("Bad-Id")], "edges": []}, {"nodes[1].id": ""}),
    "duplicate id": ({"nodes": [GO, GO], "edges": []}, {"nodes[1].id": "twice"}),
    "dangling": ({"nodes": [GO], "edges": edges("go>x", "y>go")}, {"edges[0].to": "x", "edges[1].from": "y"}),
    "cycle": (
        {"nodes": [GO, fields("a"), fields("b")], "edges": edges("go>a", "a>b", "b>a")},
        {"nodes.a": "“a”, “b”"},
    ),
    "leak": (
        {
            "nodes": [GO, {"id": "each", "type": "loop.for_each", "config": {"items": [1]}}, fields("body"), fields("after")],
            "edges": edges("go>each", "each.item>body", "each.done>after", "body>after"),
        },
        {"edges[3]": "body"},
    ),
    "no trigger": ({"nodes": [fields("x")], "edges": []}, {"nodes": "trigger"}),
    "syntax": ({"nodes": [GO, fields("x", v="{{ 1 + }}")], "edges": edges("go>x")}, {"nodes.x.config.fields.v": ""}),
    "not upstream": (
        {"nodes": [GO, fields("x", v="{{ nodes.y }}"), fields("y")], "edges": edges("go>x", "go>y")},
        {"nodes.x.config.fields.v": "y"},
    ),
    "unknown name": (
        {"nodes": [GO, fields("x", v="{{ nowhere }}")], "edges": edges("go>x")},
        {"nodes.x.config.fields.v": "nowhere"},
    ),
    "retry on a loop": (
        {"nodes": [GO, {"id": "x", "type": "loop.for_each", "config": {"items": []}, "retry": {"attempts": 2}}], "edges": edges("go>x")},
        {"nodes.x.retry": ""},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROBLEMS)
def test_each_kind_of_problem_is_found_where_it_is(flowfuse: Command, write: Write, case: str) -> None:
    given, expected = PROBLEMS[case]
    ended = flowfuse("validate", write("flow.json", given), "--json")
    found = {
        problem["path"]: problem["message"]
        for problem in ended.json["problems"]
        if problem["severity"] == "error"
    }
    assert ended.code == 2
    for path, words in expected.items():
        where = next((each for each in found if each.startswith(path)), None)
        assert where is not None, (path, found)
        assert words in found[where], found


def test_what_nothing_reaches_is_a_warning(flowfuse: Command, write: Write) -> None:
    write("flow.json", {"nodes": [GO, fields("lonely")], "edges": []})
    ended = flowfuse("validate", "flow.json", "--json")
    assert (ended.code, [(p["path"], p["severity"]) for p in ended.json["problems"]]) == (
        0,
        [("nodes.lonely", "warning")],
    )
    shown = flowfuse("validate", "flow.json")
    assert shown.code == 0
    assert "warning  nodes.lonely" in shown.out


def test_a_misshapen_part_hides_no_other_and_accuses_none(flowfuse: Command) -> None:
    text = """
nodes:
  - {id: go, type: trigger.manual, colour: red}
  - {id: x, type: transform.set, config: {fields: {v: "{{ nodes.go }}", w: "{{ nodes.gone }}"}}, retry: often}
edges: [{from: go, to: x}, {from: x, to: 5}]
"""
    ended = flowfuse("validate", "-", "--json", stdin=text)
    paths = [problem["path"] for problem in ended.json["problems"]]
    assert sorted(paths) == ["edges[1].to", "nodes.go.colour", "nodes.x.config.fields.w", "nodes.x.retry"]


def test_a_sound_file(flowfuse: Command, write: Write) -> None:
    write("flow.json", {"nodes": [GO], "edges": []})
    assert flowfuse("validate", "flow.json") == (0, "No errors.\n", "")
    assert flowfuse("validate", "flow.json", "--json").json == {"problems": []}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "a: [",
        "\x00",
        "- 1",
        "5",
        "a: &a [*a]",
        "[" * 10_000,
        "a: !!python/object:os.system x",
        "x: 1\n---\ny: 2",
    ],
)
def test_what_is_no_document_is_2(flowfuse: Command, text: str) -> None:
    ended = flowfuse("validate", "-", stdin=text)
    assert (ended.code, ended.out.count("\n")) in {(2, 1), (2, 2), (2, 3)}
    assert "error  " in ended.out


def test_a_file_that_is_no_text(flowfuse: Command, tmp_path: Path) -> None:
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe\x00")
    assert flowfuse("validate", "raw.yaml").code == 2
    for name in ("gone.yaml", "."):
        ended = flowfuse("validate", name)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


# -- import, export


def test_import_and_export_come_back_the_same(flowfuse: Command, write: Write, tmp_path: Path) -> None:
    flow = {
        "id": "kept",
        "name": "on",
        "nodes": [GO, fields("x", text="12:30\n  ~\n")],
        "edges": edges("go>x"),
    }
    write("kept.json", flow)
    write("other.yaml", "nodes: [{id: go, type: trigger.manual}]\nedges: []\n")
    ended = flowfuse("import", "kept.json", "other.yaml", "--data", "data", "--json")
    assert ended.json == {"imported": ["kept", "other"]}
    assert flowfuse("export", "kept", "--data", "data", "--output", "out").code == 0
    first = (tmp_path / "out" / "kept.yaml").read_text()
    assert document.read(first, yaml=True) == document.from_raw(flow)
    assert flowfuse("import", "out/kept.yaml", "--replace", "--data", "data").code == 0
    assert flowfuse("export", "kept", "--data", "data").out == first
    assert flowfuse("export", "kept", "--data", "data", "--format", "json").json == flow
    both = flowfuse("export", "--data", "data").out
    assert both.count("---\n") == 2
    assert both.index("id: kept") < both.index("id: other")


def test_import_refuses_before_it_keeps_anything(flowfuse: Command, write: Write) -> None:
    write("good.json", {"id": "good", "nodes": [GO], "edges": []})
    write("bad.json", {"id": "bad", "nodes": 5, "edges": []})
    ended = flowfuse("import", "good.json", "bad.json", "--data", "data")
    assert ended.code == 2
    assert "bad.json: nodes" in ended.err
    assert flowfuse("import", "good.json", "--data", "data").code == 0
    again = flowfuse("import", "good.json", "--data", "data")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "good" in again.err


def test_import_publishes_what_may_run(flowfuse: Command, write: Write) -> None:
    write("flow.json", {"id": "live", "nodes": [GO], "edges": []})
    assert flowfuse("import", "flow.json", "--publish", "--data", "data").code == 0
    assert flowfuse("list", "--data", "data", "--json").json[0]["published"] == 1
    write("unsound.json", {"id": "unsound", "nodes": [fields("x")], "edges": []})
    assert flowfuse("import", "unsound.json", "--publish", "--data", "data").code == 2


def test_what_the_command_publishes_says_by_whom(flowfuse: Command, write: Write, tmp_path: Path) -> None:
    write("flow.json", {"id": "live", "nodes": [GO], "edges": []})
    assert flowfuse("import", "flow.json", "--publish", "--data", "data").code == 0
    server = LocalServer(tmp_path / "data").start()
    try:
        (version,) = server.api("GET", "/workflows/live/versions").json["items"]
    finally:
        server.stop()
    assert version["author"] == getpass.getuser()


def test_import_and_export_beside_a_server(flowfuse: Command, write: Write, server: LocalServer) -> None:
    hook = {"id": "hook", "type": "trigger.webhook", "config": {"path": "imported", "respond": "last_node"}}
    write("flow.json", {"id": "beside", "nodes": [hook], "edges": []})
    assert flowfuse("import", "flow.json", "--publish", "--data", "data").code == 0
    assert server.api("GET", "/workflows/beside").json["workflow"]["published"] == 1
    write("flow.json", {"id": "beside", "name": "New", "nodes": [hook], "edges": []})
    assert flowfuse("import", "flow.json", "--data", "data").code == 2
    assert flowfuse("import", "flow.json", "--replace", "--data", "data").code == 0
    assert "name: New" in flowfuse("export", "beside", "--data", "data").out
    write("bad.json", {"id": "bad", "nodes": [fields("x")], "edges": []})
    ended = flowfuse("import", "bad.json", "--publish", "--data", "data")
    assert ended.code == 2
    assert "trigger" in ended.err


def test_export_complains_in_one_line(flowfuse: Command, write: Write) -> None:
    write("flow.json", {"id": "x", "nodes": [GO], "edges": []})
    flowfuse("import", "flow.json", "--data", "data")
    for arguments in (["gone"], ["x", "--output", "flow.json"]):
        ended = flowfuse("export", *arguments, "--data", "data")
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
