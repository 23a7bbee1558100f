"""T1, T1b: `kill -9` at any moment loses nothing, and what is done stays done."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from tests.crash.documents import RESULT, STEPS, effects
from tests.support.server import Server, Witness, request

pytestmark = pytest.mark.crash

CYCLES = int(os.environ.get("FLOWFUSE_CRASH_CYCLES", "40"))
POINTS = ("before_commit", "after_commit", "before_effect", "after_effect")


class Sender:
    """Calls the webhook until it is stopped; remembers what was answered with 2xx."""

    def __init__(self, base: str, witness: Witness, prefix: str) -> None:
        self.accepted: dict[str, str] = {}
        self._url, self._witness, self._prefix = f"{base}/hook/effects", witness, prefix
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"{self._prefix}-{number}"
            try:
                answer = request("POST", self._url, {"base": self._witness.base, "run": name}, timeout=5)
            except OSError:
                self._stop.wait(0.02)
                continue
            if answer.status == 202:
                self.accepted[name] = answer.json["id"]
            # About as fast as the runs are done: what counts is when it dies, not how long the queue is.
            self._stop.wait(0.01)


def check(server: Server, witness: Witness, accepted: dict[str, str]) -> None:
    """Everything that was promised, by the witness's marks and the runs' own records."""
    runs = server.wait_until_idle(180)
    assert [(e["id"], e["reason"], e["deaths"], e["error"]["message"]) for e in runs if e["error"]] == []
    states = {e["id"]: e["state"] for e in runs}
    marks: dict[str, Counter[str]] = defaultdict(Counter)
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    for mark in list(witness.marks):
        marks[mark["run"]][mark["step"]] += 1
        keys[(mark["run"], mark["step"])].add(mark["key"])
    for name, execution in accepted.items():
        assert states.get(execution) == "completed", (name, states.get(execution))
        assert set(marks[name]) == set(STEPS), (name, marks[name])
    assert all(len(each) == 1 for each in keys.values()), "an effect had two keys"
    repeated = [name for name in accepted if any(n > 1 for n in marks[name].values())]
    for name in [*repeated, *list(accepted)[:5]]:
        detail = server.api("GET", f"/executions/{accepted[name]}").json
        assert detail["result"] == RESULT
        assert_explained(detail, marks[name])


def assert_explained(detail: dict[str, Any], marks: Counter[str]) -> None:
    """A step seen twice was under way when the process died: its node has an attempt that was interrupted."""
    attempts: Counter[str] = Counter()
    for run in detail["nodes"]:
        if run["node"] in ("a", "z", "inner"):
            step = run["node"] if run["node"] != "inner" else f"b{run['path'].rpartition(':')[2]}"
            attempts[step] += len(run["attempts"])
            assert [a["outcome"] for a in run["attempts"]][-1] == "done"
            assert all(a["outcome"] == "interrupted" for a in run["attempts"][:-1])
    for step, count in marks.items():
        assert count <= attempts[step], (step, count, attempts[step])


@pytest.mark.timeout(max(300, 6 * CYCLES))
def test_kill_at_random_moments(server: Callable[..., Server], witness: Witness) -> None:
    running = server().start()
    running.publish(effects())
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    accepted: dict[str, str] = {}
    for cycle in range(CYCLES):
        seen = len(witness.marks)
        with Sender(running.base, witness, f"{seed}-{cycle}") as sender:
            time.sleep(chance.uniform(0.02, 0.4))
            # A run that is under way at three deaths in a row without a commit in between is given up
            # as poisonous; that is right, and not what is looked at here. So each life does something.
            witness.wait_for(lambda seen=seen: len(witness.marks) > seen + 5)
            running.kill()
        accepted.update(sender.accepted)
        running.start()
    assert accepted, "nothing was accepted at all"
    check(running, witness, accepted)


@pytest.mark.parametrize("nth", [1, 7])
@pytest.mark.parametrize("point", POINTS)
def test_kill_at_a_crash_point(server: Callable[..., Server], witness: Witness, point: str, nth: int) -> None:
    running = server().start()
    running.publish(effects())
    running.stop()
    # The start itself commits a few times before the first run can be accepted.
    offset = 6 if point.endswith("commit") else 0
    running.start(wait=False, FLOWFUSE_CRASH_POINT=f"{point}@{nth + offset}")
    with Sender(running.base, witness, f"{point}-{nth}") as sender:
        assert running.ended(60) == -9
    running.start()
    check(running, witness, sender.accepted)
