"""Figures of this machine: `python bench/measure.py [NAME…]`, one JSON line each.

    {"name", "value", "unit", "goal", "ok"}

  cold       process start to the first right webhook answer (data folder made), and its ratio to a bare
             litestar application on uvicorn with one JSON route
  memory     idle RSS, and what 100,000 pending executions add
  disk       bytes of a kept W2 run, and of a kept loop of 1,000 items
  parallel   20 parallel HTTP calls by a workflow, as a ratio to the same calls by bare httpx in one gather
  history    what 1,000,000 stored executions cost a run (as a ratio) and a page of the list
  schedule   how late a run is that is due each second
  code       what a code node costs more than a set node, at the median
  canvas     frames and main-thread work of gestures on 500 and 2,000 nodes, beside React Flow
  files      what a download of 1 GB to a file adds to the memory

Goals of time are ratios to a floor in the same run. Servers listen on 127.0.0.1 only.
"""

from __future__ import annotations

import compileall
import json
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from floors import LARGE, LITESTAR, STUB, free_port, request, wait_for

HERE = Path(__file__).parent
PYTHON = sys.executable
MIB = 1024 * 1024


def emit(name: str, value: float, unit: str, goal: float | None, ok: bool | None = None) -> None:
    """Print one figure. Without `ok`, smaller than the goal is good."""
    good = ok if ok is not None else goal is None or value <= goal
    print(
        json.dumps({"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "ok": good}),
        flush=True,
    )


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block."""
    started = subprocess.Popen(command, cwd=HERE, stdout=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def product(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The product on a folder, answering."""
    port = free_port()
    with process(PYTHON, "serve.py", "--port", str(port), "--data", str(folder)) as started:
        base = f"http://127.0.0.1:{port}"
        wait_for(f"{base}/ready")
        yield started, base


def first_answer(command: list[str], url: str, body: dict[str, Any], right: Callable[[Any], bool]) -> float:
    """Seconds from process start to the first right answer."""
    begun = time.perf_counter()
    with process(*command):
        while True:
            try:
                if right(request("POST", url, body)):
                    return time.perf_counter() - begun
            except OSError:
                pass
            if time.perf_counter() - begun > 60:
                raise SystemExit(f"no right answer from {url}")
            time.sleep(0.005)


def cold() -> None:
    """Cold starts, ours and the floor's in turn."""
    # What pip does when it installs: the floor's packages have their bytecode too.
    compileall.compile_dir(str(HERE.parent / "flowfuse"), quiet=1)
    body = {"id": 1, "name": "ann", "amount": 60}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        with product(folder):
            pass
        ours, floor = [], []
        for _ in range(5):
            port = free_port()
            ours.append(
                first_answer(
                    [PYTHON, "serve.py", "--port", str(port), "--data", str(folder)],
                    f"http://127.0.0.1:{port}/hook/w2",
                    body,
                    lambda answer: answer.get("label") == "ANN",
                )
            )
            port = free_port()
            floor.append(
                first_answer(
                    [PYTHON, "-c", LITESTAR, str(port)],
                    f"http://127.0.0.1:{port}/echo",
                    body,
                    lambda answer: answer == body,
                )
            )
    emit("cold.start", statistics.median(ours), "s", 0.78)
    emit("cold.floor", statistics.median(floor), "s", None)
    emit("cold.ratio", statistics.median(a / b for a, b in zip(ours, floor, strict=True)), "x", 1.4)


def rss(pid: int, what: str = "VmRSS:") -> float:
    """Resident memory of a process, MiB; `VmHWM:` is its highest."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0


def memory() -> None:
    """Idle, and with 100,000 executions waiting for a place."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        with product(folder) as (started, base):
            request("POST", f"{base}/hook/w2", {"id": 1, "name": "ann", "amount": 60})
            time.sleep(2)
            idle = rss(started.pid)
        emit("memory.idle", idle, "MiB", 100)
        _fill(folder / "flowfuse.db", 100_000, state=0)
        with product(folder) as (started, _base):
            time.sleep(1)
            emit("memory.pending", rss(started.pid) - idle, "MiB", 50)


ORDER = {
    "id": 1,
    "name": "user-1",
    "email": "user1@example.org",
    "amount": 60,
    "tags": ["alpha", "beta", "gamma"],
    "address": {"street": "1 Main Street", "city": "Springfield", "zip": "00007"},
}


def _fill(database: Path, count: int, *, state: int) -> None:
    """Rows as runs leave them: pending (0), all later than any place can be had for, or completed (3)."""
    connection = sqlite3.connect(database)
    found = connection.execute("SELECT * FROM executions LIMIT 1")
    names = [column[0] for column in found.description]
    row = dict(zip(names, found.fetchone(), strict=True))
    segment = connection.execute("SELECT data FROM segments LIMIT 1").fetchone()[0]
    if state == 0:
        row.update(state=0, finished=None, started=None)
    for number in range(count):
        row.update(id=(1 << 120 | number).to_bytes(16, "big"), number=number + 10)
        connection.execute(
            f"INSERT INTO executions ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            list(row.values()),
        )
        connection.execute(
            "INSERT INTO segments (execution_id, first_seq, workspace_id, data) VALUES (?, 1, 'main', ?)",
            (row["id"], segment),
        )
    connection.execute("UPDATE counters SET last_number = ?", (count + 10,))
    connection.commit()
    connection.close()


def disk() -> None:
    """What a kept run costs, the write-ahead log folded in."""
    loop = {"items": [{"v": v * 7919 % 1000} for v in range(1000)]}
    bodies: list[tuple[str, str, int, dict[str, Any], float]] = [
        ("disk.run", "w2", 2000, ORDER, 1500),
        ("disk.loop", "w3", 100, loop, 50_000),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        with product(folder):
            pass
        for figure, path, count, body, goal in bodies:
            before = _folded(folder / "flowfuse.db")
            with product(folder) as (_started, base):
                for _ in range(count):
                    request("POST", f"{base}/hook/{path}", body)
            emit(figure, (_folded(folder / "flowfuse.db") - before) / count, "B", goal)


def _folded(database: Path) -> int:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return database.stat().st_size


def parallel() -> None:
    """W5 against bare httpx, in turn, with the same stub."""
    with tempfile.TemporaryDirectory() as name:
        stub, folder = free_port(), Path(name) / "data"
        with process(PYTHON, "-c", STUB, str(stub)), product(folder) as (_started, base):
            wait_for(f"http://127.0.0.1:{stub}/item?i=1")
            body = {"base": f"http://127.0.0.1:{stub}", "n": 20}
            from floors import BareCalls

            bare = BareCalls(stub, 20)
            ours, floor = [], []
            for number in range(45):
                begun = time.perf_counter()
                answer = request("POST", f"{base}/hook/w5", body)
                took = time.perf_counter() - begun
                if answer != {"count": 20, "sum": 570}:
                    raise SystemExit(f"wrong answer: {answer}")
                spent = bare.once()
                if number >= 5:
                    ours.append(took)
                    floor.append(spent)
            bare.close()
    emit("parallel.ours", statistics.median(ours) * 1e3, "ms", None)
    emit("parallel.floor", statistics.median(floor) * 1e3, "ms", None)
    emit("parallel.ratio", statistics.median(ours) / statistics.median(floor), "x", 1.3)


def code() -> None:
    """The same answer by a code node and by a set node, in turn; and a bare session of the sandbox."""
    from floors import bare_code

    with tempfile.TemporaryDirectory() as name, product(Path(name) / "data") as (_started, base):
        body = {"a": 3, "b": 4}
        took: dict[str, list[float]] = {"code": [], "set": []}
        for number in range(550):
            for path, times in took.items():
                begun = time.perf_counter()
                answer = request("POST", f"{base}/hook/{path}", body)
                spent = time.perf_counter() - begun
                if answer != {"sum": 7}:
                    raise SystemExit(f"wrong answer: {answer}")
                if number >= 50:
                    times.append(spent)
    emit("code.code", statistics.median(took["code"]) * 1e3, "ms", None)
    emit("code.set", statistics.median(took["set"]) * 1e3, "ms", None)
    more = statistics.median(took["code"]) - statistics.median(took["set"])
    emit("code.more", more * 1e3, "ms", 1.0)
    floor = bare_code(500)
    emit("code.floor", floor * 1e3, "ms", None)
    # 1 ms where a bare session took 0.27 ms.
    emit("code.ratio", more / floor, "x", 3.7)


def files() -> None:
    """A download of 1 GB, and the highest memory while it ran."""
    size = 1_000_000_000
    with tempfile.TemporaryDirectory() as name:
        peer, folder = free_port(), Path(name) / "data"
        with process(PYTHON, "-c", LARGE, str(peer), str(size)), product(folder) as (started, base):
            url = f"http://127.0.0.1:{peer}"
            wait_for(f"{url}/small")
            request("POST", f"{base}/hook/download", {"url": f"{url}/small"})
            before = rss(started.pid)
            Path(f"/proc/{started.pid}/clear_refs").write_text("5")
            begun = time.perf_counter()
            answer = request("POST", f"{base}/hook/download", {"url": f"{url}/large"}, timeout=600)
            spent = time.perf_counter() - begun
            peak = rss(started.pid, "VmHWM:")
    if answer["body"]["size"] != size:
        raise SystemExit(f"wrong answer: {answer}")
    emit("files.memory", peak - before, "MiB", 50)
    emit("files.rate", size / spent / MIB, "MiB/s", None)


def history() -> None:
    """What a run, and a page of the list, cost beside 1,000,000 stored executions."""
    with tempfile.TemporaryDirectory() as name:
        empty, full = Path(name) / "empty", Path(name) / "full"
        for folder in (empty, full):
            with product(folder) as (_started, base):
                request("POST", f"{base}/hook/w2", ORDER)
        _fill(full / "flowfuse.db", 1_000_000, state=3)
        rates: dict[Path, list[float]] = {empty: [], full: []}
        with product(empty) as (_a, at_empty), product(full) as (_b, at_full):
            places = ((empty, at_empty), (full, at_full))
            for number in range(9):
                for folder, base in places if number % 2 else reversed(places):
                    rate = _rate(f"{base}/hook/w2", ORDER, 2.0)
                    if number:
                        rates[folder].append(rate)
            ratio = statistics.median(a / b for a, b in zip(rates[full], rates[empty], strict=True))
            emit("history.rate_empty", statistics.median(rates[empty]), "1/s", None)
            emit("history.rate_full", statistics.median(rates[full]), "1/s", None)
            emit("history.ratio", ratio, "x", 0.9, ratio >= 0.9)
            token = (full / "token").read_text().strip()
            for figure, path in (
                ("history.list", "/api/v1/executions?limit=50"),
                ("history.list_failed", "/api/v1/executions?limit=50&state=failed"),
                ("history.list_workflow", "/api/v1/executions?limit=50&workflow=w2"),
                ("history.list_deep", f"/api/v1/executions?limit=50&cursor={_id_text(500_000)}"),
            ):
                emit(figure, _page_time(f"{at_full}{path}", token) * 1e3, "ms", 20)


def _id_text(number: int) -> str:
    import uuid

    return str(uuid.UUID(int=1 << 120 | number))


def _page_time(url: str, token: str, ask: Callable[..., Any] = request) -> float:
    """Seconds at the 95th percentile."""
    took = []
    for _ in range(60):
        begun = time.perf_counter()
        ask("GET", url, headers={"Authorization": f"Bearer {token}"})
        took.append(time.perf_counter() - begun)
    return statistics.quantiles(took[10:], n=20)[-1]


def _rate(url: str, body: dict[str, Any], length: float) -> float:
    """Answers a second over eight kept connections."""
    from floors import hammer

    return hammer(url, body, length)


def schedule() -> None:
    """How late a run is that is due each second, at its first call."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        port = free_port()
        command = (PYTHON, "serve.py", "--port", str(port), "--data", str(folder), "--tick")
        from floors import TICKS

        with process(PYTHON, "-c", TICKS, "18999"), process(*command):
            wait_for("http://127.0.0.1:18999/ticks")
            wait_for(f"http://127.0.0.1:{port}/ready")
            time.sleep(22)
            ticks = request("GET", "http://127.0.0.1:18999/ticks")[1:]
    late = sorted((tick["at"] - tick["due"]) * 1e3 for tick in ticks)
    gaps = [b["due"] - a["due"] for a, b in pairwise(ticks)]
    emit("schedule.late", statistics.median(late), "ms", None)
    emit("schedule.late_max", late[-1], "ms", 1000)
    missing = sum(abs(gap - 1) > 0.001 for gap in gaps)
    emit("schedule.missing", missing, "ticks", 0, missing == 0)


def pages() -> None:
    """Server time of every page beside 100,000 stored executions."""
    from pages import PAGES, WORKFLOWS, document, fetch, fill

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "full"
        with product(folder) as (_started, base):
            token = (folder / "token").read_text().strip()
            headers = {"Authorization": f"Bearer {token}"}
            for number in range(WORKFLOWS):
                made = document(number)
                request("POST", f"{base}/api/v1/workflows", made, headers=headers)
                request("POST", f"{base}/api/v1/workflows/{made['id']}/publish", {}, headers=headers)
            request("POST", f"{base}/hook/flow-1", ORDER)
        fill(folder / "flowfuse.db")
        with product(folder) as (_again, base):
            for path in PAGES:
                emit(f"pages {path}", _page_time(f"{base}{path}", token, fetch) * 1e3, "ms", 50)


def waits() -> None:
    """The first page, and the editor's answers to a hand."""
    from waits import measure

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        with product(folder) as (_started, base):
            token = (folder / "token").read_text().strip()

            def api(method: str, path: str, body: Any) -> Any:
                headers = {"Authorization": f"Bearer {token}"}
                return request(method, f"{base}/api/v1{path}", body, headers=headers)

            measure(emit, base, api)


def canvas() -> None:
    """The editor's canvas under a hand, beside React Flow."""
    from canvas import measure

    measure(lambda name, value, unit, goal: emit(name, value, unit, goal))


FIGURES: dict[str, Callable[[], None]] = {
    "cold": cold,
    "memory": memory,
    "disk": disk,
    "parallel": parallel,
    "history": history,
    "schedule": schedule,
    "code": code,
    "files": files,
    "canvas": canvas,
    "pages": pages,
    "waits": waits,
}


def main() -> int:
    """Measure what is named; without names, everything."""
    wanted = sys.argv[1:] or list(FIGURES)
    unknown = [name for name in wanted if name not in FIGURES]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    for name in wanted:
        FIGURES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
