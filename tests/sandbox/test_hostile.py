"""T22: bombs of time and memory in code; each stops within its limits, and the next run is not touched."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import psutil
import pytest

from flowfuse.errors import CodeError, NodeTimeout
from flowfuse.sandbox.runner import CodeRunner

pytestmark = pytest.mark.slow
SECONDS = 0.5
BOMBS = {
    "loop": "while True: pass",
    "swallowing": "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass",
    "finally": "def f():\n    try:\n        while True: pass\n    finally:\n        while True: pass\nf()",
    "append": "a = []\nwhile True: a.append('x' * 1000)",
    "dict": "d = {}\ni = 0\nwhile True:\n    d[i] = [i] * 100\n    i += 1",
    "text": "s = 'x'\nwhile True: s = s + s",
    "power": "9 ** 9 ** 8",
    "shift": "1 << (1 << 40)",
    "factorial": "import math\nmath.factorial(10**8)",
    "range": "sum(range(10**12))",
    "max": "max(range(2 * 10**9))",
    "sorted": "sorted(range(10**9))",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "regex": "import re\nwhile True: re.match(r'(a|aa)+$', 'a' * 5000 + 'b')",
    "json": "import json\njson.loads('[' * 10**6)",
    "format": "f'{1:>{10**10}}'",
    "join": "','.join(str(i) for i in range(10**10))",
    "shared": "a = [0]\nfor _ in range(100): a = [a, a]\na",
    "copy": "import copy\na = [0]\nfor _ in range(100): a = [a, a]\ncopy.deepcopy(a)",
    "print": "while True: print('x' * 1000)",
    "sleep": "import time\ntime.sleep(3600)",
    "host": "import uuid\nwhile True: uuid.uuid4()",
    "digits": "str(10 ** 10**7)",
}


@pytest.fixture
async def runner() -> AsyncIterator[CodeRunner]:
    made = CodeRunner()
    await made.run("1", {})
    yield made
    await made.close()


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb(runner: CodeRunner, name: str) -> None:
    begun, held = time.monotonic(), psutil.Process().memory_info().rss
    with pytest.raises((CodeError, NodeTimeout)) as raised:
        await runner.run(BOMBS[name], {}, timeout=SECONDS)
    assert time.monotonic() - begun < SECONDS + 1.5, raised.value
    assert psutil.Process().memory_info().rss - held < 100 * 1024 * 1024
    assert (await runner.run("2 + 2", {}, timeout=5)).value == 4


@pytest.mark.parametrize(
    "source",
    ["float('nan')", "[float('inf')]", "2 ** 70", "'\\ud800'", "x = []\nfor _ in range(5000): x = [x]\nx",
     "x = []\nx.append(x)\nx", "{'a': float('-inf')}", "'x' * 40_000_000"],
)  # fmt: skip
async def test_results_that_are_no_values(runner: CodeRunner, source: str) -> None:
    """T15: what cannot be a value is refused here, or where the output is validated; nothing breaks."""
    try:
        await runner.run(source, {}, timeout=5)
    except (CodeError, NodeTimeout):
        pass
    assert (await runner.run("2 + 2", {}, timeout=5)).value == 4
