"""Random workflows: the engine does what the reference says, crash or no crash.

Hypothesis draws the documents where small failing ones are wanted; a seeded source draws them by the
thousand. A failure names its seed; `check_seed(seed, crashes=…)` runs that one again.
"""

from __future__ import annotations

import uuid
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowfuse.engine import records
from flowfuse.engine.executor import idempotency_key
from flowfuse.engine.frame import path_text
from flowfuse.engine.plan import Plan
from tests.support.comparison import check_run, check_valid
from tests.support.documents import documents, values
from tests.support.reference import Report
from tests.support.simulation import Crash, Engine, World

pytestmark = pytest.mark.slow
FOREVER = 10.0**8
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, max_examples=60)


@QUIET
@given(st.randoms(use_true_random=False))
def test_small_documents_run_as_the_reference_says(random: Random) -> None:
    check(random, size=6, crashes=0)


@pytest.mark.crash
@QUIET
@given(st.randoms(use_true_random=False))
def test_small_documents_survive_crashes(random: Random) -> None:
    check(random, size=6, crashes=2)


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_documents_run_as_the_reference_says(first: int) -> None:
    for seed in range(first, first + 100):
        check_seed(seed)


@pytest.mark.crash
@pytest.mark.parametrize("first", range(0, 300, 100))
def test_documents_survive_crashes(first: int) -> None:
    """The process dies before or after some commits: what is committed stays, and the end is the same."""
    for seed in range(first, first + 100):
        check_seed(seed, crashes=1 + seed % 4)


def check_seed(seed: int, *, crashes: int = 0) -> None:
    """One document, run and compared; a failure names the seed."""
    try:
        check(Random(seed), size=6 + seed % 20, crashes=crashes)
    except BaseException as error:
        error.add_note(f"check_seed({seed}, crashes={crashes})")
        raise


def check(random: Random, *, size: int, crashes: int) -> None:
    workflow, value = documents(random, size), values(random)
    check_valid(workflow)
    triggers = [node.id for node in workflow.nodes if node.type == "trigger.manual"]
    trigger = triggers[random.randrange(len(triggers))]
    world = World(random.randrange(1 << 32), slowness=(0.0, 0.0, 0.01)[random.randrange(3)])
    try:
        engine = world.boot()
        run = engine.start(workflow, value, trigger=trigger, hurry=random.random() < 0.5)
        engine.until(run.id, lambda _: True)
        died = []
        for _ in range(crashes):
            ended = crash_once(world, engine, random, run.id, run.plan)
            engine = world.engine if world.engine is not None else world.boot()
            died += ended
        engine.finish(run.id, limit=FOREVER)
        if is_poison(engine, run.id):
            assert len(died) >= 3
            return
        report = check_run(engine, workflow, value, run.id, trigger)
        # What was begun beside a failure ends as well, and nothing stays in memory.
        engine.advance(4000)
        assert engine.quiet()
        check_ledger(world, report, crashes=len(died))
        for entries, keys in died:
            again = {entry.key for entry in world.ledger.entries[entries:]}
            assert not again & keys, "an effect whose end was committed was run again"
    except BaseException:
        print(workflow, value, trigger)
        raise
    finally:
        world.close()


def is_poison(engine: Engine, raw: bytes) -> bool:
    """Three deaths in a row with nothing committed in between: then a run is given up."""
    found = engine.stored(raw)
    return found is not None and found.error is not None and found.error.code == "poison"


def crash_once(
    world: World, engine: Engine, random: Random, raw: bytes, plan: Plan
) -> list[tuple[int, set[str]]]:
    """Let the process die at a commit, where the run lasts so long: (effects so far, those committed)."""
    world.crash_on(1 + random.randrange(5), ("before", "after")[random.randrange(2)])
    try:
        engine.finish(raw, limit=FOREVER)
    except Crash:
        ended = [(len(world.ledger.entries), committed_effects(world, raw, plan))]
        world.crash()
        return ended
    world.crash_at = None
    return []


def check_ledger(world: World, report: Report, crashes: int = 0) -> None:
    """Every effect that must have left has, with all its attempts, under one key; no other has."""
    times = Counter(entry.key for entry in world.ledger.entries if entry.effect)
    if not times and not report.effects:
        return
    root = uuid.UUID(world.ledger.entries[0].execution).bytes if times else b""
    wanted = {}
    for (node, path), attempts in report.effects.items():
        certain = (node, path) in report.certain
        assert root or not certain, f"{node} has not left"
        if root:
            wanted[idempotency_key(root, node, path, 0)] = (attempts, certain)
    assert set(times) <= set(wanted)
    for key, (attempts, certain) in wanted.items():
        assert times[key] <= attempts + crashes
        assert attempts <= times[key] or not certain


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
