"""Sparklines: every run has its bar, in the tone of how it ended."""

from __future__ import annotations

import re

from flowfuse.model import Execution
from flowfuse.pages.charts import SPARK, spark


def run(number: int, state: str, took: int | None, waiting: str | None = None) -> Execution:
    return Execution(
        id=str(number), workflow="w", number=number, state=state, waiting=waiting, trigger="t", mode="production",
        root=str(number), created=1000, started=1000, finished=None if took is None else 1000 + took,
        wake_at=None, priority=5, deaths=0, reason=None, error=None,
    )  # fmt: skip


def bars(path: str) -> list[tuple[float, float]]:
    """(x, height) of each bar of a path."""
    found = re.findall(r"M(\S+) 18V(\S+?)h2.5V18z", path)
    return [(float(x), 18 - float(y)) for x, y in found]


def test_the_longest_run_has_the_whole_height_and_all_stand_on_one_line() -> None:
    line = spark([run(1, "completed", 100), run(2, "failed", 400), run(3, "completed", 0)])
    assert bars(line.paths["fail"]) == [((SPARK - 2) * 4, 18)]
    assert bars(line.paths["ok"]) == [((SPARK - 3) * 4, 10.5), ((SPARK - 1) * 4, 3)]
    assert (set(line.paths), line.total, line.failed) == ({"ok", "fail"}, 3, 1)


def test_what_has_not_ended_has_a_low_bar_of_its_own_tone() -> None:
    runs = [run(1, "running", None), run(2, "running", None, "approval"), run(3, "completed", 5)]
    paths = spark(runs).paths
    assert set(paths) == {"run", "wait", "ok"}
    assert bars(paths["run"])[0][1] == bars(paths["wait"])[0][1] == 6


def test_a_clock_that_was_set_back_breaks_nothing() -> None:
    assert bars(spark([run(1, "completed", -500)]).paths["ok"])[0][1] == 3


def test_without_runs_there_are_no_bars() -> None:
    assert spark([]).paths == {}
