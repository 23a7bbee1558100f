"""Recurrence: when a schedule is due – by a cron expression, every so often, or once.

Cron is cronsim's (Vixie's meaning: 0 and 7 are Sunday, two restricted day fields are an OR, a job at a
fixed time runs once on a day whose clock changes). Moments are UTC microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from flowfuse.errors import ScheduleInvalid
from flowfuse.model import seconds

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
SHORTEST_US = 1_000_000
GRACE_US = 300 * 1_000_000
"""Up to this late (or half a period, where that is less) a due time fires in any case."""
_FIELDS = 5
_ALLOWED = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L for the last"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 (0 and 7 are Sunday) or SUN to SAT"),
)
_FORMS = "all (*), lists (1,3), ranges (1-3) and steps (*/2)"
# To cronsim `5-5/2` is `5/2`, which goes on to the end; to Vixie it is 5.
_ONE_TO_ITSELF = re.compile(r"\b(\w+)-\1/\d+")
# A clock is put on or back by an hour or two: as much earlier the search for the next moment begins, so that
# one that was moved by the change is found from both sides of it.
_CHANGE = timedelta(hours=3)


class Recurrence(Struct, frozen=True):
    """One of `cron`, `every` (microseconds, counted from `anchor_us`) and `at` (a moment)."""

    cron: str = ""
    every_us: int = 0
    at_us: int = 0
    timezone: str = "UTC"
    anchor_us: int = 0

    def after(self, moment_us: int) -> int | None:
        """The first due moment later than `moment_us`; None where there is none."""
        return next(self.all_after(moment_us), None)

    def all_after(self, moment_us: int) -> Iterator[int]:
        """The due moments later than `moment_us`, in their order."""
        if self.at_us:
            return iter([self.at_us] if self.at_us > moment_us else [])
        if self.every_us:
            return self._steps(moment_us)
        return _cron_moments(self.cron, self.timezone, moment_us)

    def _steps(self, moment_us: int) -> Iterator[int]:
        due = self.anchor_us + (max(moment_us - self.anchor_us, 0) // self.every_us + 1) * self.every_us
        while True:
            yield due
            due += self.every_us

    def steps_between(self, first_us: int, last_us: int) -> int:
        """How many due moments of an even rhythm lie between two others; 0 for what has none."""
        return max(0, last_us - first_us) // self.every_us if self.every_us else 0

    def grace_us(self, due_us: int) -> int:
        """How late this due moment may be and still fire whatever the policy says."""
        following = self.after(due_us)
        return GRACE_US if following is None else min(GRACE_US, (following - due_us) // 2)

    @property
    def plain_cron(self) -> str:
        """The cron expression with five fields, also where it is a name such as `@daily`."""
        return _plain(self.cron)

    def words(self) -> str:
        """The schedule as a person would say it, in English."""
        if self.at_us:
            return f"Once, {iso(self.at_us, self.timezone)}"
        if self.every_us:
            return f"Every {_span(self.every_us)}"
        from cronsim import CronSim

        return str(CronSim(_plain(self.cron), datetime.now(UTC)).explain())


def parse_recurrence(
    *, cron: str = "", every: float | str | None = None, at: str = "", timezone: str, anchor_us: int
) -> Recurrence:
    """A schedule from a document's fields. Raises ScheduleInvalid, which names the field."""
    given = [value for value in (cron, every, at) if value not in ("", None)]
    if len(given) != 1:
        raise ScheduleInvalid(field="cron", reason="Give one of “cron”, “every” and “at”")
    zone = zone_of(timezone)
    if cron:
        _check_cron(cron, zone)
        return Recurrence(cron=cron.strip(), timezone=timezone)
    if at:
        return Recurrence(at_us=_moment(at, zone), timezone=timezone)
    assert every is not None
    # Counted from a whole second: what is due each second is due when the clock says so.
    whole = anchor_us - anchor_us % 1_000_000
    return Recurrence(every_us=_every_us(every), timezone=timezone, anchor_us=whole)


def zone_of(name: str) -> ZoneInfo:
    """A timezone by its IANA name. Raises ScheduleInvalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleInvalid(
            field="timezone", reason=f"“{name}” is no timezone such as Europe/Berlin or UTC"
        ) from None


def iso(moment_us: int, timezone: str) -> str:
    """A moment as ISO 8601 text with the timezone's offset."""
    moment = datetime.fromtimestamp(moment_us // 1_000_000, UTC).astimezone(ZoneInfo(timezone))
    return moment.replace(microsecond=moment_us % 1_000_000).isoformat()


def _every_us(every: float | str) -> int:
    try:
        length = int(seconds(every) * 1e6)
    except (ValueError, OverflowError):
        raise ScheduleInvalid(
            field="every", reason=f"{every!r} is no duration such as 15m or 1h30m"
        ) from None
    if not SHORTEST_US <= length <= 100 * 366 * 86400 * 1_000_000:
        raise ScheduleInvalid(field="every", reason=f"{every!r} is not between a second and 100 years")
    return length


def _moment(text: str, zone: ZoneInfo) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return int(moment.timestamp() * 1e6)
    except (ValueError, OverflowError, TypeError):
        raise ScheduleInvalid(
            field="at", reason=f"“{text}” is no date and time such as 2027-01-31T09:00"
        ) from None


def _plain(expression: str) -> str:
    return _ONE_TO_ITSELF.sub(r"\1", NICKNAMES.get(expression.strip().lower(), expression))


def _check_cron(expression: str, zone: ZoneInfo) -> None:
    from cronsim import CronSimError

    plain = _plain(expression)
    if plain.strip().startswith("@"):
        raise ScheduleInvalid(
            field="cron", reason=f"“{expression}” is none of {', '.join(sorted(NICKNAMES))}"
        )
    if len(plain.split()) != _FIELDS:
        raise ScheduleInvalid(
            field="cron",
            reason=f"“{expression}” has not five fields: minute, hour, day of month, month, day of week",
        )
    try:
        first = next(_cron_moments(plain, zone.key, 0), None)
    except CronSimError:
        raise ScheduleInvalid(field="cron", reason=_why(plain)) from None
    if first is None:
        raise ScheduleInvalid(field="cron", reason=f"“{expression}” is never due")


def _why(plain: str) -> str:
    """Which field of an expression is wrong, and what it may be."""
    from cronsim import CronSim, CronSimError

    for index, (field, (name, allowed)) in enumerate(zip(plain.split(), _ALLOWED, strict=True)):
        alone = ["*"] * _FIELDS
        alone[index] = field
        try:
            CronSim(" ".join(alone), datetime.now(UTC))
        except CronSimError:
            return f"“{field}” is no {name}. Allowed: {allowed}, and of these {_FORMS}"
    return f"“{plain}” is never due: none of its months has that day"


def _cron_moments(expression: str, timezone: str, moment_us: int) -> Iterator[int]:
    from cronsim import CronSim

    begin = datetime.fromtimestamp(moment_us / 1e6, UTC).astimezone(ZoneInfo(timezone))
    plain = _plain(expression)
    fixed = not any(part.startswith("*") for part in plain.split()[:2])
    for due in CronSim(plain, (begin.astimezone(UTC) - _CHANGE).astimezone(begin.tzinfo) if fixed else begin):
        due_us = int(due.timestamp()) * 1_000_000
        if due_us > moment_us:
            # Two times that a change of the clock has made one are due once.
            moment_us = due_us
            yield due_us


def _span(length_us: int) -> str:
    parts: list[str] = []
    left = length_us // 1_000_000
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    text = " ".join(parts)
    return text.removeprefix("1 ") if len(parts) == 1 else text or f"{length_us / 1e6:g} seconds"
