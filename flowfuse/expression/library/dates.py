"""Functions on dates.

A date is ISO 8601 text with an offset; every function also takes what `date()` takes.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.library.arguments import need_number, need_text, one_of
from flowfuse.expression.library.registry import Group
from flowfuse.expression.site import Misuse, kind_of

GROUP = Group("Dates")
MILLISECONDS_ABOVE = 1e11
"""A larger number counts milliseconds: as seconds it would lie beyond the year 5100."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS = {"milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
_DURATION = re.compile(r"([-+]?\d{1,9}(?:\.\d{1,9})?)\s*(mo|ms|[ywdhms])")
_DURATION_PARTS = {
    "y": "years",
    "mo": "months",
    "w": "weeks",
    "d": "days",
    "h": "hours",
    "m": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
}
MAX_SPEC = 200
MAX_AMOUNT = 1e12


def zone_of(name: Any) -> tzinfo:
    """The zone of an IANA name or an offset such as +02:00."""
    from zoneinfo import ZoneInfo

    need_text(name, "a text as the timezone")
    if name == "UTC":
        return UTC
    if match := re.fullmatch(r"([-+])(\d\d):?([0-5]\d)", name):
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes < 1440:
            return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise Misuse(f"there is no timezone “{name[:60]}”.") from None


def instant(meter: Meter, value: Any) -> datetime:
    """The moment that a text or number means, with its offset."""
    meter.charge(10)
    if type(value) is str:
        moment = _from_text(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone_of(meter.env.timezone))
    if type(value) in (int, float):
        seconds = value / 1000 if abs(value) > MILLISECONDS_ABOVE else value
        return _checked(lambda: (EPOCH + timedelta(seconds=seconds)).astimezone(zone_of(meter.env.timezone)))
    raise Misuse(f"a date is a text or a number, not {kind_of(value)}.")


def _from_text(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip()[:64])
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        raise Misuse(f"“{text[:40]}” is not a date.") from None


def _checked(make: Any) -> datetime:
    try:
        return make()  # type: ignore[no-any-return]
    except (OverflowError, ValueError):
        raise Misuse("the date lies outside of the years 1 to 9999.") from None


def _localised(meter: Meter, moment: datetime) -> datetime:
    """The moment in the workflow's zone where its offset is the one that this zone has then.

    A date is text with an offset only, and days are counted by a wall clock, which may change over.
    """
    zone = zone_of(meter.env.timezone)
    try:
        local = moment.astimezone(zone)
    except OverflowError:
        return moment
    return local if local.utcoffset() == moment.utcoffset() else moment


def _settled(moment: datetime) -> datetime:
    """The moment as its zone's clock shows it: a time that a changeover leaves out moves on."""
    return _checked(lambda: moment.astimezone(UTC).astimezone(moment.tzinfo))


@GROUP.function("now()", "2026-11-23T10:30:00+00:00")
def now(meter: Meter) -> str:
    """The time at which this node began, in the workflow's timezone."""
    moment = EPOCH + timedelta(microseconds=meter.env.now_us)
    return moment.astimezone(zone_of(meter.env.timezone)).isoformat()


@GROUP.function("today()", "2026-11-23")
def today(meter: Meter) -> str:
    """The day on which this node began, in the workflow's timezone."""
    return now(meter)[:10]


@GROUP.function('date("2026-11-23 10:00")', "2026-11-23T10:00:00+00:00")
def date_(meter: Meter, value: Any) -> str:
    """The date of an ISO or e-mail text, or of a number of seconds or milliseconds since 1970."""
    return instant(meter, value).isoformat()


@GROUP.function('format_date("2026-11-23T10:00:00+00:00", "%d.%m.%Y %H:%M")', "23.11.2026 10:00")
def format_date(meter: Meter, value: Any, spec: Any = "%Y-%m-%d", timezone: Any = None) -> str:
    """The date by the signs of strftime, in another timezone where one is given."""
    if len(need_text(spec, "a text as the format")) > MAX_SPEC:
        raise Misuse("the format is too long.")
    meter.charge(20, 2000)
    moment = instant(meter, value)
    if timezone is not None:
        moment = _moved(moment, timezone)
    try:
        return moment.strftime(spec)
    except ValueError:
        raise Misuse(f"“{spec}” is not a format for dates.") from None


def _moved(moment: datetime, zone: Any) -> datetime:
    target = zone_of(zone)
    return _checked(lambda: moment.astimezone(target))


@GROUP.function('add_time("2026-01-31T10:00:00+00:00", months=1, hours=2)', "2026-02-28T12:00:00+00:00")
def add_time(
    meter: Meter,
    value: Any,
    duration: Any = None,
    years: Any = 0,
    months: Any = 0,
    weeks: Any = 0,
    days: Any = 0,
    hours: Any = 0,
    minutes: Any = 0,
    seconds: Any = 0,
) -> str:
    """The date moved by parts or by a duration such as "1d12h" or "-30m".

    Days and more go by the clock on the wall, hours and less by the time that passes.
    """
    parts = {"years": years, "months": months, "weeks": weeks, "days": days}
    parts |= {"hours": hours, "minutes": minutes, "seconds": seconds, "milliseconds": 0}
    for unit, amount in _duration_parts(duration):
        parts[unit] += amount
    for amount in parts.values():
        if not abs(need_number(amount)) < MAX_AMOUNT:
            raise Misuse("the date lies outside of the years 1 to 9999.")
    moment = _localised(meter, instant(meter, value))
    moment = _add_months(moment, parts["years"] * 12 + parts["months"])
    whole_days = parts["weeks"] * 7 + parts["days"]
    passed = sum(parts[unit] * SECONDS[unit] for unit in ("hours", "minutes", "seconds", "milliseconds"))
    if whole_days:
        moment = _settled(_checked(lambda: moment + timedelta(days=whole_days)))
    return _checked(
        lambda: (moment.astimezone(UTC) + timedelta(seconds=passed)).astimezone(moment.tzinfo)
    ).isoformat()


def _duration_parts(duration: Any) -> list[tuple[str, float]]:
    """“1h30m” as parts; a number counts seconds."""
    if duration is None:
        return []
    if type(duration) in (int, float):
        return [("seconds", duration)]
    text = need_text(duration, "a text as the duration").strip()
    found = _DURATION.findall(text) if len(text) < 100 else []
    if not found or _DURATION.sub("", text).strip():
        raise Misuse(f"“{text[:40]}” is not a duration; write it as in 1h30m or 2d.")
    return [
        (_DURATION_PARTS[unit], float(amount) if "." in amount else int(amount)) for amount, unit in found
    ]


def _add_months(moment: datetime, months: int | float) -> datetime:
    """The same day of a later month, or that month's last day."""
    if not months:
        return moment
    if months != int(months):
        raise Misuse("years and months are added as a whole.")
    year, month = divmod(moment.year * 12 + moment.month - 1 + int(months), 12)
    if not 1 <= year < 9999:
        raise Misuse("the date lies outside of the years 1 to 9999.")
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return _settled(moment.replace(year=year, month=month + 1, day=min(moment.day, last)))


@GROUP.function('diff_time("2026-11-23T12:00:00+00:00", "2026-11-23T10:30:00+00:00", "hours")', 1.5)
def diff_time(meter: Meter, later: Any, earlier: Any, unit: Any = "seconds") -> float:
    """How long after the second date the first one lies.

    The unit is milliseconds, seconds, minutes, hours, days or weeks.
    """
    seconds = SECONDS[one_of(unit, tuple(SECONDS), "the unit")]
    passed = instant(meter, later) - instant(meter, earlier)
    return passed / timedelta(seconds=seconds)


@GROUP.function('to_timezone("2026-11-23T10:00:00+00:00", "Europe/Berlin")', "2026-11-23T11:00:00+01:00")
def to_timezone(meter: Meter, value: Any, timezone: Any) -> str:
    """The same moment as a clock in another timezone shows it."""
    return _moved(instant(meter, value), timezone).isoformat()


@GROUP.function('start_of("2026-11-25T10:30:00+00:00", "week")', "2026-11-23T00:00:00+00:00")
def start_of(meter: Meter, value: Any, unit: Any) -> str:
    """The first moment of the date's unit, by the clock on the wall.

    The unit is year, quarter, month, week (from Monday), day, hour, minute or second.
    """
    rank = UNITS.index(one_of(unit, UNITS, "the unit"))
    moment = _localised(meter, instant(meter, value))
    changes: dict[str, Any] = {"microsecond": 0}
    for part, from_rank in (("second", 7), ("minute", 6), ("hour", 5)):
        if rank < from_rank:
            changes[part] = 0
    moment = moment.replace(**changes)
    if unit == "week":
        moment = _checked(lambda: moment - timedelta(days=moment.weekday()))
    elif rank < UNITS.index("week"):
        first = {"year": 1, "quarter": (moment.month - 1) // 3 * 3 + 1}.get(unit, moment.month)
        moment = moment.replace(day=1, month=first)
    return _settled(moment).isoformat()
