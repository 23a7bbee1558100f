"""Regular expressions, through the one library that can be stopped while it matches."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.library.arguments import need_text
from flowfuse.expression.operators import width
from flowfuse.expression.site import Misuse

MAX_PATTERN = 1000


def compiled(meter: Meter, pattern: Any) -> Any:
    """The compiled pattern; the library keeps the last few hundred."""
    import regex  # type: ignore[import-untyped]

    if len(need_text(pattern, "a text as the pattern")) > MAX_PATTERN:
        raise Misuse("the pattern is too long.")
    meter.charge(20)
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise Misuse(f"the pattern cannot be read: {error}.") from None


def search(meter: Meter, pattern: Any, text: str) -> Any:
    """The first match, or None."""
    expression = compiled(meter, pattern)
    meter.charge(len(text) >> 6)
    start = perf_counter()
    try:
        match = expression.search(text, timeout=meter.seconds_left(), concurrent=not meter.env.inline)
    except TimeoutError:
        raise meter.overran() from None
    meter.spent(start)
    return match


def matches(meter: Meter, pattern: Any, text: str) -> Iterator[Any]:
    """All matches, one after the other; each is charged."""
    expression = compiled(meter, pattern)
    meter.charge(len(text) >> 6)
    found = expression.finditer(text, timeout=meter.seconds_left(), concurrent=not meter.env.inline)
    while True:
        start = perf_counter()
        try:
            match = next(found, None)
        except TimeoutError:
            raise meter.overran() from None
        meter.spent(start)
        if match is None:
            return
        meter.charge(5, 100 + match.end() - match.start())
        yield match


def substitute(meter: Meter, pattern: Any, text: str, template: str, count: int) -> str:
    """The text with matches replaced; the template may name groups, as in \\1 and \\g<name>."""
    import regex

    pieces: list[str] = []
    position = 0
    for match in matches(meter, pattern, text):
        if count and len(pieces) >= 2 * count:
            break
        # No group is longer than the match, but for one behind a look-around: there the text bounds it.
        longest = max((len(group) for group in match.groups() if group), default=0)
        put = len(template) + template.count("\\") * max(longest, len(match[0]))
        meter.charge(put >> 4, put * width(text, template) + 98)
        try:
            pieces += text[position : match.start()], match.expand(template)
        except (regex.error, LookupError):
            raise Misuse("the replacement names a group that the pattern does not have.") from None
        position = match.end()
    pieces.append(text[position:])
    return "".join(pieces)
