"""Comprehensions as closures.

Inside one, closures are called with a frame instead of the `Env`: a list of the Env, the meter and
the loop variables. A frame is made by the outermost comprehension and shared by those inside it.
Iterations are charged a block at a time, so that the loop itself stays short.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from flowfuse.expression.budget import LOOK_EVERY, Meter
from flowfuse.expression.site import FAULTS, Misuse, Site, kind_of

Closure = Callable[[Any], Any]
Frame = list[Any]
Emit = Callable[[Frame, Any], None]
Bind = Callable[[Frame, Any], None]

env_of = itemgetter(0)
meter_of = itemgetter(1)
FIRST_SLOT = 2

BLOCK = 1024
REFERENCE_BYTES = 8
NUMBER_BYTES = 40
SHORT_TEXT_BYTES = 72
LIST_BYTES = 64
DICT_BYTES = 240
ENTRY_BYTES = 100
CHARACTER_BYTES = 76


class Loop(NamedTuple):
    """One `for … in … if …` of a comprehension."""

    values: Closure
    slot: int
    bind: Bind | None
    conditions: Sequence[Closure]
    weight: int
    text: str


def elements(meter: Meter, value: Any) -> Any:
    """What a loop goes over: a list's elements, an object's keys, a text's characters."""
    kind = type(value)
    if kind is list:
        return value
    if kind is str:
        meter.charge(0, 0 if value.isascii() else len(value) * CHARACTER_BYTES)
        return value
    if kind is dict:
        meter.charge(len(value) >> 4, len(value) * 8)
        return list(value)
    raise Misuse(f"cannot go over {kind_of(value)}; a list, an object or a text is needed.")


def weight_of(*nodes: ast.expr) -> int:
    """Units of one iteration: about one for every two parts of the body."""
    return 1 + sum(isinstance(part, ast.expr) for node in nodes for part in ast.walk(node)) // 2


def size_of(node: ast.expr) -> int:
    """Bytes that the displays written in a loop's element take each time; text charges itself."""
    if isinstance(node, (ast.Name, ast.Attribute, ast.Constant)):
        return REFERENCE_BYTES
    size = SHORT_TEXT_BYTES if isinstance(node, ast.Call) else NUMBER_BYTES
    for part in ast.walk(node):
        if isinstance(part, (ast.List, ast.Tuple)):
            size += LIST_BYTES + 8 * len(part.elts)
        elif isinstance(part, ast.Dict):
            size += DICT_BYTES + ENTRY_BYTES * max(0, len(part.keys) - 5)
    return size


def run_loop(loop: Loop, emit: Emit, size: int, site: Site) -> Callable[[Frame, Any, Any], None]:
    """A function that goes over values and emits for those that pass the conditions."""
    slot, bind, weight = loop.slot, loop.bind, loop.weight
    step = max(1, min(BLOCK, LOOK_EVERY // weight))
    passes = _passes(loop.conditions)

    def run(frame: Frame, values: Any, out: Any) -> None:
        meter: Meter = frame[1]
        try:
            values = elements(meter, values)
        except FAULTS as error:
            raise site.fault(loop.text, error) from None
        for start in range(0, len(values), step):
            block = values[start : start + step]
            meter.charge(len(block) * weight)
            before = len(out)
            for value in block:
                if bind is None:
                    frame[slot] = value
                else:
                    bind(frame, value)
                if passes is None or passes(frame):
                    emit(frame, out)
            meter.charge(0, (len(out) - before) * size)

    return run


def _passes(conditions: Sequence[Closure]) -> Closure | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return lambda frame: all(condition(frame) for condition in conditions)


def run_filter(loop: Loop, element: Closure | None, site: Site) -> Callable[[Frame, Any, Any], None] | None:
    """The short loop of `[x for x in values if …]`, or None where the general one is needed."""
    passes = _passes(loop.conditions)
    if element is not None or loop.bind is not None or passes is None:
        return None
    slot, weight = loop.slot, loop.weight
    step = max(1, min(BLOCK, LOOK_EVERY // weight))

    def run(frame: Frame, values: Any, out: list[Any]) -> None:
        meter: Meter = frame[1]
        try:
            values = elements(meter, values)
        except FAULTS as error:
            raise site.fault(loop.text, error) from None
        append = out.append
        for start in range(0, len(values), step):
            block = values[start : start + step]
            meter.charge(len(block) * weight, len(block) * REFERENCE_BYTES)
            for value in block:
                frame[slot] = value
                if passes(frame):
                    append(value)

    return run


def nest(loops: Sequence[Loop], emit: Emit, size: int, site: Site) -> Callable[[Frame, Any, Any], None]:
    """Several `for` in one comprehension, the later ones inside the earlier."""
    run = run_loop(loops[-1], emit, size, site)
    for outer, inner in zip(reversed(loops[:-1]), reversed(loops[1:]), strict=True):
        run = run_loop(outer, _entering(inner.values, run), 0, site)
    return run


def _entering(values: Closure, run: Callable[[Frame, Any, Any], None]) -> Emit:
    return lambda frame, out: run(frame, values(frame), out)


def list_emit(element: Closure) -> Emit:
    def emit(frame: Frame, out: Any) -> None:
        out.append(element(frame))

    return emit


def dict_emit(key: Closure, value: Closure, text: str, site: Site) -> Emit:
    def emit(frame: Frame, out: Any) -> None:
        name = key(frame)
        if type(name) is not str:
            raise site.fault(text, Misuse(f"the keys of an object are text, not {kind_of(name)}."))
        out[name] = value(frame)

    return emit


def outermost(
    values: Closure,
    run: Callable[[Frame, Any, Any], None],
    make: Callable[[], Any],
    site: Site,
) -> Closure:
    """A comprehension that stands in no other: it makes the frame."""

    def evaluate(env: Any) -> Any:
        out = make()
        given = values(env)
        run([env, site.meter(env), *([None] * site.slots)], given, out)
        return out

    return evaluate


def inner(values: Closure, run: Callable[[Frame, Any, Any], None], make: Callable[[], Any]) -> Closure:
    """A comprehension inside another one: it shares the frame."""

    def evaluate(frame: Frame) -> Any:
        out = make()
        frame[1].charge(1, LIST_BYTES)
        run(frame, values(frame), out)
        return out

    return evaluate


def binder(pattern: Sequence[Any], text: str, site: Site) -> Bind:
    """Takes a list apart into the slots of `for k, v in …`; patterns may be nested."""
    parts: list[tuple[int, Bind | None]] = [
        (part, None) if isinstance(part, int) else (0, binder(part, text, site)) for part in pattern
    ]

    def bind(frame: Frame, value: Any) -> None:
        if type(value) is not list or len(value) != len(parts):
            found = f"a list of {len(value)}" if type(value) is list else kind_of(value)
            raise site.fault(text, Misuse(f"a list of {len(parts)} is needed to take apart, not {found}."))
        for (slot, deeper), part in zip(parts, value, strict=True):
            if deeper is None:
                frame[slot] = part
            else:
                deeper(frame, part)

    return bind
