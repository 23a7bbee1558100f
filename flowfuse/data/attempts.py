"""Attempts: how often somebody may try before they have to wait."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from flowfuse.clock import Clock
from flowfuse.errors import TooManyAttempts, WrongPassword

WINDOW_US = 15 * 60 * 1_000_000
PER_ACCOUNT, PER_ADDRESS = 5, 20
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before a wrong try is answered: they double with each, up to the longest."""
KEPT = 10_000
"""So many names and addresses are remembered; beyond that the oldest are forgotten."""


class Attempts:
    """Counts failures within a window of time, by any name. In memory: one process serves everyone."""

    def __init__(self, clock: Clock, window_us: int = WINDOW_US) -> None:
        self._clock, self._window_us = clock, window_us
        self._failed: dict[str, deque[int]] = {}

    def check(self, *limits: tuple[str, int]) -> None:
        """Refuse where one of (name, limit) is reached. Raises TooManyAttempts."""
        now = self._clock.now_us()
        for name, limit in limits:
            failed = self._recent(name, now)
            if len(failed) >= limit:
                wait_us = failed[-limit] + self._window_us - now
                raise TooManyAttempts(seconds=max(1, -(-wait_us // 1_000_000)))

    def fail(self, *names: str) -> None:
        """Count a failure."""
        now = self._clock.now_us()
        for name in names:
            if name not in self._failed and len(self._failed) >= KEPT:
                del self._failed[next(iter(self._failed))]
            self._recent(name, now)
            self._failed.setdefault(name, deque()).append(now)

    @asynccontextmanager
    async def one(self, *limits: tuple[str, int]) -> AsyncIterator[None]:
        """One try, within which a WrongPassword is a failure. Raises TooManyAttempts.

        It counts from its beginning: of many tries at once no more are looked at than one after the other.
        A failure is answered after a pause, which doubles with each failure of the first name.
        """
        self.check(*limits)
        names = [name for name, _ in limits]
        self.fail(*names)
        try:
            yield
        except WrongPassword:
            failures = len(self._recent(names[0], self._clock.now_us()))
            await self._clock.sleep(min(FIRST_PAUSE * 2.0 ** (failures - 1), LONGEST_PAUSE))
            raise
        except Exception:
            self._take_back(names)
            raise
        self._take_back(names)

    def _take_back(self, names: Sequence[str]) -> None:
        for name in names:
            counted = self._failed.get(name)
            if counted:
                counted.pop()

    def left(self, name: str, limit: int) -> int:
        """How many tries are left."""
        return max(0, limit - len(self._recent(name, self._clock.now_us())))

    def forget(self, name: str) -> None:
        """It went well: begin to count anew."""
        self._failed.pop(name, None)

    def _recent(self, name: str, now: int) -> deque[int]:
        failed = self._failed.get(name)
        if failed is None:
            return deque()
        while failed and failed[0] <= now - self._window_us:
            failed.popleft()
        if not failed:
            del self._failed[name]
        return failed
