"""What a node has logged, as lines for a page."""

from flowfuse.model import LogLine
from flowfuse.pages.run_log import LINES, log_view
from flowfuse.pages.values import TEXT_LIMIT


def test_what_was_printed_is_shown_line_by_line() -> None:
    view = log_view([LogLine(1, "info", "one\n\ntwo\n"), LogLine(2, "error", "three")])
    assert view.lines == [
        LogLine(1, "info", "one"), LogLine(1, "info", ""), LogLine(1, "info", "two"), LogLine(2, "error", "three"),
    ]  # fmt: skip
    assert view.hidden == 0


def test_of_a_long_log_the_rest_is_counted_and_long_lines_are_cut() -> None:
    view = log_view([LogLine(1, "info", "x" * (TEXT_LIMIT + 1)), LogLine(2, "info", "y\n" * 1000)])
    assert len(view.lines) == LINES
    assert view.hidden == 1001 - LINES
    assert view.lines[0].message.endswith("(1 more characters)")
