"""What may be stored: JSON's values, however long the list in which another one hides."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse import node
from flowfuse.document import shape_problems
from flowfuse.engine import records
from flowfuse.errors import OutputInvalid
from flowfuse.node import check_incoming, pack

OTHERS = [math.nan, math.inf, -math.inf, 2**63, 2**64 - 1]


@given(st.integers(1, 400), st.data())
def test_a_number_that_json_has_not_is_found_everywhere(length: int, data: st.DataObject) -> None:
    items: list[Any] = [random.Random(length).random() for _ in range(length)]
    pack(items)
    items[data.draw(st.integers(0, length - 1))] = data.draw(st.sampled_from(OTHERS))
    for value in (
        items,
        {"a": [items]},
        [[each] for each in items],
        {str(n): each for n, each in enumerate(items)},
    ):
        with pytest.raises(OutputInvalid):
            pack(value)


def test_bytes_that_look_like_such_a_number_are_none() -> None:
    # 0xCF80 … in an integer, 0xCB7FF0 … in a float: the markers by chance.
    items = [0xCF80 + n % 0x7F for n in range(5000)] + [float.fromhex("0x1.b7ff00000p+20")] * 5000
    assert pack(items)
    assert pack([{"n": each} for each in items])


@given(st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | st.text(), st.lists), st.integers(1, 4))
def test_a_large_value_is_stored_by_its_own_bytes(value: Any, place: int) -> None:
    large = [value, "x" * records.BLOB_BYTES]
    record = [1, "n", None, [2], {"a": 1}]
    record[place] = large
    _, blob = records.encode(tuple(record), place)
    assert blob is not None
    assert records.decompress(blob.data) == pack(large)
    assert blob.digest == records.digest_of(pack(large))


def test_a_chance_hit_is_not_looked_for_at_each_level_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in is tried with many levels around it: each would encode all that is within once more."""
    value: Any = [{"v": n} for n in range(1000)]  # 207 before a map looks like an integer of 64 bits
    for _ in range(100):
        value = [value, 1]
    encoded, plain = 0, node._PACK

    def counted(part: Any) -> bytes:
        nonlocal encoded
        packed = plain(part)
        encoded += len(packed)
        return packed

    monkeypatch.setattr(node, "_PACK", counted)
    check_incoming(value, 1300)
    assert len(plain(value)) < encoded < 5 * len(plain(value))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("settings.timeout", "soon", 'Expected a time such as 30, 15m or 1h30m, got "soon"'),
        ("settings.priority", 9999, "Expected a whole number from -100 to 100, got 9999"),
        ("settings.concurrency", "abc", 'Expected a whole number that is not below 0, got "abc"'),
        ("settings.variables", [1], "Expected an object, got a list"),
        ("settings.overlap", "z", 'Expected one of cancel_previous, queue, skip, got "z"'),
        ("settings.hourly_rate", -3, "Expected a number that is not below 0, got -3"),
    ],
)
def test_what_does_not_fit_is_said_in_words(field: str, value: Any, words: str) -> None:
    part, name = field.split(".")
    (problem,) = shape_problems({"nodes": [], "edges": [], part: {name: value}})
    assert (problem.path, problem.message) == (field, words)
