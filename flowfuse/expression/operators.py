"""Arithmetic and comparison: what each operator does to JSON values, charged by the size of its operands.

The functions here are the careful way. The closures in `arithmetic.py` take it only when their
operands are not plain numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import log2
from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.site import Misuse, kind_of

MAX_BITS = 14_280
"""An integer below this has at most 4,300 digits, as many as Python turns into text."""

WORD = 1 << 64
"""Integers below this are multiplied without asking."""

NUMBERS = frozenset((int, float, bool))
SCALARS = frozenset((int, float, bool, type(None)))
LONG_TEXT = 4096

Operation = Callable[[Meter, Any, Any], Any]


def _refuse(sign: str, a: Any, b: Any, hint: str = "") -> Misuse:
    return Misuse(f"{sign} does not work between {kind_of(a)} and {kind_of(b)}.{hint}")


def _bounded(*numbers: Any) -> None:
    for number in numbers:
        if type(number) is int and number.bit_length() > MAX_BITS:
            raise Misuse("the number is too large.")


def add(meter: Meter, a: Any, b: Any) -> Any:
    kinds = (type(a), type(b))
    if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
        _bounded(a, b)
        return a + b
    if kinds == (str, str):
        meter.charge((len(a) + len(b)) >> 9, (len(a) + len(b)) * width(a, b) + 49)
        return a + b
    if kinds == (list, list):
        meter.charge((len(a) + len(b)) >> 6, (len(a) + len(b)) * 8 + 56)
        return a + b
    if kinds == (dict, dict):
        raise _refuse("+", a, b, " merge_dicts(a, b) puts objects together.")
    if str in kinds:
        raise _refuse("+", a, b, ' Make text of it with str(…), or write f"{…}".')
    raise _refuse("+", a, b)


def width(*texts: str) -> int:
    """Bytes that a character of these texts takes at most; a sample of long ones would be no bound."""
    return 1 if all(text.isascii() for text in texts) else 4


def subtract(meter: Meter, a: Any, b: Any) -> Any:
    _need_numbers("-", a, b)
    _bounded(a, b)
    return a - b


def multiply(meter: Meter, a: Any, b: Any) -> Any:
    if type(a) in NUMBERS and type(b) in NUMBERS:
        _charge_product(meter, a, b)
        return a * b
    if type(b) in (str, list):
        a, b = b, a
    if type(b) is not int or type(a) not in (str, list):
        raise _refuse("*", a, b)
    length = len(a) * max(0, b)
    if type(a) is str:
        meter.charge(length >> 9, length * width(a) + 49)
    else:
        meter.charge(length >> 6, length * 8 + 56)
    return a * b


def _charge_product(meter: Meter, a: Any, b: Any) -> None:
    _bounded(a, b)
    if type(a) is float or type(b) is float:
        return
    words = (a.bit_length() >> 5) * (b.bit_length() >> 5)
    if a.bit_length() + b.bit_length() > MAX_BITS:
        raise Misuse("the result is too large.")
    meter.charge(words >> 5, (a.bit_length() + b.bit_length()) >> 3)


def _need_numbers(sign: str, a: Any, b: Any) -> None:
    if type(a) not in NUMBERS or type(b) not in NUMBERS:
        raise _refuse(sign, a, b)


def divide(meter: Meter, a: Any, b: Any) -> Any:
    _need_numbers("/", a, b)
    _charge_product(meter, a, b)
    return a / b


def floor_divide(meter: Meter, a: Any, b: Any) -> Any:
    _need_numbers("//", a, b)
    _charge_product(meter, a, b)
    return a // b


def modulo(meter: Meter, a: Any, b: Any) -> Any:
    if type(a) is str:
        raise Misuse('% does not format text here. Write f"{…}", or format(value, spec).')
    _need_numbers("%", a, b)
    _charge_product(meter, a, b)
    return a % b


def power(meter: Meter, a: Any, b: Any) -> Any:
    _need_numbers("**", a, b)
    if type(a) is not float and type(b) is not float:
        # A negative exponent gives a float, yet Python makes the same large integer on the way.
        bits = log2(abs(a)) * abs(b) if a else 0
        if bits > MAX_BITS:
            raise Misuse("the result is too large.")
        meter.charge((int(bits) >> 6) ** 2 >> 5, int(bits) >> 3)
    result = a**b
    if type(result) is complex:
        raise Misuse("a negative number has no such root.")
    return result


def negate(value: Any) -> Any:
    if type(value) not in NUMBERS:
        raise Misuse(f"- needs a number, not {kind_of(value)}.")
    return -value


def posit(value: Any) -> Any:
    if type(value) not in NUMBERS:
        raise Misuse(f"+ needs a number, not {kind_of(value)}.")
    return +value


def equal(meter: Meter, a: Any, b: Any) -> bool:
    if type(a) is type(b):
        touch_both(meter, a, b)
    return bool(a == b)


def unequal(meter: Meter, a: Any, b: Any) -> bool:
    return not equal(meter, a, b)


def touch_both(meter: Meter, a: Any, b: Any) -> None:
    """Charge a comparison: it ends where the smaller of both ends."""
    if type(a) in SCALARS or (type(a) in (list, dict, str) and len(a) != len(b)):
        return
    meter.touch(a)
    meter.touch(b)


def ordered(sign: str, compare: Callable[[Any, Any], Any]) -> Operation:
    """`<` and its like, on two numbers, two texts or two lists."""

    def operate(meter: Meter, a: Any, b: Any) -> bool:
        if type(a) in NUMBERS and type(b) in NUMBERS:
            return bool(compare(a, b))
        if type(a) is not type(b) or type(a) not in (str, list):
            raise _refuse(sign, a, b)
        if type(a) is str:
            meter.charge(min(len(a), len(b)) >> 9)
        else:
            meter.touch(a)
            meter.touch(b)
        try:
            return bool(compare(a, b))
        except TypeError:
            raise Misuse(f"{sign} finds elements of different kinds in these lists.") from None

    return operate


def contains(meter: Meter, needle: Any, container: Any) -> bool:
    """`needle in container`."""
    if type(container) is list:
        look_through(meter, needle, container)
        return needle in container
    if type(container) is dict:
        if type(needle) is not str:
            raise Misuse(f"the keys of an object are text, so {kind_of(needle)} cannot be in it.")
        meter.charge(len(needle) >> 9)
        return needle in container
    if type(container) is str:
        if type(needle) is not str:
            raise Misuse(f"only a text can be in a text, not {kind_of(needle)}.")
        meter.charge((len(container) + len(needle)) >> 6)
        return needle in container
    raise Misuse(f"nothing can be in {kind_of(container)}.")


def look_through(meter: Meter, needle: Any, container: list[Any]) -> None:
    """Charge a search through a list."""
    meter.charge(len(container) >> 2)
    if type(needle) is str and len(needle) > 64:
        meter.charge((len(container) * len(needle)) >> 9)
    elif type(needle) is list or type(needle) is dict:
        meter.touch(container)
        meter.touch(needle)


def lacks(meter: Meter, needle: Any, container: Any) -> bool:
    return not contains(meter, needle, container)


BINARY: dict[str, Operation] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "//": floor_divide,
    "%": modulo,
    "**": power,
}
COMPARISON: dict[str, Operation] = {
    "==": equal,
    "!=": unequal,
    "<": ordered("<", operator.lt),
    "<=": ordered("<=", operator.le),
    ">": ordered(">", operator.gt),
    ">=": ordered(">=", operator.ge),
    "in": contains,
    "not in": lacks,
}
PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""The interpreter's own operators, for operands that are known to be numbers."""
