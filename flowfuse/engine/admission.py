"""Admission: lets runs of a workflow with a concurrency limit begin, one place after the other.

Such a run is accepted as a row that waits (`pending`, waiting for `concurrency`). Whether it begins is
decided when it would: under the limit it does; over it, the workflow's `overlap` says whether it waits
(`queue`), ends as cancelled (`skip`), or takes the place of the oldest that runs (`cancel_previous`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from flowfuse.clock import Clock, id_text
from flowfuse.engine.plan import Plan
from flowfuse.engine.queue import Held, QueueManager
from flowfuse.errors import DatabaseUnavailable, FlowFuseError, IllegalTransition
from flowfuse.model import State

log = logging.getLogger("flowfuse.engine")

AGAIN_SECONDS = 1.0
Key = tuple[str, str]
"""Workspace and workflow."""


class Host(Protocol):
    """What admission asks of the controller."""

    draining: bool

    def room(self) -> bool:
        """Whether one more run may be in memory now."""

    async def plan_of(self, workspace: str, content_id: int) -> Plan:
        """The compiled form of a run's pinned content."""

    async def continue_stored(self, workspace: str, raw: bytes) -> None:
        """Load a run and let it go on."""

    async def cancel(self, workspace: str, execution: str) -> None:
        """Stop a run for good."""

    async def end_held(self, held: Held, state: State, reason: str) -> None:
        """End a run that has not begun."""


class Admission:
    """Decides about held runs whenever a place may have become free."""

    def __init__(self, clock: Clock, queue: QueueManager, host: Host) -> None:
        self._clock, self._queue, self._host = clock, queue, host
        self._looking: dict[Key, asyncio.Task[None]] = {}
        self._held: dict[Key, bool] = {}
        """Workflows with runs that wait; whether to look once more when the look under way ends."""
        self._short: dict[Key, None] = {}
        """Those at which the last look ended for want of room in memory."""

    async def open(self) -> None:
        """After a start: look at every workflow that has held runs."""
        for key in await self._queue.held_workflows():
            self.look(key)

    def look(self, key: Key) -> None:
        """A run was accepted, or a place may have become free: see which of the workflow's begin."""
        self._held[key] = True
        if key not in self._looking and not self._host.draining:
            self._looking[key] = asyncio.get_running_loop().create_task(self._look(key))

    def ended(self, key: Key) -> None:
        """A run of the workflow does not run any more."""
        if key in self._held:
            self.look(key)

    def room_again(self) -> None:
        """There may be room in memory: the workflow goes on that has lacked it for longest.

        One that cannot use the room passes it on when its look ends.
        """
        if self._short and self._host.room():
            key = next(iter(self._short))
            del self._short[key]
            self.look(key)

    async def _look(self, key: Key) -> None:
        try:
            while self._held.get(key) and not self._host.draining:
                self._held[key] = False
                while self._host.room():
                    if not await self._admit_next(key):
                        break
                else:
                    self._short[key] = None
        except DatabaseUnavailable:
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self.look, key)
        except FlowFuseError as error:
            log.error("Runs of %s that wait cannot begin: %s", key[1], error)
        finally:
            del self._looking[key]
            self.room_again()

    async def _admit_next(self, key: Key) -> bool:
        """Decide about the next held run; whether there may be more to decide."""
        held = await self._queue.next_held(*key)
        if held is None:
            self._held.pop(key, None)
            return False
        try:
            settings = (await self._host.plan_of(held.workspace, held.content_id)).workflow.settings
        except DatabaseUnavailable:
            raise
        except FlowFuseError:
            # It begins, to be paused where its loading fails, visibly; those behind it have their turn.
            await self._queue.admit(held, 0, self._clock.now_us())
            await self._host.continue_stored(held.workspace, held.id)
            return True
        if await self._queue.admit(held, settings.concurrency, self._clock.now_us()):
            await self._host.continue_stored(held.workspace, held.id)
            return True
        if settings.overlap == "skip":
            await self._host.end_held(held, State.cancelled, "overlap")
            return True
        if settings.overlap == "cancel_previous":
            return await self._cancel_oldest(key)
        return False

    async def _cancel_oldest(self, key: Key) -> bool:
        oldest = await self._queue.oldest_active(*key)
        if oldest is None:
            return True
        try:
            await self._host.cancel(key[0], id_text(oldest))
        except IllegalTransition:
            # It ended by itself meanwhile: its place is free all the same.
            log.debug("%s had ended before it was cancelled", id_text(oldest))
        return True
