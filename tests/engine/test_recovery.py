"""What is promised over crashes, failed commits and shutdowns (semantics §5, §6; T1–T3, T5, T20)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowfuse.clock import id_text
from flowfuse.errors import (
    Conflict,
    DatabaseUnavailable,
    Draining,
    IllegalTransition,
    MissingType,
    NotFound,
    SegmentBroken,
)
from flowfuse.model import State
from flowfuse.node import Catalogue
from flowfuse.nodes import described
from tests.support import simulation
from tests.support.flows import each, effect, flow, node, of, put, run
from tests.support.simulation import WORKSPACE, Crash, Engine, World

pytestmark = pytest.mark.crash
CHAIN = flow(effect("a", seconds=5), effect("b", seconds=5), edges="start>a a>b")


def crash_in(world: World, engine: Engine, workflow: Any, seconds: float, value: Any = None) -> bytes:
    started = engine.start(workflow, value)
    engine.advance(seconds)
    world.crash()
    return started.id


def test_no_effect_leaves_before_its_acceptance_and_attempt_are_committed(
    world: World, engine: Engine
) -> None:
    engine.freeze(CHAIN)
    world.crash_on(1, "before")
    started = engine.start(CHAIN)
    with pytest.raises(Crash):
        engine.advance(10)
    assert not world.ledger.entries
    engine = world.reboot()
    engine.advance(10)
    assert engine.stored(started.id) is None


def test_an_effect_whose_end_is_committed_is_never_run_again(world: World, engine: Engine) -> None:
    raw = crash_in(world, engine, CHAIN, 7)
    engine = world.boot()
    engine.finish(raw)
    assert [entry.node for entry in world.ledger.entries] == ["a", "b", "b"]
    assert world.ledger.entries[1].key == world.ledger.entries[2].key


@pytest.mark.parametrize("policy", ["retry", "fail", "ask"])
def test_in_doubt_policies(world: World, engine: Engine, policy: str) -> None:
    workflow = flow(
        effect("a", seconds=5, on_interrupted=policy), put("end", "{{ input }}"), edges="start>a a>end"
    )
    raw = crash_in(world, engine, workflow, 2)
    engine = world.boot()
    engine.advance(100)
    row = engine.stored(raw)
    assert row is not None
    if policy == "retry":
        assert row.state == "completed"
        assert len(world.ledger.entries) == 2
        assert len(world.ledger.keys()) == 1
    elif policy == "fail":
        assert row.error is not None
        assert (row.state, row.error.code) == ("failed", "interrupted")
        assert len(world.ledger.entries) == 1
    else:
        assert (row.state, row.waiting) == ("running", "ask")
        assert engine.quiet()
        assert of(engine.detail(raw), "a").state == "asking"
        engine.order("cancel", raw)
        assert of(engine.detail(raw), "a").state == "interrupted"  # nobody has said, so it is still in doubt


@pytest.mark.parametrize("answer", ["retry", "done", "fail"])
@pytest.mark.parametrize("crash_again", [False, True])
def test_a_persons_answer_is_durable(world: World, engine: Engine, answer: str, crash_again: bool) -> None:
    workflow = flow(
        effect("a", seconds=5, on_interrupted="ask"), put("end", "{{ input }}"), edges="start>a a>end"
    )
    raw = crash_in(world, engine, workflow, 2)
    engine = world.boot()
    engine.advance(100)
    engine.do(engine.controller.answer(WORKSPACE, id_text(raw), "a", "", answer, "said"))
    if crash_again:
        engine = world.reboot()
        row = engine.stored(raw)
        assert row is not None
        if answer == "retry":
            # The answer was carried out; the repeated effect is in doubt anew.
            engine.advance(100)
            engine.do(engine.controller.answer(WORKSPACE, id_text(raw), "a", "", "retry"))
    engine.finish(raw)
    detail = engine.detail(raw)
    if answer == "fail":
        assert detail.execution.error is not None
        assert detail.execution.error.code == "interrupted"
    else:
        assert detail.result == {"v": "a" if answer == "retry" else "said"}
    assert len(world.ledger.keys()) == 1
    if answer != "retry":
        assert len(world.ledger.entries) == 1


def test_an_answer_needs_a_question(world: World, engine: Engine) -> None:
    started = engine.start(CHAIN)
    engine.advance(1)
    with pytest.raises(NotFound):
        engine.do(engine.controller.answer(WORKSPACE, id_text(started.id), "a", "", "done"))
    engine.finish(started.id)
    with pytest.raises(Conflict):
        engine.do(engine.controller.answer(WORKSPACE, id_text(started.id), "a", "", "done"))


def test_a_retry_waits_out_its_pause_over_a_crash(world: World, engine: Engine) -> None:
    retry = {"attempts": 2, "initial": 100, "max": 200, "jitter": False}
    workflow = flow(effect("a", fails=1, retry=retry), edges="start>a")
    raw = crash_in(world, engine, workflow, 20)
    engine = world.boot()
    engine.finish(raw)
    first, second = world.ledger.entries
    assert (second.at_us - first.at_us) / 1e6 == pytest.approx(100, abs=1)
    assert second.attempt == 2


def test_what_looks_random_and_now_are_the_same_over_retries_and_crashes(
    world: World, engine: Engine
) -> None:
    value = "{{ [uuid(), random_int(0, 10 ** 9), now()] }}"
    retry = {"attempts": 2, "initial": 10, "jitter": False}
    workflow = flow(
        each("each", "{{ [now(), uuid(), 3] }}", concurrency=3),
        effect("a", value=value, seconds=5, fails=1, retry=retry),
        edges="start>each each.item>a",
    )
    raw = crash_in(world, engine, workflow, 2)
    engine = world.boot()
    engine.advance(8)
    engine = world.reboot()
    engine.finish(raw)
    for key in sorted(world.ledger.keys()):
        values = [entry.value for entry in world.ledger.entries if entry.key == key]
        assert len(values) == 3
        assert all(value == values[0] for value in values)
    assert len({entry.value[0] for entry in world.ledger.entries}) == 3


def test_a_loops_items_are_the_same_after_a_crash(world: World, engine: Engine) -> None:
    workflow = flow(
        each("each", "{{ [now(), uuid(), random_int(0, 10 ** 9)] }}"),
        effect("a", value="{{ item }}", seconds=10),
        put("end", "{{ nodes.each }}"),
        edges="start>each each.item>a each.done>end",
    )
    raw = crash_in(world, engine, workflow, 5)
    engine = world.boot()
    engine.advance(7)
    items = world.ledger.entries[0].value, world.ledger.entries[1].value
    engine = world.reboot()
    engine.finish(raw)
    assert items[0] == items[1]
    result = engine.detail(raw).result["v"]
    assert [entry.value for entry in world.ledger.entries][-2:] == result[1:]


def test_orders_survive_a_crash(world: World, engine: Engine) -> None:
    paused, cancelled = engine.start(CHAIN), engine.start(CHAIN)
    engine.advance(1)
    engine.order("pause", paused.id)
    engine.order("cancel", cancelled.id)
    engine = world.reboot()
    engine.advance(100)
    states = [engine.stored(one.id) for one in (paused, cancelled)]
    assert [row.state for row in states if row is not None] == ["paused", "cancelled"]
    engine.order("resume", paused.id)
    engine = world.reboot()
    engine.finish(paused.id)
    assert [entry.node for entry in world.ledger.entries].count("b") == 1


def test_pause_lets_a_running_effect_finish_and_starts_nothing(engine: Engine) -> None:
    started = engine.start(CHAIN)
    engine.advance(1)
    engine.order("pause", started.id)
    engine.advance(100)
    assert [(entry.node, entry.ended) for entry in engine.world.ledger.entries] == [("a", True)]
    assert engine.quiet()
    engine.order("resume", started.id)
    engine.finish(started.id)
    assert [entry.node for entry in engine.world.ledger.entries] == ["a", "b"]


def test_resuming_while_the_effect_still_runs_waits_for_it(engine: Engine) -> None:
    started = engine.start(CHAIN)
    engine.advance(1)
    engine.order("pause", started.id)
    engine.order("resume", started.id)
    engine.finish(started.id)
    assert [entry.node for entry in engine.world.ledger.entries] == ["a", "b"]


def test_an_effect_that_fails_for_good_while_paused_fails_the_run(engine: Engine) -> None:
    started = engine.start(flow(effect("a", seconds=5, fails=1), edges="start>a"))
    engine.advance(1)
    engine.order("pause", started.id)
    assert engine.finish(started.id).state == "failed"


def test_cancel_ends_a_running_effect_and_records_it(engine: Engine) -> None:
    started = engine.start(CHAIN)
    engine.advance(1)
    engine.order("cancel", started.id)
    engine.advance(100)
    assert engine.world.ledger.entries[0].stopped
    detail = engine.detail(started.id)
    assert detail.execution.state == "cancelled"
    assert of(detail, "a").state == "interrupted"
    assert of(detail, "b").state == "skipped"


@pytest.mark.parametrize("order", ["pause", "resume", "cancel"])
def test_terminal_states_never_change(world: World, engine: Engine, order: str) -> None:
    detail = run(engine, flow(put("a"), edges="start>a"))
    for _ in range(2):
        with pytest.raises(IllegalTransition):
            engine.do(getattr(engine.controller, order)(WORKSPACE, detail.execution.id))
        engine = world.reboot()
        engine.advance(100)
    row = world.rows("SELECT state FROM executions")[0]
    assert State(row["state"]) is State.completed


def test_a_pending_run_is_cancelled_as_a_row_and_never_begins(world: World) -> None:
    world.max_running = 1
    engine = world.boot()
    first, second, third = (engine.start(CHAIN) for _ in range(3))
    engine.advance(1)
    assert engine.stored(second.id).state == "pending"  # type: ignore[union-attr]
    with pytest.raises(IllegalTransition):
        engine.order("pause", second.id)
    engine.order("cancel", second.id)
    engine.finish(third.id)
    assert {entry.execution for entry in world.ledger.entries} == {id_text(first.id), id_text(third.id)}
    assert engine.queue.pending == 0


def test_pending_runs_begin_by_priority_and_age(world: World) -> None:
    world.max_running = 1
    engine = world.boot()
    low = flow(effect("low", seconds=1), edges="start>low", priority=-1)
    high = flow(effect("high", seconds=1), edges="start>high", priority=5)
    runs = [engine.start(one) for one in (CHAIN, low, low, high)]
    for one in runs:
        engine.finish(one.id)
    assert [entry.node for entry in world.ledger.entries] == ["a", "b", "high", "low", "low"]


def test_a_pending_run_of_nothing_but_a_trigger(world: World) -> None:
    world.max_running = 1
    engine = world.boot()
    engine.start(CHAIN)
    second = engine.start(flow(), 5)
    assert engine.finish(second.id).state == "completed"
    assert engine.detail(second.id).result == 5


def die_before_anything_is_committed(world: World) -> None:
    """The run is claimed, and the process dies with the first thing that it does."""
    world.crash_on(2, "before")
    with pytest.raises(Crash):
        world.engine.advance(10)  # type: ignore[union-attr]
    world.crash()
    world.boot()


def test_a_run_that_kills_the_process_is_given_up(world: World, engine: Engine) -> None:
    engine.freeze(CHAIN)
    bad = engine.start(CHAIN)
    engine.until(bad.id, lambda row: True)
    engine = world.reboot()
    for deaths in (1, 2):
        found = world.engine.stored(bad.id)  # type: ignore[union-attr]
        assert found is not None
        assert (found.state, found.deaths) == ("running", deaths)
        die_before_anything_is_committed(world)
    engine = world.engine  # type: ignore[assignment]
    row = engine.stored(bad.id)
    assert row is not None
    assert row.error is not None
    assert (row.state, row.error.code) == ("failed", "poison")
    assert of(engine.detail(bad.id), "a").state == "interrupted"
    assert [event.type for event in engine.events(bad.id)][-1] == "state"
    other = engine.start(CHAIN)
    assert engine.finish(other.id).state == "completed"


def test_a_suspect_runs_alone_and_frees_the_others_when_it_lives(world: World, engine: Engine) -> None:
    engine.freeze(CHAIN)
    suspect = engine.start(CHAIN)
    engine.until(suspect.id, lambda row: True)
    world.reboot()
    die_before_anything_is_committed(world)
    engine = world.engine  # type: ignore[assignment]
    other = engine.start(CHAIN)
    engine.advance(1)
    assert engine.stored(suspect.id).state == "running"  # type: ignore[union-attr]
    assert engine.stored(other.id).state == "pending"  # type: ignore[union-attr]
    assert engine.finish(suspect.id).state == "completed"
    assert engine.finish(other.id).state == "completed"


def test_an_effect_that_outlives_no_process_is_not_given_up(world: World, engine: Engine) -> None:
    """Each life commits its attempt: `on_interrupted` says what becomes of it, however often."""
    started = engine.start(CHAIN)
    for _ in range(5):
        engine.advance(1)
        engine = world.reboot()
    assert engine.finish(started.id).state == "completed"
    assert len({entry.key for entry in world.ledger.entries}) == 2


def test_a_restart_is_no_death_and_drains(world: World, engine: Engine) -> None:
    started = engine.start(flow(effect("a", seconds=3), effect("b", seconds=100), edges="start>a a>b"))
    engine.advance(1)
    for _ in range(5):
        world.shut_down(grace=5)
        engine = world.boot()
        engine.advance(1)
    row = engine.stored(started.id)
    assert row is not None
    assert (row.state, row.deaths) == ("running", 0)
    # The first node ended within the grace period, the second was left to be resumed.
    assert [entry.node for entry in world.ledger.entries].count("a") == 1
    engine.finish(started.id)


def test_while_draining_nothing_is_accepted_and_nothing_new_starts(world: World, engine: Engine) -> None:
    started = engine.start(CHAIN)
    engine.advance(1)
    draining = engine.begin(engine.controller.drain(30))
    engine.advance(1)
    with pytest.raises(Draining):
        engine.start(CHAIN)
    engine.advance(30)
    assert draining.done()
    assert [(entry.node, entry.ended) for entry in world.ledger.entries] == [("a", True)]
    engine = world.reboot()
    engine.finish(started.id)
    assert [entry.node for entry in world.ledger.entries] == ["a", "b"]


def test_a_failed_commit_drops_the_run_and_reads_it_again(world: World, engine: Engine) -> None:
    names = ["a", "b", "c"]
    workflow = flow(*(effect(n, seconds=1) for n in names), edges="start>a a>b b>c")
    started = engine.start(workflow)
    engine.advance(0.5)
    world.fail_commits = {world.commits + 1, world.commits + 2}
    engine.finish(started.id)
    assert engine.database.trouble is None
    counts = [len(world.ledger.of(name)) for name in names]
    assert counts[0] == 2  # its end was not committed, so it was in doubt
    assert counts[1:] == [1, 1]
    assert len(world.ledger.keys()) == 3


def test_a_run_whose_acceptance_cannot_be_committed_is_refused(world: World, engine: Engine) -> None:
    engine.freeze(CHAIN)
    world.fail_commits = {world.commits + 1}
    started = engine.start(CHAIN)

    async def accepted() -> None:
        assert started.accepted is not None
        await started.accepted

    with pytest.raises(DatabaseUnavailable):
        engine.do(accepted())
    engine.advance(100)
    assert not world.ledger.entries
    assert engine.quiet()
    assert engine.stored(started.id) is None
    assert run(engine, CHAIN).execution.state == "completed"


def test_an_order_whose_commit_fails_is_not_confirmed(world: World, engine: Engine) -> None:
    started = engine.start(CHAIN)
    engine.advance(1)
    world.fail_commits = {world.commits + 1}
    with pytest.raises(DatabaseUnavailable):
        engine.order("pause", started.id)
    assert engine.finish(started.id).state == "completed"


def test_two_attempts_of_one_effect_are_told_apart(world: World, engine: Engine) -> None:
    raw = crash_in(world, engine, CHAIN, 2)
    engine = world.boot()
    engine.finish(raw)
    outcomes = [attempt.outcome for attempt in of(engine.detail(raw), "a").attempts]
    assert outcomes == ["interrupted", "done"]


def test_checkpoints_are_numbered_cuts(engine: Engine) -> None:
    nodes = [put(name, 1) for name in "abcdef"]
    workflow = flow(*nodes, edges="start>a a>b b>c c>d d>e e>f", checkpoint_every=2, variables={"k": 1})
    detail = run(engine, workflow)
    plan = engine.do(engine.history.plan(WORKSPACE, detail.execution.id))
    cuts = engine.do(engine.state.checkpoints(WORKSPACE, detail.execution.id, plan))
    assert [cut.checkpoint_index for _, cut in cuts] == [1, 2, 3]
    assert [cut.state["current_node"] for _, cut in cuts] == ["b", "d", "f"]
    assert cuts[1][1].state == {
        "variables": {"k": 1},
        "completed_nodes": ["a", "b", "c", "d"],
        "current_node": "d",
    }
    sequence = [seq for seq, _ in cuts]
    assert sequence == sorted(set(sequence))


def test_events_are_numbered_without_gaps(engine: Engine) -> None:
    workflow = flow(
        each("each", [1, 2]),
        effect("a"),
        node("wait", "action.wait", seconds=5),
        edges="start>each each.item>a a>wait",
    )
    detail = run(engine, workflow)
    events = engine.events(engine.world.rows("SELECT id FROM executions")[0]["id"])
    assert [event.seq for event in events] == list(range(1, detail.seq + 1))


@pytest.fixture
def types_gone(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the test's own node types away, until what was changed is undone."""

    def take() -> None:
        monkeypatch.setattr(simulation, "CATALOGUE", Catalogue(described()))
        monkeypatch.setattr(simulation, "_PLANS", {})

    return take


def test_a_type_that_is_gone_pauses_the_run_visibly(
    world: World, engine: Engine, types_gone: Callable[[], None]
) -> None:
    raw = crash_in(world, engine, CHAIN, 2)
    types_gone()
    engine = world.boot()
    engine.advance(10)
    row = engine.stored(raw)
    assert row is not None
    assert (row.state, row.reason) == ("paused", "missing_type")
    with pytest.raises(MissingType, match="test.effect"):
        engine.order("resume", raw)
    engine.order("cancel", raw)
    assert engine.stored(raw).state == "cancelled"  # type: ignore[union-attr]


def test_held_runs_of_a_type_that_is_gone_are_paused_and_go_on_when_it_is_back(
    world: World, engine: Engine, types_gone: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = flow(effect("a", value="{{ trigger }}", seconds=10), edges="start>a", concurrency=1)
    runs = [engine.start(held, number) for number in range(3)]
    engine.advance(1)
    world.crash()
    types_gone()
    engine = world.boot()
    engine.advance(10)
    rows = [engine.stored(run.id) for run in runs]
    assert [(row.state, row.reason) for row in rows if row] == [("paused", "missing_type")] * 3
    world.crash()
    monkeypatch.undo()
    engine = world.boot()
    for number in (2, 1):
        engine.order("resume", runs[number].id)
        assert engine.finish(runs[number].id).state == "completed"
    assert [entry.value for entry in world.ledger.entries] == [0, 2, 1]


def test_a_held_run_whose_content_is_damaged_is_paused(world: World, engine: Engine) -> None:
    held = flow(effect("a", seconds=5), edges="start>a", concurrency=1)
    runs = [engine.start(held) for _ in range(2)]
    engine.advance(1)
    world.crash()
    world.rows("UPDATE contents SET checksum = checksum + 1")
    engine = world.boot()
    engine.advance(5)
    rows = [engine.stored(run.id) for run in runs]
    assert [(row.state, row.reason) for row in rows if row] == [("paused", "segment_broken")] * 2


def damage(world: World, raw: bytes) -> None:
    world.rows("UPDATE segments SET data = zeroblob(40) WHERE execution_id = ?", raw)


def test_a_waiting_run_that_cannot_be_read_is_paused(world: World, engine: Engine) -> None:
    workflow = flow(node("wait", "action.wait", seconds=60), effect("a"), edges="start>wait wait>a")
    broken, sound = engine.start(workflow), engine.start(workflow)
    engine.advance(1)
    damage(world, broken.id)
    before = world.commits
    engine.advance(120)
    row = engine.stored(broken.id)
    assert row is not None
    assert row.error is not None
    assert (row.state, row.reason, row.error.code) == ("paused", "segment_broken", "segment_broken")
    assert engine.stored(sound.id).state == "completed"  # type: ignore[union-attr]
    assert world.commits < before + 30
    with pytest.raises(SegmentBroken):
        engine.order("resume", broken.id)
    engine.order("cancel", broken.id)
    assert engine.stored(broken.id).state == "cancelled"  # type: ignore[union-attr]


def test_a_run_that_cannot_be_read_gives_its_place_away(world: World, engine: Engine) -> None:
    workflow = flow(effect("a", seconds=5), edges="start>a", concurrency=1)
    first, broken, third = (engine.start(workflow) for _ in range(3))
    engine.advance(1)
    # Not only what our checksums find: a trigger that its document does not have.
    world.rows("UPDATE executions SET trigger = 'gone' WHERE id = ?", broken.id)
    engine.finish(first.id)
    engine.advance(1)
    row = engine.stored(broken.id)
    assert row is not None
    assert (row.state, row.reason) == ("paused", "unreadable")
    assert engine.finish(third.id).state == "completed"
