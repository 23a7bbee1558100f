"""How the pages say times, durations, counts and states, in one place."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from flowfuse.model import Execution

MONTHS = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "de": ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sep.", "Okt.", "Nov.", "Dez."],
}
DAYS = {
    "en": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    "de": ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"],
}
_WEEK_US = 7 * 86_400 * 1_000_000


class StateWords(Struct, frozen=True):
    """A state as it is shown: never by colour alone, so always sign and word."""

    tone: str
    icon: str
    word: str


STATES = {
    "pending": StateWords("idle", "clock", "Queued"),
    "running": StateWords("run", "play", "Running"),
    "waiting": StateWords("wait", "wait", "Waiting"),
    "paused": StateWords("warn", "pause", "Paused"),
    "completed": StateWords("ok", "check", "Done"),
    "failed": StateWords("fail", "x", "Failed"),
    "cancelled": StateWords("idle", "stop", "Cancelled"),
}


PORT_WORDS = {"true": "yes", "false": "no", "default": "else"}
"""What the ports of a condition are called where people read them."""
_SIZE = re.compile(r"(?P<number>\d{1,15}(?:[.,]\d{1,6})?)\s*(?P<unit>|bytes?|[kmgt](?:i?b)?)", re.IGNORECASE)


def way(port: str) -> str:
    """A port as people call it."""
    return PORT_WORDS.get(port, port)


def state_words(execution: Execution) -> StateWords:
    """The state of a run; a durable wait is told apart from work, though both are `running`."""
    waits = execution.state == "running" and execution.waiting
    return STATES["waiting" if waits else execution.state]


def count(number: int, one: str = "", many: str = "") -> str:
    """`1,284 runs`: the number, and the noun in the form that fits it."""
    noun = one if number == 1 else many or f"{one}s"
    return f"{number:,} {noun}" if one else f"{number:,}"


def initials(name: str) -> str:
    """`MK` for Marta Kühn: what stands in the round sign of a person."""
    parts = name.split()
    return "".join(part[0] for part in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)).upper()


def size(number: int, language: str = "en") -> str:
    """Bytes as people read them: `812 bytes`, `1.4 MB`."""
    shown, unit = float(number), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if shown < 1000:
            break
        shown, unit = shown / 1000, larger
    text = f"{shown:.0f}" if unit == "bytes" or shown >= 100 else f"{shown:.1f}"
    return f"{text.replace('.', ',') if language == 'de' else text} {unit}"


def typed_size(number: int, language: str = "en") -> str:
    """Bytes as people type them, exactly: `2 GB`, `1.5 MB`; what is no round number stays one."""
    for unit, each in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= each and number % (each // 1000) == 0:
            text = f"{number / each:.3f}".rstrip("0").rstrip(".")
            return f"{text.replace('.', ',') if language == 'de' else text} {unit}"
    return str(number)


def bytes_of(text: str) -> int | None:
    """The number of bytes that a typed size means: `2 GB`, `1,5 gb`, `500 MiB`, `2000000`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    unit = found["unit"].lower()
    base = 1024 if unit.endswith("ib") else 1000
    power = "kmgt".find(unit[0]) + 1 if unit else 0
    return int(float(found["number"].replace(",", ".")) * base**power)


def agent_words(agent: str) -> str:
    """What a browser calls itself, in short: `Firefox on Linux`."""
    known = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (("Android", "Android"), ("iPhone", "iPhone"), ("Windows", "Windows"), ("Mac OS", "macOS"),
               ("Linux", "Linux"))  # fmt: skip
    browser = next((name for sign, name in known if sign in agent), "")
    system = next((name for sign, name in systems if sign in agent), "")
    return f"{browser} on {system}" if browser and system else agent[:60]


def took(micros: int | float | None) -> str:
    """A duration with as many digits as matter: `0.4 ms`, `212 ms`, `1.4 s`, `4 min 10 s`, `2 h 5 min`."""
    if micros is None:
        return ""
    if micros < 50:
        return "0 ms"
    ms = micros / 1000
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return _long(round(seconds))


def _long(seconds: int) -> str:
    for size, name, small_size, small in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            big, rest = divmod(seconds, size)
            rest //= small_size
            return f"{big} {name} {rest} {small}" if rest else f"{big} {name}"
    return f"{seconds} s"


def when(micros: int | None, now: int, zone: str = "", language: str = "en") -> str:
    """Clock time today, weekday and time within a week, the date before that."""
    if micros is None:
        return ""
    moment, today = local(micros, zone), local(now, zone)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    if abs(now - micros) < _WEEK_US:
        return f"{DAYS[language][moment.weekday()]} {moment:%H:%M}"
    dot = "." if language == "de" else ""
    shown = f"{moment.day}{dot} {MONTHS[language][moment.month - 1]}"
    return shown if moment.year == today.year else f"{shown} {moment.year}"


def instant(micros: int, zone: str = "") -> str:
    """The time of day to the millisecond: `14:03:22.118`."""
    moment = local(micros, zone)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"


def midnight(now: int, zone: str = "") -> int:
    """When the reader's day began."""
    start = local(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(start.timestamp()) * 1_000_000


def day_words(day: date, language: str = "en") -> str:
    """A day of a calendar: `Mon 23 Nov`, `Mo 23. Nov.` in German."""
    names, months = DAYS[language], MONTHS[language]
    dot = "." if language == "de" else ""
    return f"{names[day.weekday()]} {day.day}{dot} {months[day.month - 1]}"


def iso(micros: int | None) -> str:
    """The instant for machines (`<time datetime>`), in UTC."""
    return "" if micros is None else f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%dT%H:%M:%S}Z"


def local(micros: int, zone: str) -> datetime:
    """An instant in the reader's time zone."""
    try:
        where = ZoneInfo(zone) if zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        where = None  # the name comes from a cookie; a bad one means the server's own zone
    return datetime.fromtimestamp(micros / 1e6, UTC).astimezone(where)
