"""Lists, objects and texts that an expression writes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowfuse.expression.site import FAULTS, Misuse, Site, kind_of
from flowfuse.expression.texts import QUICK_TEXT, encode, format_value

Closure = Callable[[Any], Any]


def list_of(parts: Sequence[Closure]) -> Closure:
    return lambda at: [part(at) for part in parts]


def object_of(keys: Sequence[str], values: Sequence[Closure]) -> Closure:
    """An object whose keys are known; short ones without a loop."""
    if len(keys) == 1:
        (a,), (first,) = keys, values
        return lambda at: {a: first(at)}
    if len(keys) == 2:
        (a, b), (first, second) = keys, values
        return lambda at: {a: first(at), b: second(at)}
    if len(keys) == 3:
        (a, b, c), (first, second, third) = keys, values
        return lambda at: {a: first(at), b: second(at), c: third(at)}
    pairs = list(zip(keys, values, strict=True))
    return lambda at: {key: value(at) for key, value in pairs}


def keyed_object(keys: Sequence[Closure], values: Sequence[Closure], site: Site, text: str) -> Closure:
    """An object with computed keys."""
    pairs = list(zip(keys, values, strict=True))

    def make(at: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in pairs:
            name = key(at)
            if type(name) is not str:
                raise site.fault(text, Misuse(f"the keys of an object are text, not {kind_of(name)}."))
            out[name] = value(at)
        return out

    return make


def text_of(value: Closure, meter_of: Closure, site: Site, text: str) -> Closure:
    """A value's text, as it is put into a template or an f-string."""

    def write(at: Any) -> str:
        given = value(at)
        if type(given) is str:
            return given
        quick = QUICK_TEXT.get(type(given))
        try:
            return quick(given) if quick else encode(meter_of(at), given)
        except FAULTS as error:
            raise site.fault(text, error) from None

    return write


def spec_text(value: Closure, spec: Closure, meter_of: Closure, site: Site, text: str) -> Closure:
    """`{x:spec}` of an f-string."""

    def write(at: Any) -> str:
        given, form = value(at), spec(at)
        try:
            return format_value(meter_of(at), given, form)
        except FAULTS as error:
            raise site.fault(text, error) from None

    return write


def joined(parts: Sequence[str | Closure], meter_of: Closure, site: Site, text: str, small: int) -> Closure:
    """The parts of an f-string or template as one text."""

    def join(at: Any) -> str:
        pieces = [part if type(part) is str else part(at) for part in parts]  # type: ignore[operator]
        size = sum(map(len, pieces))
        try:
            if size > small:
                meter_of(at).charge(size >> 9, size + 49)
            return "".join(pieces)
        except FAULTS as error:
            raise site.fault(text, error) from None

    return join
