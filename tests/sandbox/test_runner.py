"""CodeRunner: results, errors with their line, limits that hold, nothing of the host in reach."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flowfuse.errors import CodeError, NodeTimeout
from flowfuse.sandbox.runner import MAX_PRINTED, WORKERS, CodeResult, CodeRunner

pytestmark = pytest.mark.slow


@pytest.fixture
async def runner() -> AsyncIterator[CodeRunner]:
    made = CodeRunner()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("return a + 1", 2),
        ("a + 1", 2),
        ("b = a", None),
        ("(1, 2)", [1, 2]),
        ("from datetime import date\ndate(2026, 1, 2)", "2026-01-02"),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n  x: int\nP(3)", {"x": 3}),
        ("import hmac\nhmac.new(b'k', b'm', 'sha256').hexdigest()[:8]", "b60090e3"),
        ("import hmac, hashlib\nhmac.new(b'k', b'm', hashlib.sha256).hexdigest()[:8]", "b60090e3"),
        ("from urllib.parse import urlsplit\nurlsplit('http://x:1/p?q').port", 1),
        ("import csv\nlist(csv.DictReader(['a,b', '1,2']))", [{"a": "1", "b": "2"}]),
        ("import statistics\nstatistics.median([3, 1, 2])", 2),
        (
            "import xml\nxml.parse('<a x=\"1\">t<b/></a>')['children']",
            [{"tag": "b", "attributes": {}, "text": "", "children": []}],
        ),
    ],
)
async def test_what_code_gives(runner: CodeRunner, source: str, value: Any) -> None:
    assert (await runner.run(source, {"a": 1})).value == value


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("x = 1\n\ny = x / 0", 3, "division by zero"),
        ("def f(r):\n    return r['k']\nf({})", 2, "KeyError"),
        ("a = [1,\n", 2, "EOF"),
        ("x = 1\nyield x", 2, "does not have yield"),
        ("raise ValueError('no ' + 'tea')", 1, "ValueError: no tea"),
        ("missing", 1, "NameError"),
        ("import numpy", 1, "numpy"),
    ],
)
async def test_errors_name_the_line(runner: CodeRunner, source: str, line: int, words: str) -> None:
    with pytest.raises(CodeError) as raised:
        await runner.run(source, {})
    error = raised.value
    assert error.parameters["line"] == line
    assert words in error.message
    assert "Traceback" not in error.message
    lines = source.splitlines()
    assert error.parameters["excerpt"] == (lines[line - 1].strip() if line <= len(lines) else "")


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("{1, 2}", "sorted"),
        ("b'ab'", "base64"),
        ("{1: 2}", "str(key)"),
        ("{'a': [{1}]}", "the result.a[0]"),
        ("from decimal import Decimal\nDecimal('1.5')", "float(x)"),
        ("class A:\n  pass\nA()", "plain values"),
    ],
)
async def test_what_is_not_json_is_refused_with_the_way_out(
    runner: CodeRunner, source: str, advice: str
) -> None:
    with pytest.raises(CodeError) as raised:
        await runner.run(source, {})
    assert advice in raised.value.message


async def test_nothing_but_the_inputs_is_known(runner: CodeRunner) -> None:
    given = {"a": 1, "b": "x" * 40_000}
    assert (await runner.run("[a, len(b)]", given)).value == [1, 40_000]
    with pytest.raises(CodeError, match="json"):
        await runner.run("json.dumps(b)", given)


async def test_each_run_has_a_session_of_its_own(runner: CodeRunner) -> None:
    await runner.run("secret = 1", {})
    with pytest.raises(CodeError, match="secret"):
        await runner.run("secret", {})


async def test_running_again_gives_the_same(runner: CodeRunner) -> None:
    source = (
        "import random, datetime, uuid\n"
        "[random.random(), uuid.uuid4(), str(datetime.datetime.now()), str(datetime.datetime.now().astimezone())]"
    )
    once, again = [
        (await runner.run(source, {}, now_us=1_782_864_000_000_000, seed="s", timezone="Europe/Berlin")).value
        for _ in range(2)
    ]
    assert once == again
    assert once[3] == "2026-07-01 02:00:00+02:00"


async def test_the_clock_stands_still_however_it_is_reached(runner: CodeRunner) -> None:
    """A run may find a session that was made before it; that one knows neither its clock nor its seed."""
    for source in (
        "import time\ntime.time()",
        "exec('imp' + 'ort time')\ntime.time()",
        "[e] = [exec]\ne('imp' + 'ort time')\ntime.time()",
    ):
        assert (await runner.run("1", {})).value == 1
        assert (await runner.run(source, {}, now_us=1_782_864_000_000_000)).value == 1_782_864_000


async def test_a_worker_that_dies_between_two_runs_is_not_the_second_ones_fault(runner: CodeRunner) -> None:
    for _ in range(3):
        assert (await runner.run("1", {})).value == 1
        assert (await runner.run("import math\n1", {})).value == 1
        for child in psutil.Process().children():
            if "monty" in " ".join(child.cmdline()):
                child.kill()
        assert (await runner.run("print('said once')\n2", {})) == CodeResult(2, "said once")


async def test_print_is_kept_as_far_as_it_fits(runner: CodeRunner) -> None:
    assert (await runner.run("print('a', 1)\nprint('b')", {})).printed == "a 1\nb"
    much = (await runner.run("for i in range(20000): print('0123456789')", {})).printed
    assert MAX_PRINTED <= len(much) < MAX_PRINTED + 100
    with pytest.raises(CodeError) as raised:
        await runner.run("print('before')\n1 / 0", {})
    assert raised.value.printed == "before"


async def test_an_endless_loop_is_stopped_and_the_next_run_works(runner: CodeRunner) -> None:
    await runner.run("1", {})
    begun = time.monotonic()
    with pytest.raises(NodeTimeout):
        await runner.run("while True: pass", {}, timeout=0.5)
    assert time.monotonic() - begun < 1.5
    assert (await runner.run("1", {})).value == 1


@pytest.mark.parametrize(
    "source",
    ["[0] * 10**10", "'a' * 10**10", "x = [0]\nwhile True: x = x + x", "1 << 10**11", "bytes(10**10)"],
)
async def test_a_large_list_is_stopped(runner: CodeRunner, source: str) -> None:
    with pytest.raises((CodeError, NodeTimeout)) as raised:
        await runner.run(source, {}, timeout=2)
    assert "128 MB" in raised.value.message or isinstance(raised.value, NodeTimeout)
    assert (await runner.run("1", {})).value == 1


ESCAPES = [
    "open('/etc/passwd').read()",
    "import os\nos.environ['PATH']",
    "import os\nos.system('id')",
    "import os\nos.listdir('/')",
    "import subprocess",
    "import socket",
    "import ctypes",
    "import sys\nsys.modules['os']",
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: 0).__globals__['__builtins__']",
    "(lambda: 0).__code__.co_consts",
    "__builtins__.open('/etc/passwd')",
    "import importlib\nimportlib.import_module('os')",
    "from pathlib import Path\nPath('/etc/passwd').read_text()",
    "from pathlib import Path\nPath('{outside}').write_text('x')",
    "try:\n  1 / 0\nexcept Exception as e:\n  e.__traceback__.tb_frame.f_back.f_globals",
    "breakpoint()",
    "input()",
    "exec('import os; os.environ[\"PATH\"]')",
    "eval(\"__import__('os').environ['PATH']\")",
    "import hmac\nhmac.new.__globals__",
    "import hmac\nhmac.new(b'', b'', 'sha1')._made",
]


@pytest.mark.parametrize("source", ESCAPES)
async def test_nothing_of_the_host_is_in_reach(runner: CodeRunner, tmp_path: Path, source: str) -> None:
    outside = tmp_path / "escaped"
    with pytest.raises(CodeError):
        print((await runner.run(source.replace("{outside}", str(outside)), {}, timeout=2)).value)
    assert not outside.exists()


async def test_a_host_function_takes_only_small_arguments(runner: CodeRunner) -> None:
    with pytest.raises(CodeError, match="at most"):
        await runner.run("import html\nhtml.escape('<' * 2_000_000)", {})
    with pytest.raises(CodeError, match="DTD"):
        await runner.run("import xml\nxml.parse('<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>')", {})


async def test_a_killed_worker_is_an_error_and_is_replaced(runner: CodeRunner) -> None:
    running = asyncio.create_task(runner.run("while True: pass", {}, timeout=20))
    worker = await _busy_worker()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(CodeError, match="worker died"):
        await running
    assert (await runner.run("1", {})).value == 1


async def _busy_worker() -> int:
    for _ in range(500):
        for child in psutil.Process().children():
            if child.cpu_times().user > 0.1 and "monty" in " ".join(child.cmdline()):
                return child.pid
        await asyncio.sleep(0.02)
    raise AssertionError("no worker is busy")


async def test_many_loops_do_not_hold_up_the_event_loop_nor_others_time(runner: CodeRunner) -> None:
    """More endless loops than workers: each has its own time, and whoever waits for a worker loses none."""
    hostile = [runner.run("while True: pass", {}, timeout=0.3) for _ in range(12)]
    waiting = asyncio.gather(*hostile, return_exceptions=True)
    late: list[float] = []

    async def tick() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append(time.perf_counter() - begun - 0.005)

    ticking = asyncio.create_task(tick())
    assert (await runner.run("7", {}, timeout=0.3)).value == 7
    assert all(isinstance(each, NodeTimeout) for each in await waiting)
    ticking.cancel()
    assert sorted(late)[int(len(late) * 0.9)] < 0.05


async def test_cancelling_frees_the_worker(runner: CodeRunner) -> None:
    for _ in range(8):
        running = asyncio.create_task(runner.run("while True: pass", {}, timeout=60))
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait([running])
    assert (await runner.run("1", {}, timeout=2)).value == 1


def test_problems_are_found_without_running(tmp_path: Path) -> None:
    runner = CodeRunner()
    assert runner.problem("while True: pass") is None
    assert runner.problem("return 1") is None
    found = runner.problem("x = 1\nif x\n  y = 2")
    assert found is not None
    assert (found.line, found.severity) == (2, "error")
    found = runner.problem("class A(dict): pass")
    assert found is not None
    assert "inheritance" in found.message
    asyncio.run(runner.close())


def test_the_checker_knows_types() -> None:
    runner = CodeRunner()
    found = runner.check("total: int = 'a'\nreturn known + unknown", ["known"])
    assert [(each.line, each.severity) for each in found] == [(1, "warning"), (2, "warning")]
    assert "unknown" in found[1].message
    assert runner.check("return known", ["known"]) == []
    asyncio.run(runner.close())


ORPHAN = """
    import asyncio
    from flowfuse.sandbox.runner import CodeRunner
    async def main():
        runner = CodeRunner()
        await runner.run("1", {})
        print("ready", flush=True)
        await runner.run("while True: pass", {}, timeout=60)
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the workers on Linux only")
def test_a_killed_server_leaves_no_worker() -> None:
    command = [sys.executable, "-c", textwrap.dedent(ORPHAN)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        workers = psutil.Process(server.pid).children(recursive=True)
        assert workers
        server.kill()
        server.wait()
    gone, alive = psutil.wait_procs(workers, timeout=3)
    assert (len(gone), alive) == (len(workers), [])


async def test_a_run_that_cannot_begin_takes_no_worker(runner: CodeRunner) -> None:
    for _ in range(WORKERS):
        with pytest.raises((OverflowError, ValueError)):
            await runner.run("1", {}, now_us=10**30)
    async with asyncio.timeout(20):
        assert (await runner.run("1", {})).value == 1
