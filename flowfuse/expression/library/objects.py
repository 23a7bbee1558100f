"""Functions on objects."""

from __future__ import annotations

from typing import Any

from flowfuse.expression.access import Absent
from flowfuse.expression.budget import Meter
from flowfuse.expression.library.arguments import need_object, steps_of, walk
from flowfuse.expression.library.registry import Group
from flowfuse.expression.site import Misuse, kind_of

GROUP = Group("Objects")


@GROUP.function('keys({"a": 1, "b": 2})', ["a", "b"])
def keys(meter: Meter, object: Any) -> list[str]:
    """The keys of an object, in their order."""
    meter.charge(len(need_object(object)) >> 4, len(object) * 8)
    return list(object)


@GROUP.function('values({"a": 1, "b": 2})', [1, 2])
def values(meter: Meter, object: Any) -> list[Any]:
    """The values of an object, in the order of its keys."""
    meter.charge(len(need_object(object)) >> 4, len(object) * 8)
    return list(object.values())


@GROUP.function('items({"a": 1, "b": 2})', [["a", 1], ["b", 2]])
def items(meter: Meter, object: Any) -> list[list[Any]]:
    """The keys and values of an object as lists of two: [k for k, v in items(x) if v]."""
    meter.charge(len(need_object(object)), len(object) * 80)
    return [[key, value] for key, value in object.items()]


@GROUP.function('get({"a": [{"b": 1}]}, "a.0.b", 0)', 1)
def get(meter: Meter, value: Any, path: Any, default: Any = None) -> Any:
    """What a value has at a key path, or the default where there is nothing, also before the path begins."""
    try:
        return walk(value, steps_of(path))
    except Absent:
        return default


@GROUP.function('pick({"a": 1, "b": 2, "c": 3}, "a", "c")', {"a": 1, "c": 3})
def pick(meter: Meter, object: Any, *keys: Any) -> dict[str, Any]:
    """An object with only these of its keys, as far as it has them."""
    chosen = _key_list(keys)
    meter.charge(len(chosen), len(chosen) * 100)
    need_object(object)
    return {key: object[key] for key in chosen if key in object}


@GROUP.function('omit({"a": 1, "b": 2, "c": 3}, "b")', {"a": 1, "c": 3})
def omit(meter: Meter, object: Any, *keys: Any) -> dict[str, Any]:
    """An object without these of its keys."""
    left_out = set(_key_list(keys))
    meter.charge(len(left_out) + len(need_object(object)), (len(left_out) + len(object)) * 100)
    return {key: value for key, value in object.items() if key not in left_out}


def _key_list(keys: tuple[Any, ...]) -> list[str]:
    """The keys, given one by one or as a list."""
    chosen = keys[0] if len(keys) == 1 and type(keys[0]) is list else list(keys)
    for key in chosen:
        if type(key) is not str:
            raise Misuse(f"the keys of an object are text, not {kind_of(key)}.")
    return chosen


@GROUP.function('merge_dicts({"a": 1, "b": 1}, {"b": 2})', {"a": 1, "b": 2})
def merge_dicts(meter: Meter, *objects: Any) -> dict[str, Any]:
    """The objects as one; of keys in several, the last counts. Objects inside are not merged."""
    size = sum(len(need_object(each)) for each in objects)
    meter.charge(size >> 1, size * 100 + 64)
    merged: dict[str, Any] = {}
    for each in objects:
        merged.update(each)
    return merged
