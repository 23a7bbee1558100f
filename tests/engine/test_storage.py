"""Records, segments, blobs: what is stored comes back, and damage is named (semantics §2, §6.9)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowfuse import large_json
from flowfuse.clock import id_text
from flowfuse.engine import executor, records
from flowfuse.errors import SegmentBroken
from tests.support.flows import effect, flow, node, of, put, run
from tests.support.simulation import WORKSPACE, Engine, World

BIG = "x" * 300_000


def test_a_large_value_becomes_a_blob_and_comes_back(world: World, engine: Engine) -> None:
    workflow = flow(
        put("a", "{{ trigger }}"), effect("b", value="{{ len(input.v) }}", seconds=5), effect("c", value="{{ nodes.a }}"),
        edges="start>a a>b b>c",
    )  # fmt: skip
    started = engine.start(workflow, BIG)
    engine.advance(2)
    assert len(world.rows("SELECT * FROM blobs")) == 2  # the trigger's value, and the object with it
    assert sum(len(row["data"]) for row in world.rows("SELECT data FROM segments")) < 10_000
    engine = world.reboot()
    engine.finish(started.id)
    detail = engine.detail(started.id)
    assert detail.result == {"v": BIG}
    assert detail.input == BIG
    assert of(detail, "b").output == 300_000


ROWS = [
    {"id": n, "name": f"Zoë {n}", "v": n / 7, "file": None, "on": [True, None, {}]} for n in range(40_000)
]


@pytest.mark.parametrize(
    "value",
    [ROWS, {"items": ROWS[:20_000], "n": 1, "more": {"deep": [ROWS[:20_000]]}}, ["x" * 1_200_000, *ROWS[:20]],
     {f"key {n}": "y" * 40 for n in range(70_000)}],
    ids=["rows", "nested", "long", "keys"],
)  # fmt: skip
def test_a_blob_made_in_pieces_is_the_one_made_at_once(value: Any) -> None:
    pieces = list(records.packed_pieces(value))
    assert b"".join(pieces) == records.pack(value)
    assert len(pieces) > 3
    blob = records.blob_of(value)
    assert blob.digest == records.digest_of(records.pack(value))
    assert records.decompress(blob.data) == records.pack(value)
    assert blob.size == len(records.pack(value))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_pieces_of_any_value_are_its_bytes(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowfuse.large_json.LARGE", 8)
        patch.setattr("flowfuse.large_json.PIECE", 1)
        for spare in (0, 400):
            assert b"".join(records.packed_pieces(value, spare)) == records.pack(value)
        assert asyncio.run(large_json.encode(value)) == msgspec.json.encode(value)


@pytest.mark.slow
def test_a_large_value_that_is_passed_on_is_encoded_once(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(executor, "blob_of", lambda value: made.append(1) or records.blob_of(value))
    workflow = flow(
        effect("a", value="{{ trigger }}"), node("log", "action.log", message="so far"), put("c", "{{ nodes.a }}"),
        effect("d", value=1, seconds=5), edges="start>a a>log log>c c>d",
    )  # fmt: skip
    started = engine.start(workflow, ROWS)
    engine.advance(3)
    engine = world.reboot()
    engine.finish(started.id)
    assert of(engine.detail(started.id), "log").output == of(engine.detail(started.id), "a").output
    assert of(engine.detail(started.id), "c").output == {"v": of(engine.detail(started.id), "a").output}
    assert len(made) == 1  # what `c` makes of it; the trigger's is its own, and the others pass it on


def test_one_content_is_one_blob(world: World, engine: Engine) -> None:
    for _ in range(3):
        run(engine, flow(), BIG)
    assert len(world.rows("SELECT * FROM blobs")) == 1


def test_a_large_log_line_does_not_break_the_record(world: World, engine: Engine) -> None:
    workflow = flow(node("log", "action.log", message=BIG), effect("b", seconds=5), edges="start>log log>b")
    started = engine.start(workflow)
    engine.advance(2)
    engine = world.reboot()
    assert engine.finish(started.id).state == "completed"
    assert "log" in [event.type for event in engine.events(started.id)]


@pytest.mark.parametrize("position", [0, 1, 4, 5, 20, -1])
@pytest.mark.parametrize("value", ["short", "x" * 5000])
def test_a_flipped_byte_is_named(world: World, engine: Engine, position: int, value: str) -> None:
    detail = run(engine, flow(put("a", value), edges="start>a"))
    row = world.rows("SELECT execution_id, first_seq, data FROM segments")[0]
    damaged = bytearray(row["data"])
    damaged[position] ^= 0x10
    world._keeper.execute("UPDATE segments SET data = ?", (bytes(damaged),))
    with pytest.raises(SegmentBroken):
        engine.do(engine.state.log(WORKSPACE, detail.execution.id))


def test_a_missing_segment_is_named(world: World, engine: Engine) -> None:
    workflow = flow(effect("a", seconds=1), effect("b", seconds=1), edges="start>a a>b")
    for which in ("min", "max"):
        detail = run(engine, workflow)
        raw = world.rows("SELECT id FROM executions ORDER BY id DESC LIMIT 1")[0]["id"]
        inner = f"(SELECT {which}(first_seq) FROM segments WHERE execution_id = ?)"
        if which == "max":
            inner = (
                "(SELECT first_seq FROM segments WHERE execution_id = ? ORDER BY first_seq LIMIT 1 OFFSET 1)"
            )
        world._keeper.execute(
            f"DELETE FROM segments WHERE execution_id = ? AND first_seq = {inner}", (raw, raw)
        )
        with pytest.raises(SegmentBroken):
            engine.do(engine.state.log(WORKSPACE, detail.execution.id))


def test_a_damaged_or_missing_blob_is_named(world: World, engine: Engine) -> None:
    detail = run(engine, flow(), BIG)
    world._keeper.execute("UPDATE blobs SET data = ?", (records.compress(b"\xa3abc"),))
    with pytest.raises(SegmentBroken):
        engine.do(engine.state.log(WORKSPACE, detail.execution.id))
    world._keeper.execute("DELETE FROM blobs")
    with pytest.raises(SegmentBroken):
        engine.do(engine.state.log(WORKSPACE, detail.execution.id))


def test_a_run_whose_segment_is_damaged_does_not_stop_the_others(world: World, engine: Engine) -> None:
    workflow = flow(effect("a", seconds=5), edges="start>a")
    bad, good = engine.start(workflow), engine.start(workflow)
    engine.advance(1)
    world.crash()
    world._keeper.execute("UPDATE segments SET data = X'00' WHERE execution_id = ?", (bad.id,))
    engine = world.boot()
    assert engine.finish(good.id).state == "completed"
    row = engine.stored(bad.id)
    assert row is not None
    assert (row.state, row.reason) == ("paused", "segment_broken")


def test_a_damaged_content_is_named(world: World, engine: Engine) -> None:
    detail = run(engine, flow(put("a", 1), edges="start>a"))
    world._keeper.execute("UPDATE contents SET document = X'7b7d'")
    engine = world.reboot()
    with pytest.raises(SegmentBroken):
        engine.do(engine.history.detail(WORKSPACE, detail.execution.id))


@pytest.mark.parametrize("count", [1, 15, 16, 70_000])
def test_segments_of_any_size_open_as_they_were_written(count: int) -> None:
    packed = [
        records.encode((records.DONE, number, (), "main", number, 0, 0, 1), 4)[0] for number in range(count)
    ]
    base, found = records.open_segment(records.segment(123, count, b"".join(packed)), "x")
    assert base == 123
    assert [record[1] for record in found] == list(range(count))


def test_execution_view_names_the_run(engine: Engine) -> None:
    workflow = flow(
        put("a", "{{ [execution.id, execution.root, execution.mode, workflow.id] }}"), edges="start>a"
    )
    started = engine.start(workflow)
    engine.finish(started.id)
    name = id_text(started.id)
    assert engine.detail(started.id).result == {"v": [name, name, "production", "flow"]}
