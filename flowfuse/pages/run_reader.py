"""RunReader: the runs that somebody looks at. Who clicks through a large one waits for it once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import msgspec

from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import Draft
from flowfuse.engine.history import History
from flowfuse.large_json import weight
from flowfuse.model import Execution, ExecutionDetail
from flowfuse.pages.addresses import whole_number

LOOKED_BACK = 20
"""Runs among which the last whole one is looked for."""
KEPT = 2
"""Runs: a run of a part is shown with the last whole one."""
KEPT_SECONDS = 20.0
KEPT_BYTES = 64_000_000
"""What is larger is read anew each time rather than held."""


class RunReader:
    """Reads runs for pages, and keeps the last ones for as long as one goes on looking."""

    def __init__(self, executions: ExecutionRepository, history: History) -> None:
        self._executions, self._history = executions, history
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

    async def shown(self, workspace: str, draft: Draft, run: str) -> ExecutionDetail | None:
        """The run whose data a draft shows: the numbered one, else the last whole one, None without any.

        Of what a run of a part has left out, the last whole run has the data. Raises NotFound.
        """
        name, nodes = draft.summary.id, {node.id for node in draft.document.nodes}
        wanted = whole_number(run)
        chosen = await self._executions.by_number(workspace, name, wanted) if wanted is not None else None
        part = await self.detail(workspace, chosen) if chosen is not None else None
        if part is not None and part.execution.trigger in nodes:
            return part
        found = await self._executions.list(workspace, workflow=name, limit=LOOKED_BACK)
        last = next((each for each in found if each.trigger in nodes), None)
        whole = await self.detail(workspace, last) if last is not None else None
        return _merged(part, whole) if part is not None and whole is not None else part or whole

    def _forget_later(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._kept.clear)


def _merged(part: ExecutionDetail, whole: ExecutionDetail) -> ExecutionDetail:
    """A part's run, with what it has left out as it was in a whole run."""
    ran = [run for run in part.nodes if run.state != "skipped"]
    there = {(run.node, run.path) for run in ran}
    kept = [run for run in whole.nodes if (run.node, run.path) not in there]
    return msgspec.structs.replace(part, input=whole.input, nodes=[*kept, *ran])


def _weight(detail: ExecutionDetail) -> int:
    return weight(detail.input) + sum(weight(run.input) + weight(run.output) for run in detail.nodes)
