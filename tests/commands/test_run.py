"""`flowfuse run`: in this process, or on the server that holds the folder."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.commands.conftest import Command
from tests.support.local import LocalServer
from tests.support.server import Witness

pytestmark = pytest.mark.slow

Write = Callable[[str, Any], str]

DOUBLE: dict[str, Any] = {
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "out", "type": "transform.set", "config": {"fields": {"n": "{{ trigger.n * 2 }}"}}},
    ],
    "edges": [{"from": "go", "to": "out"}],
}
YAML = """
nodes:
  - {id: go, type: trigger.manual}
  - {id: out, type: transform.set, config: {fields: {n: "{{ trigger.n * 2 }}"}}}
edges: [{from: go, to: out}]
"""


def test_json_prints_the_four_keys_alone(flowfuse: Command, write: Write) -> None:
    ended = flowfuse("run", write("double.json", DOUBLE), "--input", '{"n": 4}', "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json == {"id": ended.json["id"], "state": "completed", "result": {"n": 8}, "error": None}
    assert list(ended.json) == ["id", "state", "result", "error"]


def test_a_failed_run_is_1(flowfuse: Command, write: Write) -> None:
    ended = flowfuse("run", write("double.json", DOUBLE), "--input", "{}", "--json")
    assert ended.code == 1
    assert (ended.json["state"], ended.json["result"], ended.json["error"]["node"]) == ("failed", None, "out")
    shown = flowfuse("run", "double.json", "--input", "{}")
    assert shown.code == 1
    assert "failed" in shown.out
    assert "out: " in shown.out


def test_an_invalid_document_is_2_with_its_problems(flowfuse: Command, write: Write) -> None:
    broken = {**DOUBLE, "edges": [{"from": "go", "to": "nowhere"}], "colour": 1}
    ended = flowfuse("run", write("broken.json", broken), "--json")
    assert (ended.code, ended.err, list(ended.json)) == (2, "", ["problems"])
    assert ended.json["problems"][0]["path"] == "colour"
    unsound = {**DOUBLE, "edges": [{"from": "go", "to": "nowhere"}]}
    ended = flowfuse("run", write("unsound.json", unsound), "--json")
    assert (ended.code, [p["path"] for p in ended.json["problems"]]) == (2, ["edges[0].to"])
    shown = flowfuse("run", "unsound.json")
    assert (shown.code, shown.out) == (2, "")
    assert "edges[0].to" in shown.err


@pytest.mark.parametrize("name", ["-", "flow.yaml", "flow.yml", "flow.txt"])
def test_yaml_and_standard_input(flowfuse: Command, write: Write, name: str) -> None:
    file = name if name == "-" else write(name, YAML)
    assert flowfuse("run", file, "--input", '{"n": 1}', "--json", stdin=YAML).json["result"] == {"n": 2}


def test_the_input_comes_from_a_file_or_standard_input(flowfuse: Command, write: Write) -> None:
    write("flow.yaml", YAML)
    write("input.json", {"n": 21})
    assert flowfuse("run", "flow.yaml", "--input", "@input.json", "--json").json["result"] == {"n": 42}
    assert flowfuse("run", "flow.yaml", "--input", "-", "--json", stdin='{"n": 3}').json["result"] == {"n": 6}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "{bad"], "--input"),
        (["--input", "9223372036854775808"], "input"),
        (["--input", "[" * 5000], "--input"),
        (["--input", "[" * 800 + "]" * 800], "input"),
        (["--input", "@gone.json"], "gone.json"),
        (["--input", "-"], "--input"),
        (["--trigger", "nope"], "trigger"),
    ],
)
def test_what_cannot_be_given_is_2_in_one_line(
    flowfuse: Command, write: Write, arguments: list[str], said: str
) -> None:
    ended = flowfuse("run", write("flow.yaml", YAML), *arguments, "--json", stdin=b"\xff")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert said in ended.err


def test_a_trigger_is_named_where_there_are_several(flowfuse: Command, write: Write) -> None:
    nodes = [{"id": "a", "type": "trigger.manual"}, {"id": "b", "type": "trigger.manual"}]
    write("two.json", {"nodes": nodes, "edges": []})
    assert "a, b" in flowfuse("run", "two.json").err
    assert flowfuse("run", "two.json", "--trigger", "b", "--input", "7", "--json").json["result"] == 7


def test_the_caller_is_the_operator_and_may_call_private_hosts(
    flowfuse: Command, write: Write, witness: Witness
) -> None:
    call = {"id": "ask", "type": "action.http_request", "config": {"url": "{{ trigger.url }}/asked"}}
    write("call.json", {"nodes": [DOUBLE["nodes"][0], call], "edges": [{"from": "go", "to": "ask"}]})
    ended = flowfuse("run", "call.json", "--input", f'{{"url": "{witness.base}"}}', "--json")
    assert ended.json["result"]["status"] == 200
    assert flowfuse("run", "call.json", "--input", f'{{"url": "{witness.base}"}}', "--test").code == 0


def test_a_server_that_takes_over_a_run_goes_by_its_own_network_rules(
    write: Write, tmp_path: Path, witness: Witness
) -> None:
    call = {"id": "ask", "type": "action.http_request", "config": {"url": "{{ trigger.url }}"}}
    hold = {"id": "hold", "type": "action.wait", "config": {"seconds": 3}}
    edges = [{"from": "go", "to": "hold"}, {"from": "hold", "to": "ask"}]
    file = write("late.json", {"nodes": [DOUBLE["nodes"][0], hold, call], "edges": edges})
    data = tmp_path / "data"
    given = ["--input", json.dumps({"url": witness.base}), "--data", str(data)]
    with subprocess.Popen([sys.executable, "-m", "flowfuse", "run", file, *given], cwd=tmp_path) as process:
        while not _waiting(data / "flowfuse.db"):
            assert process.poll() is None
        process.kill()
    server = LocalServer(data).start()
    try:
        (ended,) = server.wait_until_idle()
        assert (ended["mode"], ended["error"]["code"]) == ("cli", "address_denied")
        assert witness.marks == []
    finally:
        server.stop()


def _waiting(file: Path) -> int:
    """How many runs wait for a time."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM executions WHERE waiting = 'time'").fetchone()
            return int(count)
    except sqlite3.OperationalError:
        return 0  # there is no such file or table yet


def test_pinned_outputs_count_in_a_test(flowfuse: Command, write: Write) -> None:
    pinned = {**DOUBLE, "nodes": [DOUBLE["nodes"][0], {**DOUBLE["nodes"][1], "pinned": "fixed"}]}
    write("pinned.json", pinned)
    assert flowfuse("run", "pinned.json", "--input", '{"n": 1}', "--json").json["result"] == {"n": 2}
    assert flowfuse("run", "pinned.json", "--input", '{"n": 1}', "--json", "--test").json["result"] == "fixed"


def test_with_data_the_run_is_kept_but_no_workflow(flowfuse: Command, write: Write) -> None:
    write("flow.yaml", f"id: kept\n{YAML}")
    ended = flowfuse("run", "flow.yaml", "--input", '{"n": 1}', "--json", "--data", "data")
    shown = flowfuse("show", ended.json["id"], "--data", "data", "--json")
    assert shown.json["execution"]["workflow"] == "kept"
    assert flowfuse("list", "--data", "data", "--json").json == []
    listed = flowfuse("executions", "--data", "data", "--json").json
    assert [item["id"] for item in listed] == [ended.json["id"]]


def test_beside_a_server_the_server_runs_it(
    flowfuse: Command, write: Write, server: LocalServer, witness: Witness
) -> None:
    write("flow.yaml", YAML)
    ended = flowfuse("run", "flow.yaml", "--input", '{"n": 5}', "--json", "--data", "data")
    assert (ended.code, ended.json["result"]) == (0, {"n": 10})
    assert server.api("GET", f"/executions/{ended.json['id']}").status == 200
    assert flowfuse("run", "flow.yaml", "--input", "{}", "--json", "--data", "data").code == 1
    refused = flowfuse("run", "flow.yaml", "--trigger", "nope", "--json", "--data", "data")
    assert (refused.code, refused.out) == (2, "")
    invalid = flowfuse(
        "run", write("bad.json", {**DOUBLE, "edges": [{"from": "go", "to": "x"}]}), "--json", "--data", "data"
    )
    assert (invalid.code, invalid.json["problems"][0]["path"]) == (2, "edges[0].to")
    # The server's network rules hold: an address from data must be public.
    call = {"id": "ask", "type": "action.http_request", "config": {"url": "{{ trigger.url }}"}}
    write("call.json", {"nodes": [DOUBLE["nodes"][0], call], "edges": [{"from": "go", "to": "ask"}]})
    denied = flowfuse(
        "run", "call.json", "--input", f'{{"url": "{witness.base}"}}', "--json", "--data", "data"
    )
    assert (denied.code, denied.json["error"]["code"]) == (1, "address_denied")


def test_a_workflow_that_runs_another(flowfuse: Command, write: Callable[[str, Any], str]) -> None:
    child = {"id": "child", "nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []}
    assert flowfuse("import", write("child.json", child), "--publish", "--data", "data").code == 0
    parent = {
        "nodes": [
            {"id": "go", "type": "trigger.manual"},
            {
                "id": "call",
                "type": "action.run_workflow",
                "config": {"workflow": "child", "input": "{{ trigger }}"},
            },
        ],
        "edges": [{"from": "go", "to": "call"}],
    }
    ended = flowfuse("run", write("parent.json", parent), "--input", "7", "--data", "data", "--json")
    assert (ended.code, ended.json["result"]) == (0, 7)


def test_what_a_stopped_server_has_left_is_left_alone(write: Write, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = LocalServer(data).start()
    waits = {
        "id": "waits",
        "nodes": [
            {"id": "go", "type": "trigger.manual"},
            {"id": "hold", "type": "action.wait", "config": {"seconds": "100d"}},
        ],
        "edges": [{"from": "go", "to": "hold"}],
    }
    server.publish(waits)
    ids = [server.api("POST", "/workflows/waits/run", {}).json["id"] for _ in range(4)]
    while any(each["waiting"] != "time" for each in server.executions()):
        pass
    server.stop()
    pending, held, due, dying = (UUID(each).bytes for each in ids)
    with contextlib.closing(sqlite3.connect(data / "flowfuse.db")) as database, database:
        change = "UPDATE executions SET state = ?, waiting = ?, wake_at = ?, deaths = ? WHERE id = ?"
        database.execute(change, (0, None, None, 0, pending))
        database.execute(change, (0, "concurrency", None, 0, held))
        database.execute(change, (1, "time", 1, 0, due))
        database.execute(change, (1, None, None, 1, dying))
        database.execute("UPDATE meta SET value = 0 WHERE key = 'clean_shutdown'")
        note = "INSERT INTO follow_ups (workspace_id, kind, execution_id) VALUES ('main', 'cancel', ?)"
        database.execute(note, (due,))
        before = database.execute(LEFT).fetchall()
    own = {
        "id": "waits",
        "settings": {"concurrency": 1},
        "nodes": [
            *DOUBLE["nodes"],
            {"id": "rest", "type": "action.wait", "config": {"seconds": 0.5}},
        ],
        "edges": [{"from": "go", "to": "rest"}, {"from": "rest", "to": "out"}],
    }
    command = [sys.executable, "-m", "flowfuse", "run", write("own.json", own), "--input", '{"n": 4}']
    ended = subprocess.run(
        [*command, "--json", "--data", str(data)], capture_output=True, text=True, timeout=60, check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["result"] == {"n": 8}
    with contextlib.closing(sqlite3.connect(data / "flowfuse.db")) as database:
        assert database.execute(LEFT).fetchall()[: len(before)] == before
        assert database.execute("SELECT count(*) FROM follow_ups").fetchone() == (1,)
        assert database.execute("SELECT value FROM meta WHERE key = 'clean_shutdown'").fetchone() == (0,)


LEFT = "SELECT id, state, waiting, wake_at, seq, deaths, epoch FROM executions ORDER BY id"
