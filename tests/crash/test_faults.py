"""T2–T6, T9, T20: restarts, queues, full disks, failing fsyncs, held locks, shutting down."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.crash.documents import effects, mark
from tests.support.server import Server, Witness, request

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

FULL = re.compile(r"the disk is full|The disk of the data folder has only \d+ MB left")
CYCLES = int(os.environ.get("FLOWFUSE_CRASH_CYCLES", "40"))
QUICK = {
    "id": "quick",
    "nodes": [
        {"id": "hook", "type": "trigger.webhook", "config": {"path": "quick", "respond": "last_node"}},
        {"id": "twice", "type": "transform.set", "config": {"fields": {"n": "{{ trigger.body.n * 2 }}"}}},
    ],
    "edges": [{"from": "hook", "to": "twice"}],
}


def waiting(name: str, seconds: float) -> dict[str, Any]:
    return {
        "id": name,
        "nodes": [
            {"id": "start", "type": "trigger.manual"},
            {"id": "rest", "type": "action.wait", "config": {"seconds": seconds}},
        ],
        "edges": [{"from": "start", "to": "rest"}],
    }


FAILING = {
    "id": "failing",
    "nodes": [
        {"id": "start", "type": "trigger.manual"},
        {"id": "no", "type": "action.fail", "config": {"message": "no"}},
    ],
    "edges": [{"from": "start", "to": "no"}],
}


def states(server: Server) -> dict[str, tuple[str, str | None]]:
    return {e["id"]: (e["state"], e["waiting"]) for e in server.executions()}


def test_restarts_change_no_state(server: Callable[..., Server]) -> None:
    running = server().start()
    for document in (QUICK, waiting("long", 86400), FAILING):
        running.publish(document)
    request("POST", f"{running.base}/hook/quick", {"n": 1})
    for name in ("long", "long", "failing"):
        running.api("POST", f"/workflows/{name}/run", {"wait": 1 if name == "failing" else 0})
    paused = running.executions(workflow="long")[0]["id"]
    assert running.api("POST", f"/executions/{paused}/pause").status == 204
    before = states(running)
    assert Counter(state for state, _ in before.values()) == {
        "completed": 1,
        "running": 1,
        "paused": 1,
        "failed": 1,
    }
    for number in range(10):
        if number % 2:
            running.kill()
        else:
            assert running.stop() == 0
        running.start()
        assert states(running) == before


@pytest.mark.timeout(1800)
def test_a_queue_survives(server: Callable[..., Server], witness: Witness) -> None:
    count = 300 if CYCLES <= 40 else 10_000
    running = server(FLOWFUSE_MAX_RUNNING="2").start()
    document = effects()
    running.publish(document)
    witness.delay = 0.2
    accepted = [
        request("POST", f"{running.base}/hook/effects", {"base": witness.base, "run": str(n)}).json["id"]
        for n in range(count)
    ]
    assert len(running.executions(state="pending")) > count / 2
    running.kill()
    witness.delay = 0.0
    witness.marks.clear()
    begun = time.monotonic()
    running.environment["FLOWFUSE_MAX_RUNNING"] = "200"
    running.start()
    witness.wait_for(lambda: bool(witness.marks), 10)
    assert time.monotonic() - begun < 10, "the first node takes too long to start again"
    # Not a promise, only the sign of a standstill: a slow machine makes 25 of these runs a second.
    found = {e["id"]: e["state"] for e in running.wait_until_idle(max(200, count / 10))}
    assert [found.get(each) for each in accepted] == ["completed"] * count
    numbers = sorted(e["number"] for e in running.executions())
    assert numbers == list(range(1, count + 1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of 20 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if (
        not mounted
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk(server: Callable[..., Server], small_disk: Path) -> None:
    running = server("disk/data").start()
    running.publish(QUICK)
    accepted = [request("POST", f"{running.base}/hook/quick", {"n": n}).status for n in range(3)]
    assert accepted == [200] * 3
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    answers: Counter[int] = Counter()
    good = 3
    for n in range(400):
        status = request("POST", f"{running.base}/hook/quick", {"n": n, "pad": "x" * 2000}).status
        answers[status] += 1
        good += status == 200
        if answers[503] >= 20:
            break
    assert answers[503] >= 20, answers
    assert set(answers) <= {200, 503}
    ready = request("GET", f"{running.base}/ready")
    # It says so by the failed commit, or by the watch over the disk, whichever was last.
    assert ready.status == 503
    assert FULL.search(ready.json["detail"]), ready.json["detail"]
    filler.unlink()
    deadline = time.monotonic() + 10
    while request("GET", f"{running.base}/ready").status != 200:
        assert time.monotonic() < deadline, "it does not go on by itself"
        time.sleep(0.1)
    assert request("POST", f"{running.base}/hook/quick", {"n": 5}).json == {"n": 10}
    assert len(running.executions(state="completed")) == good + 1


def test_a_failing_fsync(server: Callable[..., Server]) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace injects the fault, and is not here")
    running = server().start()
    running.publish(QUICK)
    assert request("POST", f"{running.base}/hook/quick", {"n": 1}).status == 200
    assert running.process is not None
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync,fsync:error=EIO:when=1+",
         "-p", str(running.process.pid)],
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        while request("POST", f"{running.base}/hook/quick", {"n": 1}).status != 503:
            assert time.monotonic() < deadline, "the fault does not reach the server"
        refused = request("POST", f"{running.base}/hook/quick", {"n": 2})
        assert (refused.status, "retry-after" in refused.headers) == (503, True)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
    running.wait_ready()
    assert request("POST", f"{running.base}/hook/quick", {"n": 3}).json == {"n": 6}
    kept = len(running.executions(state="completed"))
    running.kill()
    running.start()
    assert len(running.executions(state="completed")) == kept


_HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(3)
connection.execute("ROLLBACK")
"""


def test_a_lock_that_another_process_holds(server: Callable[..., Server]) -> None:
    running = server().start()
    running.publish(QUICK)
    answers: list[int] = []

    def call(number: int) -> None:
        for n in range(20):
            answers.append(request("POST", f"{running.base}/hook/quick", {"n": n + number}).status)

    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(running.data / "flowfuse.db")], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    callers = [threading.Thread(target=call, args=(n,)) for n in range(10)]
    for each in callers:
        each.start()
    while any(each.is_alive() for each in callers):
        running.executions(state="completed")
        assert request("GET", f"{running.base}/health").status == 200
        callers[0].join(0.1)
    holder.wait()
    holder.stdout.close()
    assert answers == [200] * 200


def test_webhooks_over_restarts(server: Callable[..., Server]) -> None:
    """A sender that repeats what was not answered: nothing is lost, nothing is done twice, no 404."""
    running = server().start()
    running.publish(QUICK)
    wrong: list[int] = []
    accepted: set[str] = set()
    stop = threading.Event()

    def send(prefix: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"{prefix}-{number}"
            while True:
                try:
                    answer = request(
                        "POST", f"{running.base}/hook/quick", {"n": number}, {"webhook-id": name}, timeout=10
                    )
                except OSError:
                    stop.wait(0.02)
                    continue
                if answer.status == 200:
                    accepted.add(name)
                    break
                if answer.status != 503:
                    wrong.append(answer.status)
                    break
                stop.wait(0.02)

    senders = [threading.Thread(target=send, args=(str(n),)) for n in range(3)]
    for each in senders:
        each.start()
    for number in range(5):
        seen = len(accepted)
        while len(accepted) < seen + 20:
            time.sleep(0.01)
        running.kill() if number % 2 else running.stop()
        running.start()
    stop.set()
    for each in senders:
        each.join()
    assert wrong == []
    assert len(running.executions()) == len(accepted)


def test_shutting_down(server: Callable[..., Server], witness: Witness) -> None:
    running = server(FLOWFUSE_GRACE="5").start()
    running.publish(
        {
            "id": "slow",
            "nodes": [
                {"id": "hook", "type": "trigger.webhook", "config": {"path": "slow"}},
                mark("a", "a"),
                mark("b", "b"),
            ],
            "edges": [{"from": "hook", "to": "a"}, {"from": "a", "to": "b"}],
        }
    )
    witness.delay = 1.0
    accepted = [
        request("POST", f"{running.base}/hook/slow", {"base": witness.base, "run": str(n)}).json["id"]
        for n in range(5)
    ]
    witness.wait_for(lambda: len(witness.marks) >= 5)
    assert running.process is not None
    begun = time.monotonic()
    running.process.terminate()
    refused = None
    with suppress(OSError):
        while time.monotonic() < begun + 0.8:
            refused = request("POST", f"{running.base}/hook/slow", {"base": witness.base, "run": "late"})
            if refused.status == 503:
                break
    assert refused is not None
    assert (refused.status, "retry-after" in refused.headers) == (503, True)
    assert running.ended(20) == 0
    assert time.monotonic() - begun < 10
    witness.delay = 0.0
    running.start()
    found = {e["id"]: e["state"] for e in running.wait_until_idle()}
    assert [found[each] for each in accepted] == ["completed"] * 5
    steps = Counter((m["run"], m["step"]) for m in witness.marks)
    assert all(steps[(str(n), step)] == 1 for n in range(5) for step in "ab"), steps


def test_a_second_sigterm_ends_at_once(server: Callable[..., Server], witness: Witness) -> None:
    running = server(FLOWFUSE_GRACE="30").start()
    running.publish(effects())
    witness.delay = 20.0
    request("POST", f"{running.base}/hook/effects", {"base": witness.base, "run": "x"})
    witness.wait_for(lambda: bool(witness.marks))
    assert running.process is not None
    running.process.terminate()
    with suppress(OSError):
        while request("GET", f"{running.base}/ready").status == 200:
            time.sleep(0.01)
    running.process.terminate()
    begun = time.monotonic()
    running.ended(15)
    assert time.monotonic() - begun < 10


def test_many_stops_under_load(server: Callable[..., Server]) -> None:
    running = server(FLOWFUSE_GRACE="5").start()
    running.publish(QUICK)
    count = 0
    for _ in range(10):
        stop = threading.Event()
        good: list[int] = []

        def send(stop: threading.Event = stop, good: list[int] = good) -> None:
            while not stop.is_set():
                with suppress(OSError):
                    if request("POST", f"{running.base}/hook/quick", {"n": 1}, timeout=5).status == 200:
                        good.append(1)

        senders = [threading.Thread(target=send) for _ in range(3)]
        for each in senders:
            each.start()
        while len(good) < 20:
            time.sleep(0.01)
        assert running.stop(20) == 0
        stop.set()
        for each in senders:
            each.join()
        count += len(good)
        running.start()
    assert len(running.executions(state="completed")) >= count


def test_a_database_of_a_newer_version(server: Callable[..., Server]) -> None:
    running = server().start()
    running.stop()
    connection = sqlite3.connect(running.data / "flowfuse.db")
    connection.execute("PRAGMA user_version=999")
    connection.close()
    running.start(wait=False)
    assert running.ended() == 2
    assert "newer FlowFuse" in running.log.read_text()
    assert "Traceback" not in running.log.read_text()


def test_what_does_not_end_in_time_is_resumed(server: Callable[..., Server], witness: Witness) -> None:
    """An effect that hangs, a program that waits for a run's end, a page that listens: none holds the exit."""
    running = server(FLOWFUSE_GRACE="1").start()
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    document = effects("last_node")
    running.publish(document)
    told: list[Any] = []

    def program() -> None:
        body = {"input": {"body": {"base": witness.base, "run": "program"}}, "wait": 60}
        told.append(running.api("POST", "/workflows/effects/run", body))

    def caller() -> None:
        told.append(request("POST", f"{running.base}/hook/effects", {"base": witness.base, "run": "caller"}))

    threads = [threading.Thread(target=program), threading.Thread(target=caller)]
    for each in threads:
        each.start()
    witness.wait_for(lambda: len(witness.marks) >= 2)
    token = (running.data / "token").read_text()
    execution = running.executions()[0]["id"]
    begun = time.monotonic()
    with connect(
        f"ws://127.0.0.1:{running.port}/live?execution={execution}&after=0",
        additional_headers={"Authorization": f"Bearer {token}"},
    ):
        assert running.stop(15) == 0
    assert time.monotonic() - begun < 8
    for each in threads:
        each.join()
    assert [(answer.status, answer.json["state"]) for answer in told] == [(202, "running")] * 2
    witness.hold = None
    go_on.set()
    running.start()
    assert {e["state"] for e in running.wait_until_idle()} == {"completed"}
    keys: dict[str, set[str]] = {}
    for each_mark in witness.marks:
        keys.setdefault(each_mark["run"] + each_mark["step"], set()).add(each_mark["key"])
    assert [name for name, found in keys.items() if len(found) != 1] == []


def test_a_run_that_is_under_way_when_the_disk_fills(
    server: Callable[..., Server], small_disk: Path, witness: Witness
) -> None:
    """What it did is done; what could not be kept is tried again, under the same key, once there is room."""
    running = server("disk/data", FLOWFUSE_BREAKER_FAILURES="1000000000").start()
    running.publish(effects())
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    answer = request("POST", f"{running.base}/hook/effects", {"base": witness.base, "run": "r"})
    assert answer.status == 202
    assert reached.wait(20)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    pad = "x" * 50_000
    while (
        request("POST", f"{running.base}/hook/effects", {"base": "http://127.0.0.1:9", "pad": pad}).status
        != 503
    ):
        continue
    witness.hold = None
    go_on.set()
    while request("GET", f"{running.base}/ready").status != 503:
        time.sleep(0.02)
    filler.unlink()
    running.wait_ready()
    found = {e["id"]: e["state"] for e in running.wait_until_idle()}
    assert found[answer.json["id"]] == "completed"
    keys: dict[str, set[str]] = {}
    for each_mark in witness.marks:
        keys.setdefault(each_mark["step"], set()).add(each_mark["key"])
    assert {step: len(found) for step, found in keys.items()} == dict.fromkeys(
        ("a", "b0", "b1", "b2", "z"), 1
    )
