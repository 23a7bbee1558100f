"""Runs that wait for other runs, for calls and for people; error workflows (semantics §2, §5, §6)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from flowfuse.clock import id_text
from flowfuse.data.follow_ups import FollowUpRepository
from flowfuse.engine.follow_ups import FollowUps
from flowfuse.errors import Conflict, NotFound
from flowfuse.events import RunFinished
from flowfuse.model import Execution, Workflow
from tests.support.effects import DetachedNode
from tests.support.flows import each, effect, flow, node, of, put
from tests.support.simulation import WORKSPACE, Crash, Engine, World


def live(world: World) -> Engine:
    """A process with the loop that follows up."""
    engine = world.boot()
    follow_ups = FollowUps(
        engine.clock, FollowUpRepository(engine.database), engine.executions, engine.workflows, engine.history,
        engine.controller, engine.bus,
    )  # fmt: skip
    engine.begin(follow_ups.work())
    return engine


@pytest.fixture
def engine(world: World) -> Engine:
    return live(world)


def publish(engine: Engine, workflow: Workflow, name: str) -> None:
    import msgspec

    named = msgspec.structs.replace(workflow, id=name)

    async def do() -> None:
        await engine.workflows.create(WORKSPACE, named)
        await engine.workflows.publish(WORKSPACE, named, [], [], "")

    engine.do(do())


def runs_of(world: World, engine: Engine, name: str) -> list[Execution]:
    rows = world.rows("SELECT id FROM executions WHERE workflow_id = ? ORDER BY id", name)
    return [found for row in rows if (found := engine.stored(row["id"])) is not None]


CHILD = flow(effect("work", value="{{ trigger }}", seconds=5), edges="start>work")
CALL = flow(
    node("call", "action.run_workflow", workflow="child", input="{{ trigger }}"), put("end", "{{ input }}"),
    edges="start>call call>end",
)  # fmt: skip


def test_a_called_run_gives_its_result(world: World, engine: Engine) -> None:
    publish(engine, CHILD, "child")
    parent = engine.start(CALL, 7)
    engine.advance(2)
    row = engine.stored(parent.id)
    assert row is not None
    assert (row.state, row.waiting) == ("running", "workflow")
    assert engine.quiet() or len(engine.controller.runs) == 1
    child = runs_of(world, engine, "child")[0]
    assert of(engine.detail(parent.id), "call").waits_for == child.id
    engine.finish(parent.id)
    assert engine.detail(parent.id).result == {"v": 7}


def test_a_called_run_that_ends_at_once(engine: Engine) -> None:
    publish(engine, flow(put("a", "{{ trigger }}"), edges="start>a"), "child")
    parent = engine.start(CALL, "x")
    engine.finish(parent.id)
    assert engine.detail(parent.id).result == {"v": {"v": "x"}}


def test_a_called_run_that_fails(engine: Engine) -> None:
    publish(engine, flow(node("stop", "action.fail", message="no stock"), edges="start>stop"), "child")
    parent = engine.start(CALL)
    row = engine.finish(parent.id)
    assert row.error is not None
    assert (row.state, row.error.code) == ("failed", "call_failed")
    assert "no stock" in row.error.message


def test_retry_calls_anew(world: World, engine: Engine) -> None:
    publish(engine, flow(effect("work", fails=1), edges="start>work"), "child")
    retry = {"attempts": 3, "initial": 1, "jitter": False}
    call = node("call", "action.run_workflow", workflow="child")
    call["retry"] = retry
    parent = engine.start(flow(call, edges="start>call"))
    # Its own effect fails in each run's first attempt, and has no retry of its own.
    assert engine.finish(parent.id).state == "failed"
    assert len(runs_of(world, engine, "child")) == 3


def test_a_workflow_that_is_not_there(engine: Engine) -> None:
    parent = engine.start(CALL)
    row = engine.finish(parent.id)
    assert row.error is not None
    assert "not published" in row.error.message


def test_not_waiting(world: World, engine: Engine) -> None:
    publish(engine, CHILD, "child")
    parent = engine.start(
        flow(node("call", "action.run_workflow", workflow="child", wait=False), edges="start>call")
    )
    engine.finish(parent.id)
    child = runs_of(world, engine, "child")[0]
    assert engine.detail(parent.id).result == {"id": child.id}
    assert child.state == "running"


def test_calls_in_a_loop_run_side_by_side(world: World, engine: Engine) -> None:
    publish(engine, CHILD, "child")
    workflow = flow(
        each("each", [1, 2, 3], concurrency=3), node("call", "action.run_workflow", workflow="child", input="{{ item }}"),
        edges="start>each each.item>call",
    )  # fmt: skip
    parent = engine.start(workflow)
    engine.finish(parent.id)
    assert engine.detail(parent.id).result == [1, 2, 3]
    assert engine.loop.time() < 12


def test_the_version_is_pinned_at_the_call(engine: Engine) -> None:
    publish(engine, CHILD, "child")
    parent = engine.start(CALL, 1)
    engine.advance(1)

    async def change() -> None:
        import msgspec

        other = msgspec.structs.replace(flow(put("a", "other"), edges="start>a"), id="child")
        await engine.workflows.publish(WORKSPACE, other, [], [], "")

    engine.do(change())
    engine.finish(parent.id)
    assert engine.detail(parent.id).result == {"v": 1}


def test_workflows_that_call_each_other_for_ever(world: World, engine: Engine) -> None:
    publish(engine, flow(node("call", "action.run_workflow", workflow="child"), edges="start>call"), "child")
    parent = engine.start(CALL)
    assert engine.finish(parent.id).state == "failed"
    assert len(runs_of(world, engine, "child")) == 20


def test_cancelling_the_caller_cancels_the_called(world: World, engine: Engine) -> None:
    publish(engine, CHILD, "child")
    parent = engine.start(CALL)
    engine.advance(2)
    engine.order("cancel", parent.id)
    engine.advance(1)
    assert runs_of(world, engine, "child")[0].state == "cancelled"


@pytest.mark.parametrize("restart", [False, True])
def test_cancelling_a_paused_caller_cancels_the_called(world: World, engine: Engine, restart: bool) -> None:
    publish(engine, flow(effect("work", seconds=1000), edges="start>work"), "child")
    parent = engine.start(
        flow(
            each("each", [1, 2], concurrency=2),
            node("call", "action.run_workflow", workflow="child"),
            edges="start>each each.item>call",
        )
    )
    engine.advance(2)
    engine.order("pause", parent.id)
    engine.advance(2)
    if restart:
        world.crash()
        engine = live(world)
    engine.order("cancel", parent.id)
    engine.advance(1)
    assert engine.stored(parent.id).state == "cancelled"  # type: ignore[union-attr]
    assert [run.state for run in runs_of(world, engine, "child")] == ["cancelled", "cancelled"]
    assert engine.quiet()


def test_a_timeout_ends_the_called(world: World, engine: Engine) -> None:
    publish(engine, CHILD, "child")
    call = node("call", "action.run_workflow", workflow="child")
    call["timeout"] = 2
    row = engine.finish(engine.start(flow(call, edges="start>call")).id)
    assert row.error is not None
    assert row.error.code == "node_timeout"
    engine.advance(1)
    assert runs_of(world, engine, "child")[0].state == "cancelled"


def test_a_paused_caller_is_told_when_it_runs_again(engine: Engine) -> None:
    publish(engine, CHILD, "child")
    parent = engine.start(CALL, 3)
    engine.advance(2)
    engine.order("pause", parent.id)
    engine.advance(30)
    assert engine.stored(parent.id).state == "paused"  # type: ignore[union-attr]
    engine.order("resume", parent.id)
    engine.finish(parent.id)
    assert engine.detail(parent.id).result == {"v": 3}


def test_what_a_paused_caller_is_not_told_yet_is_not_read(world: World, engine: Engine) -> None:
    publish(engine, CHILD, "child")
    parent = engine.start(CALL, 3)
    engine.advance(2)
    engine.order("pause", parent.id)
    engine.advance(10)
    assert runs_of(world, engine, "child")[0].state == "completed"
    world.queries.clear()
    engine.advance(60)
    assert not [sql for sql in world.queries if "FROM segments" in sql]
    engine.order("resume", parent.id)
    assert engine.finish(parent.id).state == "completed"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 14))
def test_a_crash_at_any_commit_of_a_call(world: World, commit: int, when: str) -> None:
    engine = live(world)
    publish(engine, CHILD, "child")
    engine.freeze(CALL)
    world.crash_on(commit, when)
    try:
        parent = engine.start(CALL, 5)
        engine.until(parent.id, lambda row: True)
        engine.advance(100)
    except Crash:
        pass
    world.crash()
    engine = live(world)
    engine.advance(200)
    rows = world.rows("SELECT id FROM executions WHERE workflow_id = 'flow'")
    for row in rows:
        assert engine.stored(row["id"]).state == "completed"  # type: ignore[union-attr]
        assert engine.detail(row["id"]).result == {"v": 5}
    assert len(runs_of(world, engine, "child")) == len(rows)
    assert len(world.ledger.keys()) == len(rows)
    assert world.rows("SELECT * FROM follow_ups") == []


def test_an_end_behind_other_commits_is_told_once_and_at_once() -> None:
    for seed in range(25):
        world = World(seed=seed)
        engine = live(world)
        publish(engine, waiting("action.wait_for_call"), "child")
        ends: list[RunFinished] = []
        engine.bus.listen(RunFinished, ends.append)
        parent = engine.start(CALL)
        engine.until(parent.id, lambda row: row.waiting == "workflow")
        child = runs_of(world, engine, "child")[0]
        engine.do(engine.controller.orders.called(WORKSPACE, child.id, None, "told"))
        engine.advance(1)
        assert engine.stored(parent.id).state == "completed"  # type: ignore[union-attr]
        assert [id_text(end.execution) for end in ends] == [child.id, id_text(parent.id)]
        world.close()


def test_a_call_waits_while_no_run_is_accepted(world: World, engine: Engine) -> None:
    publish(engine, CHILD, "child")
    workflow = flow(
        effect("before", seconds=5), node("call", "action.run_workflow", workflow="child", input=7),
        put("end", "{{ input }}"), edges="start>before before>call call>end",
    )  # fmt: skip
    parent = engine.start(workflow)
    engine.advance(1)
    engine.controller.disk_free = 1_000_000
    engine.advance(120)
    row = engine.stored(parent.id)
    assert row is not None
    assert (row.state, row.waiting) == ("running", "room")
    assert of(engine.detail(parent.id), "call").state == "waiting"
    assert engine.quiet()
    engine.controller.disk_free = None
    engine.finish(parent.id)
    assert engine.detail(parent.id).result == {"v": 7}
    assert len(runs_of(world, engine, "child")) == 1


def test_a_call_that_meets_the_end_of_the_server_is_made_at_the_next_start() -> None:
    for moment in range(40):
        world = World(seed=moment)
        engine = live(world)
        publish(engine, CHILD, "child")
        parent = engine.start(CALL, 7)
        engine.until(parent.id, lambda row: True)
        engine.advance(moment / 5000)
        world.shut_down()
        engine = live(world)
        engine.finish(parent.id)
        assert engine.detail(parent.id).result == {"v": 7}
        assert len(runs_of(world, engine, "child")) == 1
        world.close()


# -- error workflows


HANDLER: dict[str, Any] = {"type": "trigger.error"}


def handler() -> Workflow:
    from flowfuse.document import from_raw

    return from_raw(
        {
            "id": "handler",
            "nodes": [
                {"id": "failed", "type": "trigger.error"},
                {"id": "tell", "type": "test.effect", "config": {"value": "{{ trigger }}"}},
            ],
            "edges": [{"from": "failed", "to": "tell"}],
        }
    )


FAILS = flow(
    effect("a", seconds=1), node("stop", "action.fail", message="broken", code="my_code"),
    edges="start>a a>stop", error_workflow="handler",
)  # fmt: skip


def test_a_failed_run_starts_its_error_workflow(world: World, engine: Engine) -> None:
    publish(engine, handler(), "handler")
    failed = engine.start(FAILS)
    engine.finish(failed.id)
    engine.advance(10)
    told = world.ledger.of("tell")[0].value
    assert told["execution"]["id"] == id_text(failed.id)
    assert told["workflow"]["id"] == "flow"
    assert (told["error"]["code"], told["error"]["message"], told["error"]["node"]) == (
        "my_code",
        "broken",
        "stop",
    )
    assert [run.mode for run in runs_of(world, engine, "handler")] == ["error"]


def test_an_error_workflow_that_breaks_does_not_keep_others_from_being_told(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(engine, handler(), "handler")
    publish(engine, flow(node("a", "test.detached"), edges="start>a"), "broken")

    def broken(self: Any, config: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(DetachedNode, "ports_of", broken)
    monkeypatch.setattr(engine.controller, "_plans", {})
    engine.finish(engine.start(replace(FAILS, settings=replace(FAILS.settings, error_workflow="broken"))).id)
    failed = engine.start(FAILS)
    engine.finish(failed.id)
    engine.advance(10)
    assert world.ledger.of("tell")[0].value["execution"]["id"] == id_text(failed.id)
    assert world.rows("SELECT count(*) FROM follow_ups")[0][0] == 0


@pytest.mark.parametrize("mode", ["test", "error"])
def test_test_runs_and_error_runs_start_none(world: World, engine: Engine, mode: str) -> None:
    publish(engine, handler(), "handler")
    engine.finish(engine.start(FAILS, mode=mode).id)
    engine.advance(10)
    assert runs_of(world, engine, "handler") == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 9))
def test_a_crash_starts_the_error_workflow_once(world: World, commit: int, when: str) -> None:
    engine = live(world)
    publish(engine, handler(), "handler")
    failed = engine.start(FAILS)
    engine.until(failed.id, lambda row: True)
    world.crash_on(commit, when)
    try:
        engine.advance(100)
    except Crash:
        pass
    world.crash()
    engine = live(world)
    engine.advance(100)
    assert engine.stored(failed.id).state == "failed"  # type: ignore[union-attr]
    assert [run.state for run in runs_of(world, engine, "handler")] == ["completed"]
    assert world.rows("SELECT * FROM follow_ups") == []


# -- calls from outside, and people


def waiting(kind: str, **config: Any) -> Workflow:
    return flow(node("hold", kind, **config), put("end", "{{ input }}"), edges="start>hold hold>end")


def test_a_run_waits_for_its_address_to_be_called(world: World, engine: Engine) -> None:
    started = engine.start(waiting("action.wait_for_call"))
    engine.advance(1)
    assert engine.quiet()
    engine = world.reboot()
    engine.do(engine.controller.orders.called(WORKSPACE, id_text(started.id), None, {"body": 1}))
    engine.finish(started.id)
    assert engine.detail(started.id).result == {"v": {"body": 1}}


def test_a_call_that_does_not_come(engine: Engine) -> None:
    row = engine.finish(engine.start(waiting("action.wait_for_call", within="30m")).id)
    assert row.error is not None
    assert row.error.code == "wait_expired"


def test_several_waits_have_to_be_named(engine: Engine) -> None:
    workflow = flow(
        node("a", "action.wait_for_call"), node("b", "action.wait_for_call"), edges="start>a start>b"
    )
    started = engine.start(workflow)
    engine.advance(1)
    name = id_text(started.id)
    with pytest.raises(Conflict, match="a, b"):
        engine.do(engine.controller.orders.called(WORKSPACE, name, None, 1))
    engine.do(engine.controller.orders.called(WORKSPACE, name, "b", 2))
    with pytest.raises(NotFound):
        engine.do(engine.controller.orders.called(WORKSPACE, name, "b", 2))
    engine.do(engine.controller.orders.called(WORKSPACE, name, None, 1))
    engine.finish(started.id)
    assert engine.detail(started.id).result == {"a": 1, "b": 2}


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_a_person_decides(world: World, engine: Engine, decision: str) -> None:
    workflow = flow(
        node("ask", "action.approval", title="Pay {{ trigger }}?", details={"n": "{{ trigger }}"}),
        put("yes", "{{ input.comment }}"), put("no", "{{ input.input }}"),
        edges="start>ask ask.approved>yes ask.rejected>no",
    )  # fmt: skip
    started = engine.start(workflow, 12)
    engine.advance(1)
    asked = of(engine.detail(started.id), "ask")
    assert (asked.state, asked.waits_for) == ("approving", {"title": "Pay 12?", "details": {"n": 12}})
    engine = world.reboot()
    engine.do(
        engine.controller.orders.decide(WORKSPACE, id_text(started.id), "ask", "", decision, "fine", "me")
    )
    engine.finish(started.id)
    assert engine.detail(started.id).result == {"v": "fine" if decision == "approved" else 12}
