"""What functions ask of their arguments, and the sentences for what does not fit."""

from __future__ import annotations

from typing import Any

from flowfuse.expression.access import Absent, pick
from flowfuse.expression.budget import Meter
from flowfuse.expression.site import Misuse, kind_of

NUMBERS = frozenset((int, float, bool))
MAX_STEPS = 64


def need_list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise Misuse(f"a list is needed, not {kind_of(value)}.")
    return value


def need_object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise Misuse(f"an object is needed, not {kind_of(value)}.")
    return value


def need_text(value: Any, what: str = "a text") -> str:
    if type(value) is not str:
        raise Misuse(f"{what} is needed, not {kind_of(value)}.")
    return value


def need_integer(value: Any, what: str) -> int:
    if type(value) is not int:
        raise Misuse(f"{what} is an integer, not {kind_of(value)}.")
    return value


def need_number(value: Any) -> int | float:
    if type(value) not in NUMBERS:
        raise Misuse(f"a number is needed, not {kind_of(value)}.")
    return value  # type: ignore[no-any-return]


def one_of(value: Any, known: tuple[str, ...], what: str) -> str:
    if value not in known:
        raise Misuse(f"{what} is one of {', '.join(known)}.")
    return value  # type: ignore[no-any-return]


def steps_of(path: Any) -> list[Any]:
    """The keys and indexes of a key path: a text with dots, one index, or a list of keys."""
    if type(path) is str:
        steps: list[Any] = path.split(".", MAX_STEPS)
    elif type(path) is int:
        steps = [path]
    elif type(path) is list:
        steps = path
    else:
        raise Misuse(f'a key path is a text such as "a.b.0", not {kind_of(path)}.')
    if len(steps) > MAX_STEPS:
        raise Misuse("the key path is too long.")
    return steps


def step_into(value: Any, step: Any) -> Any:
    """One step of a key path: in a list or text, digits are an index."""
    if type(value) is not dict and type(step) is str and len(step) < 12 and step.lstrip("-").isdecimal():
        return pick(value, int(step), "it")
    return pick(value, step, "it")


def walk(value: Any, steps: list[Any]) -> Any:
    for step in steps:
        value = step_into(value, step)
    return value


def column(meter: Meter, items: list[Any], key: Any) -> list[Any]:
    """What each item has at a key path; null where it has nothing there. Without a key, the items."""
    if key is None:
        return items
    steps = steps_of(key)
    meter.charge(len(items) * 4 * len(steps), len(items) * 8)
    if len(steps) == 1 and type(steps[0]) is str and not steps[0].lstrip("-").isdecimal():
        name = steps[0]
        return [item.get(name) if type(item) is dict else None for item in items]
    return [_reach(item, steps) for item in items]


def _reach(item: Any, steps: list[Any]) -> Any:
    try:
        return walk(item, steps)
    except Absent:
        return None
