"""Background loops: restarted when they break, never dying unseen, ended when asked."""

from __future__ import annotations

import asyncio

import pytest

from flowfuse import supervisor
from flowfuse.supervisor import Supervisor


async def test_a_loop_that_breaks_is_started_again_and_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.001)
    begun = 0
    well = asyncio.Event()

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise ValueError("broken")
        well.set()
        await asyncio.Event().wait()

    running = Supervisor()
    running.run("loop", loop)
    async with asyncio.timeout(5):
        await well.wait()
    assert running.restarts == {"loop": 2}
    assert caplog.text.count("The loop loop broke") == 2
    async with asyncio.timeout(5):
        await running.stop()


async def test_a_loop_that_ends_is_left_alone() -> None:
    done = asyncio.Event()

    async def loop() -> None:
        done.set()

    running = Supervisor()
    running.run("short", loop)
    async with asyncio.timeout(5):
        await done.wait()
    await running.stop()
    assert running.restarts == {}
