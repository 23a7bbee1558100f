"""Random workflows: the engine does what the reference says, crash or no crash."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowfuse.engine import records
from flowfuse.engine.executor import idempotency_key
from flowfuse.engine.frame import path_text
from flowfuse.engine.plan import Plan
from flowfuse.model import Value, Workflow
from tests.support.comparison import check_run, check_valid
from tests.support.documents import VALUES, documents
from tests.support.reference import Report
from tests.support.simulation import Crash, World

QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, max_examples=1500)


def trigger_of(workflow: Workflow, seed: int) -> str:
    names = [node.id for node in workflow.nodes if node.type == "trigger.manual"]
    return names[seed % len(names)]


@QUIET
@given(documents(), VALUES, st.integers(0, 1 << 16), st.sampled_from([0.0, 0.0, 0.01]))
def test_the_engine_does_what_the_reference_says(
    workflow: Workflow, value: Value, seed: int, slowness: float
) -> None:
    check_valid(workflow)
    world = World(seed, slowness=slowness)
    trigger = trigger_of(workflow, seed)
    try:
        engine = world.boot()
        run = engine.start(workflow, value, trigger=trigger)
        engine.finish(run.id, limit=10**7)
        report = check_run(engine, workflow, value, run.id, trigger)
        engine.advance(4000)
        assert engine.quiet()
        check_ledger(world, report)
    finally:
        world.close()


@pytest.mark.crash
@settings(QUIET, max_examples=100)
@given(documents(), VALUES, st.integers(0, 1 << 16), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_crashes_change_nothing(workflow: Workflow, value: Value, seed: int, crashes: list[int]) -> None:
    """The process dies before or after some commits: what is committed stays, and the end is the same."""
    world = World(seed)
    trigger = trigger_of(workflow, seed)
    try:
        engine = world.boot()
        run = engine.start(workflow, value, trigger=trigger)
        engine.until(run.id, lambda _: True)
        died: list[tuple[int, set[str]]] = []
        for number, commits in enumerate(crashes):
            world.crash_on(commits, "before" if (seed >> number) & 1 else "after")
            try:
                engine.finish(run.id, limit=10**7)
            except Crash:
                died.append((len(world.ledger.entries), committed_effects(world, run.id, run.plan)))
                engine = world.reboot()
        engine.finish(run.id, limit=10**7)
        report = check_run(engine, workflow, value, run.id, trigger)
        engine.advance(4000)
        assert engine.quiet()
        check_ledger(world, report, crashes=len(died))
        for entries, ended in died:
            again = {entry.key for entry in world.ledger.entries[entries:]}
            assert not again & ended, "an effect whose end was committed was run again"
    finally:
        world.close()


def check_ledger(world: World, report: Report, crashes: int = 0) -> None:
    """Every effect that must have left has, with all its attempts, under one key; no other has."""
    times = Counter(entry.key for entry in world.ledger.entries)
    root = uuid.UUID(world.ledger.entries[0].execution).bytes if times else b""
    wanted = {
        idempotency_key(root, node, path, 0): (attempts, (node, path) in report.certain)
        for (node, path), attempts in report.effects.items()
        if root
    }
    assert set(times) <= set(wanted)
    for key, (attempts, certain) in wanted.items():
        if certain:
            assert attempts <= times[key] <= attempts + crashes
        else:
            assert times[key] <= attempts + crashes


def committed_effects(world: World, raw: bytes, plan: Plan) -> set[str]:
    """The keys of the effects whose end the database holds."""
    keys = set()
    for row in world.rows("SELECT data FROM segments WHERE execution_id = ?", raw):
        for record in records.open_segment(row["data"], "")[1]:
            if record[0] in (records.DONE, records.FAILED):
                node = plan.nodes[record[1]]
                path = path_text(node.scope, tuple(record[2]))
                keys.add(idempotency_key(raw, node.id, path, 0))
    return keys
