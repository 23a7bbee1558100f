"""A checkpoint begins a new execution; what lies before it is not done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.crash.documents import RESULT, effects
from tests.support.server import Server, Witness, request

pytestmark = pytest.mark.crash


def test_restart_from_a_checkpoint(server: Callable[..., Server], witness: Witness) -> None:
    running = server().start()
    running.publish(effects())
    body = {"base": witness.base, "run": "r"}
    execution = request("POST", f"{running.base}/hook/effects", body).json["id"]
    running.wait_until_idle()
    cuts = running.api("GET", f"/executions/{execution}/checkpoints").json["items"]
    assert [cut["checkpoint_index"] for cut in cuts] == list(range(1, len(cuts) + 1))
    after_a = next(cut for cut in cuts if cut["state"]["current_node"] == "a")
    path = f"/executions/{execution}/checkpoints/{after_a['checkpoint_index']}/restart"
    fresh = running.api("POST", path)
    assert fresh.status == 202
    runs = {run["id"]: run for run in running.wait_until_idle()}
    assert runs[fresh.json["id"]]["state"] == "completed"
    assert runs[fresh.json["id"]]["root"] == execution
    assert runs[execution]["state"] == "completed"
    assert running.api("GET", f"/executions/{fresh.json['id']}").json["result"] == RESULT
    assert Counter(mark["step"] for mark in witness.marks) == {"a": 1, "b0": 2, "b1": 2, "b2": 2, "z": 2}
    keys = {(mark["step"], mark["key"]) for mark in witness.marks}
    assert len(keys) == 5, "an effect behind the cut keeps its key"
    assert running.api("POST", f"/executions/{execution}/checkpoints/99/restart").status == 404
