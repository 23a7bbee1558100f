"""CircuitBreaker: closed / open / half-open, per workspace and per connector in it.

Closed: all calls are allowed. 50 failures within 5 minutes open it: no call starts, no pending run is
claimed. After 5 minutes it is half-open: one call is tried. If that goes well it closes, else it opens
again. A trial has a deadline, so that one that hangs, or was cancelled, gives its place back.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol

from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.breakers import BreakerRepository, StoredBreaker
from flowfuse.errors import (
    CircuitOpen,
    ConnectionLost,
    DatabaseUnavailable,
    NodeFailed,
    NodeTimeout,
    RemoteError,
)
from flowfuse.events import BreakerChanged, EventBus

log = logging.getLogger("flowfuse.engine")

FAILURES = 50
WINDOW_US = 300 * 1_000_000
OPEN_US = 300 * 1_000_000
TRIAL_US = 60 * 1_000_000
MOST = 1000
"""So many breakers are kept before those that count nothing are let go."""
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
Key = tuple[str, str]
"""Workspace and connector; the connector of a workspace as a whole is empty."""


class Waker(Protocol):
    """Who has to know that calls are possible again."""

    def calls_possible(self) -> None:
        """Claim what is pending, and look at what waits."""


class Circuit:
    """One breaker."""

    __slots__ = ("failures", "state", "trial_until", "until")

    def __init__(self) -> None:
        self.state = CLOSED
        self.failures: deque[int] = deque()
        self.until = 0
        self.trial_until = 0

    def blocked_until(self, now_us: int) -> int:
        """Until when no call may start; 0 where one may."""
        if self.state == OPEN:
            return self.until if now_us < self.until else 0
        if self.state == HALF_OPEN and now_us < self.trial_until:
            return self.trial_until
        return 0

    def counted(self, since_us: int) -> int:
        """How many failures count: while it is closed, those of the window that has begun then."""
        if self.state != CLOSED:
            return len(self.failures)
        return sum(at >= since_us for at in self.failures)


class BreakerView(Struct, frozen=True, kw_only=True):
    """A breaker as people see it. `until`: when one call is tried (UTC microseconds)."""

    connector: str
    state: str
    failures: int
    until: int


class CircuitBreaker:
    """Prevents that a service which fails takes everything else with it."""

    def __init__(
        self, clock: Clock, rows: BreakerRepository, bus: EventBus, waker: Waker, *, failures: int = FAILURES
    ) -> None:
        self._clock, self._rows, self._bus, self._waker = clock, rows, bus, waker
        self._most = failures
        self._circuits: dict[Key, Circuit] = {}
        self._saving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take over what a process before this one has left."""
        for stored in await self._rows.all():
            circuit = self._circuits[(stored.workspace, stored.connector)] = Circuit()
            # A trial that was under way is over with its process.
            circuit.state, circuit.until = OPEN, stored.until
            self._ring(circuit)

    def blocked_until(self, workspace: str, connector: str = "") -> int:
        """Until when no call of the workspace to that connector may start; 0 where one may."""
        if not self._circuits:
            return 0
        now = self._clock.now_us()
        keys = {(workspace, ""), (workspace, connector)}
        return max(
            (self._circuits[key].blocked_until(now) for key in keys if key in self._circuits), default=0
        )

    def blocked_workspaces(self) -> list[str]:
        """Workspaces of which no pending run may be claimed now."""
        if not self._circuits:
            return []
        now = self._clock.now_us()
        return [
            name for (name, connector), c in self._circuits.items() if not connector and c.blocked_until(now)
        ]

    def admit(self, workspace: str, connector: str) -> tuple[int, bool]:
        """Whether a call may start: until when not (0: it may), and whether it is then a trial.

        A trial has its place from here on; whoever does not make the call gives it back (`released`).
        """
        until = self.blocked_until(workspace, connector)
        if until:
            return until, False
        trial, now = False, self._clock.now_us()
        for key in {(workspace, ""), (workspace, connector)}:
            circuit = self._circuits.get(key)
            if circuit is not None and circuit.state != CLOSED:
                circuit.state, circuit.trial_until, trial = HALF_OPEN, now + TRIAL_US, True
        if trial:
            # Should it never end, nobody else would tell those who wait that its place is free.
            self._clock.call_at(now + TRIAL_US, self._waker.calls_possible)
        return 0, trial

    def ended(self, workspace: str, connector: str, result: object, *, trial: bool) -> None:
        """A call has ended. Counted are a remote 5xx, a timeout and a lost connection, no other failure."""
        failed = counts(result)
        if not failed and not trial:
            return
        for key in {(workspace, ""), (workspace, connector)}:
            circuit = self._circuits.get(key)
            if circuit is None:
                if not failed:
                    continue
                self._forget_some()
                circuit = self._circuits[key] = Circuit()
            self._ended(key, circuit, failed=failed, trial=trial)

    def released(self, workspace: str, connector: str) -> None:
        """A trial was ended from outside: another call may be tried."""
        for key in {(workspace, ""), (workspace, connector)}:
            circuit = self._circuits.get(key)
            if circuit is not None and circuit.state == HALF_OPEN:
                circuit.trial_until = 0
        self._later(self._wake(workspace))

    def try_now(self, workspace: str, connector: str) -> bool:
        """A person wants a call to be tried now; whether there is an open breaker."""
        circuit = self._circuits.get((workspace, connector))
        if circuit is None or circuit.state == CLOSED:
            return False
        circuit.until = circuit.trial_until = 0
        self._save((workspace, connector), circuit)
        self._later(self._wake(workspace))
        return True

    def list(self, workspace: str) -> list[BreakerView]:
        """The breakers that have counted failures, or are not closed."""
        since = self._clock.now_us() - WINDOW_US
        found = [(connector, c) for (name, connector), c in self._circuits.items() if name == workspace]
        return [
            BreakerView(connector=connector, state=c.state, failures=c.counted(since), until=c.until)
            for connector, c in sorted(found, key=lambda each: each[0])
            if c.state != CLOSED or c.counted(since)
        ]

    def _forget_some(self) -> None:
        """Of many, those that have counted nothing lately: hosts come from data, which has no end."""
        if len(self._circuits) < MOST:
            return
        since = self._clock.now_us() - WINDOW_US
        for key, circuit in list(self._circuits.items()):
            if circuit.state == CLOSED and not circuit.counted(since):
                del self._circuits[key]

    async def close(self) -> None:
        """Wait for what is still being kept."""
        if self._saving:
            await asyncio.wait(self._saving)

    def _ended(self, key: Key, circuit: Circuit, *, failed: bool, trial: bool) -> None:
        now = self._clock.now_us()
        if trial and circuit.state == HALF_OPEN:
            self._close(key, circuit, now) if not failed else self._open(key, circuit, now)
        elif failed and circuit.state == CLOSED:
            circuit.failures.append(now)
            while circuit.failures[0] < now - WINDOW_US:
                circuit.failures.popleft()
            if len(circuit.failures) >= self._most:
                self._open(key, circuit, now)

    def _open(self, key: Key, circuit: Circuit, now: int) -> None:
        circuit.state, circuit.until, circuit.trial_until = OPEN, now + OPEN_US, 0
        log.warning(
            "The breaker of %s is open: %d failures", "/".join(filter(None, key)), len(circuit.failures)
        )
        self._save(key, circuit)
        self._ring(circuit)

    def _close(self, key: Key, circuit: Circuit, now: int) -> None:
        circuit.state, circuit.until, circuit.trial_until = CLOSED, now, 0
        circuit.failures.clear()
        self._save(key, circuit)

    def _ring(self, circuit: Circuit) -> None:
        self._clock.call_at(circuit.until, self._waker.calls_possible)

    def _save(self, key: Key, circuit: Circuit) -> None:
        self._bus.publish(BreakerChanged(key[0], key[1], circuit.state, circuit.until))
        self._later(self._keep(StoredBreaker(key[0], key[1], circuit.state, circuit.until)))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _keep(self, stored: StoredBreaker) -> None:
        try:
            await self._rows.save(stored)
        except DatabaseUnavailable as error:
            log.warning("The breaker's state could not be kept: %s", error)
        if stored.state == CLOSED:
            await self._wake(stored.workspace)

    async def _wake(self, workspace: str) -> None:
        try:
            await self._rows.wake(workspace, self._clock.now_us())
        except DatabaseUnavailable as error:
            log.warning("What waits for the breaker looks again only at its time: %s", error)
        self._waker.calls_possible()


def circuit_open(until_us: int, now_us: int) -> CircuitOpen:
    """What a caller is told who would wait for an answer."""
    at = datetime.fromtimestamp(until_us / 1e6, UTC).strftime("%H:%M:%S UTC")
    return CircuitOpen(at=at, retry_after=math.ceil((until_us - now_us) / 1e6))


def counts(result: object) -> bool:
    """Whether what a call came to is a failure of the other side."""
    if isinstance(result, RemoteError):
        return int(result.parameters["status"]) >= 500
    return isinstance(result, NodeFailed) and isinstance(result, NodeTimeout | ConnectionLost)
