"""Copies: accepts executions that begin with what another has done; they begin as any other does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from flowfuse.clock import Clock, Ids, id_text
from flowfuse.data.executions import ExecutionRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.plan import Plan
from flowfuse.engine.queue import QueueManager
from flowfuse.model import Execution

Change = Callable[[sqlite3.Connection], None]


class Copies:
    """Keeps a copied beginning as a pending run, in the queue or under its workflow's limit."""

    def __init__(
        self,
        executions: ExecutionRepository,
        queue: QueueManager,
        controller: ExecutionController,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._executions, self._queue, self._controller = executions, queue, controller
        self._ids, self._clock = ids, clock

    async def begin(
        self,
        workspace: str,
        old: Execution,
        plan: Plan,
        segments: Sequence[tuple[int, bytes]],
        seq: int,
        *,
        own_root: bool = False,
        also: Callable[[bytes], Sequence[Change]] = lambda fresh: (),
    ) -> str:
        """The new execution's id. `segments` hold `seq` records; `also(id)` is committed with it.

        Raises Unavailable.
        """
        fresh, mode = self._ids.new(), mode_again(old)
        waiting = self._controller.waits_for(plan, mode)
        with self._queue.accepting(waiting):
            await self._executions.copy(
                workspace, old.id, fresh, segments, seq=seq, mode=mode, waiting=waiting,
                epoch=self._controller.epoch, now_us=self._clock.now_us(),
                root=fresh if own_root else None, also=also(fresh),
            )  # fmt: skip
        self._controller.kept(workspace, old.workflow, waiting)
        return id_text(fresh)


def mode_again(old: Execution) -> str:
    """The mode of a run in the place of another: it is not its first caller on the command line who asks."""
    return "manual" if old.mode == "cli" else old.mode
