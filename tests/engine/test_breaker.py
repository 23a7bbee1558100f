"""T18: the seed's breaker – 50 failures in 5 minutes, 5 minutes, one trial with a deadline (semantics §9)."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.clock import id_text
from flowfuse.data.breakers import BreakerRepository
from flowfuse.engine.run import Run
from flowfuse.errors import ConnectionLost, NodeFailed, NodeTimeout, RemoteError
from flowfuse.model import Execution
from flowfuse.node import Catalogue, Output
from flowfuse.nodes import catalogue
from tests.support import simulation
from tests.support.effects import EffectNode
from tests.support.flows import flow, node
from tests.support.simulation import WORKSPACE, Engine, World

MINUTES = 60


class RemoteEffect(EffectNode):
    type = "test.remote"
    remote = True
    down = False
    hangs = False

    def connector_of(self, params: Any) -> str:
        return str(params.value or "peer")

    async def run(self, params: Any, context: Any) -> Output:
        entry = await super().run(params, context)
        if self.hangs:
            import asyncio

            await asyncio.sleep(10_000)
        if self.down:
            raise RemoteError(method="GET", host="peer", status=503, detail="")
        return entry


REMOTE = RemoteEffect()


@pytest.fixture(autouse=True)
def remote_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    types = [*catalogue(nothing, nothing, nothing, nothing, nothing), simulation.EFFECT, REMOTE]
    monkeypatch.setattr(simulation, "CATALOGUE", Catalogue(types))
    monkeypatch.setattr(simulation, "_PLANS", {})
    REMOTE.down = REMOTE.hangs = False


CALL = flow(node("call", "test.remote"), edges="start>call")


def boot(world: World) -> Engine:
    engine = world.boot()
    REMOTE.ledger, REMOTE.clock = world.ledger, engine.clock
    return engine


def calls(world: World) -> int:
    return len(world.ledger.entries)


def fail(engine: Engine, count: int) -> None:
    REMOTE.down = True
    for _ in range(count):
        engine.finish(engine.start(CALL).id)
    REMOTE.down = False


def stored(engine: Engine, raw: bytes) -> Execution:
    found = engine.stored(raw)
    assert found is not None
    return found


def test_it_opens_at_the_fiftieth(world: World) -> None:
    engine = boot(world)
    fail(engine, 49)
    assert engine.finish(engine.start(CALL).id).state == "completed"
    fail(engine, 1)
    waiting = engine.start(CALL)
    engine.advance(60)
    assert stored(engine, waiting.id).state == "pending"
    assert calls(world) == 51
    (view,) = [each for each in engine.controller.breaker.list(WORKSPACE) if not each.connector]
    assert view.state == "open"


def test_after_five_minutes_one_is_tried_and_all_go_on(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    runs = [engine.start(CALL) for _ in range(20)]
    engine.advance(4 * MINUTES)
    assert calls(world) == 50
    engine.advance(2 * MINUTES)
    assert {stored(engine, run.id).state for run in runs} == {"completed"}
    assert calls(world) == 70


def test_a_trial_that_fails_opens_it_again(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    REMOTE.down = True
    runs = [engine.start(CALL) for _ in range(5)]
    engine.advance(6 * MINUTES)
    assert calls(world) == 51
    REMOTE.down = False
    engine.advance(6 * MINUTES)
    assert calls(world) == 55
    assert sorted(stored(engine, run.id).state for run in runs) == ["completed"] * 4 + ["failed"]


def test_a_trial_that_hangs_gives_its_place_back(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    REMOTE.hangs = True
    first, second = engine.start(CALL), engine.start(CALL)
    engine.advance(5 * MINUTES + 5)
    assert calls(world) == 51
    REMOTE.hangs = False
    engine.advance(3 * MINUTES)
    states = {stored(engine, run.id).state for run in (first, second)}
    assert states == {"running", "completed"}


def test_a_cancelled_trial_gives_its_place_back(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    REMOTE.hangs = True
    first, second = engine.start(CALL), engine.start(CALL)
    engine.advance(5 * MINUTES + 5)
    REMOTE.hangs = False
    engine.order("cancel", first.id)
    engine.advance(5)
    assert stored(engine, second.id).state == "completed"


def test_runs_under_way_wait_as_rows(world: World) -> None:
    engine = boot(world)
    workflow = flow(
        node("rest", "action.wait", seconds=30), node("call", "test.remote"), edges="start>rest rest>call"
    )
    started = engine.start(workflow)
    engine.advance(1)
    fail(engine, 50)
    engine.advance(60)
    row = stored(engine, started.id)
    assert (row.state, row.waiting) == ("running", "breaker")
    assert engine.quiet()
    engine = world.reboot()
    REMOTE.ledger, REMOTE.clock = world.ledger, engine.clock
    engine.advance(10)
    assert calls(world) == 50
    assert engine.finish(started.id).state == "completed"


def test_what_is_open_outlives_a_restart(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    engine.advance(1)
    world.crash()
    engine = boot(world)
    started = engine.start(CALL)
    engine.advance(60)
    assert stored(engine, started.id).state == "pending"
    assert engine.finish(started.id).state == "completed"


def test_one_connector_does_not_close_the_others(world: World) -> None:
    engine = boot(world)
    engine.controller.breaker._circuits.clear()
    bad = flow(node("call", "test.remote", value="bad"), edges="start>call")
    good = flow(node("call", "test.remote", value="good"), edges="start>call")
    REMOTE.down = True
    for number in range(60):
        engine.finish(engine.start(bad).id)
        # The workspace's own window passes it by: half of the failures are too old to count there.
        engine.advance(7 if number < 49 else 0)
        if engine.controller.breaker.blocked_until(WORKSPACE):
            break
    REMOTE.down = False
    assert engine.finish(engine.start(good).id).state == "completed"


def test_failures_that_are_old_do_not_count(world: World) -> None:
    engine = boot(world)
    fail(engine, 49)
    engine.advance(6 * MINUTES)
    fail(engine, 49)
    assert not engine.controller.breaker.blocked_until(WORKSPACE)


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (RemoteError(method="GET", host="h", status=500, detail=""), True),
        (RemoteError(method="GET", host="h", status=404, detail=""), False),
        (RemoteError(method="GET", host="h", status=429, detail=""), False),
        (NodeTimeout(seconds=1), True),
        (ConnectionLost(method="GET", host="h", reason="reset"), True),
        (NodeFailed(reason="bad input"), False),
        (Output("main", 1), False),
    ],
)
def test_what_counts(error: object, counted: bool) -> None:
    from flowfuse.engine.breaker import counts

    assert counts(error) is counted


def test_a_person_has_it_tried_now(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    started = engine.start(CALL)
    engine.advance(10)

    async def now() -> None:
        assert engine.controller.breaker.try_now(WORKSPACE, "")
        engine.controller.breaker.try_now(WORKSPACE, "peer")

    engine.do(now())
    engine.advance(10)
    assert stored(engine, started.id).state == "completed"


def test_a_trial_that_is_cancelled_before_it_leaves_gives_its_place_back(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    engine.advance(5 * MINUTES + 1)
    breaker = engine.controller.breaker

    async def cancel_at_once() -> None:
        content = await engine.workflows.freeze(WORKSPACE, CALL)
        plan = engine.controller.plan(content)
        run = engine.controller.start(WORKSPACE, "flow", content.id, plan, "start", None)
        assert breaker.blocked_until(WORKSPACE)
        await engine.controller.cancel(WORKSPACE, id_text(run.id))

    engine.do(cancel_at_once())
    assert calls(world) == 50
    assert not breaker.blocked_until(WORKSPACE)
    assert engine.finish(engine.start(CALL).id).state == "completed"


def test_pending_runs_are_claimed_when_a_trial_never_ends(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    engine.advance(5 * MINUTES + 1)
    REMOTE.hangs = True
    engine.start(CALL)
    engine.advance(1)
    REMOTE.hangs = False
    pending = engine.start(CALL)
    engine.advance(30)
    assert stored(engine, pending.id).state == "pending"
    engine.advance(31)
    assert stored(engine, pending.id).state == "completed"


def test_what_waits_for_one_connector_is_not_tried_when_another_closes(world: World) -> None:
    engine = boot(world)
    breaker = engine.controller.breaker
    rest = node("rest", "action.wait", seconds=20)
    bad = flow(rest, node("call", "test.remote", value="bad"), edges="start>rest rest>call")
    waits = engine.start(bad)
    engine.advance(1)

    async def break_it() -> None:
        lost = ConnectionLost(method="GET", host="h", reason="reset")
        for _ in range(50):
            breaker.ended(WORKSPACE, "bad", lost, trial=False)
        # The workspace's own has closed again.
        del breaker._circuits[(WORKSPACE, "")]

    engine.do(break_it())
    engine.advance(30)
    assert stored(engine, waits.id).waiting == "breaker"
    events = len(engine.events(waits.id))

    async def wake() -> None:
        await BreakerRepository(engine.database).wake(WORKSPACE, engine.clock.now_us())
        engine.controller.calls_possible()

    for _ in range(5):
        engine.do(wake())
        engine.advance(2)
    assert len(engine.events(waits.id)) == events
    assert engine.finish(waits.id).state == "completed"


def test_only_what_counts_is_listed(world: World) -> None:
    engine = boot(world)
    breaker = engine.controller.breaker
    fail(engine, 3)
    assert {(each.connector, each.failures) for each in breaker.list(WORKSPACE)} == {("", 3), ("peer", 3)}
    engine.advance(6 * MINUTES)
    assert breaker.list(WORKSPACE) == []
    fail(engine, 50)
    assert {each.state for each in breaker.list(WORKSPACE)} == {"open"}
    engine.advance(6 * MINUTES)
    assert engine.finish(engine.start(CALL).id).state == "completed"
    assert breaker.list(WORKSPACE) == []


def test_an_open_breaker_is_not_in_the_way_of_other_workspaces(world: World) -> None:
    engine = boot(world)
    fail(engine, 50)
    blocked = [engine.start(CALL) for _ in range(5)]
    engine.advance(1)
    quick = engine.do(engine.workflows.freeze("other", flow(node("a", "transform.set"), edges="start>a")))
    plan = engine.controller.plan(quick)

    async def start() -> Run:
        return engine.controller.start("other", "flow", quick.id, plan, "start", None)

    for _ in range(10):
        before = world.commits
        run = engine.do(start())
        engine.advance(1)
        # At once, in one commit: neither claimed as a row, nor followed by a claim that gets nothing.
        assert stored(engine, run.id).state == "completed"
        assert world.commits == before + 1
    assert {stored(engine, run.id).state for run in blocked} == {"pending"}
    engine.order("cancel", blocked[0].id)
    engine.advance(6 * MINUTES)
    assert [stored(engine, run.id).state for run in blocked] == ["cancelled", *["completed"] * 4]
