"""Wakes: continues waiting executions when their time has come.

A waiting execution is a row with a time; there is one timer, for the earliest of all of them.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from flowfuse.clock import Clock
from flowfuse.engine.queue import CLAIM_BATCH, QueueManager
from flowfuse.errors import DatabaseUnavailable

AGAIN_US = 1_000_000


class Host(Protocol):
    """What waking asks of the controller."""

    draining: bool

    def may_wake(self) -> bool:
        """Whether runs may be continued now: not beside one that must run alone."""

    def in_memory(self, raw: bytes) -> bool:
        """Whether the run is being worked on; it then sees to its own waits."""

    async def continue_stored(self, workspace: str, raw: bytes) -> None:
        """Load a run and let it go on."""


class Wakes:
    """The one timer of all waiting executions."""

    def __init__(self, clock: Clock, queue: QueueManager, host: Host) -> None:
        self._clock, self._queue, self._host = clock, queue, host
        self._at: int | None = None
        self._timer: Any = None
        self._waking: asyncio.Task[None] | None = None

    async def arm(self) -> None:
        """Set the timer for the earliest of all stored waits."""
        following = await self._queue.next_wake()
        if following is not None:
            self.by(following)

    def by(self, when_us: int) -> None:
        """Look at the stored waits no later than at this time."""
        if self._at is not None and self._at <= when_us:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at = when_us
        self._timer = self._clock.call_at(when_us, self._due)

    def stop(self) -> None:
        """No more waking: the process ends."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _due(self) -> None:
        self._at = self._timer = None
        if self._host.draining:
            return
        if self._waking is not None and not self._waking.done():
            # What became due meanwhile is found by the round that is under way, or by the next.
            self.by(self._clock.now_us() + AGAIN_US // 10)
            return
        self._waking = asyncio.get_running_loop().create_task(self._wake_all())

    async def _wake_all(self) -> None:
        """Continue every run whose time has come; then set the timer for the next."""
        host = self._host
        try:
            while host.may_wake() and not host.draining:
                places = await self._queue.due(self._clock.now_us(), CLAIM_BATCH)
                places = [place for place in places if not host.in_memory(place[1])]
                if not places:
                    break
                await self._queue.claim(places)
                for place in places:
                    await host.continue_stored(*place)
            following = await self._queue.next_wake()
        except DatabaseUnavailable:
            self.by(self._clock.now_us() + AGAIN_US)
            return
        if following is not None:
            # One that is due but in memory leaves it soon; looking for it must not be a busy loop.
            self.by(max(following, self._clock.now_us() + AGAIN_US // 10))
