"""Charts that the server draws: bars over time as SVG rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from flowfuse.model import Execution, StatisticsPart
from flowfuse.pages.words import local, state_words

WIDTH, TOP, HEIGHT = 1072, 22, 34
_GAP = 2.0
_TONES = ("completed", "failed")


class Bar(Struct, frozen=True):
    """A rectangle: what it stands for, where, and what a pointer on it says."""

    tone: str
    x: float
    y: float
    width: float
    height: float
    title: str


class Mark(Struct, frozen=True):
    """An hour on the axis."""

    x: float
    text: str


class Tick(Struct, frozen=True):
    """Something that will start: where on the axis, how many at once, what it is called."""

    x: float
    count: int
    title: str


class Chart(Struct, frozen=True):
    """Bars over an axis of hours; `now` and `ticks` where it reaches into what is to come."""

    bars: list[Bar]
    marks: list[Mark]
    now: float | None
    ticks: list[Tick]
    total: int
    failed: int


SPARK = 30
"""How many runs a sparkline has room for."""
_FLOOR = 18


class Sparkline(Struct, frozen=True):
    """The last runs as bars: by tone, which is how they ended, the path of its bars."""

    paths: dict[str, str]
    total: int
    failed: int


def spark(executions: Sequence[Execution]) -> Sparkline:
    """The last runs, oldest first. A bar's height is how long its run took, against the longest."""
    took = [e.finished - e.started if e.finished and e.started else None for e in executions]
    longest = max((each for each in took if each), default=1)
    # A list of workflows shows more than a thousand bars, so they are paths and no elements of their own.
    paths: dict[str, str] = {}
    for place, (execution, each) in enumerate(zip(executions, took, strict=True), SPARK - len(executions)):
        height = 3 + 15 * (0.2 if each is None else (max(0, each) / longest) ** 0.5)
        tone = state_words(execution).tone
        paths[tone] = f"{paths.get(tone, '')}M{place * 4} {_FLOOR}V{_FLOOR - height:.1f}h2.5V{_FLOOR}z"
    failed = sum(execution.state == "failed" for execution in executions)
    return Sparkline(paths, len(executions), failed)


def chart(
    parts: Sequence[StatisticsPart],
    *,
    since: int,
    until: int,
    bucket: int,
    zone: str,
    now: int | None = None,
    coming: Sequence[tuple[int, str]] = (),
) -> Chart:
    """Runs in a span, as bars of what went well below what failed. Times are microseconds."""
    per = WIDTH / (until - since)
    most = max((sum(part.states.values()) for part in parts), default=1)
    bars: list[Bar] = []
    for part in parts:
        bars += _stack(part, (part.begin - since) * per, bucket * per, most, zone)
    return Chart(
        bars=bars,
        marks=_marks(since, until, per, zone),
        now=None if now is None else (now - since) * per,
        ticks=_ticks(coming, since, per, zone),
        total=sum(sum(part.states.values()) for part in parts),
        failed=sum(part.states.get("failed", 0) for part in parts),
    )


def _stack(part: StatisticsPart, x: float, width: float, most: int, zone: str) -> list[Bar]:
    failed = part.states.get("failed", 0)
    rest = sum(part.states.values()) - failed
    title = f"{local(part.begin, zone):%H:%M} · {rest + failed} · {failed} ×"
    bars, bottom = [], float(TOP + HEIGHT)
    for tone, number in (("ok", rest), ("fail", failed)):
        if number:
            # The square root keeps a few failures in sight beside thousands that went well.
            height = max(2.0, HEIGHT * (number / most) ** 0.5 * (number / (rest + failed)) ** 0.25)
            height = min(height, bottom - TOP)
            bottom -= height
            bars.append(Bar(tone, x, bottom, max(1.0, width - _GAP), height, title))
    return bars


def _marks(since: int, until: int, per: float, zone: str) -> list[Mark]:
    marks = []
    hour = 3600 * 1_000_000
    first = local(since, zone)
    offset = (first.minute * 60 + first.second) * 1_000_000 + first.microsecond
    moment = since if not offset else since - offset + hour
    while moment < until:
        shown: datetime = local(moment, zone)
        if shown.hour % 3 == 0:
            marks.append(Mark((moment - since) * per, f"{shown:%H:%M}"))
        moment += hour
    return marks


def _ticks(coming: Sequence[tuple[int, str]], since: int, per: float, zone: str) -> list[Tick]:
    together: dict[int, list[str]] = {}
    for moment, name in coming:
        together.setdefault(moment // 60_000_000, []).append(name)
    return [
        Tick(
            (minute * 60_000_000 - since) * per,
            len(names),
            f"{local(minute * 60_000_000, zone):%H:%M} · {', '.join(dict.fromkeys(names))}",
        )
        for minute, names in sorted(together.items())
    ]
