"""Background loops: restarted with backoff when they break, and never dying unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from flowfuse.errors import Unavailable

log = logging.getLogger("flowfuse.supervisor")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0


class Supervisor:
    """Runs named loops until it is stopped."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self.restarts: dict[str, int] = {}

    def run(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Keep `loop` running."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._keep(name, loop), name=name))

    async def stop(self) -> None:
        """End all loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while True:
            begun = clock()
            try:
                await loop()
                return
            except Exception as error:
                if clock() - begun > LONGEST_PAUSE:
                    # It had gone well since the last time.
                    pause = FIRST_PAUSE
                if isinstance(error, Unavailable):
                    # Known trouble, such as a full disk: it is waited out, and needs no traceback.
                    log.warning("The loop %s has to wait: %s", name, error)
                else:
                    self.restarts[name] = self.restarts.get(name, 0) + 1
                    log.exception("The loop %s broke and starts again in %.1f s", name, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
