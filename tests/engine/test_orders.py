"""Orders in any sequence, with time and crashes in between (T19 of the fault tests).

Whatever happens: the states move along the table's arrows only, a terminal state stays, a confirmed
order is in the database and survives a crash, and no effect whose end was committed runs again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flowfuse import document
from flowfuse.clock import id_text
from flowfuse.engine.run import Run
from flowfuse.errors import Conflict, FlowFuseError, NotFound
from flowfuse.model import TERMINAL, TRANSITIONS, State, Workflow
from tests.engine.test_random_graphs import committed_effects
from tests.support.simulation import WORKSPACE, Crash, World


def workflow(nodes: list[dict[str, Any]], edges: list[str]) -> Workflow:
    """A document of short forms: `a>b` is an edge."""
    pairs = [edge.split(">") for edge in edges]
    return document.from_raw(
        {
            "id": "orders",
            "nodes": [{"id": "start", "type": "trigger.manual"}, *nodes],
            "edges": [{"from": source, "to": target} for source, target in pairs],
        }
    )


def effect(name: str, **fields: Any) -> dict[str, Any]:
    config = {"value": name, "seconds": fields.pop("seconds", 1)}
    return {"id": name, "type": "test.effect", "config": {**config, **fields.pop("config", {})}, **fields}


def detached(name: str, **fields: Any) -> dict[str, Any]:
    return {**effect(name, **fields), "type": "test.detached"}


WAIT = {"id": "wait", "type": "action.wait", "config": {"seconds": 5}}
DOCUMENTS = {
    "chain": workflow([effect("a"), effect("b"), effect("c")], ["start>a", "a>b", "b>c"]),
    "ask": workflow(
        [effect("a", on_interrupted="ask"), effect("b", on_interrupted="ask")], ["start>a", "a>b"]
    ),
    "asks": workflow(
        [effect("a", on_interrupted="ask"), effect("b", on_interrupted="ask", seconds=3), WAIT, effect("c")],
        ["start>a", "start>b", "start>wait", "wait>c", "a>c", "b>c"],
    ),
    "wait": workflow([WAIT, effect("a")], ["start>wait", "wait>a"]),
    "beside": workflow([WAIT, effect("a", seconds=20), effect("b")], ["start>wait", "start>a", "wait>b"]),
    "retry": workflow(
        [effect("a", config={"fails": 2}, retry={"attempts": 3, "initial": 4}), effect("b")],
        ["start>a", "a>b"],
    ),
    "loop": workflow(
        [
            {"id": "each", "type": "loop.for_each", "config": {"items": "{{ range(4) }}", "concurrency": 2}},
            effect("a"),
            {"id": "wait", "type": "action.wait", "config": {"seconds": 2}},
            effect("b"),
        ],
        ["start>each", "each.item>a", "a>wait", "each.done>b"],
    ),
    "pure": workflow([{"id": "set", "type": "transform.set", "config": {"fields": {"v": 1}}}], ["start>set"]),
    "only": workflow([], []),
    "detached": workflow(
        [detached("a"), effect("b"), detached("c", seconds=3), detached("d")],
        ["start>a", "a>b", "b>c", "b>d"],
    ),
    "interrupted": workflow([effect("a", on_interrupted="fail"), effect("b")], ["start>a", "a>b"]),
}


class Orders(RuleBasedStateMachine):
    """A few executions, orders to them, time and crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World
        self.runs: dict[bytes, Run] = {}
        self.states: dict[bytes, State] = {}
        self.confirmed: dict[bytes, State] = {}
        self.ended: set[str] = set()
        self.entries = 0
        self.orders: list[asyncio.Task[Any]] = []

    @initialize(seed=st.integers(0, 1 << 20), places=st.sampled_from([1, 2, 200]))
    def boot(self, seed: int, places: int) -> None:
        self.world = World(seed, max_running=places)
        engine = self.world.boot()
        for document_ in DOCUMENTS.values():
            engine.freeze(document_)
        self.world.watch = self._watch

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self._come_to_an_end()
            self.world.close()

    @property
    def engine(self) -> Any:
        return self.world.engine

    @rule(name=st.sampled_from(sorted(DOCUMENTS)))
    def start(self, name: str) -> None:
        run = self.engine.start(DOCUMENTS[name])
        self.runs[run.id] = run
        self.states[run.id] = State.pending

    @precondition(lambda self: self.runs)
    @rule(
        kind=st.sampled_from(["pause", "resume", "cancel"]),
        pick=st.integers(0, 50),
        wait=st.booleans(),
    )
    def order(self, kind: str, pick: int, wait: bool) -> None:
        raw = sorted(self.runs)[pick % len(self.runs)]
        order = getattr(self.engine.controller, kind)
        self._give(raw, kind, lambda: order(WORKSPACE, id_text(raw)), wait)

    @precondition(lambda self: self.runs)
    @rule(
        answer=st.sampled_from(["retry", "done", "fail"]),
        node=st.sampled_from(["a", "b"]),
        pick=st.integers(0, 50),
        wait=st.booleans(),
    )
    def answer(self, answer: str, node: str, pick: int, wait: bool) -> None:
        raw = sorted(self.runs)[pick % len(self.runs)]
        controller = self.engine.controller
        self._give(
            raw, "answer", lambda: controller.answer(WORKSPACE, id_text(raw), node, "", answer, "said"), wait
        )

    @rule(seconds=st.sampled_from([0.0001, 0.001, 0.003, 0.01, 0.5, 1.0, 4.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.engine.advance(seconds)

    @rule(commits=st.integers(1, 3), when=st.sampled_from(["before", "after"]))
    def die_at_a_commit(self, commits: int, when: str) -> None:
        self.world.crash_on(commits, when)
        try:
            self.engine.advance(5)
        except Crash:
            self._reboot()
        self.world.crash_at = None

    @rule()
    def die_now(self) -> None:
        self._reboot()

    @rule()
    def restart(self) -> None:
        self.world.fail_commits.clear()
        self.world.shut_down(grace=0.5)
        self._watch()
        self._boot_again()

    @rule()
    def a_commit_fails(self) -> None:
        self.world.fail_commits = {self.world.commits + 1}

    @invariant()
    def nothing_broke(self) -> None:
        if hasattr(self, "world") and self.engine is not None:
            assert not self.engine.loop.faults

    def _give(self, raw: bytes, kind: str, call: Callable[[], Any], wait: bool) -> None:
        async def give() -> None:
            try:
                await call()
            except FlowFuseError:
                return
            if kind == "cancel":
                self.confirmed[raw] = State.cancelled
            elif kind == "pause":
                # Confirmed means committed: the row says so, or a later order or end has changed it.
                assert self.states[raw] is not State.running or self._moved_on(raw)

        task = self.engine.begin(give())
        self.orders = [order for order in self.orders if not order.done()]
        self.orders.append(task)
        if wait:
            self.engine.advance(0.05)

    def _moved_on(self, raw: bytes) -> bool:
        rows = self.world.rows("SELECT count(*) AS n FROM segments WHERE execution_id = ?", raw)
        return bool(rows[0]["n"])

    def _watch(self) -> bool:
        """After each commit: every state has moved along the table's arrows."""
        for row in self.world.rows("SELECT id, state FROM executions"):
            raw, state = bytes(row["id"]), State(row["state"])
            before = self.states.get(raw)
            if before is not None and state is not before:
                assert reachable(before, state), f"{before.name} → {state.name}"
            self.states[raw] = state
        return False

    def _reboot(self) -> None:
        self._watch()
        self.world.crash()
        self._boot_again()

    def _boot_again(self) -> None:
        self.orders.clear()
        self.world.fail_commits.clear()
        self._check_ledger()
        for raw, state in self.confirmed.items():
            assert self.states[raw] is state
        for raw, run in self.runs.items():
            self.ended |= committed_effects(self.world, raw, run.plan)
        self.entries = len(self.world.ledger.entries)
        self.world.boot()

    def _check_ledger(self) -> None:
        again = {entry.key for entry in self.world.ledger.entries[self.entries :]}
        assert not again & self.ended, "an effect whose end was committed was run again"

    def _come_to_an_end(self) -> None:
        """At last everything that is accepted ends, or waits for a person."""
        self.world.fail_commits.clear()
        self.engine.advance(60)
        assert all(order.done() for order in self.orders)
        for raw in self.runs:
            found = self.engine.stored(raw)
            if found is not None and found.state == "paused":
                self._resume(raw)
        self.engine.advance(7200)
        for raw in self.runs:
            found = self.engine.stored(raw)
            if found is None:
                continue  # its acceptance was never committed
            if found.state == "running":
                assert found.waiting == "ask", found
                continue
            assert State[found.state] in TERMINAL, found
        assert self.engine.quiet()
        assert self.engine.queue.pending == 0
        self._watch()
        self._check_ledger()
        for raw, state in self.confirmed.items():
            assert self.states[raw] is state

    def _resume(self, raw: bytes) -> None:
        async def resume() -> None:
            try:
                await self.engine.controller.resume(WORKSPACE, id_text(raw))
            except (Conflict, NotFound):
                return

        self.engine.do(resume())


def reachable(before: State, after: State) -> bool:
    """Whether arrows of the table lead from one state to the other."""
    seen, left = set(), [before]
    while left:
        state = left.pop()
        for following in TRANSITIONS[state] - seen:
            seen.add(following)
            left.append(following)
    return after in seen


Orders.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestOrders = pytest.mark.crash(Orders.TestCase)
