"""T13, T14: each due time once – over crashes, long stalls, jumps of the clock – or said to be skipped."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from flowfuse.clock import Ids
from flowfuse.data.schedules import ScheduleRepository
from flowfuse.document import from_raw
from flowfuse.engine.drafts import Drafts
from flowfuse.engine.recurrence import Recurrence
from flowfuse.engine.scheduler import CATCH_UP_MOST, SchedulerService, what_is_due
from flowfuse.engine.validation import ValidationEngine
from flowfuse.errors import WorkflowInvalid
from flowfuse.model import Fire, State
from tests.support.effects import DetachedNode
from tests.support.simulation import BEGIN_US, WORKSPACE, Crash, Engine, World

MINUTE, HOUR = 60_000_000, 3_600_000_000


class VirtualAlarm:
    """The alarm on virtual time."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._timer = engine, None

    def set(self, when_us: int, ring: Callable[[], None]) -> None:
        self.stop()
        self._timer: Any = self._engine.clock.call_at(when_us, ring)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Life:
    """One life of the process with its scheduler."""

    def __init__(self, world: World) -> None:
        self.world, self.engine = world, world.boot()
        engine = self.engine
        self.schedules = ScheduleRepository(engine.database)
        self.service = SchedulerService(
            engine.clock, self.schedules, engine.controller, engine.bus, VirtualAlarm(engine)
        )
        self.drafts = Drafts(
            engine.workflows, ValidationEngine(engine.catalogue), engine.controller, engine.catalogue,
            engine.clock, Ids(engine.clock, world.random.randbytes), engine.bus,
        )  # fmt: skip
        engine.begin(self.service.work())

    def publish(self, name: str = "tick", kind: str = "test.effect", **config: Any) -> None:
        document = {
            "id": name,
            "nodes": [
                {"id": "clock", "type": "trigger.schedule", "config": config},
                {"id": "a", "type": kind, "config": {"value": "{{ trigger.due }}"}},
            ],
            "edges": [{"from": "clock", "to": "a"}],
        }

        async def do() -> None:
            rows = await self.engine.workflows.list(WORKSPACE)
            if name not in [row.id for row in rows]:
                await self.drafts.create(WORKSPACE, from_raw(document))
            await self.drafts.publish(WORKSPACE, name)

        self.engine.do(do())

    def fires(self, name: str = "tick") -> list[Fire]:
        return list(reversed(self.engine.do(self.schedules.fires(WORKSPACE, name, "clock", 1000))))

    def effects(self) -> list[str]:
        return [entry.value for entry in self.world.ledger.entries]


@pytest.fixture
def life(world: World) -> Life:
    return Life(world)


def test_fires_at_each_due_time_and_says_when(life: Life) -> None:
    life.publish(every="1m")
    life.engine.advance(60 * 60 + 5)
    fires = life.fires()
    assert [fire.outcome for fire in fires] == ["fired"] * 60
    assert {b.due - a.due for a, b in pairwise(fires)} == {MINUTE}
    assert len(set(life.effects())) == 60
    assert all(fire.at - fire.due < 100_000 for fire in fires)


def test_publishing_again_keeps_the_beat_and_unpublishing_ends_it(life: Life) -> None:
    life.publish(every="10m")
    life.engine.advance(15 * 60)
    life.publish(every="10m")
    life.engine.advance(10 * 60)
    assert len(life.fires()) == 2
    life.engine.do(life.drafts.unpublish(WORKSPACE, "tick"))
    life.engine.advance(3600)
    assert len(life.fires()) == 2


def test_a_workflow_that_breaks_does_not_keep_the_others_from_their_time(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.publish("broken", kind="test.detached", every="1m")
    life.publish("tick", every="1m")

    def broken(self: Any, config: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(DetachedNode, "ports_of", broken)
    monkeypatch.setattr(life.engine.controller, "_plans", {})
    life.engine.advance(10 * 60 + 5)
    assert [fire.outcome for fire in life.fires("broken")] == ["refused: internal"] * 10
    assert [fire.outcome for fire in life.fires()] == ["fired"] * 10


def test_a_paused_schedule_does_not_fire_and_makes_nothing_up(life: Life) -> None:
    life.publish(every="10m", catch_up="all")
    life.engine.do(life.service.pause(WORKSPACE, "tick", "clock"))
    life.engine.advance(3600)
    assert life.fires() == []
    life.engine.do(life.service.resume(WORKSPACE, "tick", "clock"))
    life.engine.advance(11 * 60)
    assert len(life.fires()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 9))
def test_a_crash_at_any_commit_neither_loses_nor_doubles(world: World, commit: int, when: str) -> None:
    life = Life(world)
    life.publish(every="1m")
    world.crash_on(commit, when)
    with pytest.raises(Crash):
        life.engine.advance(600)
    world.crash()
    life = Life(world)
    life.engine.advance(600)
    fires = life.fires()
    assert {fire.outcome for fire in fires} == {"fired"}
    assert {b.due - a.due for a, b in pairwise(fires)} == {MINUTE}
    assert len(world.rows("SELECT id FROM executions")) == len(fires)
    ended = {State(row["state"]) for row in world.rows("SELECT state FROM executions")}
    assert ended == {State.completed}


@pytest.mark.parametrize(("catch_up", "fired", "skipped"), [("none", 1, 5), ("last", 2, 4), ("all", 6, 0)])
def test_what_passed_while_it_was_off(world: World, catch_up: str, fired: int, skipped: int) -> None:
    life = Life(world)
    life.publish(every="1h", catch_up=catch_up)
    world.crash()
    # Off for six hours and two minutes: the last due time is late by less than the grace.
    world._now += 6 * 3600 + 120
    life = Life(world)
    life.engine.advance(60)
    fires = life.fires()
    assert len([fire for fire in fires if fire.outcome == "fired"]) == fired
    assert sum(fire.count for fire in fires if fire.outcome == "skipped") == skipped
    life.engine.advance(3600)
    assert len([fire for fire in life.fires() if fire.outcome == "fired"]) == fired + 1


def test_a_short_stall_loses_nothing(life: Life) -> None:
    life.publish(cron="*/10 * * * *")
    life.engine.advance(10 * 60)
    before = len(life.fires())
    # The event loop stood still for half a minute over the due time: time has passed, nothing ran.
    due = life.engine.do(life.schedules.next_due())
    assert due is not None
    life.engine.loop._virtual = (due - BEGIN_US) / 1e6 + 30
    life.engine.advance(5)
    fires = life.fires()
    assert len(fires) == before + 1
    assert fires[-1].outcome == "fired"


def test_once(life: Life) -> None:
    life.publish(at="2026-09-21T20:00:00+00:00")
    life.engine.advance(30 * 86400)
    assert len(life.fires()) <= 1
    assert life.engine.do(life.schedules.next_due()) is None


def test_it_goes_on_when_the_queue_is_full(world: World) -> None:
    life = Life(world)
    life.engine.controller._max_pending = 0
    life.publish(every="1m")
    life.engine.advance(70)
    assert life.fires() == []
    life.engine.controller._max_pending = 10
    life.engine.advance(5)
    assert [fire.outcome for fire in life.fires()] == ["fired"]


def test_a_schedule_that_is_none_is_not_published(life: Life) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        life.publish(cron="0 0 31 2 *")
    assert [problem.path for problem in caught.value.problems] == ["nodes.clock.config.cron"]


def test_all_is_bounded_and_the_newest() -> None:
    recurrence = Recurrence(every_us=MINUTE)
    due = what_is_due(recurrence, "all", MINUTE, 10_000 * MINUTE + 31_000_000)
    assert len(due.fires) == CATCH_UP_MOST
    assert due.fires[-1] == 10_000 * MINUTE
    assert (due.skipped_from, due.skipped) == (MINUTE, 10_000 - CATCH_UP_MOST)
    assert due.following == 10_001 * MINUTE


@pytest.mark.parametrize("late", [0, 29_000_000, 30_000_000])
def test_up_to_half_a_period_late_always_fires(late: int) -> None:
    due = what_is_due(Recurrence(every_us=MINUTE), "none", MINUTE, MINUTE + late)
    assert (due.fires, due.skipped) == ([MINUTE], 0)


def test_more_than_five_minutes_late_is_missed() -> None:
    due = what_is_due(Recurrence(every_us=HOUR), "none", HOUR, HOUR + 301_000_000)
    assert (due.fires, due.skipped, due.following) == ([], 1, 2 * HOUR)


def test_years_of_missed_seconds_are_not_gone_through() -> None:
    recurrence = Recurrence(every_us=1_000_000, anchor_us=5)
    years = 20 * 366 * 86400
    now = years * 1_000_000
    due = what_is_due(recurrence, "all", 1_000_005, now)
    assert due.fires[-1] == now - 1_000_000 + 5
    assert len(due.fires) == CATCH_UP_MOST
    assert (due.skipped_from, due.skipped) == (1_000_005, years - 1 - CATCH_UP_MOST)
    assert due.following == now + 5


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
@pytest.mark.parametrize("missed", [0, 1, 2, 99, 100, 101, 299, 300, 301, 302, 500])
def test_what_is_left_out_is_counted_as_one_by_one(catch_up: str, missed: int) -> None:
    every = Recurrence(every_us=3 * 1_000_000)
    now = 3_000_000 * (missed + 1) + 700_000
    due = what_is_due(every, catch_up, 3_000_000, now)
    keep = {"none": 0, "last": 1, "all": CATCH_UP_MOST}[catch_up]
    moments = [3_000_000 * number for number in range(1, missed + 2)]
    timely = [moment for moment in moments if now - moment <= 1_500_000]
    late = [moment for moment in moments if moment not in timely]
    chosen = late[len(late) - min(keep, len(late)) :]
    assert due.fires == chosen + timely
    assert due.skipped == len(late) - len(chosen)
    assert due.skipped_from == (late[0] if due.skipped else None)
    assert due.following == 3_000_000 * (missed + 2)
