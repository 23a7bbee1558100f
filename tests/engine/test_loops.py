"""Loops: results, item errors, limits, timeouts, nesting (semantics §3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.flows import each, effect, flow, node, of, put, ran, run
from tests.support.simulation import Engine

FAILS_AT_2 = node("body", "test.effect", value="{{ item * 10 }}", fails="{{ 1 if item == 2 else 0 }}")


def loop(name: str = "each", **given: Any) -> dict[str, Any]:
    return each(name, [1, 2, 3], **given)


def test_the_results_come_in_input_order_whatever_ends_first(engine: Engine) -> None:
    workflow = flow(
        loop(concurrency=3),
        node("body", "test.effect", value="{{ item }}", seconds="{{ 10 - item }}"),
        edges="start>each each.item>body",
    )
    assert run(engine, workflow).result == [1, 2, 3]
    assert [entry.value for entry in engine.world.ledger.entries] == [1, 2, 3]


def test_no_more_rounds_run_together_than_concurrency_says(engine: Engine) -> None:
    workflow = flow(
        each("each", "{{ range(10) }}", concurrency=3),
        node("body", "test.effect", value="{{ item }}", seconds=10),
        edges="start>each each.item>body",
    )
    started = engine.start(workflow)
    engine.advance(5)
    assert len(engine.world.ledger.entries) == 3
    engine.finish(started.id)
    assert engine.detail(started.id).result == list(range(10))


def test_a_round_gives_its_one_end_an_object_of_several_null_of_none(engine: Engine) -> None:
    several = flow(loop(), put("a", "{{ item }}"), put("b", 0), edges="start>each each.item>a each.item>b")
    assert run(engine, several).result == [{"a": {"v": n}, "b": {"v": 0}} for n in (1, 2, 3)]
    none = flow(
        loop(), node("if", "condition.if", condition="{{ item > 1 }}"), put("a", "{{ item }}"),
        edges="start>each each.item>if if.true>a",
    )  # fmt: skip
    assert run(engine, none).result == [None, {"v": 2}, {"v": 3}]


def test_result_sees_the_body_the_item_and_the_index(engine: Engine) -> None:
    workflow = flow(
        loop(result="{{ [item, index, nodes.body.v] }}"), put("body", "{{ item + 1 }}"), put("end", "{{ nodes.each }}"),
        edges="start>each each.item>body each.done>end",
    )  # fmt: skip
    assert run(engine, workflow).result == {"v": [[1, 0, 2], [2, 1, 3], [3, 2, 4]]}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_empty_body_and_no_items(engine: Engine, concurrency: int) -> None:
    assert run(engine, flow(loop(concurrency=concurrency), edges="start>each")).result == [None] * 3
    doubled = flow(loop(concurrency=concurrency, result="{{ item * 2 }}"), edges="start>each")
    assert run(engine, doubled).result == [2, 4, 6]
    assert run(engine, flow(each("each", []), put("b"), edges="start>each each.item>b")).result == []


def test_an_empty_body_survives_a_crash(world: Any, engine: Engine) -> None:
    workflow = flow(
        loop(concurrency=2, result="{{ item * 2 }}"),
        effect("next", seconds=60),
        edges="start>each each.done>next",
    )
    started = engine.start(workflow)
    engine.advance(5)
    engine = world.reboot()
    engine.finish(started.id)
    assert of(engine.detail(started.id), "each").output == [2, 4, 6]


def test_batches(engine: Engine) -> None:
    workflow = flow(
        each("each", [1, 2, 3, 4, 5], batch_size=2),
        put("body", "{{ item }}"),
        edges="start>each each.item>body",
    )
    assert run(engine, workflow).result == [{"v": [1, 2]}, {"v": [3, 4]}, {"v": [5]}]


def test_fail_starts_no_new_round_lets_running_ones_end_and_fails(engine: Engine) -> None:
    body = node(
        "body", "test.effect", value="{{ item }}", seconds="{{ item }}", fails="{{ 1 if item == 1 else 0 }}"
    )
    after = effect("after", value="{{ item }}")
    workflow = flow(
        each("each", [3, 1, 5, 6], concurrency=2), body, after, edges="start>each each.item>body body>after"
    )
    detail = run(engine, workflow)
    assert detail.execution.error is not None
    assert (detail.execution.error.code, detail.execution.error.node) == ("remote_error", "body")
    assert [entry.value for entry in engine.world.ledger.of("body")] == [3, 1]
    assert [entry.value for entry in engine.world.ledger.of("after")] == [3]


def test_skip_leaves_the_item_out(engine: Engine) -> None:
    workflow = flow(loop(on_item_error="skip"), FAILS_AT_2, edges="start>each each.item>body")
    assert run(engine, workflow).result == [10, 30]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_collect_gives_results_and_errors_by_index(engine: Engine, concurrency: int) -> None:
    body = node("body", "test.effect", value="{{ item }}", fails="{{ item % 2 }}", seconds="{{ 10 - item }}")
    workflow = flow(
        each("each", [1, 2, 3], concurrency=concurrency, on_item_error="collect"), body,
        edges="start>each each.item>body",
    )  # fmt: skip
    result = run(engine, workflow).result
    assert result["results"] == [2]
    assert [error["index"] for error in result["errors"]] == [0, 2]
    fields = {"code", "message", "node", "attempt", "hint"}
    assert all(fields == set(error["error"]) for error in result["errors"])


def test_on_error_acts_inside_the_round_first(engine: Engine) -> None:
    routed = {**FAILS_AT_2, "on_error": "route"}
    workflow = flow(
        loop(),
        routed,
        put("caught", "{{ input.input }}"),
        edges="start>each each.item>body body.error>caught",
    )
    # `body` leads to another node of the scope, so it is no end, and its rounds without an error give null.
    assert run(engine, workflow).result == [None, {"v": 2}, None]


def test_a_loop_may_route_its_own_error(engine: Engine) -> None:
    workflow = flow(
        loop(on_error="route"), FAILS_AT_2, put("caught", "{{ input.error.code }}"),
        edges="start>each each.item>body each.error>caught",
    )  # fmt: skip
    assert run(engine, workflow).result == {"v": "remote_error"}


def test_items_that_are_no_list_fail_the_loop(engine: Engine) -> None:
    error = run(engine, flow(each("each", "{{ trigger }}"), edges="start>each"), {"a": 1}).execution.error
    assert error is not None
    assert (error.code, error.node) == ("expression_failed", "each")


def test_a_while_loop_hands_its_state_from_round_to_round(engine: Engine) -> None:
    workflow = flow(
        node("while", "loop.while", condition="{{ item < 100 and index < 50 }}", initial=1),
        node("twice", "transform.set", fields={"n": "{{ item * 2 }}"}),
        edges="start>while while.item>twice",
    )
    error = run(engine, workflow).execution.error
    assert error is not None
    assert error.node == "while"  # an object is not smaller than a number
    good = flow(
        node("while", "loop.while", condition="{{ item < 100 }}", initial=1, result="{{ nodes.twice.n }}"),
        node("twice", "transform.set", fields={"n": "{{ item * 2 }}"}),
        edges="start>while while.item>twice",
    )
    assert run(engine, good).result == 128
    bare = flow(
        node("while", "loop.while", condition="{{ item < 5 }}", initial=0, result="{{ item + 1 }}"),
        edges="start>while",
    )
    assert run(engine, bare).result == 5


def test_max_rounds_fails_with_loop_limit(engine: Engine) -> None:
    for rounds, code in ((5, "loop_limit"), (6, None)):
        workflow = flow(
            node("while", "loop.while", condition="{{ index < 6 }}", max_rounds=rounds, result="{{ index }}"),
            edges="start>while",
        )
        error = run(engine, workflow).execution.error
        assert (error.code if error is not None else None) == code


def test_nested_loops_know_their_own_and_the_outer_items(engine: Engine) -> None:
    workflow = flow(
        each("outer", ["a", "b"], concurrency=2),
        each("inner", [1, 2], concurrency=2),
        put("body", "{{ [loops.outer.item, item, index, loops.outer.index] }}"),
        edges="start>outer outer.item>inner inner.item>body",
    )
    assert run(engine, workflow).result == [
        [{"v": ["a", 1, 0, 0]}, {"v": ["a", 2, 1, 0]}],
        [{"v": ["b", 1, 0, 1]}, {"v": ["b", 2, 1, 1]}],
    ]


def test_bodies_read_outer_nodes(engine: Engine) -> None:
    workflow = flow(
        put("before", 7), each("each", [1]), put("body", "{{ nodes.before.v + item }}"),
        edges="start>before before>each each.item>body",
    )  # fmt: skip
    assert run(engine, workflow).result == [{"v": 8}]


def test_a_loops_timeout_ends_what_runs_in_it(engine: Engine) -> None:
    workflow = flow(
        loop(concurrency=2, timeout=30), effect("body", seconds=20), effect("next"),
        edges="start>each each.item>body body>next",
    )  # fmt: skip
    begun = engine.loop.time()
    detail = run(engine, workflow)
    assert detail.execution.error is not None
    assert (detail.execution.error.code, detail.execution.error.node) == ("node_timeout", "each")
    assert engine.loop.time() - begun == pytest.approx(30, abs=1)
    assert [entry.stopped for entry in engine.world.ledger.of("body")] == [False, False, True]
    assert of(detail, "body", "each:2").state == "interrupted"


def test_a_loops_timeout_is_over_while_the_run_waits_as_a_row(engine: Engine) -> None:
    workflow = flow(
        loop(timeout=30), node("wait", "action.wait", seconds=3600), edges="start>each each.item>wait"
    )
    begun = engine.loop.time()
    detail = run(engine, workflow)
    assert detail.execution.error is not None
    assert detail.execution.error.code == "node_timeout"
    assert engine.loop.time() - begun == pytest.approx(30, abs=1)


def test_a_loop_in_a_failing_run_starts_no_round_and_the_run_ends_once(engine: Engine) -> None:
    workflow = flow(
        each("each", "{{ range(50) }}", concurrency=2),
        each("inner", "{{ range(3) }}"),
        effect("body", seconds=10),
        effect("bad", seconds=15, fails=1),
        edges="start>each each.item>inner inner.item>body start>bad",
    )
    detail = run(engine, workflow)
    assert detail.execution.error is not None
    assert detail.execution.error.node == "bad"
    assert len(engine.world.ledger.of("body")) == 4
    assert set(ran(detail)) == {"start", "body", "bad"}


@pytest.mark.parametrize("crash_after", [5, 12, 18, 25, 33])
def test_nested_concurrent_loops_go_on_after_a_crash(world: Any, engine: Engine, crash_after: int) -> None:
    workflow = flow(
        each("outer", "{{ range(4) }}", concurrency=2),
        each("inner", "{{ range(3) }}", concurrency=2),
        node("body", "test.effect", value="{{ [loops.outer.item, item] }}", seconds=10),
        edges="start>outer outer.item>inner inner.item>body",
    )
    started = engine.start(workflow)
    engine.advance(crash_after)
    engine = world.reboot()
    engine.finish(started.id)
    assert engine.detail(started.id).result == [[[a, b] for b in range(3)] for a in range(4)]


def test_the_history_tells_the_items_that_came_in(engine: Engine) -> None:
    straight = run(engine, flow(loop(), put("a", "{{ item }}"), put("b"), edges="start>each each.item>a a>b"))
    assert [of(straight, "a", f"each:{n}").input for n in range(3)] == [1, 2, 3]
    assert of(straight, "b", "each:2").input == {"v": 3}
    walked = run(engine, flow(loop(), effect("a"), edges="start>each each.item>a"))
    assert [of(walked, "a", f"each:{n}").input for n in range(3)] == [1, 2, 3]
    state = flow(
        node("while", "loop.while", condition="{{ index < 3 }}", initial=5),
        put("a"),
        edges="start>while while.item>a",
    )
    assert [of(run(engine, state), "a", f"while:{n}").input for n in range(3)] == [
        5,
        {"v": None},
        {"v": None},
    ]


def test_the_result_behind_a_long_loop_is_there(engine: Engine) -> None:
    workflow = flow(
        each("each", "{{ range(3000) }}"), put("body", 1), put("end", "{{ len(input) }}"),
        edges="start>each each.item>body each.done>end",
    )  # fmt: skip
    detail = run(engine, workflow)
    assert detail.truncated
    assert detail.result == {"v": 3000}
