"""Functions on numbers, and from and to them."""

from __future__ import annotations

from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.library.arguments import need_integer, need_number
from flowfuse.expression.library.registry import Group
from flowfuse.expression.operators import WORD
from flowfuse.expression.site import Misuse
from flowfuse.expression.texts import to_text

GROUP = Group("Numbers and kinds")
MAX_DIGITS = 4300
MAX_PLACES = 400


@GROUP.function("round(2.346, 2)", 2.35, quick={int: lambda value: value})
def round_(meter: Meter, number: Any, digits: Any = None) -> Any:
    """The number rounded to an integer or to so many digits; a half goes to the even neighbour."""
    need_number(number)
    if digits is None:
        return round(number)
    if abs(need_integer(digits, "the count of digits")) > MAX_PLACES:
        raise Misuse(f"the count of digits lies between -{MAX_PLACES} and {MAX_PLACES}.")
    return round(number, digits)


@GROUP.function("abs(-3)", 3, quick={int: abs, float: abs})
def abs_(meter: Meter, number: Any) -> Any:
    """The number without its sign."""
    return abs(need_number(number))


def _short(value: int) -> str:
    """The text of an integer that is not too long to go uncharged."""
    if -WORD < value < WORD:
        return str(value)
    raise Misuse("the integer is long.")


@GROUP.function("str(12.5)", "12.5", quick={str: str, int: _short})
def str_(meter: Meter, value: Any) -> str:
    """The value as text: text as it is, all else as JSON."""
    return to_text(meter, value)


@GROUP.function('int("42")', 42, quick={int: int})
def int_(meter: Meter, value: Any, base: Any = 10) -> int:
    """The integer of a text, number or boolean; a fraction is cut off."""
    if type(value) is not str:
        return int(need_number(value))
    if len(value) > MAX_DIGITS:
        raise Misuse("the text is too long for a number.")
    try:
        return int(value, need_integer(base, "the base"))
    except ValueError:
        raise Misuse(f"“{value[:40]}” is not an integer.") from None


@GROUP.function('float("2.5")', 2.5, quick={float: float})
def float_(meter: Meter, value: Any) -> float:
    """The number of a text, number or boolean, as one with a fraction."""
    if type(value) is not str:
        return float(need_number(value))
    if len(value) > MAX_DIGITS:
        raise Misuse("the text is too long for a number.")
    try:
        return float(value)
    except ValueError:
        raise Misuse(f"“{value[:40]}” is not a number.") from None


@GROUP.function('bool("")', False)
def bool_(meter: Meter, value: Any) -> bool:
    """Whether a value is true: null, 0, and empty texts, lists and objects are not."""
    return bool(value)


_NAMES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}


@GROUP.function("type(1.5)", "number")
def type_(meter: Meter, value: Any) -> str:
    """The kind of a value: null, boolean, integer, number, text, list or object."""
    return _NAMES[type(value)]
