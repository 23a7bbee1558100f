"""Large JSON: the same value as decoded at once, the same errors, and a loop that runs meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowfuse import large_json

pytestmark = pytest.mark.slow

ROW = {
    "id": 1,
    "name": "Zoë \u2603",
    "tags": ["a", 'b"]}', "\\"],
    "v": 1.5,
    "nested": {"x": None, "y": [True]},
}


@pytest.mark.parametrize(
    "value",
    [
        [ROW] * 30_000,
        {"items": [ROW] * 20_000, "more": {"deep": [[ROW] * 10_000], "n": 1}},
        [["x" * 2_000_000, [], {}, 7], {}],
        "y" * 1_500_000,
        {str(n): n for n in range(200_000)},
        [{"lines": [{"n": n, "s": "},{"} for n in range(40)]} for _ in range(3_000)],
        [[n, -n / 3, 10**12] for n in range(60_000)],
        {"a": 1, "b": [{}, [], {"c": ["z" * 900_000, 12345678901234567890]}], "d": [None] * 300_000},
    ],
    ids=["rows", "nested", "long text", "text", "keys", "lines", "numbers", "mixed"],
)
async def test_the_value_is_the_same(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(large_json, "_at_once")
    assert await large_json.decode(json.dumps(value, indent=1).encode()) == value
    assert gc.isenabled()


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([1, 7, 40, 200]),
)
def test_the_value_is_the_same_where_everything_is_large(value: Any, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_json, "LARGE", 1)
        patch.setattr(large_json, "PIECE", piece)
        patch.delattr(large_json, "_at_once")
        assert asyncio.run(large_json.decode(msgspec.json.encode(value))) == value


@pytest.mark.parametrize("end", [b"", b",]", b"] x", b'{"a":01}]', b"nul]", b'"\xff"]'])
async def test_an_error_names_the_place_in_the_whole(end: bytes) -> None:
    raw = b"[" + b'{"id":1},' * 200_000 + end
    with pytest.raises(ValueError) as whole:  # a text that is not UTF-8 raises another kind
        msgspec.json.decode(raw)
    with pytest.raises(msgspec.DecodeError) as pieces:
        await large_json.decode(raw)
    if isinstance(whole.value, msgspec.DecodeError):
        assert str(pieces.value) == str(whole.value)
    assert gc.isenabled()


@pytest.mark.parametrize(
    "value",
    [
        [ROW] * 30_000,
        {
            "body": {"a": 1, "items": [ROW] * 20_000, 'é"': {str(n): [n, ROW] for n in range(20_000)}},
            "n": None,
        },
        [[1] * 400_000, "x" * 2_000_000, {"k": ["y" * 1_500_000, 1, "z" * 1_500_000]}],
        "x" * 2_000_000,
    ],
)
async def test_what_is_encoded_in_pieces_is_the_same(value: Any) -> None:
    assert large_json.is_large(value)
    assert await large_json.encode(value) == msgspec.json.encode(value)


async def test_a_text_is_found_across_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "LOOKED_THROUGH", 10)
    for at in range(30):
        assert await large_json.holds(b"x" * at + b"$file" + b"x" * 20, b"nothing", b"$file")
    assert not await large_json.holds(b"$fil" * 20, b"$file")


def test_the_one_large_field_of_an_envelope_makes_it_large() -> None:
    envelope = {f"field{n}": n for n in range(8)} | {
        "body": {"a": 1, "b": 2, "c": 3, "items": [ROW] * 20_000}
    }
    assert large_json.is_large(envelope)


async def test_the_loop_runs_meanwhile() -> None:
    raw = json.dumps([ROW] * 50_000).encode()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await large_json.decode(raw)
    counting.cancel()
    assert turns >= len(raw) // large_json.PIECE - 2


@pytest.mark.parametrize("times", [1, 300_000])
async def test_a_text_that_is_not_utf8_is_malformed(times: int) -> None:
    with pytest.raises(msgspec.DecodeError, match="UTF-8"):
        await large_json.decode(b"[" + b'"ab",' * times + b'"\xff"]')
