"""What a node has logged, as lines for a page: bounded, whatever was printed."""

from __future__ import annotations

from msgspec import Struct

from flowfuse.model import LogLine
from flowfuse.pages.values import cut

LINES = 300
"""Lines that are shown; the others are counted."""


class LogView(Struct, frozen=True):
    """The first lines of a log, and how many come after them."""

    lines: list[LogLine]
    hidden: int


def log_view(log: list[LogLine]) -> LogView:
    """A line for each that was printed: what a code node prints in one run comes as one text."""
    shown: list[LogLine] = []
    total = 0
    for entry in log:
        lines = entry.message.rstrip("\n").split("\n")
        total += len(lines)
        shown += [LogLine(entry.at, entry.level, cut(line)) for line in lines[: LINES - len(shown)]]
    return LogView(shown, total - len(shown))
