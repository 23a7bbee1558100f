"""Errors, retries and timeouts of nodes and of the workflow (semantics §3, §5, §9)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from flowfuse.errors import NodeFailed
from flowfuse.model import Retry
from tests.support.effects import EffectNode
from tests.support.flows import each, effect, flow, node, of, put, ran, run
from tests.support.simulation import Engine, World

FIELDS = {"code", "message", "node", "attempt", "hint"}


def test_a_failing_node_fails_the_run_and_running_ones_end(engine: Engine) -> None:
    workflow = flow(
        effect("bad", seconds=1, fails=1), effect("long", seconds=10), effect("next"),
        edges="start>bad start>long long>next",
    )  # fmt: skip
    begun = engine.loop.time()
    detail = run(engine, workflow)
    assert detail.execution.state == "failed"
    assert detail.execution.error is not None
    assert detail.execution.error.node == "bad"
    assert of(detail, "long").state == "done"
    assert ran(detail) == ["start", "bad", "long"]
    assert engine.loop.time() - begun > 9


def test_the_first_error_in_commit_order_is_the_runs(engine: Engine) -> None:
    workflow = flow(
        effect("late", seconds=2, fails=1),
        effect("early", seconds=1, fails=1),
        edges="start>late start>early",
    )
    error = run(engine, workflow).execution.error
    assert error is not None
    assert error.node == "early"


def test_continue_fires_main_with_the_error(engine: Engine) -> None:
    workflow = flow(
        effect("bad", fails=1, on_error="continue"),
        put("end", "{{ input.error }}"),
        edges="start>bad bad>end",
    )
    detail = run(engine, workflow)
    assert detail.execution.state == "completed"
    assert set(detail.result["v"]) == FIELDS
    assert detail.result["v"]["code"] == "remote_error"
    assert detail.result["v"]["attempt"] == 1


def test_route_carries_error_and_input_and_main_is_dead(engine: Engine) -> None:
    workflow = flow(
        node("bad", "action.fail", message="No {{ trigger }}", code="mine", on_error="route"),
        put("caught", "{{ input }}"),
        edges="start>bad bad.error>caught",
    )
    value = run(engine, workflow, 4).result["v"]
    assert value["input"] == 4
    assert value["error"] == {"code": "mine", "message": "No 4", "node": "bad", "attempt": 1, "hint": ""}


@pytest.mark.parametrize("kind", ["remote", "refused", "defect"])
def test_only_what_may_pass_is_tried_again(engine: Engine, kind: str) -> None:
    workflow = flow(effect("a", fails=2, failure=kind, retry={"attempts": 3, "initial": 1}), edges="start>a")
    detail = run(engine, workflow)
    assert detail.execution.state == ("completed" if kind == "remote" else "failed")
    assert len(engine.world.ledger.entries) == (3 if kind == "remote" else 1)
    assert len(engine.world.ledger.keys()) == 1
    attempts = of(detail, "a").attempts
    assert [attempt.outcome for attempt in attempts] == (
        ["failed"] * 2 + ["done"] if kind == "remote" else ["failed"]
    )


def test_the_last_attempts_error_is_the_nodes(engine: Engine) -> None:
    workflow = flow(effect("a", fails=9, retry={"attempts": 3}), edges="start>a")
    error = run(engine, workflow).execution.error
    assert error is not None
    assert error.attempt == 3


@pytest.mark.parametrize(
    ("retry", "pauses"),
    [
        ({"attempts": 4, "initial": 2, "jitter": False}, [2, 4, 8]),
        ({"attempts": 4, "initial": 2, "jitter": False, "backoff": "linear"}, [2, 4, 6]),
        ({"attempts": 4, "initial": "2s", "jitter": False, "backoff": "fixed"}, [2, 2, 2]),
        ({"attempts": 4, "initial": 2, "max": 3, "jitter": False}, [2, 3, 3]),
    ],
)
def test_backoff(engine: Engine, retry: dict[str, Any], pauses: list[float]) -> None:
    run(engine, flow(effect("a", fails=3, retry=retry), edges="start>a"))
    times = [entry.at_us / 1e6 for entry in engine.world.ledger.entries]
    between = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert between == pytest.approx(pauses, abs=0.05)


def test_jitter_is_full(engine: Engine) -> None:
    workflow = flow(effect("a", fails=1, retry={"attempts": 2, "initial": 100, "max": 100}), edges="start>a")
    pauses = []
    for _ in range(30):
        run(engine, workflow)
        first, second = engine.world.ledger.entries[-2:]
        pauses.append((second.at_us - first.at_us) / 1e6)
    assert min(pauses) < 25
    assert max(pauses) > 75


def test_retry_after_wins_over_the_backoff(engine: Engine) -> None:
    for given, wanted in ((42, 42), (1e9, 3600)):
        retry = {"attempts": 2, "initial": 1}
        run(engine, flow(effect("a", fails=1, retry_after=given, retry=retry), edges="start>a"))
        first, second = engine.world.ledger.entries[-2:]
        assert (second.at_us - first.at_us) / 1e6 == pytest.approx(wanted, abs=0.1)


def test_a_timed_out_attempt_counts_and_is_tried_again(engine: Engine) -> None:
    retry = {"attempts": 2, "initial": 5, "jitter": False}
    workflow = flow(effect("a", slow_attempts=1, timeout=3, retry=retry), edges="start>a")
    detail = run(engine, workflow)
    assert detail.result == "a"
    first, second = engine.world.ledger.entries
    assert first.stopped
    assert (second.at_us - first.at_us) / 1e6 == pytest.approx(8, abs=0.1)  # backoff is not counted
    never = flow(effect("a", slow_attempts=9, timeout=3, retry=retry), edges="start>a")
    error = run(engine, never).execution.error
    assert error is not None
    assert (error.code, error.attempt) == ("node_timeout", 2)


def test_the_workflows_timeout_ends_what_runs(engine: Engine) -> None:
    workflow = flow(effect("a", seconds=100), effect("b"), edges="start>a a>b", timeout=30)
    begun = engine.loop.time()
    detail = run(engine, workflow)
    assert detail.execution.error is not None
    assert detail.execution.error.code == "workflow_timeout"
    assert engine.loop.time() - begun == pytest.approx(30, abs=1)
    assert engine.world.ledger.entries[0].stopped
    assert of(detail, "a").state == "interrupted"


def test_the_workflows_timeout_covers_neither_waits_nor_pauses_nor_lost_time(
    world: World, engine: Engine
) -> None:
    workflow = flow(
        effect("a", seconds=10), node("wait", "action.wait", seconds=500), effect("b", seconds=10),
        effect("c", seconds=20), edges="start>a a>wait wait>b b>c", timeout=30,
    )  # fmt: skip
    started = engine.start(workflow)
    engine.advance(515)
    engine.order("pause", started.id)
    engine.advance(1000)
    engine = world.reboot()
    engine.order("resume", started.id)
    begun = engine.loop.time()
    engine.finish(started.id)
    detail = engine.detail(started.id)
    assert detail.execution.error is not None
    assert detail.execution.error.code == "workflow_timeout"
    assert 5 < engine.loop.time() - begun < 16
    row = world.rows("SELECT ran_us FROM executions")[0]
    assert row["ran_us"] / 1e6 == pytest.approx(30, abs=1)


def test_running_time_is_not_lost_in_a_crash(world: World, engine: Engine) -> None:
    names = [f"n{i}" for i in range(10)]
    chain = " ".join(f"{a}>{b}" for a, b in zip(["start", *names], names, strict=False))
    workflow = flow(*(effect(n, seconds=5) for n in names), edges=chain, timeout=30)
    started = engine.start(workflow)
    for _ in range(4):
        engine.advance(6)
        engine = world.reboot()
    engine.finish(started.id)
    error = engine.detail(started.id).execution.error
    assert error is not None
    assert error.code == "workflow_timeout"
    assert len(world.ledger.keys()) < 9


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("{{ 2 ** 63 }}", "outside"),
        ("{{ -(2 ** 63) - 1 }}", "outside"),
        ("{{ 1e308 * 10 }}", ""),
        ("{{ json_decode('\"\\\\ud800\"') }}", ""),
    ],
)
def test_what_is_not_json_fails_the_node(engine: Engine, value: str, reason: str) -> None:
    error = run(engine, flow(put("a", value), put("b"), edges="start>a a>b")).execution.error
    assert error is not None
    assert error.node == "a"
    assert reason in error.message
    if reason:
        assert error.code == "output_invalid"


@pytest.mark.parametrize("value", [2**63, float("nan"), float("inf"), "\ud800", [[{"a": -(2**63) - 1}]]])
def test_an_effect_that_gives_what_is_not_json_fails(engine: Engine, value: Any, monkeypatch: Any) -> None:
    _gives(monkeypatch, value)
    error = run(engine, flow(effect("a"), edges="start>a")).execution.error
    assert error is not None
    assert (error.code, error.node) == ("output_invalid", "a")


def test_what_does_not_fit_the_types_schema_is_said_to_be_that(engine: Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr(EffectNode, "output", dict[str, int])
    _gives(monkeypatch, {"n": "two"})
    error = run(engine, flow(effect("a"), edges="start>a")).execution.error
    assert error is not None
    assert error.code == "output_mismatch"
    assert error.message.startswith("The node's output is JSON, but not what its type gives: ")
    assert "$[...]" in error.message


def test_a_pinned_output_may_be_other_than_what_the_type_gives(engine: Engine, monkeypatch: Any) -> None:
    """A mock needs only be JSON: of an answer it may be the one field that matters."""
    monkeypatch.setattr(EffectNode, "output", dict[str, int])
    workflow = flow(effect("a", pinned={"n": "two"}), put("b", "{{ input.n }}"), edges="start>a a>b")
    assert run(engine, workflow, mode="test").result == {"v": "two"}


def test_a_value_that_is_nested_too_deeply_fails_the_node(engine: Engine, monkeypatch: Any) -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    _gives(monkeypatch, deep)
    error = run(engine, flow(effect("a"), edges="start>a")).execution.error
    assert error is not None
    assert error.code == "output_invalid"


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 1e308, "\U0001f600", [None, True, {"": []}]])
def test_what_is_json_passes_as_it_is(engine: Engine, value: Any) -> None:
    assert run(engine, flow(put("a", "{{ trigger }}"), edges="start>a"), value).result == {"v": value}


def test_a_value_that_is_no_json_in_a_straight_loop_fails_at_its_node(engine: Engine) -> None:
    workflow = flow(
        each("each", [1, 2, 3], on_item_error="collect"), put("a", "{{ 2 ** (61 + item) }}"), put("b"),
        edges="start>each each.item>a a>b",
    )  # fmt: skip
    result = run(engine, workflow).result
    assert len(result["results"]) == 1
    assert [(e["index"], e["error"]["node"]) for e in result["errors"]] == [(1, "a"), (2, "a")]


def test_a_surrogate_in_a_log_line_or_message_is_the_nodes_fault(engine: Engine) -> None:
    value = ["x"]
    for kind in ("action.log", "action.fail"):
        workflow = flow(node("a", kind, message="{{ json_decode(trigger) }}"), edges="start>a")
        detail = run(engine, workflow, '["\\ud800"]')
        assert detail.execution.state == "failed"
        assert detail.execution.error is not None
        assert detail.execution.error.node == "a"
        assert engine.quiet()
    assert value


def test_a_long_message_is_cut(engine: Engine) -> None:
    workflow = flow(node("a", "action.fail", message="{{ 'x' * 400000 }}"), edges="start>a")
    error = run(engine, workflow).execution.error
    assert error is not None
    assert len(error.message) == 10_000


def test_retry_settings_have_the_documented_defaults() -> None:
    assert (Retry().attempts, Retry().backoff, Retry().jitter) == (1, "exponential", True)


def _gives(monkeypatch: Any, value: Any) -> None:
    from flowfuse.node import Output

    async def give(self: Any, params: Any, context: Any) -> Output:
        return Output("main", value)

    monkeypatch.setattr(EffectNode, "run", give)
    assert NodeFailed
