"""Durable waits: a row with a time, no task and no memory (semantics §5)."""

from __future__ import annotations

import pytest

from tests.support.flows import each, effect, flow, node, of, put, run
from tests.support.simulation import Engine, World

DAY = 86400.0


def wait(name: str = "wait", **given: object) -> dict[str, object]:
    return node(name, "action.wait", **given)


def test_a_waiting_run_is_a_row_and_nothing_in_memory(engine: Engine) -> None:
    started = engine.start(flow(wait(seconds=DAY), put("end", "{{ input }}"), edges="start>wait wait>end"), 5)
    engine.advance(10)
    row = engine.stored(started.id)
    assert row is not None
    assert (row.state, row.waiting) == ("running", "time")
    assert row.wake_at is not None
    assert engine.quiet()
    assert len(engine.loop._scheduled) <= 2  # type: ignore[attr-defined]
    engine.finish(started.id, limit=2 * DAY)
    assert engine.loop.time() == pytest.approx(DAY, abs=1)
    assert engine.detail(started.id).result == {"v": 5}


def test_a_wait_outlives_the_process(world: World, engine: Engine) -> None:
    started = engine.start(flow(wait(seconds=DAY), effect("a"), edges="start>wait wait>a"))
    engine.advance(10)
    engine = world.reboot()
    assert engine.quiet()
    engine.advance(DAY - 20)
    assert not world.ledger.entries
    engine.finish(started.id, limit=DAY)
    assert len(world.ledger.entries) == 1


def test_a_wait_that_became_due_while_nobody_was_there(world: World, engine: Engine) -> None:
    started = engine.start(flow(wait(seconds=100), effect("a"), edges="start>wait wait>a"))
    engine.advance(10)
    world.crash()
    world._now += 1000
    engine = world.boot()
    engine.finish(started.id, limit=10)
    assert len(world.ledger.entries) == 1


@pytest.mark.parametrize("seconds", [0, 0.0001, 0.001, 0.002, 0.004])
def test_very_short_waits_are_not_lost(engine: Engine, seconds: float) -> None:
    """Their time may come while the commit that makes them rows is under way."""
    for _ in range(40):
        detail = run(engine, flow(wait(seconds=seconds), put("b", 1), edges="start>wait wait>b"))
        assert detail.result == {"v": 1}


def test_waits_beside_running_branches(engine: Engine) -> None:
    workflow = flow(
        wait("short", seconds=5), wait("long", seconds=500), effect("work", seconds=50),
        effect("after"), put("end", "{{ input }}"),
        edges="start>short start>long start>work short>after after>end long>end work>end",
    )  # fmt: skip
    started = engine.start(workflow, 1)
    engine.advance(20)
    # The short wait is over although another branch runs.
    assert [entry.node for entry in engine.world.ledger.entries] == ["work", "after"]
    assert not engine.quiet()
    engine.advance(60)
    assert engine.quiet()
    engine.finish(started.id)
    assert engine.detail(started.id).result == {"v": {"after": "after", "long": 1, "work": "work"}}


def test_waits_in_the_rounds_of_a_loop(engine: Engine) -> None:
    workflow = flow(
        each("each", [30, 10, 20], concurrency=3),
        wait(seconds="{{ item }}"),
        effect("after", value="{{ item }}"),
        edges="start>each each.item>wait wait>after",
    )
    detail = run(engine, workflow)
    assert detail.result == [30, 10, 20]
    assert [entry.value for entry in engine.world.ledger.entries] == [10, 20, 30]


def test_until_a_moment(engine: Engine) -> None:
    workflow = flow(wait(until="{{ trigger }}"), put("b", 1), edges="start>wait wait>b")
    moment = "2026-09-22T00:00:00+00:00"
    run(engine, workflow, moment)
    now = engine.clock.now_us()
    assert now // 1_000_000 == 1790035200
    # A moment that is over is no wait.
    begun = engine.loop.time()
    run(engine, workflow, moment)
    assert engine.loop.time() - begun < 1


def test_a_waiting_run_can_be_paused_resumed_and_cancelled(engine: Engine) -> None:
    workflow = flow(wait(seconds=100), effect("a"), edges="start>wait wait>a")
    first, second = engine.start(workflow), engine.start(workflow)
    engine.advance(10)
    engine.order("pause", first.id)
    engine.order("cancel", second.id)
    engine.advance(1000)
    assert not engine.world.ledger.entries
    engine.order("resume", first.id)
    engine.finish(first.id, limit=10)
    assert len(engine.world.ledger.entries) == 1
    stored = engine.stored(second.id)
    assert stored is not None
    assert stored.state == "cancelled"


def test_many_waiting_runs_cost_only_rows(engine: Engine) -> None:
    workflow = flow(wait(seconds="{{ 1000 + trigger }}"), put("b", 1), edges="start>wait wait>b")
    started = [engine.start(workflow, number) for number in range(300)]
    engine.advance(10)
    assert engine.quiet()
    for one in started:
        engine.finish(one.id, limit=10_000)
    assert engine.quiet()


def test_a_respond_before_a_wait_answers(engine: Engine) -> None:
    workflow = flow(
        node("say", "action.respond", body="hello"), wait(seconds=100), put("b", 1),
        edges="start>say say>wait wait>b",
    )  # fmt: skip
    started = engine.start(workflow)
    answer = engine.do(engine.controller.wait_answer(started, 30))
    assert answer.answer is not None
    assert answer.answer.body == "hello"
    assert engine.loop.time() < 1
    engine.finish(started.id)
    assert engine.detail(started.id).result == "hello"
    assert of(engine.detail(started.id), "b").state == "done"


def test_waiting_for_an_answer_ends_at_a_durable_wait_and_at_the_timeout(engine: Engine) -> None:
    started = engine.start(flow(wait(seconds=100), edges="start>wait"))
    assert engine.do(engine.controller.wait_answer(started, 30)).answer is None
    assert engine.loop.time() < 1
    slow = engine.start(flow(effect("a", seconds=100), edges="start>a"))
    assert engine.do(engine.controller.wait_answer(slow, 30)).answer is None
    # One who gives up disturbs no other.
    ended = engine.do(engine.controller.wait_end(slow, 300))
    assert ended.state.name == "completed"
