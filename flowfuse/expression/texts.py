"""What a value looks like inside text: strings as they are, all else as compact JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.operators import MAX_BITS
from flowfuse.expression.site import Misuse, kind_of

MAX_WIDTH = 10_000_000
_SPEC = re.compile(
    r"(?:.?[<>=^])?[-+ ]?z?#?0?(?P<width>\d*)[,_]?(?:\.(?P<precision>\d+))?(?P<type>[bdeEfFgGosxX%]?)", re.S
)


def integer_text(value: int) -> str:
    if value.bit_length() > MAX_BITS:
        raise Misuse("an integer of more than 4,300 digits cannot become text.")
    return str(value)


def number_text(value: float) -> str:
    if not isfinite(value):
        raise Misuse("a number that is not finite cannot become text.")
    return repr(value)


QUICK_TEXT: dict[type, Callable[[Any], str]] = {
    str: lambda value: value,
    int: integer_text,
    float: number_text,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
}


def to_text(meter: Meter, value: Any) -> str:
    """The text of any value; containers are charged before they are written."""
    quick = QUICK_TEXT.get(type(value))
    return quick(value) if quick else encode(meter, value)


def encode(meter: Meter, value: Any, indent: int | None = None) -> str:
    """The value as JSON, compact or indented."""
    elements, characters = meter.weigh(value)
    meter.charge(elements + (characters >> 5), elements * (8 + 4 * (indent or 0)) + characters)
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=separators, indent=indent)
    except ValueError:
        raise Misuse("a number in this value is not finite, or too long, and cannot become text.") from None


def format_value(meter: Meter, value: Any, spec: str) -> str:
    """Python's format specification, on numbers and text only and with its width charged."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Misuse(f"only numbers and text have a format, not {kind_of(value)}.")
    if type(spec) is not str:
        raise Misuse(f"a format is a text, not {kind_of(spec)}.")
    if spec == "":
        return to_text(meter, value)
    match = _SPEC.fullmatch(spec) if len(spec) < 64 else None
    if match is None:
        raise Misuse(f"“{spec[:64]}” is not a format.")
    width = int((match["width"] or "0")[:12]) + int((match["precision"] or "0")[:12])
    if width > MAX_WIDTH:
        raise Misuse("the format asks for too many characters.")
    size = width + (len(value) if isinstance(value, str) else 400)
    meter.charge(size >> 3, size * 4)
    try:
        return format(value, spec)
    except (ValueError, OverflowError):
        raise Misuse(f"the format “{spec}” does not fit {kind_of(value)}.") from None
