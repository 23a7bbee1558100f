"""Rollback: a new execution from a checkpoint of an old one, which stays as it was."""

from __future__ import annotations

from flowfuse.data.executions import ExecutionRepository
from flowfuse.engine import records
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.copies import Copies
from flowfuse.engine.history import History
from flowfuse.engine.state import StateManager
from flowfuse.errors import NotFound


class Rollback:
    """Begins executions at the cuts of others. Effects behind the cut happen again, under their old keys."""

    def __init__(
        self,
        executions: ExecutionRepository,
        state: StateManager,
        history: History,
        controller: ExecutionController,
        copies: Copies,
    ) -> None:
        self._executions, self._state, self._history = executions, state, history
        self._controller, self._copies = controller, copies

    async def restart(self, workspace: str, execution: str, checkpoint: int) -> str:
        """Start from a checkpoint, with the same root; the new execution's id.

        Raises NotFound for an execution or checkpoint that is not there, and Unavailable.
        """
        self._controller.check_accepting()
        plan = await self._history.plan(workspace, execution)
        cuts = await self._state.checkpoints(workspace, execution, plan)
        last = next((seq for seq, cut in cuts if cut.checkpoint_index == checkpoint), None)
        if last is None:
            raise NotFound(what="checkpoint", id=str(checkpoint))
        unseal = self._state.unsealer(workspace)
        kept = [
            (
                first,
                self._state.stored(workspace, records.cut(data, last - first + 1, execution, unseal), plan),
            )
            for first, data in await self._executions.segments(workspace, execution)
            if first <= last
        ]
        old = await self._executions.get(workspace, execution)
        return await self._copies.begin(workspace, old, plan, kept, last)
