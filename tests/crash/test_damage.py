"""T21: a damaged database. What cannot be read is named; nothing false is shown; a backup brings it back."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

DAMAGES = 100 if int(os.environ.get("FLOWFUSE_CRASH_CYCLES", "40")) > 40 else 10
PAGE = 4096
FLOW = {
    "id": "flow",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "a", "type": "transform.set", "config": {"fields": {"v": "{{ trigger }}"}}},
    ],
    "edges": [{"from": "go", "to": "a"}],
}


@pytest.fixture
def kept(server: Callable[..., Server]) -> tuple[Path, dict[str, Any]]:
    """A folder with runs and a backup of it; what each run did."""
    running = server("kept").start()
    running.publish(FLOW)
    runs: dict[str, Any] = {}
    for number in range(40):
        # Noise, so that what is stored fills pages.
        value = random.Random(number).randbytes(1500).hex()
        body = {"version": "published", "input": value, "wait": 20}
        ended = running.api("POST", "/workflows/flow/run", body).json
        runs[ended["id"]] = done(running, ended["id"]).json
    assert running.api("POST", "/backups").status == 201
    running.stop()
    return running.data, {name: outputs(detail) for name, detail in runs.items()}


def done(server: Server, execution: str) -> Any:
    return server.api("GET", f"/executions/{execution}")


def outputs(detail: Any) -> Any:
    return {run["node"]: run["output"] for run in detail["nodes"]}


def start(server: Server) -> bool:
    """Whether it starts; if not, it has said in a sentence why."""
    server.start(wait=False)
    try:
        server.wait_ready()
    except AssertionError:
        if server.process is not None and server.process.poll() is None:
            raise
        told = server.log.read_text()
        assert server.ended() in (1, 2), told[-2000:]
        assert "flowfuse restore latest" in told, told[-2000:]
        assert "Traceback" not in told.rpartition("flowfuse: ")[2]
        return False
    return True


def test_random_damages(server: Callable[..., Server], kept: tuple[Path, dict[str, Any]]) -> None:
    folder, runs = kept
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    named = 0
    for number in range(DAMAGES):
        copy = folder.parent / f"copy-{number}"
        shutil.copytree(folder, copy)
        damage(copy / "flowfuse.db", chance, number)
        running = server(copy.name)
        if not start(running):
            named += 1
        else:
            for name, before in runs.items():
                answer = done(running, name)
                if answer.status == 200:
                    found = outputs(answer.json)
                    assert all(before[node] == value for node, value in found.items() if value is not None), (
                        seed
                    )
                else:
                    assert answer.status in (404, 500, 503), (seed, number, answer.raw)
                    named += 1
                    assert "Traceback" not in answer.raw.decode()
            running.kill()
        shutil.rmtree(copy)
    assert named, "no damage was ever noticed"


def damage(path: Path, chance: random.Random, number: int) -> None:
    """A flipped bit, a page of noise, or an end that is missing."""
    data = bytearray(path.read_bytes())
    if number % 3 == 0:
        data[chance.randrange(PAGE, len(data))] ^= 1 << chance.randrange(8)
    elif number % 3 == 1:
        page = chance.randrange(1, len(data) // PAGE)
        data[page * PAGE : (page + 1) * PAGE] = chance.randbytes(PAGE)
    else:
        del data[chance.randrange(PAGE, len(data)) :]
    path.write_bytes(data)


def test_the_structure_is_checked_after_an_unclean_stop(
    server: Callable[..., Server], kept: tuple[Path, dict[str, Any]]
) -> None:
    folder, _ = kept
    running = server(folder.name).start()
    running.kill()
    data = bytearray((folder / "flowfuse.db").read_bytes())
    # The last page is of a run's data, which a start does not read.
    data[-PAGE:] = b"\xff" * PAGE
    (folder / "flowfuse.db").write_bytes(data)
    if not start(running):
        return
    deadline = time.monotonic() + 20
    while "damage" not in (health := running.api("GET", "/health").json):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "flowfuse restore" in health["damage"]


def test_a_backup_brings_it_back(server: Callable[..., Server], kept: tuple[Path, dict[str, Any]]) -> None:
    import subprocess
    import sys

    folder, runs = kept
    (folder / "flowfuse.db").write_bytes(b"\x00" * PAGE * 3)
    running = server(folder.name)
    assert not start(running)
    assert "flowfuse restore latest" in running.log.read_text()
    command = [sys.executable, "-m", "flowfuse", "restore", "latest", "--data", str(folder)]
    assert subprocess.run(command, check=False).returncode == 0
    running.start()
    assert {name: outputs(done(running, name).json) for name in runs} == runs
