"""Dates over zones, changeovers and the ends of months."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.errors import ExpressionFailed

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-23", "2026-11-23T00:00:00+01:00"),
        ("2026-07-01T12:00", "2026-07-01T12:00:00+02:00"),
        ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00+00:00"),
        ("2026-07-01 12:00:00.5-03:30", "2026-07-01T12:00:00.500000-03:30"),
        ("Mon, 20 Nov 1995 19:12:08 -0500", "1995-11-20T19:12:08-05:00"),
        (0, "1970-01-01T01:00:00+01:00"),
        (1_795_429_800, "2026-11-23T11:30:00+01:00"),
        (1_795_429_800_000, "2026-11-23T11:30:00+01:00"),
        (-1.5, "1970-01-01T00:59:58.500000+01:00"),
    ],
)
def test_what_is_a_date(evaluate: Any, value: Any, expected: str) -> None:
    assert evaluate("date(input)", timezone=BERLIN, input=value) == expected


@pytest.mark.parametrize(
    "value", ["", "tomorrow", "2026-13-01", None, True, [], 1e300, float("nan"), "9" * 5000]
)
def test_what_is_no_date(evaluate: Any, value: Any) -> None:
    with pytest.raises(ExpressionFailed):
        evaluate("date(input)", input=value)


def test_now_and_today_are_of_the_workflows_zone(evaluate: Any) -> None:
    assert evaluate("now()", timezone="Asia/Tokyo") == "2026-11-23T19:30:00+09:00"
    assert evaluate("today()", timezone="Pacific/Kiritimati") == "2026-11-24"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        # The clock goes back on 25 October and forward on 29 March.
        ("add_time('2026-10-24T12:00:00+02:00', days=1)", "2026-10-25T12:00:00+01:00"),
        ("add_time('2026-10-24T12:00:00+02:00', hours=24)", "2026-10-25T11:00:00+01:00"),
        ("add_time('2026-03-28T02:30:00+01:00', days=1)", "2026-03-29T03:30:00+02:00"),
        ("add_time('2026-10-24T12:00:00+05:00', days=1)", "2026-10-25T12:00:00+05:00"),
        ("add_time('2026-01-31T00:00:00Z', months=1)", "2026-02-28T00:00:00+00:00"),
        ("add_time('2028-02-29T00:00:00Z', years=1)", "2029-02-28T00:00:00+00:00"),
        ("add_time('2026-03-31T00:00:00Z', months=-1)", "2026-02-28T00:00:00+00:00"),
        ("add_time('2026-12-15T00:00:00Z', months=13)", "2028-01-15T00:00:00+00:00"),
        ("add_time('2026-01-01T00:00:00Z', '1d12h30m')", "2026-01-02T12:30:00+00:00"),
        ("add_time('2026-01-01T00:00:00Z', '-90s')", "2025-12-31T23:58:30+00:00"),
        ("add_time('2026-01-01T00:00:00Z', '1mo 2w')", "2026-02-15T00:00:00+00:00"),
        ("add_time('2026-01-01T00:00:00Z', 60)", "2026-01-01T00:01:00+00:00"),
        ("'2026-01-01T00:00:00Z'.add_time(weeks=1, minutes=-1)", "2026-01-07T23:59:00+00:00"),
        ("start_of('2026-10-25T12:00:00+01:00', 'day')", "2026-10-25T00:00:00+02:00"),
        ("start_of('2026-11-25T12:34:56.789Z', 'minute')", "2026-11-25T12:34:00+00:00"),
        ("start_of('2026-11-25T12:34:56.789Z', 'second')", "2026-11-25T12:34:56+00:00"),
        ("start_of('2026-11-25T12:34:56Z', 'hour')", "2026-11-25T12:00:00+00:00"),
        ("start_of('2026-11-25T12:34:56Z', 'month')", "2026-11-01T00:00:00+00:00"),
        ("start_of('2026-11-25T12:34:56Z', 'quarter')", "2026-10-01T00:00:00+00:00"),
        ("start_of('2026-11-25T12:34:56Z', 'year')", "2026-01-01T00:00:00+00:00"),
        ("start_of('2026-11-22T12:34:56Z', 'week')", "2026-11-16T00:00:00+00:00"),
        ("diff_time('2026-10-26T00:00:00+01:00', '2026-10-25T00:00:00+02:00', 'hours')", 25.0),
        ("diff_time(0, 60)", -60.0),
        ("format_date(0, '%H:%M', 'America/New_York')", "19:00"),
        ("format_date('2026-11-23')", "2026-11-23"),
        ("to_timezone('2026-11-23T10:00:00Z', '+05:30')", "2026-11-23T15:30:00+05:30"),
    ],
)
def test_arithmetic_on_dates(evaluate: Any, call: str, expected: Any) -> None:
    assert evaluate(call, timezone=BERLIN) == expected


@pytest.mark.parametrize(
    "call",
    [
        "add_time(now(), years=9000)",
        "add_time(now(), years=-3000)",
        "add_time(now(), days=10**12)",
        "add_time(now(), seconds=float('nan'))",
        "add_time(now(), months=0.5)",
        "add_time(now(), 'soon')",
        "add_time(now(), '1h or so')",
        "diff_time(now(), now(), 'months')",
        "start_of(now(), 'decade')",
        "to_timezone(now(), 'Europe/Nowhere')",
        "to_timezone(now(), 'Europe')",
        "to_timezone(now(), '')",
        "to_timezone('0001-01-01T00:00:00Z', '-10:00')",
        "format_date(now(), '%Y' * 500)",
        "format_date(now(), '\\ud800')",
    ],
)
def test_what_cannot_be_done_with_dates(evaluate: Any, call: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(call)
    assert caught.value.message.startswith("`")
