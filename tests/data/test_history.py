"""History stays small: by age, number and size, without touching what runs; the disk gets it back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowfuse.clock import id_text
from tests.support.local import LocalServer
from tests.support.people import member, owner

pytestmark = pytest.mark.slow
DAY_US = 86400 * 1_000_000
BIG = {
    "id": "big",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "a", "type": "transform.set", "config": {"fields": {"v": "{{ trigger }}"}}},
    ],
    "edges": [{"from": "go", "to": "a"}],
}
WAITS = {
    "id": "waits",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "hold", "type": "action.wait", "config": {"seconds": "1000d"}},
    ],
    "edges": [{"from": "go", "to": "hold"}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "data").start()
    yield running
    running.stop()


def run(server: LocalServer, name: str, value: Any = None) -> str:
    body = {"input": value, "version": "published", "wait": 20 if name != "waits" else 0}
    answer = server.api("POST", f"/workflows/{name}/run", body)
    assert answer.status == 202, answer.raw
    return str(answer.json["id"])


def collect(server: LocalServer) -> int:
    return int(server.call(server.app.engine.retention.collect()))


def rows(server: LocalServer, sql: str, *parameters: Any) -> list[Any]:
    return [tuple(row) for row in server.call(server.app.engine.database.rows(sql, parameters))]


def make_older(server: LocalServer, ids: list[str], days: float) -> None:
    from flowfuse.clock import id_bytes

    def change(connection: Any) -> None:
        for each in ids:
            connection.execute(
                "UPDATE executions SET created = created - ?1, finished = finished - ?1 WHERE id = ?2",
                (int(days * DAY_US), id_bytes(each)),
            )

    server.call(server.app.engine.database.write(change))


def settings(server: LocalServer, **changes: Any) -> None:
    answer = server.api(
        "PATCH", "/settings", {key.replace("__", "."): value for key, value in changes.items()}
    )
    assert answer.status == 200, answer.raw


def test_by_age_and_never_what_runs(server: LocalServer) -> None:
    server.publish(BIG)
    server.publish(WAITS)
    old, young, waiting = run(server, "big", 1), run(server, "big", 2), run(server, "waits")
    make_older(server, [old, waiting], 31)
    assert collect(server) == 1
    assert {each["id"] for each in server.executions()} == {young, waiting}
    assert server.api("GET", f"/executions/{old}").status == 404
    assert rows(server, "SELECT count(DISTINCT execution_id) FROM segments") == [(2,)]
    settings(server, history__keep_days=0)
    make_older(server, [young], 10_000)
    assert collect(server) == 0


def test_a_workflows_own_span(server: LocalServer) -> None:
    server.publish({**BIG, "settings": {"keep": "1h"}})
    old, young = run(server, "big"), run(server, "big")
    make_older(server, [old], 0.1)
    assert collect(server) == 1
    assert [each["id"] for each in server.executions()] == [young]


def test_the_span_is_the_published_ones(server: LocalServer) -> None:
    """A draft that is being worked on removes nothing."""
    server.publish({**BIG, "settings": {"keep": "30d"}})
    old = run(server, "big")
    make_older(server, [old], 1)
    draft = {**BIG, "settings": {"keep": "1h"}}
    etag = server.api("GET", "/workflows/big").headers["etag"]
    assert server.api("PUT", "/workflows/big", draft, **{"If-Match": etag}).status == 200
    assert collect(server) == 0
    server.api("POST", "/workflows/big/publish")
    assert collect(server) == 1


def test_by_number(server: LocalServer) -> None:
    server.publish(BIG)
    server.publish(WAITS)
    waiting = run(server, "waits")
    ids = [run(server, "big", number) for number in range(12)]
    [run(server, "waits") for _ in range(3)]
    settings(server, history__keep_count=2)
    assert collect(server) == 10
    kept = {each["id"] for each in server.executions()}
    assert set(ids) & kept == set(ids[-2:])
    assert waiting in kept


def test_what_is_still_to_be_told_stays(server: LocalServer) -> None:
    server.publish({**WAITS, "nodes": [WAITS["nodes"][0], {"id": "hold", "type": "action.wait_for_call"}]})
    call = {"id": "call", "type": "action.run_workflow", "config": {"workflow": "waits"}}
    server.publish(
        {"id": "calls", "nodes": [WAITS["nodes"][0], call], "edges": [{"from": "go", "to": "call"}]}
    )
    parent = server.api("POST", "/workflows/calls/run", {"version": "published"}).json["id"]
    until(lambda: any(each["workflow"] == "waits" and each["waiting"] for each in server.executions()))
    child = next(each["id"] for each in server.executions() if each["workflow"] == "waits")
    assert server.api("POST", f"/executions/{parent}/pause").status < 300
    server.call(server.app.engine.controller.orders.called("main", child, None, {"body": "told"}))
    until(lambda: server.api("GET", f"/executions/{child}").json["execution"]["state"] == "completed")
    make_older(server, [child], 31)
    assert collect(server) == 0
    assert server.api("POST", f"/executions/{parent}/resume").status < 300
    until(lambda: server.api("GET", f"/executions/{parent}").json["execution"]["state"] == "completed")
    assert server.api("GET", f"/executions/{parent}").json["result"] == {"body": "told"}
    until(lambda: collect(server) == 1)


def test_a_dead_letter_leaves_nothing_behind(server: LocalServer) -> None:
    fails = {"id": "stop", "type": "action.fail", "config": {"message": "no"}}
    server.publish(
        {"id": "fails", "nodes": [WAITS["nodes"][0], fails], "edges": [{"from": "go", "to": "stop"}]}
    )
    raw = server.call(fire(server, "fails"))
    failed = id_text(raw)
    until(lambda: server.api("GET", f"/executions/{failed}").json["execution"]["state"] == "failed")
    assert server.api("POST", "/dead-letters/discard", {"ids": [failed]}).status < 300
    assert rows(server, "SELECT count(*) FROM dead_letters") == [(1,)]
    make_older(server, [failed], 31)
    assert collect(server) == 1
    assert rows(server, "SELECT count(*) FROM dead_letters") == [(0,)]


async def fire(server: LocalServer, name: str) -> bytes:
    """A production run, as a trigger begins it."""
    engine = server.app.engine
    content = await engine.workflows.published("main", name)
    started = await engine.controller.execute("main", name, content, "go", None)
    return bytes(started.id)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline


def test_by_size_and_the_disk_gets_it_back(server: LocalServer) -> None:
    server.publish(BIG)
    noise = random.Random(1)
    for _ in range(20):
        run(server, "big", noise.randbytes(150_000).hex())
    server.call(server.app.engine.database.write(lambda c: None))
    before = server.api("GET", "/storage").json
    settings(server, history__keep_bytes=1_000_000)
    assert collect(server) > 10
    assert rows(server, "SELECT freelist_count FROM pragma_freelist_count()") == [(0,)]
    after = server.api("GET", "/storage").json
    assert after["free_in_database"] == 0
    assert before["accepting"] is after["accepting"] is True
    pages = rows(server, "SELECT page_count FROM pragma_page_count()")[0][0]
    assert pages * 4096 < 2_000_000


def test_the_size_is_the_installs(server: LocalServer) -> None:
    """Another workspace neither sets it nor is spared."""
    first = owner(server)
    lab = first.ask("POST", "/api/v1/workspaces", {"name": "Lab"}).json["id"]
    theirs = member(server, "owner", lab)
    assert theirs.ask("PATCH", "/api/v1/settings", {"history.keep_days": 3}).status == 200
    for key in ("history.keep_bytes", "network.allow", "backup.hourly"):
        refused = theirs.ask("PATCH", "/api/v1/settings", {key: None})
        assert (refused.status, key in refused.json["detail"]) == (403, True)
        assert theirs.send("/settings", key=key, value="1").status == 403
    shown = {each["key"] for each in theirs.ask("GET", "/api/v1/settings").json["items"]}
    assert shown == {"history.keep_days", "history.keep_count"}
    assert theirs.ask("GET", "/api/v1/backups").status == 403
    assert theirs.ask("POST", "/api/v1/workflows", BIG).status == 201
    noise = random.Random(1)
    for _ in range(10):
        body = {"input": noise.randbytes(150_000).hex(), "wait": 20}
        assert theirs.ask("POST", "/api/v1/workflows/big/run", body).status == 202
    settings(server, history__keep_bytes=1_000_000)
    assert collect(server) > 5


def test_a_large_value_stays_while_a_run_holds_it(server: LocalServer) -> None:
    server.publish(BIG)
    value = "x" * 400_000
    first, second = run(server, "big", value), run(server, "big", value)
    count = rows(server, "SELECT count(*) FROM blobs")
    assert count == [(2,)]  # the input, and the object around it: each once
    make_older(server, [first], 31)
    collect(server)
    assert server.api("GET", f"/executions/{second}").json["result"] == {"v": value}
    make_older(server, [second], 31)
    collect(server)
    assert rows(server, "SELECT count(*) FROM blobs") == [(0,)]
    assert rows(server, "SELECT count(*) FROM blob_references") == [(0,)]


def test_the_gauge_says_what_takes_the_space(server: LocalServer) -> None:
    server.publish(BIG)
    run(server, "big", "y" * 400_000)
    usage = server.api("GET", "/storage").json
    parts = {part["name"]: part["bytes"] for part in usage["parts"]}
    assert set(parts) == {"executions", "outputs", "large values", "workflows", "other"}
    assert usage["database"] > 0
    assert usage["disk_size"] > usage["disk_free"] > 0


def test_a_glance_at_the_gauge_does_not_wait_for_the_tables_to_be_read(server: LocalServer) -> None:
    storage = server.app.engine.storage

    def outputs(**how: bool) -> int:
        usage = server.call(storage.usage(**how))
        return next(int(part.bytes) for part in usage.parts if part.name == "large values")

    server.publish(BIG)
    before = outputs(glance=True)
    run(server, "big", "".join(random.Random(1).choices("abcdefghijklmnop", k=900_000)))
    assert outputs(glance=True) == before
    assert outputs() > before + 200_000
    assert outputs(glance=True) > before + 200_000


def test_an_old_glance_is_made_anew_behind_it(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowfuse.data import storage as module

    storage = server.app.engine.storage
    server.publish(BIG)
    server.call(storage.usage(glance=True))
    run(server, "big", "".join(random.Random(1).choices("abcdefghijklmnop", k=900_000)))
    monkeypatch.setattr(module, "GLANCE_SECONDS", 0.0)
    sizes = [{part.name: part.bytes for part in server.call(storage.usage(glance=True)).parts}]
    while len(sizes) < 100 and sizes[-1] == sizes[0]:
        sizes.append({part.name: part.bytes for part in server.call(storage.usage(glance=True)).parts})
    assert sizes[-1]["large values"] > sizes[0]["large values"] + 200_000


def test_tables_that_cannot_be_read_are_not_called_empty(tmp_path: Path) -> None:
    from flowfuse.data.storage import table_sizes
    from flowfuse.errors import DatabaseDamaged

    broken = tmp_path / "flowfuse.db"
    broken.write_bytes(b"this is no database" * 500)
    with pytest.raises(DatabaseDamaged):
        table_sizes(broken)


def test_the_last_runs_of_several_workflows_are_read_at_once(server: LocalServer) -> None:
    for name in ("one", "two", "never"):
        server.publish({**BIG, "id": name})
    for name in ("one", "two", "one", "one"):
        run(server, name)
    found = server.call(server.app.engine.executions.recent("main", ["one", "two", "never", "who"], 2))
    assert {name: [each.number for each in runs] for name, runs in found.items()} == {
        "one": [3, 2], "two": [1], "never": [], "who": []
    }  # fmt: skip
    assert {each.workflow for each in found["one"]} == {"one"}
    assert server.call(server.app.engine.executions.recent("other", ["one"], 2)) == {"one": []}


def test_accepting_stops_before_the_disk_is_full(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    server.publish(BIG)
    running = run(server, "big")
    usage = namedtuple("usage", "total used free")
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**10, 10**10 - 5_000_000, 5_000_000))
    deadline = time.monotonic() + 10
    while (answer := server.api("POST", "/workflows/big/run", {})).status != 503:
        assert time.monotonic() < deadline
    assert answer.json["title"] == "disk_low"
    assert "5 MB left" in answer.json["detail"]
    assert server.api("GET", f"/executions/{running}").status == 200
    assert server.api("GET", "/ready").status == 503
    monkeypatch.setattr(shutil, "disk_usage", real)
    while server.api("POST", "/workflows/big/run", {}).status != 202:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"history.keep_days": -1}, "history.keep_days"),
        ({"history.keep_days": "soon"}, "history.keep_days"),
        ({"history.nothing": 1}, "history.nothing"),
        ({"history.keep_days": 3, "backup.hourly": 0}, "backup.hourly"),
        ([1], "body"),
    ],
)
def test_a_setting_that_cannot_be(server: LocalServer, changes: Any, field: str) -> None:
    answer = server.api("PATCH", "/settings", changes)
    assert (answer.status, answer.json["field"]) == (400, field)
    items = {each["key"]: each for each in server.api("GET", "/settings").json["items"]}
    assert (items["history.keep_days"]["value"], items["history.keep_days"]["changed"]) == (30, False)


def test_a_setting_comes_and_goes(server: LocalServer) -> None:
    settings(server, history__keep_days=7)
    items = {each["key"]: each for each in server.api("GET", "/settings").json["items"]}
    assert (items["history.keep_days"]["value"], items["history.keep_days"]["default"]) == (7, 30)
    settings(server, history__keep_days=None)
    items = {each["key"]: each for each in server.api("GET", "/settings").json["items"]}
    assert (items["history.keep_days"]["value"], items["history.keep_days"]["changed"]) == (30, False)
