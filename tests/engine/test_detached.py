"""Detached nodes: pure, worked out elsewhere. No commit before them, and nothing is in doubt after a crash."""

from __future__ import annotations

from typing import Any

from flowfuse.model import State
from tests.support.flows import each, effect, flow, of, put, run
from tests.support.simulation import Engine, World


def detached(name: str, **given: Any) -> dict[str, Any]:
    """A detached node; it gives its own name where nothing is said."""
    return {**effect(name, **given), "type": "test.detached"}


def test_it_runs_and_its_start_is_not_recorded(engine: Engine) -> None:
    ended = run(engine, flow(detached("a", seconds=2), put("b", "{{ nodes.a }}"), edges="start>a a>b"))
    assert (ended.execution.state, ended.result) == ("completed", {"v": "a"})
    started = engine.start(flow(detached("a"), edges="start>a"), None)
    engine.finish(started.id)
    assert [event.type for event in engine.events(started.id) if event.node == "a"] == ["node_done"]


def test_what_it_took_is_counted_from_its_beginning(engine: Engine) -> None:
    document = flow(detached("a", seconds=2), detached("b", seconds=3), edges="start>a start>b")
    started = engine.start(document, None)
    engine.finish(started.id)
    took = {event.node: event.ms for event in engine.events(started.id) if event.type == "node_done"}
    assert 1990 < took["a"] < 2100
    assert 2990 < took["b"] < 3100


def test_after_a_crash_it_just_runs_again(world: World, engine: Engine) -> None:
    document = flow(detached("a", seconds=5, on_interrupted="ask"), effect("b"), edges="start>a a>b")
    started = engine.start(document, None)
    engine.advance(2)
    world.crash()
    again = world.boot()
    ended = again.finish(started.id)
    assert ended.state == "completed"
    assert [len(world.ledger.of(name)) for name in ("a", "b")] == [2, 1]


def test_what_is_committed_of_it_does_not_run_again(world: World, engine: Engine) -> None:
    document = flow(detached("a"), effect("b", seconds=5), edges="start>a a>b")
    started = engine.start(document, None)
    engine.advance(2)
    world.crash()
    assert world.boot().finish(started.id).state == "completed"
    assert [len(world.ledger.of(name)) for name in ("a", "b")] == [1, 2]


def test_a_failure_is_not_repeated_unless_the_document_says_so(world: World, engine: Engine) -> None:
    ended = run(engine, flow(detached("a", fails=1), edges="start>a"))
    assert (ended.execution.state, len(world.ledger.of("a"))) == ("failed", 1)
    document = flow(detached("b", fails=1, retry={"attempts": 2, "initial": 1}), edges="start>b")
    ended = run(engine, document)
    assert (ended.execution.state, len(of(ended, "b").attempts)) == ("completed", 2)


def test_a_repeat_survives_a_crash(world: World, engine: Engine) -> None:
    document = flow(detached("a", fails=1, retry={"attempts": 2, "initial": 60}), edges="start>a")
    started = engine.start(document, None)
    engine.advance(3)
    world.crash()
    assert world.boot().finish(started.id).state == "completed"
    assert [entry.attempt for entry in world.ledger.of("a")] == [1, 2]


def test_pause_lets_it_finish_and_cancel_ends_it(world: World, engine: Engine) -> None:
    document = flow(detached("a", seconds=5), effect("b"), edges="start>a a>b")
    started = engine.start(document, None)
    engine.advance(1)
    engine.order("pause", started.id)
    engine.advance(10)
    assert world.ledger.of("a")[0].ended
    assert not world.ledger.of("b")
    engine.order("resume", started.id)
    assert engine.finish(started.id).state == "completed"
    assert len(world.ledger.of("a")) == 1
    other = engine.start(document, None)
    engine.advance(1)
    engine.order("cancel", other.id)
    stored = engine.stored(other.id)
    assert stored is not None
    assert stored.state == State.cancelled.name
    assert world.ledger.of("a")[1].stopped


def test_a_timeout_and_an_error_route(engine: Engine) -> None:
    document = flow(
        detached("a", seconds=60, timeout=2, on_error="route"), put("b", "{{ input.error.code }}"),
        edges="start>a a.error>b",
    )  # fmt: skip
    assert run(engine, document).result == {"v": "node_timeout"}


def test_many_beside_each_other_in_a_loop(world: World, engine: Engine) -> None:
    document = flow(
        each("each", "{{ range(20) }}", concurrency=5), detached("a", value="{{ item }}", seconds=1),
        edges="start>each each.item>a",
    )  # fmt: skip
    begun = engine.clock.now_us()
    assert run(engine, document).result == list(range(20))
    assert 4 <= (engine.clock.now_us() - begun) / 1e6 < 6


def begin(engine: Engine, document: Any) -> Any:
    """A run whose caller waits for its answer, as a webhook does."""
    return engine.start(document, None, hurry=False)


def test_a_run_that_is_answered_at_its_end_is_one_commit(world: World, engine: Engine) -> None:
    document = flow(detached("a"), put("b", "{{ nodes.a }}"), detached("c"), edges="start>a a>b b>c")
    engine.freeze(document)
    before = world.commits
    assert engine.finish(begin(engine, document).id).state == "completed"
    assert world.commits == before + 1


def test_what_is_recorded_waits_no_longer_than_a_tenth_of_a_second(engine: Engine) -> None:
    document = flow(detached("a", seconds=60), edges="start>a")
    started = begin(engine, document)
    engine.advance(0.09)
    assert engine.stored(started.id) is None
    engine.advance(0.02)
    assert engine.stored(started.id).state == "running"  # type: ignore[union-attr]


def test_whoever_waits_for_the_acceptance_does_not_wait_for_the_work(engine: Engine) -> None:
    started = engine.start(flow(detached("a", seconds=60), edges="start>a"), None)
    engine.advance(0.02)
    assert engine.stored(started.id) is not None


def test_a_loop_over_detached_nodes_is_committed_by_the_tenth_of_a_second(
    world: World, engine: Engine
) -> None:
    document = flow(
        each("each", "{{ range(100) }}"), detached("a", value="{{ item }}", seconds=0.01),
        edges="start>each each.item>a",
    )  # fmt: skip
    engine.freeze(document)
    before = world.commits
    started = begin(engine, document)
    assert engine.finish(started.id).state == "completed"
    assert 9 <= world.commits - before <= 13


def test_an_effect_behind_it_leaves_after_the_commit(world: World, engine: Engine) -> None:
    document = flow(detached("a"), effect("b", seconds=5), edges="start>a a>b")
    started = begin(engine, document)
    engine.advance(0.01)
    assert [entry.node for entry in world.ledger.entries] == ["a", "b"]
    assert engine.stored(started.id) is not None
    world.crash()
    assert world.boot().finish(started.id).state == "completed"
    assert [entry.node for entry in world.ledger.entries] == ["a", "b", "b"]


def test_an_effect_that_has_ended_is_committed_at_once(world: World, engine: Engine) -> None:
    document = flow(effect("a"), detached("b", seconds=60), edges="start>a a>b")
    started = begin(engine, document)
    engine.advance(0.02)
    world.crash()
    assert world.boot().finish(started.id).state == "completed"
    assert [entry.node for entry in world.ledger.entries] == ["a", "b", "b"]


def test_an_answer_does_not_wait_for_what_runs_behind_it(world: World, engine: Engine) -> None:
    answer = {"id": "say", "type": "action.respond", "config": {"body": 1}}
    document = flow(answer, detached("a", seconds=60), edges="start>say say>a")
    started = begin(engine, document)
    engine.do(engine.controller.wait_answer(started, 0.02))
    assert started.told
    assert engine.stored(started.id) is not None


def test_a_drain_leaves_nothing_uncommitted(world: World, engine: Engine) -> None:
    started = begin(engine, flow(detached("a", seconds=60), edges="start>a"))
    world.shut_down(grace=0.01)
    assert world.boot().finish(started.id).state == "completed"


def test_what_is_shown_after_the_timeout_is_accepted(world: World, engine: Engine) -> None:
    started = begin(engine, flow(detached("a", seconds=60), edges="start>a"))
    run_then = engine.do(engine.controller.wait_answer(started, 0.001))
    assert engine.stored(started.id) is not None
    assert not run_then.told
