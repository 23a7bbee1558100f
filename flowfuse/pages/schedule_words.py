"""A schedule as a person would say it, in the reader's language."""

from __future__ import annotations

import re

from flowfuse.engine.recurrence import Recurrence, iso
from flowfuse.pages.language import say, say_count

_UNITS = (
    (86_400, "{n} day", "{n} days"),
    (3_600, "{n} hour", "{n} hours"),
    (60, "{n} minute", "{n} minutes"),
    (1, "{n} second", "{n} seconds"),
)
_LOCALES = {"de": "de_DE"}
_NAMES = {
    "de": {
        "Monday": "Montag", "Tuesday": "Dienstag", "Wednesday": "Mittwoch", "Thursday": "Donnerstag",
        "Friday": "Freitag", "Saturday": "Samstag", "Sunday": "Sonntag", "January": "Januar",
        "February": "Februar", "March": "März", "May": "Mai", "June": "Juni", "July": "Juli",
        "October": "Oktober", "December": "Dezember",
    },
}  # fmt: skip
"""The library takes the names of days and months from the system's locale, which is seldom the reader's."""
_WORD = re.compile(r"[A-Z][a-z]+")


def schedule_words(recurrence: Recurrence, language: str = "en") -> str:
    """`At 09:00 on Monday`, `Every 5 minutes`, `Once, 2027-01-31T09:00:00+01:00`."""
    if language not in _LOCALES:
        return recurrence.words()
    if recurrence.at_us:
        return say(language, "Once, {time}", time=iso(recurrence.at_us, recurrence.timezone))
    if recurrence.every_us:
        return say(language, "Every {span}", span=_span(recurrence.every_us // 1_000_000, language))
    return _cron(recurrence.plain_cron, language)


def _span(seconds: int, language: str) -> str:
    parts = []
    for size, one, many in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(say_count(language, one, many, count))
    return " ".join(parts)


def _cron(expression: str, language: str) -> str:
    from cron_descriptor import Options, get_description

    options = Options()
    options.locale_code, options.use_24hour_time_format = _LOCALES[language], True
    names = _NAMES[language]
    return _WORD.sub(lambda found: names.get(found[0], found[0]), get_description(expression, options))
