"""Concurrency limits act when a run would begin; `overlap` says what becomes of the others (semantics §5)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from flowfuse.model import State
from tests.support.flows import effect, flow, node
from tests.support.simulation import WORKSPACE, Crash, Engine, World


def limited(overlap: str = "queue", concurrency: int = 1, seconds: float = 10, **settings: Any) -> Any:
    return flow(
        effect("a", value="{{ trigger }}", seconds=seconds), edges="start>a", concurrency=concurrency,
        overlap=overlap, **settings,
    )  # fmt: skip


def most_at_once(world: World) -> int:
    """How many of the effects were under way at a moment."""
    spans = [(entry.at_us, 1) for entry in world.ledger.entries]
    spans += [(entry.at_us + 10_000_000, -1) for entry in world.ledger.entries]
    now = most = 0
    for _, step in sorted(spans):
        now += step
        most = max(most, now)
    return most


@pytest.mark.parametrize("concurrency", [1, 3])
def test_runs_over_the_limit_wait_in_their_order(world: World, engine: Engine, concurrency: int) -> None:
    workflow = limited(concurrency=concurrency)
    engine.freeze(workflow)
    started = [engine.start(workflow, number) for number in range(7)]
    engine.advance(1)
    states = [engine.stored(run.id) for run in started]
    assert [each.state for each in states if each] == ["running"] * concurrency + ["pending"] * (
        7 - concurrency
    )
    assert {each.waiting for each in states if each and each.state == "pending"} == {"concurrency"}
    for run in started:
        engine.finish(run.id)
    assert [entry.value for entry in world.ledger.entries] == list(range(7))
    assert most_at_once(world) == concurrency
    assert engine.quiet()


def test_other_workflows_are_not_held(world: World, engine: Engine) -> None:
    slow = limited(seconds=1000)
    engine.start(slow, 1)
    engine.start(slow, 2)
    other = engine.start(flow(effect("b"), edges="start>b"))
    engine.advance(5)
    assert engine.stored(other.id).state == "completed"  # type: ignore[union-attr]


def test_skip_is_recorded(world: World, engine: Engine) -> None:
    workflow = limited("skip")
    engine.freeze(workflow)
    first, second = engine.start(workflow, 1), engine.start(workflow, 2)
    waiting = engine.begin(engine.controller.wait_answer(second, 100))
    engine.advance(1)
    row = engine.stored(second.id)
    assert row is not None
    assert (row.state, row.reason) == ("cancelled", "overlap")
    assert waiting.done()
    assert waiting.result().state is State.cancelled
    assert engine.finish(first.id).state == "completed"
    third = engine.start(workflow, 3)
    assert engine.finish(third.id).state == "completed"
    assert [entry.value for entry in world.ledger.entries] == [1, 3]


def test_cancel_previous(world: World, engine: Engine) -> None:
    workflow = limited("cancel_previous")
    engine.freeze(workflow)
    first = engine.start(workflow, 1)
    engine.advance(2)
    second = engine.start(workflow, 2)
    engine.advance(1)
    assert engine.stored(first.id).state == "cancelled"  # type: ignore[union-attr]
    assert engine.finish(second.id).state == "completed"
    assert world.ledger.entries[0].stopped


def test_a_durable_wait_keeps_its_place(engine: Engine) -> None:
    workflow = flow(
        node("wait", "action.wait", seconds=100), effect("a"), edges="start>wait wait>a", concurrency=1
    )
    engine.freeze(workflow)
    first, second = engine.start(workflow), engine.start(workflow)
    engine.advance(50)
    assert engine.stored(second.id).state == "pending"  # type: ignore[union-attr]
    engine.finish(first.id)
    assert engine.finish(second.id).state == "completed"


def test_a_paused_run_gives_its_place_away(engine: Engine) -> None:
    workflow = limited()
    engine.freeze(workflow)
    first, second = engine.start(workflow, 1), engine.start(workflow, 2)
    engine.advance(1)
    engine.order("pause", first.id)
    engine.advance(1)
    assert engine.stored(second.id).state == "running"  # type: ignore[union-attr]


def test_a_held_run_can_be_cancelled(engine: Engine) -> None:
    workflow = limited()
    engine.freeze(workflow)
    first, second = engine.start(workflow, 1), engine.start(workflow, 2)
    engine.advance(1)
    engine.order("cancel", second.id)
    assert engine.stored(second.id).state == "cancelled"  # type: ignore[union-attr]
    assert engine.finish(first.id).state == "completed"
    assert engine.queue.pending == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 12))
def test_a_crash_at_any_commit(world: World, commit: int, when: str) -> None:
    engine = world.boot()
    workflow = limited()
    engine.freeze(workflow)
    started = [engine.start(workflow, number) for number in range(4)]
    for run in started:
        engine.until(run.id, lambda row: True)
    world.crash_on(commit, when)
    with pytest.raises(Crash):
        engine.advance(100)
    world.crash()
    engine = world.boot()
    for run in started:
        assert engine.finish(run.id).state == "completed"
    assert {entry.value for entry in world.ledger.entries} == {0, 1, 2, 3}
    assert len(world.ledger.keys()) == 4


def test_what_is_accepted_beside_a_claim_is_not_forgotten() -> None:
    world = World(max_running=0)
    engine = world.boot()
    content = engine.freeze(flow(effect("a"), edges="start>a"))
    plan = engine.controller.plan(content)

    async def both() -> list[Any]:
        claim = asyncio.create_task(engine.queue.claim_pending(64, engine.clock.now_us()))
        await asyncio.sleep(0)
        # Committed with the claim, behind it.
        engine.controller.start(WORKSPACE, "flow", content.id, plan, "start", None)
        return await claim

    assert engine.do(both()) == []
    assert [row["state"] for row in world.rows("SELECT state FROM executions")] == [State.pending]
    assert engine.queue.pending == 1
    world.close()


def named(name: str, **settings: Any) -> Any:
    return msgspec.structs.replace(limited(**settings), id=name)


def test_an_end_looks_at_its_own_workflow_alone(world: World, engine: Engine) -> None:
    for number in range(20):
        slow = named(f"slow{number}", seconds=1000)
        engine.start(slow)
        engine.start(slow)
    engine.advance(1)
    looked: list[str] = []
    look = engine.queue.next_held

    async def counted(workspace: str, workflow: str) -> Any:
        looked.append(workflow)
        return await look(workspace, workflow)

    engine.queue.next_held = counted  # type: ignore[method-assign]
    for _ in range(10):
        engine.finish(engine.start(flow(effect("b"), edges="start>b")).id)
    assert looked == []


def test_what_lacks_room_in_memory_goes_on_as_soon_as_there_is_some() -> None:
    for seed in range(5):
        world = World(seed=seed, max_running=2)
        engine = world.boot()
        flows = [named(f"w{number}", seconds=1, concurrency=2) for number in range(6)]
        runs = [engine.start(each, number) for number in range(3) for each in flows]
        engine.advance(30)
        assert {engine.stored(run.id).state for run in runs} == {"completed"}  # type: ignore[union-attr]
        assert engine.quiet()
        world.close()
