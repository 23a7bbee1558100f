"""Large values are freed in pieces, and only what nobody else uses."""

from __future__ import annotations

import asyncio
from typing import Any

from flowfuse.engine.disposal import free_later


class Row(dict[str, Any]):
    """A row that says when it is freed."""

    freed = 0

    def __del__(self) -> None:
        Row.freed += 1


def rows(count: int) -> list[Row]:
    Row.freed = 0
    return [Row(id=1, text="x" * 100) for _ in range(count)]


async def most_in_one_turn(count: int) -> int:
    """Wait until so many rows are freed; how many at most were freed between two turns of the loop."""
    most = before = 0
    while Row.freed < count:
        await asyncio.sleep(0)
        most, before = max(most, Row.freed - before), Row.freed
    return most


async def test_rows_are_freed_a_piece_with_each_turn() -> None:
    for wrapped in (lambda all_: all_, lambda all_: {"body": {"items": all_}, "n": 1}):
        value = wrapped(rows(30_000))
        free_later([value, value, 7, "text"])
        del value
        assert await asyncio.wait_for(most_in_one_turn(30_000), 30) < 5_000


async def test_an_object_with_many_keys_too() -> None:
    value = {str(n): row for n, row in enumerate(rows(30_000))}
    free_later([value])
    del value
    assert await asyncio.wait_for(most_in_one_turn(30_000), 30) < 5_000


async def test_values_that_hold_one_another_are_freed() -> None:
    inner = rows(20_000)
    free_later([{"a": inner}, inner, {"b": inner, "c": [inner]}])
    del inner
    assert await asyncio.wait_for(most_in_one_turn(20_000), 30) < 5_000


async def test_what_somebody_still_uses_stays_whole() -> None:
    inner = rows(20_000)
    outer = {"items": inner}
    free_later([outer])
    await asyncio.sleep(0.2)
    assert len(outer["items"]) == 20_000
    del outer
    await asyncio.sleep(0.2)
    assert (len(inner), Row.freed) == (20_000, 0)
    del inner
    assert await asyncio.wait_for(most_in_one_turn(20_000), 30) < 5_000
