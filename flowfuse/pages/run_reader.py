"""RunReader: the runs that somebody looks at. Who clicks through a large one waits for it once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from flowfuse.engine.history import History
from flowfuse.large_json import weight
from flowfuse.model import Execution, ExecutionDetail

KEPT = 2
"""Runs: a run of a part is shown with the last whole one."""
KEPT_SECONDS = 20.0
KEPT_BYTES = 64_000_000
"""What is larger is read anew each time rather than held."""


class RunReader:
    """Reads runs for pages, and keeps the last ones for as long as one goes on looking."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._kept: OrderedDict[tuple[str, str], ExecutionDetail] = OrderedDict()
        self._forgetting: asyncio.TimerHandle | None = None

    async def detail(self, workspace: str, execution: Execution) -> ExecutionDetail:
        """A run with all that is known of its nodes, given how it stands now. Raises NotFound."""
        key = (workspace, execution.id)
        kept = self._kept.get(key)
        # What has ended stays as it is, until it is taken up again: then it stands otherwise.
        if kept is None or kept.execution != execution:
            self._kept.pop(key, None)
            kept = await self._history.detail(workspace, execution.id)
            if kept.execution.finished is None or _weight(kept) > KEPT_BYTES:
                return kept
            self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self._forget_later()
        return kept

    def _forget_later(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._kept.clear)


def _weight(detail: ExecutionDetail) -> int:
    return weight(detail.input) + sum(weight(run.input) + weight(run.output) for run in detail.nodes)
