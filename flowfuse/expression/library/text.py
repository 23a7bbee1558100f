"""Functions on text."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.library.arguments import need_integer, need_text, one_of
from flowfuse.expression.library.patterns import matches, search, substitute
from flowfuse.expression.library.registry import Group
from flowfuse.expression.operators import contains as is_in
from flowfuse.expression.operators import width
from flowfuse.expression.site import Misuse, kind_of
from flowfuse.expression.texts import format_value, to_text

GROUP = Group("Text")


def _made(meter: Meter, text: Any, times: int = 1) -> str:
    """The text, charged for a new one made of it."""
    length = len(need_text(text))
    meter.charge(length >> (7 if text.isascii() else 3), length * times * width(text) + 49)
    return text  # type: ignore[no-any-return]


@GROUP.function('upper("abc")', "ABC", quick_text=str.upper)
def upper(meter: Meter, text: Any) -> str:
    """The text in capital letters."""
    return _made(meter, text).upper()


@GROUP.function('lower("ABC")', "abc", quick_text=str.lower)
def lower(meter: Meter, text: Any) -> str:
    """The text in small letters."""
    return _made(meter, text).lower()


@GROUP.function('title("ada lovelace")', "Ada Lovelace", quick_text=str.title)
def title(meter: Meter, text: Any) -> str:
    """The text with each word beginning with a capital letter."""
    return _made(meter, text).title()


@GROUP.function('strip("  abc ")', "abc", quick_text=str.strip)
def strip(meter: Meter, text: Any, characters: Any = None) -> str:
    """The text without white space, or without these characters, at both ends."""
    if characters is None:
        return _made(meter, text).strip()
    need_text(characters)
    meter.charge(len(need_text(text)) * (1 + (len(characters) >> 5)) >> 4)
    return _made(meter, text).strip(characters)


@GROUP.function('split("a,b,c", ",")', ["a", "b", "c"])
def split(meter: Meter, text: Any, separator: Any = None, limit: Any = -1) -> list[str]:
    """The parts between separators, or between white space; with a limit, at most so many cuts."""
    _made(meter, text)
    cuts = need_integer(limit, "the limit")
    if separator is None:
        meter.charge(len(text) >> 4, len(text) * 30)
        return text.split(None, cuts)  # type: ignore[no-any-return]
    if need_text(separator, "a text as the separator") == "":
        raise Misuse("the separator is empty; [c for c in text] gives the characters.")
    parts = text.count(separator) + 1
    meter.charge(parts + (len(text) >> 5), parts * 60)
    return text.split(separator, cuts)  # type: ignore[no-any-return]


@GROUP.function('replace("a-b-c", "-", "+")', "a+b+c")
def replace(meter: Meter, text: Any, find: Any, put: Any, regex: Any = False, count: Any = 0) -> str:
    """The text with find replaced, everywhere or `count` times; with regex=true find is a pattern."""
    need_text(find, "a text to find")
    need_text(put, "a text to put there")
    limit = max(0, need_integer(count, "the count"))
    meter.charge(len(need_text(text)) >> 5)
    if regex:
        return substitute(meter, find, text, put, limit)
    places = text.count(find)
    places = min(places, limit) if limit else places
    meter.charge(places >> 2, (len(text) + places * len(put)) * width(text, put) + 49)
    return text.replace(find, put, limit or -1)  # type: ignore[no-any-return]


@GROUP.function('startswith("invoice-7", "invoice")', True)
def startswith(meter: Meter, text: Any, start: Any) -> bool:
    """Whether the text begins with another."""
    meter.charge(len(need_text(start, "a text to begin with")) >> 9)
    return need_text(text).startswith(start)


@GROUP.function('endswith("report.pdf", ".pdf")', True)
def endswith(meter: Meter, text: Any, end: Any) -> bool:
    """Whether the text ends with another."""
    meter.charge(len(need_text(end, "a text to end with")) >> 9)
    return need_text(text).endswith(end)


@GROUP.function('contains("hello world", "wor")', True)
def contains(meter: Meter, value: Any, part: Any) -> bool:
    """Whether a text has a part, a list an element or an object a key; the same as part in value."""
    return bool(is_in(meter, part, value))


@GROUP.function('slug("Crème Brûlée, 2 pieces!")', "creme-brulee-2-pieces")
def slug(meter: Meter, text: Any, separator: Any = "-") -> str:
    """The text for an address or file name: small letters and digits with a separator between words."""
    meter.charge(len(need_text(text)), len(text) * (8 if text.isascii() else 80))
    words = re.findall(r"[a-z0-9]+", _plain_letters(text).lower())
    meter.charge(len(words), len(words) * (60 + len(need_text(separator))))
    return separator.join(words)  # type: ignore[no-any-return]


def _plain_letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return decomposed.encode("ascii", "ignore").decode()


@GROUP.function('truncate("a long sentence", 7)', "a long…")
def truncate(meter: Meter, text: Any, length: Any, end: Any = "…") -> str:
    """The text cut to a length, the sign at its end included; a shorter text stays as it is."""
    limit = max(0, need_integer(length, "the length"))
    if len(need_text(text)) <= limit:
        return text  # type: ignore[no-any-return]
    meter.charge(limit >> 9, limit * 4)
    kept = limit - len(need_text(end))
    return text[:kept].rstrip() + end if kept > 0 else text[:limit]  # type: ignore[no-any-return]


@GROUP.function('pad("7", 3, "0", side="left")', "007")
def pad(meter: Meter, text: Any, length: Any, fill: Any = " ", side: Any = "right") -> str:
    """The text (or number) filled up to a length, at its right, its left or both sides."""
    if type(text) is not str:
        text = to_text(meter, text)
    one_of(side, ("right", "left", "both"), "the side")
    if len(need_text(fill, "a text to fill with")) != 1:
        raise Misuse("the text to fill with is one character.")
    size = max(len(text), need_integer(length, "the length"))
    meter.charge(size >> 9, size * width(text, fill) + 49)
    how = {"right": text.ljust, "left": text.rjust, "both": text.center}[side]
    return how(length, fill)  # type: ignore[no-any-return]


@GROUP.function(
    'match("order 66", "(?P<number>\\\\d+)")',
    {"text": "66", "groups": ["66"], "named": {"number": "66"}, "start": 6, "end": 8},
)
def match(meter: Meter, text: Any, pattern: Any) -> dict[str, Any] | None:
    """The first place where a regular expression fits, as {text, groups, named, start, end}, or null."""
    found = search(meter, pattern, need_text(text))
    if found is None:
        return None
    groups, named = list(found.groups()), found.groupdict()
    size = sum(len(group) for group in groups if group)
    meter.charge(0, 1000 + size * 8 + len(found[0]) * 4)
    return {"text": found[0], "groups": groups, "named": named, "start": found.start(), "end": found.end()}


@GROUP.function('find_all("a1 b22", "[0-9]+")', ["1", "22"])
def find_all(meter: Meter, text: Any, pattern: Any) -> list[Any]:
    """All places where a regular expression fits: their texts, or where it has groups lists of those."""
    found: list[Any] = []
    for place in matches(meter, pattern, need_text(text)):
        groups = place.groups()
        meter.charge(1, 60 + sum(50 + len(group) for group in groups if group))
        found.append(list(groups) if groups else place[0])
    return found


@GROUP.function('format(1234.5, ",.2f")', "1,234.50")
def format_(meter: Meter, value: Any, spec: Any) -> str:
    """A number or text in Python's format: digits after the point, thousands, width, percent."""
    if type(value) not in (int, float, str):
        raise Misuse(f"only numbers and text have a format, not {kind_of(value)}.")
    return format_value(meter, value, spec)
