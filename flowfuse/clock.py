"""The one clock and the one source of ids. Tests move the clock and seed the ids.

Wall-clock time is integer UTC microseconds everywhere. Nothing else in FlowFuse asks the operating
system for the time.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

# A laptop that slept, or a corrected clock, must not strand a timer: the wall clock is read again
# at least this often.
RECHECK_SECONDS = 5.0


class Timer(Protocol):
    """What `call_at` gives back."""

    def cancel(self) -> None: ...


class Clock:
    """Wall-clock and monotonic time, and timers on the running event loop."""

    def now_us(self) -> int:
        """UTC microseconds since 1970."""
        return time.time_ns() // 1000

    def perf(self) -> float:
        """Monotonic seconds, for slices and durations."""
        return time.perf_counter()

    def call_at(self, when_us: int, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the event loop once the wall clock has reached `when_us`."""
        return _WallTimer(self, when_us, callback)

    async def sleep(self, seconds: float) -> None:
        """Wait without a busy loop."""
        await asyncio.sleep(seconds)


class _WallTimer:
    """A timer that looks at the wall clock again every few seconds."""

    __slots__ = ("_callback", "_clock", "_handle", "_loop", "_when_us")

    def __init__(self, clock: Clock, when_us: int, callback: Callable[[], None]) -> None:
        self._clock, self._when_us, self._callback = clock, when_us, callback
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(self._delay(), self._fire)

    def _delay(self) -> float:
        return min(max((self._when_us - self._clock.now_us()) / 1e6, 0.0), RECHECK_SECONDS)

    def _fire(self) -> None:
        if self._clock.now_us() < self._when_us:
            self._handle = self._loop.call_later(self._delay() + 0.0005, self._fire)
            return
        self._callback()

    def cancel(self) -> None:
        self._handle.cancel()


_POOL = 4096


class Ids:
    """Makes UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, 12 of a counter, 62 of randomness.

    The counter keeps ids of one millisecond in the order in which they were made, so that the
    primary key is also the order of acceptance.
    """

    def __init__(self, clock: Clock, randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._clock, self._randomness = clock, randomness
        self._last_ms = 0
        self._count = 0
        # A call to the system for each id costs more than the id.
        self._pool = b""
        self._at = 0

    def new(self) -> bytes:
        """Sixteen bytes, larger than every id made before by this source."""
        now_ms = self._clock.now_us() // 1000
        if now_ms > self._last_ms:
            self._last_ms, self._count = now_ms, 0
        else:
            self._count += 1
            if self._count > 0xFFF:
                self._last_ms, self._count = self._last_ms + 1, 0
        high = (self._last_ms << 16) | 0x7000 | self._count
        if self._at >= len(self._pool):
            self._pool, self._at = self._randomness(_POOL), 0
        random = int.from_bytes(self._pool[self._at : self._at + 8], "big")
        self._at += 8
        low = (random & 0x3FFFFFFFFFFFFFFF) | 0x8000000000000000
        return ((high << 64) | low).to_bytes(16, "big")

    def token(self, size: int) -> bytes:
        """Unguessable bytes, for links and sessions."""
        return self._randomness(size)


def id_text(raw: bytes) -> str:
    """The text form of a 16-byte id."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_bytes(text: str) -> bytes | None:
    """The 16 bytes of an id's text form; None where it is none."""
    try:
        return UUID(text).bytes
    except (ValueError, AttributeError, TypeError):
        return None
