"""Retry and requeue: a new run that keeps what was done, from the failure, a node, a round, or the start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from flowfuse.clock import Ids, id_bytes, id_text
from flowfuse.data.dead_letters import DeadLetters
from flowfuse.engine.copies import Copies
from flowfuse.engine.retry import Retry
from flowfuse.engine.rollback import Rollback
from flowfuse.errors import Conflict, NotFound, RequestInvalid
from flowfuse.model import Execution
from tests.support.flows import each, effect, flow, node, put
from tests.support.simulation import WORKSPACE, Engine, World


class Again:
    """Retries on one life of the process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.letters = DeadLetters(engine.database, engine.clock)
        copies = Copies(
            engine.executions, engine.queue, engine.controller,
            Ids(engine.clock, engine.world.random.randbytes), engine.clock,
        )  # fmt: skip
        self.service = Retry(
            engine.executions, engine.workflows, engine.state, engine.history, self.letters, engine.controller,
            copies,
        )  # fmt: skip
        self.rollback = Rollback(engine.executions, engine.state, engine.history, engine.controller, copies)

    def __call__(self, raw: bytes, **how: Any) -> Execution:
        return self.engine.finish(self.begin(raw, **how))

    def begin(self, raw: bytes, **how: Any) -> bytes:
        return self._made(self.service.retry(WORKSPACE, id_text(raw), **how))

    def restart(self, raw: bytes, checkpoint: int) -> bytes:
        return self._made(self.rollback.restart(WORKSPACE, id_text(raw), checkpoint))

    def _made(self, work: Coroutine[Any, Any, str]) -> bytes:
        made = id_bytes(self.engine.do(work))
        assert made is not None
        return made

    def dead(self) -> list[str]:
        return [found.id for found in self.engine.do(self.letters.list(WORKSPACE))]


@pytest.fixture
def again(engine: Engine) -> Again:
    return Again(engine)


def counts(world: World) -> Counter[str]:
    return Counter(entry.node for entry in world.ledger.entries)


def test_what_was_done_stays_and_the_failed_is_run_again(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(
        effect("a", value=1), effect("b", fails=1, value="{{ input }}", retry={"attempts": 1}), effect("c", value="{{ nodes.a }}"),
        edges="start>a a>b b>c",
    )  # fmt: skip
    old = engine.start(workflow)
    assert engine.finish(old.id).state == "failed"
    assert again.dead() == [id_text(old.id)]
    row = again(old.id)
    # The node fails in its first attempt again; what came before it is not repeated.
    assert row.state == "failed"
    assert counts(world) == {"a": 1, "b": 2}
    keys = {entry.key for entry in world.ledger.of("b")}
    assert len(keys) == 1
    assert row.root == id_text(old.id)
    assert engine.stored(old.id).state == "failed"  # type: ignore[union-attr]
    assert again.dead() == [row.id]


def test_a_mended_world(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(
        effect("a", value=1), put("look", "{{ trigger.ok }}"),
        node("gate", "condition.if", condition="{{ trigger.ok }}"), effect("b", value="{{ nodes.a }}"),
        node("stop", "action.fail", message="not yet"),
        edges="start>a a>look look>gate gate.true>b gate.false>stop",
    )  # fmt: skip
    old = engine.start(workflow, {"ok": False})
    engine.finish(old.id)
    row = again(old.id, value={"ok": True})
    assert row.state == "completed"
    assert row.root == row.id
    assert counts(world) == {"a": 2, "b": 1}
    assert len(world.ledger.keys()) == 3
    assert again.dead() == []


def test_from_a_node_discards_what_came_after(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(
        effect("a", value=1), effect("b", value="{{ input + 1 }}"), effect("c", value="{{ input + 1 }}"), effect("side"),
        edges="start>a a>b b>c a>side",
    )  # fmt: skip
    old = engine.start(workflow)
    assert engine.finish(old.id).state == "completed"
    row = again(old.id, node="b")
    assert row.state == "completed"
    assert counts(world) == {"a": 1, "b": 2, "c": 2, "side": 1}
    assert row.root == row.id
    assert len({entry.key for entry in world.ledger.of("b")}) == 2
    assert engine.detail(id_bytes(row.id)).result == engine.detail(old.id).result  # type: ignore[arg-type]


def test_the_failed_item_of_a_loop(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(
        each("each", [1, 2, 3, 4]), effect("a", value="{{ item }}"),
        node("gate", "condition.if", condition="{{ item == 3 }}"), effect("bad", fails=1), put("ok", "{{ item }}"),
        edges="start>each each.item>a a>gate gate.true>bad gate.false>ok",
    )  # fmt: skip
    old = engine.start(workflow)
    assert engine.finish(old.id).state == "failed"
    assert counts(world) == {"a": 3, "bad": 1}
    again(old.id)
    assert counts(world) == {"a": 3, "bad": 2}


def test_one_round_again(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(
        each("each", [10, 20, 30]), effect("a", value="{{ item }}"), effect("b", value="{{ input + 1 }}"),
        put("end", "{{ nodes.each }}"),
        edges="start>each each.item>a a>b each.done>end",
    )  # fmt: skip
    old = engine.start(workflow)
    engine.finish(old.id)
    row = again(old.id, node="b", path="each:1")
    assert row.state == "completed"
    assert counts(world) == {"a": 3, "b": 4}
    assert engine.detail(id_bytes(row.id)).result == {"v": [11, 21, 31]}  # type: ignore[arg-type]
    # Without a round, all of the loop is done anew.
    again(old.id, node="b")
    assert counts(world) == {"a": 6, "b": 7}


def test_items_that_were_collected_stay(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(
        each("each", [1, 2], on_item_error="collect"), effect("a", fails=1), node("stop", "action.fail", message="x"),
        edges="start>each each.item>a each.done>stop",
    )  # fmt: skip
    old = engine.start(workflow)
    assert engine.finish(old.id).state == "failed"
    again(old.id)
    assert counts(world) == {"a": 2}


def test_nested_loops(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(
        each("outer", [1, 2]), each("inner", [1, 2, 3]), effect("a", value="{{ [loops.outer.item, item] }}"),
        edges="start>outer outer.item>inner inner.item>a",
    )  # fmt: skip
    old = engine.start(workflow)
    engine.finish(old.id)
    row = again(old.id, node="a", path="outer:1/inner:2")
    assert counts(world) == {"a": 7}
    assert engine.detail(id_bytes(row.id)).result == engine.detail(old.id).result  # type: ignore[arg-type]
    again(old.id, node="inner", path="outer:0")
    assert counts(world) == {"a": 10}


def test_a_loop_of_pure_nodes_is_done_anew_as_a_whole(engine: Engine, again: Again) -> None:
    workflow = flow(each("each", "{{ range(50) }}"), put("a", "{{ item }}"), edges="start>each each.item>a")
    old = engine.start(workflow)
    engine.finish(old.id)
    row = again(old.id, node="a", path="each:7")
    assert engine.detail(id_bytes(row.id)).result == engine.detail(old.id).result  # type: ignore[arg-type]


def test_a_run_that_was_cancelled_or_timed_out_goes_on(world: World, engine: Engine, again: Again) -> None:
    workflow = flow(effect("a", seconds=1), effect("b", seconds=50), edges="start>a a>b", timeout=10)
    old = engine.start(workflow)
    assert engine.finish(old.id).state == "failed"
    again(old.id)
    assert counts(world) == {"a": 1, "b": 2}
    other = engine.start(workflow)
    engine.advance(2)
    engine.order("cancel", other.id)
    again(other.id)
    assert counts(world) == {"a": 2, "b": 4}


def test_discarding_outputs_begins_at_the_start(world: World, engine: Engine, again: Again) -> None:
    old = engine.start(flow(effect("a", value="{{ trigger }}"), edges="start>a"), 7)
    engine.finish(old.id)
    row = again(old.id, keep=False)
    assert row.root == row.id
    assert [entry.value for entry in world.ledger.entries] == [7, 7]


def test_large_values_are_held_by_the_new_run(world: World, engine: Engine, again: Again) -> None:
    old = engine.start(
        flow(put("big", "{{ trigger }}"), effect("a", fails=1), edges="start>big big>a"), "x" * 300_000
    )
    engine.finish(old.id)
    row = again(old.id)
    held = world.rows("SELECT count(*) AS n FROM blob_references WHERE execution_id = ?", id_bytes(row.id))
    assert held[0]["n"] == 2
    assert engine.detail(id_bytes(row.id)).input == "x" * 300_000  # type: ignore[arg-type]


def test_what_cannot_be(engine: Engine, again: Again) -> None:
    old = engine.start(flow(effect("a", seconds=5), edges="start>a"))
    engine.advance(1)
    with pytest.raises(Conflict):
        again(old.id)
    engine.finish(old.id)
    for how, field in (
        ({"node": "nothing"}, "from"),
        ({"node": "start"}, "from"),
        ({"node": "a", "path": "each:1"}, "path"),
        ({"node": "a", "path": "nonsense"}, "path"),
        ({"node": "a", "keep": False}, "from"),
        ({"published": True}, "version"),
    ):
        with pytest.raises(RequestInvalid) as caught:
            again(old.id, **how)
        assert caught.value.parameters["field"] == field
    with pytest.raises(NotFound):
        again(b"\x00" * 16)


def test_discarding_a_dead_letter(engine: Engine, again: Again) -> None:
    old = engine.start(flow(effect("a", fails=1), edges="start>a"))
    engine.finish(old.id)
    engine.do(again.letters.discard(WORKSPACE, id_text(old.id)))
    assert again.dead() == []
    good = engine.start(flow(effect("a"), edges="start>a"))
    engine.finish(good.id)
    with pytest.raises(Conflict):
        engine.do(again.letters.discard(WORKSPACE, id_text(good.id)))


AGAIN = [lambda again, raw: again.begin(raw), lambda again, raw: again.restart(raw, 1)]


@pytest.mark.parametrize("begin", AGAIN, ids=["retry", "rollback"])
def test_a_limit_of_the_workflow_holds_what_begins_again(
    world: World, engine: Engine, again: Again, begin: Callable[[Again, bytes], bytes]
) -> None:
    workflow = flow(
        effect("a"), node("gate", "condition.if", condition="{{ trigger }}"), effect("slow", seconds=50),
        node("stop", "action.fail", message="x"),
        edges="start>a a>gate gate.true>slow gate.false>stop", concurrency=1,
    )  # fmt: skip
    old = engine.start(workflow, False)
    engine.finish(old.id)
    other = engine.start(workflow, True)
    engine.until(other.id, lambda row: row.state == "running")
    fresh = begin(again, old.id)
    engine.advance(1)
    row = engine.stored(fresh)
    assert row is not None
    assert (row.state, row.waiting) == ("pending", "concurrency")
    engine.finish(other.id)
    assert engine.finish(fresh).state == "failed"
    assert counts(world)["a"] == 2


@pytest.mark.parametrize("begin", AGAIN, ids=["retry", "rollback"])
def test_what_begins_again_waits_for_a_free_place(
    begin: Callable[[Again, bytes], bytes],
) -> None:
    world = World(seed=1, max_running=1)
    engine = world.boot()
    again = Again(engine)
    old = engine.start(flow(effect("a"), effect("b", fails=1), edges="start>a a>b"))
    engine.finish(old.id)
    slow = engine.start(flow(effect("slow", seconds=50), edges="start>slow"))
    engine.advance(1)
    fresh, cancelled = begin(again, old.id), begin(again, old.id)
    engine.advance(1)
    assert engine.stored(fresh).state == "pending"  # type: ignore[union-attr]
    assert engine.queue.pending == 2
    # What it has kept is in its log before it runs: its events are numbered on from there.
    engine.order("cancel", cancelled)
    assert [event.seq for event in engine.events(cancelled)] == list(
        range(1, len(engine.events(cancelled)) + 1)
    )
    assert engine.detail(cancelled).execution.state == "cancelled"
    engine.finish(slow.id)
    assert engine.finish(fresh).state == "failed"
    assert engine.queue.pending == 0
    world.close()


def test_only_who_runs_it_on_the_command_line_is_the_operator(engine: Engine, again: Again) -> None:
    old = engine.start(flow(effect("a"), effect("b", fails=1), edges="start>a a>b"), mode="cli")
    engine.finish(old.id)
    for how in ({}, {"keep": False}, {"node": "b"}):
        assert again(old.id, **how).mode == "manual"
