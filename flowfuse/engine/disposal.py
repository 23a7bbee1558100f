"""Large values are freed in pieces: a million rows at once would stop the event loop for half a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from sys import getrefcount

from flowfuse.large_json import PIECE, is_large, weight
from flowfuse.model import Value

LOOK_SECONDS = 0.05
LOOKS = 200
"""How often it is seen whether somebody still uses a value, before it is left to whoever does."""


def _references_to_ours() -> int:
    """How many are counted of what nobody else uses, looked at as below: it differs by interpreter."""
    values: dict[int, Value] = {0: []}
    _, value = values.popitem()
    return getrefcount(value)


_OURS = _references_to_ours()
_tasks: set[asyncio.Task[None]] = set()


def free_later(values: Iterable[Value]) -> None:
    """Free the large ones of these, beside the event loop's other work, once nobody else uses them."""
    large = _by_identity(values)
    if not large:
        return
    task = asyncio.get_running_loop().create_task(_free_all(large))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _by_identity(values: Iterable[Value]) -> dict[int, Value]:
    """The large ones, each once: whoever passes a value on, and what is around it, holds the same."""
    return {id(value): value for value in values if isinstance(value, list | dict) and is_large(value)}


async def _free_all(values: dict[int, Value]) -> None:
    for _ in range(LOOKS):
        values = await _free(values)
        if not values:
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _free(values: dict[int, Value]) -> dict[int, Value]:
    """Take apart the large values that only this refers to; those that others still use."""
    used: dict[int, Value] = {}
    while values:
        key, value = values.popitem()
        if getrefcount(value) > _OURS:
            used[key] = value
            continue
        if (each := max(1, weight(value) // len(value))) < PIECE:
            await _take_apart(value, PIECE // each)
            continue
        values |= _by_identity(value if isinstance(value, list) else value.values())
        value.clear()
        values |= used  # which may have been in there alone
        used.clear()
    return used


async def _take_apart(value: list[Value] | dict[str, Value], count: int) -> None:
    """Empty a container, so many items with each turn of the loop."""
    while value:
        if isinstance(value, list):
            del value[-count:]
        else:
            for _ in range(min(len(value), count)):
                value.popitem()
        await asyncio.sleep(0)
