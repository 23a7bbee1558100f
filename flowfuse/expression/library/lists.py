"""Functions on lists."""

from __future__ import annotations

import json
from itertools import compress
from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.comprehension import elements
from flowfuse.expression.library.arguments import column, need_integer, need_list, need_number, need_text
from flowfuse.expression.library.registry import Group
from flowfuse.expression.operators import WORD
from flowfuse.expression.site import Misuse, kind_of
from flowfuse.expression.texts import to_text

GROUP = Group("Lists")
MAX_DEPTH = 100


@GROUP.function("len([1, 2, 3])", 3, quick={list: len, str: len, dict: len})
def len_(meter: Meter, value: Any) -> int:
    """How many elements, keys or characters a value has."""
    if type(value) not in (list, str, dict):
        raise Misuse(f"{kind_of(value)} has no length.")
    return len(value)


@GROUP.function("sum([1, 2.5])", 3.5)
def sum_(meter: Meter, numbers: Any, start: Any = 0) -> Any:
    """The sum of a list of numbers."""
    values = need_list(numbers)
    meter.charge(len(values) >> 1)
    for value in values:
        if type(value) is int and not -WORD < value < WORD:
            meter.charge(value.bit_length() >> 9)
        need_number(value)
    return sum(values, need_number(start))


@GROUP.function("min([3, 1, 2])", 1)
def min_(meter: Meter, *values: Any) -> Any:
    """The smallest of a list, or of several values."""
    return min(_comparable(meter, _several(values, "min")))


@GROUP.function("max(3, 7)", 7)
def max_(meter: Meter, *values: Any) -> Any:
    """The largest of a list, or of several values."""
    return max(_comparable(meter, _several(values, "max")))


def _several(values: tuple[Any, ...], name: str) -> list[Any]:
    several = list(values)
    if len(several) == 1:
        several = need_list(several[0])
    if not several:
        raise Misuse(f"an empty list has no {name}.")
    return several


def _comparable(meter: Meter, values: list[Any], rounds: int = 1) -> list[Any]:
    """The values, charged for `rounds` comparisons each, where they are all of one kind."""
    meter.charge(len(values) * rounds >> 1)
    kinds = set(map(type, values))
    if not (kinds <= {int, float, bool} or (len(kinds) == 1 and kinds <= {str, list})):
        names = sorted({kind_of(value) for value in values})
        raise Misuse(f"{' and '.join(names)} cannot be put in order.")
    if kinds & {str, list}:
        meter.touch(values, rounds)
    return values


def _rounds(values: list[Any]) -> int:
    return max(1, len(values).bit_length())


@GROUP.function('any([0, "", 3])', True)
def any_(meter: Meter, values: Any) -> bool:
    """Whether at least one element is true."""
    meter.charge(len(need_list(values)) >> 3)
    return any(values)


@GROUP.function('all([1, "a", true])', True)
def all_(meter: Meter, values: Any) -> bool:
    """Whether every element is true."""
    meter.charge(len(need_list(values)) >> 3)
    return all(values)


@GROUP.function("sorted([3, 1, 2], descending=true)", [3, 2, 1])
def sorted_(meter: Meter, values: Any, descending: Any = False) -> list[Any]:
    """The list in order: numbers, or texts, or lists."""
    listed = list(elements(meter, values))
    meter.charge(len(listed) >> 6, len(listed) * 8)
    if not listed:
        return []
    return sorted(_comparable(meter, listed, _rounds(listed)), reverse=bool(descending))


@GROUP.function('sort_by([{"n": 2}, {"n": 1}], "n")', [{"n": 1}, {"n": 2}])
def sort_by(meter: Meter, items: Any, key: Any, descending: Any = False) -> list[Any]:
    """The items in the order of what they have at a key path; those without it come last."""
    values = column(meter, need_list(items), key)
    present = [index for index, value in enumerate(values) if value is not None]
    absent = [items[index] for index, value in enumerate(values) if value is None]
    meter.charge(len(items) >> 2, len(items) * 24)
    if present:
        _comparable(meter, [values[index] for index in present], _rounds(present))
    present.sort(key=values.__getitem__, reverse=bool(descending))
    return [*(items[index] for index in present), *absent]


@GROUP.function("reversed([1, 2, 3])", [3, 2, 1])
def reversed_(meter: Meter, value: Any) -> Any:
    """A list or text from its end to its start."""
    if type(value) is str:
        meter.charge(len(value) >> 6, len(value) * 4)
        return value[::-1]
    meter.charge(len(need_list(value)) >> 6, len(value) * 8)
    return value[::-1]


@GROUP.function("range(1, 4)", [1, 2, 3])
def range_(meter: Meter, start: Any, stop: Any = None, step: Any = 1) -> list[int]:
    """The integers from start up to but not including stop; with one argument, from 0 up to it."""
    if stop is None:
        start, stop = 0, start
    bounds = [need_integer(bound, "a bound of a range") for bound in (start, stop, step)]
    if step == 0:
        raise Misuse("the step of a range cannot be 0.")
    span = range(*bounds)
    length = max(0, (stop - start + step + (-1 if step > 0 else 1)) // step)
    meter.charge(min(length, 1 << 40) >> 3, min(length, 1 << 40) * 40)
    return list(span)


@GROUP.function("unique([1, 2, 1])", [1, 2])
def unique(meter: Meter, items: Any, key: Any = None) -> list[Any]:
    """Each element once, at its first place; with a key path, one item for each value there."""
    values = column(meter, need_list(items), key)
    meter.touch(values)
    meter.charge(len(values) * 3, len(values) * 80)
    seen: set[Any] = set()
    chosen = []
    for item, value in zip(items, values, strict=True):
        mark = _mark(meter, value)
        if mark not in seen:
            seen.add(mark)
            chosen.append(item)
    return chosen


def _mark(meter: Meter, value: Any) -> Any:
    """Something that is equal for equal values; true is not the number 1 here."""
    if type(value) is bool:
        return (bool, value)
    if type(value) in (list, dict):
        meter.touch(value, 50)
        return (list, json.dumps(value, sort_keys=True))
    return value


@GROUP.function("flatten([1, [2, [3]]])", [1, 2, [3]])
def flatten(meter: Meter, items: Any, depth: Any = 1) -> list[Any]:
    """A list with the lists in it put in their place, so many levels deep."""
    flat = need_list(items)
    for _ in range(min(MAX_DEPTH, need_integer(depth, "the depth"))):
        if not any(type(item) is list for item in flat):
            break
        flat = _flatten_once(meter, flat)
    return flat


def _flatten_once(meter: Meter, items: list[Any]) -> list[Any]:
    meter.charge(len(items))
    flat: list[Any] = []
    for item in items:
        if type(item) is list:
            meter.charge(len(item) >> 6, len(item) * 8)
            flat += item
        else:
            flat.append(item)
    return flat


@GROUP.function('zip([1, 2], ["a", "b"])', [[1, "a"], [2, "b"]])
def zip_(meter: Meter, *lists: Any) -> list[list[Any]]:
    """Lists of the first elements, the second ones and so on, up to the end of the shortest list."""
    shortest = min((len(need_list(each)) for each in lists), default=0)
    meter.charge(shortest * (1 + len(lists) // 8), shortest * (64 + 8 * len(lists)))
    return [list(each) for each in zip(*lists, strict=False)]


@GROUP.function(
    'group_by([{"k": "a", "v": 1}, {"k": "b", "v": 2}], "k")',
    {"a": [{"k": "a", "v": 1}], "b": [{"k": "b", "v": 2}]},
)
def group_by(meter: Meter, items: Any, key: Any) -> dict[str, list[Any]]:
    """An object of lists: the items by the text of what they have at a key path."""
    values = column(meter, need_list(items), key)
    meter.charge(len(values) * 2, len(values) * 100)
    groups: dict[str, list[Any]] = {}
    for item, value in zip(items, values, strict=True):
        groups.setdefault(to_text(meter, value), []).append(item)
    return groups


@GROUP.function('count_by(["a", "b", "a"])', {"a": 2, "b": 1})
def count_by(meter: Meter, items: Any, key: Any = None) -> dict[str, int]:
    """An object of counts: how many items have each value, or each value at a key path."""
    values = column(meter, need_list(items), key)
    meter.charge(len(values) * 2, len(values) * 40)
    counts: dict[str, int] = {}
    for value in values:
        name = to_text(meter, value)
        counts[name] = counts.get(name, 0) + 1
    return counts


@GROUP.function("first([1, 2, 3])", 1)
def first(meter: Meter, items: Any, default: Any = None) -> Any:
    """The first element of a list or text, or the default where it is empty."""
    if type(items) is not str:
        need_list(items)
    return items[0] if items else default


@GROUP.function("last([1, 2, 3])", 3)
def last(meter: Meter, items: Any, default: Any = None) -> Any:
    """The last element of a list or text, or the default where it is empty."""
    if type(items) is not str:
        need_list(items)
    return items[-1] if items else default


@GROUP.function("chunk([1, 2, 3], 2)", [[1, 2], [3]])
def chunk(meter: Meter, items: Any, size: Any) -> list[list[Any]]:
    """The list in pieces of a size; the last one may be shorter."""
    step = need_integer(size, "the size")
    if step < 1:
        raise Misuse("the size is at least 1.")
    pieces = len(need_list(items)) // step + 1
    meter.charge(pieces + (len(items) >> 6), pieces * 64 + len(items) * 8)
    return [items[start : start + step] for start in range(0, len(items), step)]


@GROUP.function('join(["a", "b", 3], ", ")', "a, b, 3")
def join(meter: Meter, items: Any, separator: Any = "") -> str:
    """The elements as one text, with a separator between them."""
    if type(items) is str and type(separator) is list:
        raise Misuse("the list comes first: join(list, separator).")
    need_text(separator, "a text as the separator")
    meter.charge(len(need_list(items)), len(items) * 8)
    size = 0
    if not all(type(item) is str for item in items):
        items = [to_text(meter, item) for item in items]
    size = sum(map(len, items)) + len(separator) * len(items)
    meter.charge(size >> 9, size)
    return separator.join(items)  # type: ignore[no-any-return]


@GROUP.function('where([{"ok": true, "n": 1}, {"ok": false, "n": 2}], "ok")', [{"ok": True, "n": 1}])
def where(meter: Meter, items: Any, key: Any, equals: Any = None) -> list[Any]:
    """The items whose value at a key path is true, or equals the one given."""
    values = column(meter, need_list(items), key)
    meter.charge(len(values) >> 2, len(values) * 8)
    if equals is None:
        return list(compress(items, values))
    meter.touch(values)
    meter.touch(equals, max(1, len(values)))
    return [item for item, value in zip(items, values, strict=True) if value == equals]
