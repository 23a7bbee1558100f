"""Reading keys, indexes and slices out of values.

The closures read with one subscription each and explain only when that fails. JSON makes this safe: a
text key fits nothing but an object, and an integer nothing but a list or text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from flowfuse.errors import ExpressionFailed
from flowfuse.expression.interface import Missing
from flowfuse.expression.site import FAULTS, Misuse, Site, kind_of

Closure = Callable[[Any], Any]
Step = tuple[str | int, str, str]
"""A key or index, the text of what it is read from, and the text with it."""

KEYS_SHOWN = 20


class Absent(Misuse):
    """A key or index is not there, or there is nothing to look into."""


def key_path(base: Closure, steps: Sequence[Step]) -> Closure:
    """`base.a.b` as one closure."""
    keys = [step[0] for step in steps]
    if len(keys) == 1:
        first = keys[0]

        def one(at: Any) -> Any:
            value = base(at)
            try:
                return value[first]
            except (KeyError, TypeError, IndexError):
                explain(value, steps)

        return one
    if len(keys) == 2:
        first, second = keys

        def two(at: Any) -> Any:
            value = base(at)
            try:
                return value[first][second]
            except (KeyError, TypeError, IndexError):
                explain(value, steps)

        return two

    def many(at: Any) -> Any:
        root = value = base(at)
        try:
            for key in keys:
                value = value[key]
            return value
        except (KeyError, TypeError, IndexError):
            explain(root, steps)

    return many


def slot_path(slot: int, steps: Sequence[Step]) -> Closure:
    """`x.a.b` where x is a comprehension's variable."""
    keys = [step[0] for step in steps]
    if len(keys) == 1:
        first = keys[0]

        def one(at: Any) -> Any:
            try:
                return at[slot][first]
            except (KeyError, TypeError, IndexError):
                explain(at[slot], steps)

        return one

    def many(at: Any) -> Any:
        value = at[slot]
        try:
            for key in keys:
                value = value[key]
            return value
        except (KeyError, TypeError, IndexError):
            explain(at[slot], steps)

    return many


def explain(value: Any, steps: Sequence[Step]) -> NoReturn:
    """Walk the path again, slowly, and say at which step it ends and why."""
    for key, above, text in steps:
        try:
            value = pick(value, key, above)
        except Absent as error:
            raise Missing(reason=f"`{text}`: {error}") from None
        except Misuse as error:
            raise ExpressionFailed(reason=f"`{text}`: {error}") from None
    raise AssertionError("the path could be read after all")


def pick(value: Any, key: Any, above: str) -> Any:
    """`value[key]`, or the reason why not."""
    if type(value) is dict:
        if type(key) is not str:
            raise Misuse(f"the keys of an object are text, not {kind_of(key)}.")
        if key in value:
            return value[key]
        raise Absent(no_such_key(value, key, above))
    if type(value) is list or type(value) is str:
        return _element(value, key, above)
    raise Absent(f"`{above}` is {kind_of(value)}, so it has no {_named(key)}.")


def _element(value: Any, key: Any, above: str) -> Any:
    kind = kind_of(value)
    if type(key) is str:
        raise Absent(f"`{above}` is {kind}, not an object, so it has no {_named(key)}.")
    if type(key) is not int:
        raise Misuse(f"the index of {kind} is an integer, not {kind_of(key)}.")
    if -len(value) <= key < len(value):
        return value[key]
    raise Absent(f"there is no index {_number(key)}, since `{above}` has the length {len(value)}.")


def _named(key: Any) -> str:
    if type(key) is str:
        return f"key “{_cut(key)}”"
    return f"index {_number(key)}"


def _number(key: Any) -> str:
    return str(key) if type(key) is not int or key.bit_length() < 128 else "so large"


def _cut(key: str) -> str:
    return key if len(key) <= 60 else key[:59] + "…"


def no_such_key(value: dict[str, Any], key: str, above: str) -> str:
    """The sentence for a missing key, with the keys that are there and the nearest one."""
    if not value:
        return f"there is no key “{_cut(key)}”; `{above}` is an empty object."
    known = [_cut(name) for name, _ in zip(value, range(KEYS_SHOWN), strict=False)]
    more = f" and {len(value) - KEYS_SHOWN} more" if len(value) > KEYS_SHOWN else ""
    near = nearest(key, [name for name, _ in zip(value, range(1000), strict=False)])
    hint = f" Did you mean “{near}”?" if near else ""
    return f"there is no key “{_cut(key)}”; the keys there are {', '.join(known)}{more}.{hint}"


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that was probably meant."""
    from difflib import get_close_matches

    if len(word) > 80:
        return None
    folded = {name.casefold(): name for name in known if len(name) <= 80}
    match = get_close_matches(word.casefold(), folded, n=1, cutoff=0.7)
    return folded[match[0]] if match else None


def subscript(base: Closure, index: Closure, site: Site, above: str, text: str) -> Closure:
    """`x[i]` with an index that is only known at run time."""

    def read(at: Any) -> Any:
        value = base(at)
        key = index(at)
        try:
            return pick(value, key, above)
        except Absent as error:
            raise Missing(reason=f"`{text}`: {error}") from None
        except FAULTS as error:
            raise site.fault(text, error) from None

    return read


def _check_slice(value: Any, span: slice) -> None:
    if type(value) is not list and type(value) is not str:
        raise Misuse(f"only a list or a text can be sliced, not {kind_of(value)}.")
    for bound in (span.start, span.stop, span.step):
        if bound is not None and type(bound) is not int:
            raise Misuse(f"the bounds of a slice are integers, not {kind_of(bound)}.")
    if span.step == 0:
        raise Misuse("the step of a slice cannot be 0.")


def cut(
    base: Closure, bounds: Sequence[Closure | None], meter_of: Closure, site: Site, text: str, small: int
) -> Closure:
    """`x[a:b:c]`; what is copied is charged, as a list of a list's length."""

    def read(at: Any) -> Any:
        value = base(at)
        span = slice(*(None if bound is None else bound(at) for bound in bounds))
        try:
            _check_slice(value, span)
            length = len(range(*span.indices(len(value))))
            if length > small:
                meter_of(at).charge(length >> 6, length * 8 + 56)
            return value[span]
        except FAULTS as error:
            raise site.fault(text, error) from None

    return read
