"""Waiters: those who wait for an execution to answer or to end, by its id."""

from __future__ import annotations

import asyncio

from flowfuse.engine.run import Run
from flowfuse.model import State


class Waiters:
    """Futures by execution; each waiter has its own, so that one that gives up disturbs no other."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[asyncio.Future[Run | State]]] = {}

    async def wait(self, raw: bytes, timeout: float) -> Run | State | None:
        """Wait until the execution is told of: the run, or its state where it ended as a row.

        None after the timeout. Raises what it failed with.
        """
        future: asyncio.Future[Run | State] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(raw, []).append(future)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            return None
        finally:
            left = [each for each in self._waiting.get(raw, ()) if each is not future]
            if left:
                self._waiting[raw] = left
            else:
                self._waiting.pop(raw, None)

    def tell(self, run: Run, error: BaseException | None = None) -> None:
        """Something is known of the run: wake those who wait for it."""
        for future in self._waiting.get(run.id, ()):
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(run)

    def tell_state(self, raw: bytes, state: State) -> None:
        """A run that was not in memory has ended."""
        for future in self._waiting.get(raw, ()):
            if not future.done():
                future.set_result(state)

    def tell_all(self, runs: dict[bytes, Run]) -> None:
        """Nothing more is to come: wake everybody whose run is in memory."""
        for run in runs.values():
            self.tell(run)
