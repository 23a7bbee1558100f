"""What of a run's log a new run begins with: all of it but for what failed, or what is to be done anew.

Records stand for what is done; leaving some out lets the replay come to just those nodes again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowfuse.engine import records
from flowfuse.engine.plan import NodePlan, Plan
from flowfuse.engine.state import Log

Path = tuple[int, ...]
Key = tuple[int, Path]

_OF_NODES = (
    records.DONE, records.ATTEMPT, records.RETRY, records.FAILED, records.WAIT, records.LOOP, records.ROUND,
    records.BLOCK, records.NOTE, records.INTERRUPTED,
)  # fmt: skip
_UNDER_WAY = (records.ATTEMPT, records.RETRY, records.WAIT, records.NOTE, records.INTERRUPTED)


class Kept:
    """The records that stay, as (base, records) of each segment; whether outputs were discarded."""

    def __init__(self, segments: list[tuple[int, list[Any]]], discarded: bool) -> None:
        self.segments, self.discarded = segments, discarded


def keep_all_but_failures(plan: Plan, log: Log) -> Kept:
    """Everything that was done: the new run begins where the old one failed."""
    failed = _failures(plan, log)

    def stays(record: list[Any]) -> bool:
        if record[0] == records.FAILED and record[6] is None:
            return not failed.holds(record[1], tuple(record[2]))
        if record[0] == records.ROUND and not record[4]:
            return not failed.holds(record[1], tuple(record[2])) or not _ends_by_failing(
                plan.nodes[record[1]]
            )
        return True

    return _filtered(log, stays)


def keep_before(plan: Plan, log: Log, node: NodePlan, path: Path) -> Kept:
    """Everything but what that node, and all behind it, did (in one round of a loop, where it has a path)."""
    cut = _Cut(plan, log, node, path)
    return _filtered(log, lambda record: not cut.takes(record))


class _Failures:
    """The nodes whose failure ended the run: of its own scope, and those inside that made them fail."""

    def __init__(self, plan: Plan, keys: set[Key]) -> None:
        self._plan, self._keys = plan, keys

    def holds(self, index: int, path: Path) -> bool:
        """Whether this node failed, and with it all around it."""
        node = self._plan.nodes[index]
        while True:
            if (node.index, path) not in self._keys:
                return False
            loop = node.scope.loop
            if loop is None:
                return True
            if not _ends_by_failing(loop):
                return False
            node, path = loop, path[:-1]


def _failures(plan: Plan, log: Log) -> _Failures:
    return _Failures(
        plan,
        {
            (record[1], tuple(record[2]))
            for _, _, segment in log
            for record in segment
            if record[0] == records.FAILED and record[6] is None
        },
    )


def _ends_by_failing(loop: NodePlan) -> bool:
    """Whether a round that fails lets the loop fail: it is then to be run again."""
    return bool(loop.node.config.get("on_item_error", "fail") == "fail")


class _Cut:
    """A node and all behind it; around it, the loops that it stands in go on from that round."""

    def __init__(self, plan: Plan, log: Log, node: NodePlan, path: Path) -> None:
        self._plan = plan
        self._levels: list[tuple[int, set[int], Path]] = []
        self._rounds: set[tuple[int, Path, int]] = set()
        self._ends: set[Key] = set()
        own: Iterable[NodePlan] = [node]
        while True:
            depth = node.scope.depth
            behind = {each.index for each in own} | _behind(node)
            self._levels.append((depth, behind, path[:depth]))
            loop = node.scope.loop
            if loop is None:
                return
            if not path or _in_a_block(log, loop, path[: depth - 1], path[depth - 1]):
                # No round was named, or its rounds are kept as one: the whole loop is done anew.
                node, own, path = loop, [loop], path[: depth - 1]
                continue
            self._rounds.add((loop.index, path[: depth - 1], path[depth - 1]))
            self._ends.add((loop.index, path[: depth - 1]))
            node, own, path = loop, [], path[: depth - 1]

    def takes(self, record: list[Any]) -> bool:
        """Whether the record is of what is done anew."""
        if record[0] not in _OF_NODES:
            return bool(record[0] == records.STATE)
        index, path = record[1], tuple(record[2])
        if record[0] == records.ROUND and (index, path, record[3]) in self._rounds:
            return True
        if record[0] in (records.DONE, records.FAILED) and (index, path) in self._ends:
            return True
        return any(self._within(index, path, *level) for level in self._levels)

    def _within(self, index: int, path: Path, depth: int, nodes: set[int], prefix: Path) -> bool:
        node = self._plan.nodes[index]
        while node.scope.depth > depth:
            assert node.scope.loop is not None
            node = node.scope.loop
        return node.scope.depth == depth and node.index in nodes and path[:depth] == prefix


def _behind(node: NodePlan) -> set[int]:
    """All nodes of the same scope that come after this one."""
    found: set[int] = set()
    stack = [arrow.target for arrow in node.no_route[1]]
    while stack:
        current = stack.pop()
        if current.index not in found:
            found.add(current.index)
            stack.extend(arrow.target for arrow in current.no_route[1])
    return found


def _in_a_block(log: Log, loop: NodePlan, path: Path, number: int) -> bool:
    return any(
        record[0] == records.BLOCK
        and (record[1], tuple(record[2])) == (loop.index, path)
        and record[3] <= number < record[3] + record[4]
        for _, _, segment in log
        for record in segment
    )


def _filtered(log: Log, stays: Any) -> Kept:
    """The log without what does not stay, and without the attempts of nodes that then have no end."""
    discarded = False
    ended: set[Key] = set()
    chosen: list[tuple[int, list[Any]]] = []
    for _, base, segment in log:
        left = []
        for record in segment:
            if record[0] != records.STATE and stays(record):
                left.append(record)
                if record[0] in (records.DONE, records.FAILED):
                    ended.add((record[1], tuple(record[2])))
            elif _is_output(record):
                discarded = True
        chosen.append((base, left))
    segments = [
        (base, [r for r in left if r[0] not in _UNDER_WAY or (r[1], tuple(r[2])) in ended])
        for base, left in chosen
    ]
    return Kept([(base, left) for base, left in segments if left], discarded)


def _is_output(record: list[Any]) -> bool:
    """Whether the record holds something that a node or a round gave."""
    kind: int = record[0]
    return (
        kind in (records.DONE, records.BLOCK)
        or (kind == records.FAILED and record[6] is not None)
        or (kind == records.ROUND and bool(record[4]))
    )
