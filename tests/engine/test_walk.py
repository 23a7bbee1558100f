"""Running a graph: joins, dead paths, several triggers, disabled nodes, results (semantics §3)."""

from __future__ import annotations

import gc

import pytest

from flowfuse.engine.frame import Frame
from flowfuse.engine.run import Run
from flowfuse.model import State
from tests.support.flows import each, effect, flow, node, of, put, ran, run
from tests.support.simulation import Engine

IF = node("if", "condition.if", condition="{{ trigger > 0 }}")


def test_an_all_join_takes_the_edges_that_fired_and_waits_for_the_rest(engine: Engine) -> None:
    workflow = flow(
        effect("slow", seconds=5),
        effect("quick"),
        put("both", "{{ input }}"),
        edges="start>slow start>quick quick>both slow>both",
    )
    assert run(engine, workflow).result == {"v": {"slow": "slow", "quick": "quick"}}


def test_an_all_join_with_a_dead_edge_gets_the_one_value(engine: Engine) -> None:
    workflow = flow(
        IF, put("yes", 1), put("no", 2), put("end", "{{ input }}"),
        edges="start>if if.true>yes if.false>no yes>end no>end",
    )  # fmt: skip
    detail = run(engine, workflow, 1)
    assert detail.result == {"v": {"v": 1}}
    assert of(detail, "no").state == "skipped"


def test_a_node_none_of_whose_edges_fired_is_skipped_and_all_behind_it(engine: Engine) -> None:
    workflow = flow(
        IF, put("a"), put("b"), put("c"), put("other", 7),
        edges="start>if if.true>a a>b b>c if.false>other",
    )  # fmt: skip
    detail = run(engine, workflow, 0)
    assert detail.result == {"v": 7}
    assert ran(detail) == ["start", "if", "other"]


def test_an_any_join_fires_once_on_the_first_and_the_run_ends_with_the_last(engine: Engine) -> None:
    workflow = flow(
        effect("slow", seconds=60),
        effect("quick", seconds=1),
        put("first", "{{ input }}", join="any"),
        edges="start>slow start>quick quick>first slow>first",
    )
    started = engine.start(workflow)
    engine.advance(5)
    row = engine.stored(started.id)
    assert row is not None
    assert row.state == "running"
    engine.finish(started.id)
    detail = engine.detail(started.id)
    assert detail.result == {"v": "quick"}
    assert of(detail, "slow").state == "done"
    assert of(detail, "first").input == "quick"


def test_an_any_join_none_of_whose_edges_fires_is_skipped(engine: Engine) -> None:
    workflow = flow(
        IF, put("a"), put("b"), put("x", join="any"), put("y", 1),
        edges="start>if if.true>a if.true>b a>x b>x if.false>y x>y",
    )  # fmt: skip
    detail = run(engine, workflow, 0)
    assert of(detail, "x").state == "skipped"
    assert detail.result == {"v": 1}


def test_triggers_that_did_not_fire_count_as_skipped(engine: Engine) -> None:
    workflow = flow(
        put("a", "{{ input }}"), put("b"), triggers="start other", edges="start>a other>a other>b"
    )
    detail = run(engine, workflow, 5, trigger="start")
    assert detail.result == {"v": 5}
    assert of(detail, "b").state == "skipped"


def test_a_value_of_a_node_that_has_not_fired_is_an_error_and_get_has_a_default(engine: Engine) -> None:
    edges = "start>if if.true>a if.false>b a>end b>end"
    bad = flow(IF, put("a"), put("b"), put("end", "{{ nodes.a }}"), edges=edges)
    good = flow(IF, put("a"), put("b"), put("end", "{{ get(nodes.a, 'v', 9) }}"), edges=edges)
    error = run(engine, bad, 0).execution.error
    assert error is not None
    assert (error.code, error.node) == ("expression_failed", "end")
    assert run(engine, good, 0).result == {"v": 9}


@pytest.mark.parametrize(
    ("disabled", "port"),
    [
        (node("x", "transform.set", fields={"v": 0}, disabled=True), "main"),
        (node("x", "condition.if", condition=False, disabled=True), "true"),
        (node("x", "condition.switch", cases=[{"port": "a", "equals": 1}], disabled=True), "a"),
        (node("x", "test.effect", fails=9, disabled=True), "main"),
        (node("x", "loop.for_each", items=[1], disabled=True), "done"),
    ],
)
def test_a_disabled_node_passes_its_input_to_its_first_port(
    engine: Engine, disabled: dict, port: str
) -> None:
    workflow = flow(disabled, put("end", "{{ input }}"), edges=f"start>x x.{port}>end")
    assert run(engine, workflow, 3).result == {"v": 3}
    assert not engine.world.ledger.entries


def test_the_result_is_the_end_that_fired_an_object_of_several_null_of_none(engine: Engine) -> None:
    several = flow(put("a", 1), put("b", 2), edges="start>a start>b")
    assert run(engine, several).result == {"a": {"v": 1}, "b": {"v": 2}}
    assert run(engine, flow(), 4).result == 4
    none = flow(IF, put("a"), edges="start>if if.true>a")
    assert run(engine, none, 0).result is None


def test_the_first_respond_counts_and_the_run_goes_on_behind_it(engine: Engine) -> None:
    workflow = flow(
        node("one", "action.respond", body={"n": 1}),
        node("two", "action.respond", body={"n": 2}),
        put("end", "{{ input }}"),
        edges="start>one one>two two>end",
    )
    detail = run(engine, workflow)
    assert detail.result == {"n": 1}
    assert detail.answer is not None
    assert detail.answer.body == {"n": 1}
    assert of(detail, "end").output == {"v": {"n": 2}}


def test_pins_act_in_test_runs_only(engine: Engine) -> None:
    workflow = flow(effect("a", pinned={"p": 1}), edges="start>a")
    assert run(engine, workflow, mode="test").result == {"p": 1}
    assert not engine.world.ledger.entries
    assert run(engine, workflow).result == "a"


def test_branches_run_concurrently(engine: Engine) -> None:
    names = ["a", "b", "c", "d"]
    workflow = flow(*(effect(n, seconds=10) for n in names), edges=" ".join(f"start>{n}" for n in names))
    begun = engine.loop.time()
    run(engine, workflow)
    assert engine.loop.time() - begun < 11


def test_the_order_of_an_objects_input_is_the_documents(engine: Engine) -> None:
    workflow = flow(
        effect("z", seconds=1), effect("a", seconds=3), node("m", "transform.merge", mode="append"),
        edges="start>z start>a a>m z>m",
    )  # fmt: skip
    assert run(engine, workflow).result == ["a", "z"]


def test_a_long_chain_gives_way_to_other_runs(world: object, engine: Engine) -> None:
    engine.world.slowness = 0.01
    engine.clock._slowness = 0.01
    names = [f"n{i}" for i in range(200)]
    chain = " ".join(f"{a}>{b}" for a, b in zip(["start", *names], names, strict=False))
    long = engine.start(flow(*(put(n, 1) for n in names), edges=chain))
    assert long.state is State.running
    engine.finish(long.id)
    assert long.state is State.completed


def test_a_run_that_has_ended_is_freed_without_the_cyclic_collector(engine: Engine) -> None:
    workflow = flow(
        each("each", [1, 2, 3]), put("one", "{{ item }}"), effect("call"),
        edges="start>each each.item>one each.done>call",
    )  # fmt: skip

    def there() -> dict[int, Run | Frame]:
        return {id(found): found for found in gc.get_objects() if isinstance(found, Run | Frame)}

    before = there()
    gc.disable()
    try:
        for _ in range(3):
            engine.finish(engine.start(workflow).id)
        left = there()
    finally:
        gc.enable()
    assert left.keys() <= before.keys()


def test_what_a_failed_run_leaves_open_is_stopped_with_it(engine: Engine) -> None:
    """A wait, a loop in its first rounds, and an attempt that never left: none of them goes on."""
    workflow = flow(
        node("wait", "action.wait", seconds=60), each("each", [1, 2, 3]), effect("body", seconds=5),
        effect("late"), node("stop", "action.fail", message="no"),
        edges="start>wait start>each each.item>body start>late start>stop",
    )  # fmt: skip
    detail = run(engine, workflow)
    assert detail.execution.state == "failed"
    states = {one.node: one.state for one in detail.nodes}
    assert states == {
        "start": "done", "wait": "stopped", "each": "stopped", "body": "skipped", "late": "stopped",
        "stop": "failed",
    }  # fmt: skip
    assert of(detail, "wait").ended == detail.execution.finished
    assert [attempt.outcome for attempt in of(detail, "late").attempts] == ["stopped"]
    assert engine.world.ledger.entries == []


def test_a_cancelled_runs_wait_and_pause_between_attempts_are_stopped(engine: Engine) -> None:
    retry = {"attempts": 3, "initial": 100, "backoff": "fixed", "jitter": False}
    workflow = flow(
        node("wait", "action.wait", seconds=60), effect("again", fails=9, retry=retry),
        edges="start>wait start>again",
    )  # fmt: skip
    started = engine.start(workflow)
    engine.advance(5)
    assert {one.state for one in engine.detail(started.id).nodes} == {"done", "waiting", "retrying"}
    engine.order("cancel", started.id)
    detail = engine.detail(started.id)
    assert detail.execution.state == "cancelled"
    assert (of(detail, "wait").state, of(detail, "again").state) == ("stopped", "stopped")
    assert [attempt.outcome for attempt in of(detail, "again").attempts] == ["failed"]


def test_a_nodes_log_stands_by_the_round_that_left_it(engine: Engine) -> None:
    workflow = flow(
        each("each", ["a", "b"]), node("say", "action.log", message="<b>{{ item }}</b>", level="warning"),
        edges="start>each each.item>say",
    )  # fmt: skip
    detail = run(engine, workflow)
    for path, letter in (("each:0", "a"), ("each:1", "b")):
        one = of(detail, "say", path)
        assert [(line.level, line.message) for line in one.log] == [("warning", f"<b>{letter}</b>")]
        assert one.started is not None
        assert one.started <= one.log[0].at <= (one.ended or 0)
    assert of(detail, "each").log == []
