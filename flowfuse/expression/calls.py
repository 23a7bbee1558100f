"""Calls of library functions: arguments fitted at compile time, a closure for each number of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowfuse.expression.budget import SMALL
from flowfuse.expression.interface import Missing, Unfired
from flowfuse.expression.library import Function
from flowfuse.expression.site import FAULTS, Site

Closure = Callable[[Any], Any]


class Misfit(Exception):
    """The arguments do not fit the function's signature."""


def fit(function: Function, given: Sequence[Closure], named: dict[str, Closure]) -> list[Closure]:
    """The arguments in the order of the parameters, with defaults for those left out."""
    names = function.parameters
    if function.variadic:
        return _fit_variadic(function, given, named)
    if len(given) > len(names):
        raise Misfit(f"{function.signature} takes at most {len(names)} argument(s), not {len(given)}.")
    fitted: list[Closure | None] = [*given, *([None] * (len(names) - len(given)))]
    for name, closure in named.items():
        position = _position(function, name)
        if fitted[position] is not None:
            raise Misfit(f"{function.signature} is given {name} twice.")
        fitted[position] = closure
    return _with_defaults(function, fitted)


def _position(function: Function, name: str) -> int:
    if name not in function.parameters:
        raise Misfit(f"{function.signature} has no argument named {name}.")
    return function.parameters.index(name)


def _with_defaults(function: Function, fitted: Sequence[Closure | None]) -> list[Closure]:
    required = len(function.parameters) - len(function.defaults)
    out = []
    for position, closure in enumerate(fitted):
        if closure is None and position < required:
            raise Misfit(f"{function.signature} needs its argument {function.parameters[position]}.")
        out.append(closure or _constant(function.defaults[position - required]))
    return out


def _fit_variadic(function: Function, given: Sequence[Closure], named: dict[str, Closure]) -> list[Closure]:
    if named:
        raise Misfit(f"{function.signature} has no argument named {next(iter(named))}.")
    if len(given) < len(function.parameters):
        raise Misfit(f"{function.signature} needs at least {len(function.parameters)} argument(s).")
    return list(given)


def _constant(value: Any) -> Closure:
    return lambda at: value


def call(
    function: Function, arguments: Sequence[Closure], meter_of: Closure, site: Site, text: str, looping: bool
) -> Closure:
    """The call as a closure; functions of one argument may go a quick way."""
    careful = carefully(function, arguments[1:], meter_of, site, text)
    if not arguments:
        return lambda at: careful(at)
    subject = arguments[0]
    if function.quick_text and len(arguments) == 1 and not looping:
        return _quick_text(function.quick_text, subject, careful)
    if function.quick and len(arguments) == 1:
        return _quick(function.quick, subject, careful)
    return lambda at: careful(at, subject(at))


def _quick_text(quick: Callable[[str], Any], subject: Closure, careful: Callable[..., Any]) -> Closure:
    def operate(at: Any) -> Any:
        value = subject(at)
        if type(value) is str and len(value) < SMALL:
            return quick(value)
        return careful(at, value)

    return operate


def _quick(quick: dict[type, Callable[[Any], Any]], subject: Closure, careful: Callable[..., Any]) -> Closure:
    def operate(at: Any) -> Any:
        value = subject(at)
        known = quick.get(type(value))
        if known is None:
            return careful(at, value)
        try:
            return known(value)
        except FAULTS:
            return careful(at, value)

    return operate


def carefully(
    function: Function, rest: Sequence[Closure], meter_of: Closure, site: Site, text: str
) -> Callable[..., Any]:
    """Calls the function with a meter; its faults become failures of the expression."""
    run = function.run
    if len(rest) == 1:
        second = rest[0]

        def two(at: Any, first: Any) -> Any:
            given = second(at)
            try:
                return run(meter_of(at), first, given)
            except FAULTS as error:
                raise site.fault(text, error) from None

        return two

    def many(at: Any, *first: Any) -> Any:
        given = [argument(at) for argument in rest]
        try:
            return run(meter_of(at), *first, *given)
        except FAULTS as error:
            raise site.fault(text, error) from None

    return many


def lazily(subject: Closure, fallback: Closure, get: Callable[[Any, Any], Any]) -> Closure:
    """`get(x, …)`: where x itself cannot be read, because something on the way is missing, the default."""

    def operate(at: Any) -> Any:
        try:
            value = subject(at)
        except (Missing, Unfired):
            return fallback(at)
        return get(at, value)

    return operate
