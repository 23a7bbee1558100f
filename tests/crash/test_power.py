"""T1c, T1d: the power is cut, and every write and sync fails once; what was accepted is there."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.documents import effects
from tests.crash.test_kill import Sender, check
from tests.support.server import Server, Witness, request

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

FULL = int(os.environ.get("FLOWFUSE_CRASH_CYCLES", "40")) > 40
CUTS = 100 if FULL else 6


without_fuse = pytest.mark.skipif(
    not Path("/dev/fuse").exists(), reason="this kernel lets nobody make a disk of their own"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[object]:
    from tests.support.lazy_disk import PowerlessDisk

    made = PowerlessDisk(tmp_path / "mount", tmp_path / "backing")
    yield made
    made.close()


@without_fuse
def test_the_disk_loses_what_was_not_synced(disk: object) -> None:
    """The tool itself: without it, the next test proves nothing."""
    from tests.support.lazy_disk import PowerlessDisk

    assert isinstance(disk, PowerlessDisk)
    disk.start()
    (disk.mount / "lost").write_bytes(b"x" * 10_000)
    with (disk.mount / "kept").open("wb") as file:
        file.write(b"y" * 10_000)
        file.flush()
        os.fsync(file.fileno())
    assert (disk.mount / "lost").read_bytes() == b"x" * 10_000
    disk.cut()
    disk.start()
    assert (disk.mount / "lost").read_bytes() == b""
    assert (disk.mount / "kept").read_bytes() == b"y" * 10_000


@without_fuse
def test_a_power_cut_loses_nothing_that_was_accepted(
    server: Callable[..., Server], witness: Witness, disk: object
) -> None:
    from tests.support.lazy_disk import PowerlessDisk

    assert isinstance(disk, PowerlessDisk)
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    disk.start()
    running = server("mount/data").start()
    running.publish(effects())
    accepted: dict[str, str] = {}
    for cut in range(CUTS):
        seen = len(witness.marks)
        with Sender(running.base, witness, f"{seed}-{cut}") as sender:
            time.sleep(chance.uniform(0.02, 0.5))
            witness.wait_for(lambda seen=seen: len(witness.marks) > seen + 5)
            disk.cut()
            running.kill()
        accepted.update(sender.accepted)
        disk.start()
        with contextlib.closing(sqlite3.connect(running.data / "flowfuse.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok", (seed, cut)
        running.start()
    assert accepted, "nothing was accepted at all"
    check(running, witness, accepted)
    running.stop()


CALLS = "pwrite64,fdatasync,fsync"
FAULTS = ("error=EIO", "error=ENOSPC", "signal=SIGKILL")
NTH = range(1, 301) if FULL else (1, 2, 3, 5, 9, 17, 33, 60)


@pytest.mark.timeout(max(900, 20 * len(NTH)))
@pytest.mark.parametrize("fault", FAULTS)
def test_each_write_and_sync_fails_once(
    server: Callable[..., Server], witness: Witness, tmp_path: Path, fault: str
) -> None:
    assert shutil.which("strace") is not None
    prepared = server("prepared").start()
    prepared.publish(effects())
    prepared.stop()
    injected = 0
    for nth in NTH:
        folder = tmp_path / f"{fault[-4:]}-{nth}"
        shutil.copytree(prepared.data, folder)
        running = server(folder.name)
        accepted = _run_with_fault(running, witness, fault, nth)
        told = (folder.parent / f"{folder.name}.strace").read_text()
        injected += "INJECTED" in told or "killed by SIGKILL" in told
        with contextlib.closing(sqlite3.connect(folder / "flowfuse.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok", (fault, nth)
        running.start()
        check(running, witness, accepted)
        running.stop()
        shutil.rmtree(folder)
    assert injected >= len(NTH) // 2, "the faults did not come"


def _run_with_fault(running: Server, witness: Witness, fault: str, nth: int) -> dict[str, str]:
    """A fixed run under strace, in which the nth of the calls on a file fails; what was accepted."""
    running.start(wait=False)
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    log = running.data.parent / f"{running.data.name}.strace"
    command = [
        "strace", "-f", "-qq", "-o", str(log), "-e", f"trace={CALLS}",
        "-e", f"inject={CALLS}:{fault}:when={nth}",
        sys.executable, "-m", "flowfuse", "serve", "--port", str(running.port), "--data", str(running.data),
        "--no-browser",
    ]  # fmt: skip
    environment = {**os.environ, "FLOWFUSE_DEMOS": "false", "FLOWFUSE_NETWORK_ALLOW": "127.0.0.0/8"}
    with running.log.open("ab") as out:
        running.process = subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    accepted: dict[str, str] = {}
    try:
        running.wait_ready()
        for number in range(6):
            name = f"{running.data.name}-{number}"
            with contextlib.suppress(OSError):
                answer = request(
                    "POST", f"{running.base}/hook/effects", {"base": witness.base, "run": name}, timeout=10
                )
                if answer.status == 202:
                    accepted[name] = answer.json["id"]
                else:
                    assert answer.status == 503, answer.raw
    except AssertionError:
        # The fault came while it started: it ended with a clear word, or was killed.
        if running.process is not None and running.process.poll() is None:
            raise
    text = running.log.read_text()
    assert not re.search(r"Traceback \(most recent", text), text[-3000:]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGTERM)
    try:
        running.process.wait(20)
    except subprocess.TimeoutExpired:
        running.kill()
    running.process = None
    return accepted
