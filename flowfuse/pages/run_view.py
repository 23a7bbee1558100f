"""What the page of one run shows: each node's state, the chosen node's data, the timeline."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

from msgspec import Struct

from flowfuse.model import Attempt, ExecutionDetail, NodeError, NodeRun
from flowfuse.pages.graph import GraphView, NodeView

WIDTH = 1000
"""The timeline's width in its own units."""

_TONES = {
    "done": "ok", "failed": "fail", "interrupted": "fail", "running": "run", "retrying": "retry",
    "waiting": "wait", "asking": "wait", "approving": "wait", "calling": "wait", "stopped": "idle",
}  # fmt: skip
_LOUDEST_LAST = ("pause", "idle", "ok", "wait", "run", "retry", "fail")


class NodeState(Struct, frozen=True, kw_only=True):
    """How often a node ended how. The browser makes the caption of it, then and live."""

    id: str
    done: int = 0
    failed: int = 0
    skipped: int = 0
    stopped: int = 0
    running: int = 0
    waiting: int = 0
    rounds: int = 0
    took: int = 0


class Rounds(Struct, frozen=True, kw_only=True):
    """Where the shown round stands among a body node's rounds."""

    path: str
    number: int
    total: int
    previous: str | None
    following: str | None
    failed: str | None
    failures: int


class Bar(Struct, frozen=True):
    """A stretch of time on a row of the timeline: an attempt, or the pause after it."""

    x: float
    width: float
    tone: str
    path: str = ""
    attempt: int = 0
    """0 where the node has no attempts."""
    took: int | None = None
    """None while it goes on, and where nobody knows."""


class Row(Struct, frozen=True):
    """A node's line in the timeline."""

    node: NodeView
    bars: list[Bar]
    took: int
    runs: int


class RunView(Struct, frozen=True, kw_only=True):
    """Everything of a run that changes while it goes on."""

    states: list[NodeState]
    node: NodeView | None
    shown: NodeRun | None
    rounds: Rounds | None
    rows: list[Row]
    span: int


def run_view(detail: ExecutionDetail, graph: GraphView, now: int, node: str = "", path: str = "") -> RunView:
    """The view of a run with one node chosen (the one that failed it, where the address names none)."""
    by_node: dict[str, list[NodeRun]] = defaultdict(list)
    for run in sorted(detail.nodes, key=_round_key):
        by_node[run.node].append(run)
    rounds = _rounds_of(detail.nodes)
    cause = detail.execution.error
    chosen = graph.node(node) or graph.node(cause.node if cause else "") or _first_of_interest(by_node, graph)
    runs = by_node[chosen.id] if chosen is not None else []
    shown = _shown(runs, path, cause)
    begin = detail.execution.started or detail.execution.created
    span = max(1, (detail.execution.finished or now) - begin)
    return RunView(
        states=[_node_state(view.id, by_node[view.id], rounds[view.id]) for view in graph.nodes],
        node=chosen,
        shown=shown,
        rounds=_rounds(runs, shown),
        rows=[_row(view, ran, begin, span) for view in graph.nodes if (ran := _that_ran(by_node[view.id]))],
        span=span,
    )


def _first_of_interest(by_node: dict[str, list[NodeRun]], graph: GraphView) -> NodeView | None:
    """A failed node, else the last one that did something, else the first there is."""
    for node in graph.nodes:
        if not node.is_tray and any(run.state == "failed" for run in by_node[node.id]):
            return node
    reached = [node for node in graph.nodes if any(run.state == "done" for run in by_node[node.id])]
    if reached:
        return reached[-1]
    return graph.nodes[0] if graph.nodes else None


def _shown(runs: list[NodeRun], path: str, cause: NodeError | None) -> NodeRun | None:
    """The round that the address names; else the one that failed the run, the first that failed, the last."""
    for run in runs:
        if run.path == path and path:
            return run
    failed = [run for run in runs if run.state == "failed"]
    fatal = [run for run in failed if run.error == cause]
    return next(iter(fatal or failed or runs[-1:]), None)


def _rounds(runs: list[NodeRun], shown: NodeRun | None) -> Rounds | None:
    if shown is None or not shown.path:
        return None
    paths = [run.path for run in runs]
    at = paths.index(shown.path)
    failures = [run.path for run in runs if run.state == "failed"]
    later = [path for path in failures if paths.index(path) > at]
    return Rounds(
        path=shown.path,
        number=at + 1,
        total=len(paths),
        previous=paths[at - 1] if at else None,
        following=paths[at + 1] if at + 1 < len(paths) else None,
        failed=next(iter(later or failures), None),
        failures=len(failures),
    )


def _node_state(node: str, runs: list[NodeRun], rounds: int) -> NodeState:
    states = Counter(run.state for run in runs)
    ended = [run for run in runs if run.started is not None and run.ended is not None]
    return NodeState(
        id=node,
        done=states["done"],
        failed=states["failed"] + states["interrupted"],
        skipped=states["skipped"],
        stopped=states["stopped"],
        running=states["running"] + states["retrying"],
        waiting=sum(states[name] for name in ("waiting", "asking", "approving", "calling")),
        rounds=rounds,
        took=_took(ended[-1]) if ended else 0,
    )


def _rounds_of(runs: Iterable[NodeRun]) -> Counter[str]:
    """How many rounds of each loop have been seen to begin."""
    paths = {run.path for run in runs if run.path}
    return Counter(path.rpartition("/")[2].partition(":")[0] for path in paths)


def _round_key(run: NodeRun) -> list[int]:
    """Rounds by their numbers: with several at once they begin in another order."""
    return [int(part.rpartition(":")[2]) for part in run.path.split("/") if part]


def _that_ran(runs: list[NodeRun]) -> list[NodeRun]:
    return [run for run in runs if run.state != "skipped"]


def _took(run: NodeRun) -> int:
    return (run.ended or 0) - (run.started or 0)


def _row(view: NodeView, runs: list[NodeRun], begin: int, span: int) -> Row:
    scale = _Scale(begin, span)
    bars = [bar for run in runs for bar in scale.bars(run)]
    return Row(view, _packed(bars), sum(_took(run) for run in runs if run.ended), len(runs))


class _Scale:
    """Puts what a node did to its place on the timeline."""

    def __init__(self, begin: int, span: int) -> None:
        self._begin, self._span = begin, span

    def bars(self, run: NodeRun) -> Iterable[Bar]:
        """A bar an attempt, and one for each pause before the next."""
        if run.started is None:
            return
        tone = _TONES.get(run.state, "ok")
        if not run.attempts:
            yield self._bar(run, run.started, run.ended, tone)
            return
        for attempt, following in pairwise(run.attempts):
            # Where the process died nobody knows when the attempt ended, and what came then was no pause.
            yield self._bar(run, attempt.started, attempt.ended or attempt.started, "retry", attempt)
            if attempt.ended is not None:
                yield self._bar(run, attempt.ended, following.started, "pause", attempt)
        last = run.attempts[-1]
        if last.outcome != "failed" or run.state not in ("retrying", "stopped"):
            yield self._bar(run, last.started, run.ended, tone, last)
            return
        yield self._bar(run, last.started, last.ended, "retry", last)
        yield self._bar(run, last.ended or last.started, run.ended, "pause", last)

    def _bar(
        self, run: NodeRun, started: int, ended: int | None, tone: str, attempt: Attempt | None = None
    ) -> Bar:
        x = min(max(0.0, (started - self._begin) * WIDTH / self._span), WIDTH - 2.0)
        end = WIDTH if ended is None else (ended - self._begin) * WIDTH / self._span
        width = min(max(2.0, end - x), WIDTH - x)
        number = attempt.number if attempt is not None else 0
        took = ended - started if ended is not None and ended > started else None
        return Bar(round(x, 1), round(width, 1), tone, run.path, number, took)


def _packed(bars: list[Bar]) -> list[Bar]:
    """At most one bar a unit of width, failures drawn last, so that a loop of thousands stays light."""
    if len(bars) > WIDTH // 2:
        loudest: dict[int, Bar] = {}
        for bar in bars:
            there = loudest.get(int(bar.x))
            if there is None or _LOUDEST_LAST.index(bar.tone) >= _LOUDEST_LAST.index(there.tone):
                loudest[int(bar.x)] = bar
        bars = list(loudest.values())
    return sorted(bars, key=lambda bar: _LOUDEST_LAST.index(bar.tone))
