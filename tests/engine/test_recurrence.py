"""T11, T12: what a schedule means, against an independent model, and across changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowfuse.engine.recurrence import Recurrence, iso, parse_recurrence
from flowfuse.errors import ScheduleInvalid

ZONES = (
    "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Australia/Sydney",
    "America/Santiago", "Africa/Cairo", "Asia/Beirut", "Pacific/Auckland", "Europe/Lisbon", "America/Havana",
    "Atlantic/Azores",
)  # fmt: skip
HOUR, DAY = 3_600_000_000, 86_400_000_000


def us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def due(recurrence: Recurrence, begin: str, count: int) -> list[str]:
    return [iso(each, recurrence.timezone) for each in islice(recurrence.all_after(us(begin)), count)]


def test_the_seeds_examples() -> None:
    weekdays = parse_recurrence(cron="0 9 * * 1-5", timezone="UTC", anchor_us=0)
    days = [datetime.fromisoformat(text) for text in due(weekdays, "2026-01-01", 500)]
    assert {day.isoweekday() for day in days} == {1, 2, 3, 4, 5}
    assert {(day.hour, day.minute) for day in days} == {(9, 0)}
    quarters = parse_recurrence(cron="*/15 * * * *", timezone="UTC", anchor_us=0)
    assert due(quarters, "2026-01-01T10:01", 2) == ["2026-01-01T10:15:00+00:00", "2026-01-01T10:30:00+00:00"]
    firsts = parse_recurrence(cron="0 0 1 * *", timezone="UTC", anchor_us=0)
    assert due(firsts, "2026-01-01", 2) == ["2026-02-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00"]


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A cron field's text, and what it holds."""
    number = st.integers(low, high)

    def span(ends: tuple[int, int], step: int) -> tuple[str, frozenset[int]]:
        a, b = sorted(ends)
        return (
            f"{a}-{b}" + (f"/{step}" if step > 1 else ""),
            frozenset(range(a, b + 1, step)),
        )

    one = number.map(lambda n: (str(n), frozenset([n])))
    spans = st.builds(span, st.tuples(number, number), st.integers(1, 7))
    several = st.lists(st.one_of(one, spans), min_size=1, max_size=3).map(
        lambda parts: (",".join(text for text, _ in parts), frozenset().union(*(held for _, held in parts)))
    )
    everything = st.just(("*", frozenset(range(low, high + 1))))
    steps = st.integers(2, 20).map(lambda n: (f"*/{n}", frozenset(range(low, high + 1, n))))
    return st.one_of(everything, steps, several)


@pytest.mark.slow
@settings(max_examples=300)
@given(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7), st.integers(0, 1000))
def test_cron_against_a_model(
    minute: tuple[str, frozenset[int]],
    hour: tuple[str, frozenset[int]],
    day: tuple[str, frozenset[int]],
    month: tuple[str, frozenset[int]],
    weekday: tuple[str, frozenset[int]],
    offset: int,
) -> None:
    """Vixie's meaning, minute by minute where something can be due, for three years."""
    fields = [minute, hour, day, month, weekday]
    recurrence = Recurrence(cron=" ".join(text for text, _ in fields))
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=offset)
    weekdays = {number % 7 for number in weekday[1]}
    both = day[0].startswith("*") or weekday[0].startswith("*")

    def matches(at: date) -> bool:
        by_day, by_weekday = at.day in day[1], at.isoweekday() % 7 in weekdays
        return at.month in month[1] and ((by_day and by_weekday) if both else (by_day or by_weekday))

    def model() -> list[int]:
        found: list[int] = []
        for number in range(3 * 366):
            at = begin.date() + timedelta(days=number)
            if matches(at):
                for h in sorted(hour[1]):
                    for m in sorted(minute[1]):
                        moment = datetime(at.year, at.month, at.day, h, m, tzinfo=UTC)
                        if moment > begin:
                            found.append(int(moment.timestamp()) * 1_000_000)
                    if len(found) > 200:
                        return found[:200]
        return found

    expected = model()
    if not expected:
        # Nothing in three years: due on a 29th of February at most.
        return
    got = list(islice(recurrence.all_after(int(begin.timestamp() * 1e6)), len(expected)))
    assert got == expected


def changes(zone: str, year: int) -> list[datetime]:
    """The moments (UTC) at which a zone's clock changes."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(366 * 48)]
    tz = ZoneInfo(zone)
    offsets = [moment.astimezone(tz).utcoffset() for moment in hours]
    return [hours[n] for n in range(1, len(hours)) if offsets[n] != offsets[n - 1]]


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_a_job_at_a_fixed_time_runs_once_a_day_over_each_change(zone: str) -> None:
    moments = changes(zone, 2026)
    assert len(moments) >= 2
    for change in moments:
        begin = int((change - timedelta(days=3)).timestamp() * 1e6)
        for minute in range(0, 24 * 60, 15):
            recurrence = Recurrence(cron=f"{minute % 60} {minute // 60} * * *", timezone=zone)
            found = list(takewhile(lambda at, end=begin + 6 * DAY: at < end, recurrence.all_after(begin)))
            days = [datetime.fromtimestamp(at / 1e6, UTC).astimezone(ZoneInfo(zone)).date() for at in found]
            assert len(set(days)) == len(days), (recurrence.cron, zone)
            inner = {min(days) + timedelta(days=n) for n in range((max(days) - min(days)).days + 1)}
            assert set(days) == inner, (recurrence.cron, zone)
            # Whoever looks from any moment in between sees the same: a restart doubles and loses nothing.
            for hours in range(0, 24 * 6, 1):
                at = begin + hours * HOUR + HOUR // 7
                following = next((each for each in found if each > at), None)
                if following is not None:
                    assert recurrence.after(at) == following, (recurrence.cron, zone, hours)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("cron", "length"), [("0 * * * *", HOUR), ("*/15 * * * *", HOUR // 4)])
def test_an_interval_has_no_gap_and_no_repeat(zone: str, cron: str, length: int) -> None:
    if zone == "Australia/Lord_Howe" and cron == "0 * * * *":
        pytest.skip("its clock changes by half an hour")
    for change in changes(zone, 2026):
        begin = int((change - timedelta(days=1)).timestamp() * 1e6)
        found = list(islice(Recurrence(cron=cron, timezone=zone).all_after(begin), 48 * HOUR // length))
        assert {later - earlier for earlier, later in pairwise(found)} == {length}


def test_every_counts_from_its_anchor() -> None:
    recurrence = parse_recurrence(every="15m", timezone="Europe/Berlin", anchor_us=us("2026-03-01T10:07"))
    assert recurrence.after(us("2026-03-01T10:07")) == us("2026-03-01T10:22")
    assert recurrence.after(us("2026-03-01T11:50")) == us("2026-03-01T11:52")
    assert recurrence.after(us("2026-01-01T00:00")) == us("2026-03-01T10:22")


def test_once() -> None:
    recurrence = parse_recurrence(at="2026-07-01T09:00", timezone="Europe/Berlin", anchor_us=0)
    assert recurrence.after(us("2026-07-01T06:59")) == us("2026-07-01T07:00")
    assert recurrence.after(us("2026-07-01T07:00")) is None


@pytest.mark.parametrize(
    ("fields", "field_name"),
    [
        ({}, "cron"),
        ({"cron": "* * * * *", "every": 5}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": "0 0 * * * *"}, "cron"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "@reboot"}, "cron"),
        ({"cron": "nonsense"}, "cron"),
        ({"every": "soon"}, "every"),
        ({"every": 0.5}, "every"),
        ({"every": float("inf")}, "every"),
        ({"at": "tomorrow"}, "at"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "timezone"),
        ({"cron": "@daily", "timezone": "../etc"}, "timezone"),
    ],
)
def test_what_is_no_schedule_names_its_field(fields: dict[str, object], field_name: str) -> None:
    with pytest.raises(ScheduleInvalid) as caught:
        parse_recurrence(**{"timezone": "UTC", "anchor_us": 0, **fields})  # type: ignore[arg-type]
    assert caught.value.parameters["field"] == field_name


@pytest.mark.parametrize(
    "word", ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@ANNUALLY"]
)
def test_words_for_common_schedules(word: str) -> None:
    assert parse_recurrence(cron=word, timezone="UTC", anchor_us=0).words()


def test_words() -> None:
    assert parse_recurrence(every=5400, timezone="UTC", anchor_us=0).words() == "Every 1 hour 30 minutes"
    assert parse_recurrence(every="15m", timezone="UTC", anchor_us=0).words() == "Every 15 minutes"
    assert parse_recurrence(every="1d", timezone="UTC", anchor_us=0).words() == "Every day"
    assert "09:00" in parse_recurrence(cron="0 9 * * 1-5", timezone="UTC", anchor_us=0).words()


@pytest.mark.parametrize(
    ("cron", "reason"),
    [
        ("61 * * * *", "“61” is no minute. Allowed: 0 to 59"),
        ("0 25 * * *", "“25” is no hour. Allowed: 0 to 23"),
        ("0 0 * 13 *", "“13” is no month. Allowed: 1 to 12"),
        ("0 0 * * MUN", "“MUN” is no day of the week. Allowed: 0 to 7"),
        ("0 0 31 2 *", "is never due"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(cron: str, reason: str) -> None:
    with pytest.raises(ScheduleInvalid) as caught:
        parse_recurrence(cron=cron, timezone="UTC", anchor_us=0)
    assert reason in caught.value.parameters["reason"]
