"""Closures for operators: straight on for plain numbers, else the careful way of `operators.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowfuse.expression.operators import (
    BINARY,
    COMPARISON,
    LONG_TEXT,
    PLAIN,
    SCALARS,
    WORD,
    Operation,
)
from flowfuse.expression.site import FAULTS, Site

Closure = Callable[[Any], Any]
MeterOf = Callable[[Any], Any]
Careful = Callable[[Any, Any, Any], Any]

SHORT_LIST = 16


def binary(sign: str, left: Closure, right: Closure, meter_of: MeterOf, site: Site, text: str) -> Closure:
    """`a + b` and its like."""
    careful = carefully(BINARY[sign], meter_of, site, text)
    plain = PLAIN.get(sign)
    if plain is None:
        return lambda at: careful(at, left(at), right(at))

    def operate(at: Any) -> Any:
        a = left(at)
        b = right(at)
        # The bound keeps chains of products from growing unseen; it is also false for not-a-number.
        if (type(a) is int or type(a) is float) and (type(b) is int or type(b) is float):
            try:
                if -WORD < a < WORD and -WORD < b < WORD:
                    return plain(a, b)
            except ArithmeticError:
                pass
        return careful(at, a, b)

    return operate


def binary_constant(
    sign: str, left: Closure, b: int | float, meter_of: MeterOf, site: Site, text: str
) -> Closure:
    """`a + 1` and its like, where the right side is a number below `WORD` and not zero."""
    careful = carefully(BINARY[sign], meter_of, site, text)
    if sign == "+":

        def plus(at: Any) -> Any:
            a = left(at)
            if type(a) is int or type(a) is float:
                return a + b if -WORD < a < WORD else careful(at, a, b)
            return careful(at, a, b)

        return plus
    if sign == "*":

        def times(at: Any) -> Any:
            a = left(at)
            if (type(a) is int or type(a) is float) and -WORD < a < WORD:
                return a * b
            return careful(at, a, b)

        return times
    plain = PLAIN.get(sign)
    if plain is None:
        return lambda at: careful(at, left(at), b)

    def operate(at: Any) -> Any:
        a = left(at)
        if (type(a) is int or type(a) is float) and -WORD < a < WORD:
            return plain(a, b)
        return careful(at, a, b)

    return operate


def carefully(
    operation: Operation, meter_of: MeterOf, site: Site, text: str
) -> Callable[[Any, Any, Any], Any]:
    """The operation with a meter, and its faults as failures of the expression."""

    def operate(at: Any, a: Any, b: Any) -> Any:
        try:
            return operation(meter_of(at), a, b)
        except FAULTS as error:
            raise site.fault(text, error) from None

    return operate


def comparison(sign: str, left: Closure, right: Closure, meter_of: MeterOf, site: Site, text: str) -> Closure:
    """One comparison."""
    careful = carefully(COMPARISON[sign], meter_of, site, text)
    if sign in ("==", "!="):
        return _equality(sign, left, right, careful)
    if sign in ("in", "not in"):
        return _membership(sign == "in", left, right, careful)
    plain = PLAIN[sign]

    def order(at: Any) -> Any:
        a = left(at)
        b = right(at)
        if (type(a) is int or type(a) is float) and (type(b) is int or type(b) is float):
            return plain(a, b)
        return careful(at, a, b)

    return order


def equality_constant(sign: str, left: Closure, b: Any) -> Closure:
    """`a == "text"`: what is written in the expression bounds the work."""
    if sign == "==":
        return lambda at: left(at) == b
    return lambda at: left(at) != b


def order_constant(
    sign: str, left: Closure, b: int | float, meter_of: MeterOf, site: Site, text: str
) -> Closure:
    """`a > 3` and its like, with a number written in the expression."""
    plain = PLAIN[sign]
    careful = carefully(COMPARISON[sign], meter_of, site, text)
    if sign == ">":

        def above(at: Any) -> Any:
            a = left(at)
            return a > b if type(a) is int or type(a) is float else careful(at, a, b)

        return above

    def order(at: Any) -> Any:
        a = left(at)
        return plain(a, b) if type(a) is int or type(a) is float else careful(at, a, b)

    return order


def _equality(sign: str, left: Closure, right: Closure, careful: Careful) -> Closure:
    plain = PLAIN[sign]

    def operate(at: Any) -> Any:
        a = left(at)
        b = right(at)
        kind = type(a)
        if kind in SCALARS or (kind is str and len(a) < LONG_TEXT):
            return plain(a, b)
        return careful(at, a, b)

    return operate


def _membership(
    wanted: bool, left: Closure, right: Closure, careful: Callable[[Any, Any, Any], Any]
) -> Closure:
    def operate(at: Any) -> Any:
        needle = left(at)
        container = right(at)
        kind = type(container)
        if type(needle) is str and len(needle) < LONG_TEXT:
            if kind is dict or (kind is str and len(container) < LONG_TEXT):
                return (needle in container) is wanted
            if kind is list and len(container) < SHORT_LIST:
                return (needle in container) is wanted
        return careful(at, needle, container)

    return operate


def chain(
    operands: Sequence[Closure], signs: Sequence[str], meter_of: MeterOf, site: Site, text: str
) -> Closure:
    """`a < b < c`: each operand once, and none after the first comparison that does not hold."""
    steps = [
        (carefully(COMPARISON[sign], meter_of, site, text), operand)
        for sign, operand in zip(signs, operands[1:], strict=True)
    ]
    first = operands[0]

    def operate(at: Any) -> Any:
        a = first(at)
        for compare, operand in steps:
            b = operand(at)
            if not compare(at, a, b):
                return False
            a = b
        return True

    return operate


def conjunction(parts: Sequence[Closure]) -> Closure:
    """`a and b and …`, with Python's value: the first that is false, or the last."""
    if len(parts) == 2:
        first, second = parts
        return lambda at: first(at) and second(at)
    *head, last = parts

    def operate(at: Any) -> Any:
        for part in head:
            value = part(at)
            if not value:
                return value
        return last(at)

    return operate


def disjunction(parts: Sequence[Closure]) -> Closure:
    """`a or b or …`, with Python's value: the first that is true, or the last."""
    if len(parts) == 2:
        first, second = parts
        return lambda at: first(at) or second(at)
    *head, last = parts

    def operate(at: Any) -> Any:
        for part in head:
            value = part(at)
            if value:
                return value
        return last(at)

    return operate
