"""Histogram: how many runs were accepted in each part of a span, by state.

A part whose runs have all ended does not change any more, so it is counted once. Parts begin at multiples
of their length since the epoch, whoever asks.
"""

from __future__ import annotations

from collections import OrderedDict

from flowfuse.data.executions import ExecutionRepository
from flowfuse.model import StatisticsPart

KEPT = 20_000
_ENDED = frozenset({"completed", "failed", "cancelled"})

Key = tuple[str, int, int]


class Histogram:
    """Counts, and remembers what is settled."""

    def __init__(self, executions: ExecutionRepository) -> None:
        self._executions = executions
        self._settled: OrderedDict[Key, dict[str, int]] = OrderedDict()

    async def parts(
        self, workspace: str, *, since: int, until: int, bucket: int, now: int
    ) -> list[StatisticsPart]:
        """The parts in which something was accepted, in order. Times are UTC microseconds."""
        first, last = since // bucket, -(-min(until, now + bucket) // bucket)
        missing = [n for n in range(first, last) if (workspace, bucket, n) not in self._settled]
        fresh: dict[int, dict[str, int]] = {}
        if missing:
            begin, end = missing[0] * bucket, (missing[-1] + 1) * bucket
            counted = await self._executions.histogram(workspace, since=begin, until=end, bucket=bucket)
            fresh = {part.begin // bucket: part.states for part in counted}
            self._settle(workspace, bucket, missing, fresh, now)
        found = []
        for number in range(first, last):
            states = fresh.get(number) or self._settled.get((workspace, bucket, number))
            if states:
                found.append(StatisticsPart(begin=number * bucket, states=states))
        return found

    def _settle(
        self, workspace: str, bucket: int, numbers: list[int], counted: dict[int, dict[str, int]], now: int
    ) -> None:
        for number in numbers:
            states = counted.get(number, {})
            # A commit may still be under way for what was accepted a moment ago.
            over = (number + 1) * bucket < now - bucket
            if over and states.keys() <= _ENDED:
                self._settled[workspace, bucket, number] = states
        while len(self._settled) > KEPT:
            self._settled.popitem(last=False)
