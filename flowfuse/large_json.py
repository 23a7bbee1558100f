"""Large JSON without a standstill: decoded in pieces, and the event loop runs in between."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from flowfuse.collector import collector

LARGE = 1_000_000
"""Bytes. What is smaller takes some 10 ms at most, and is decoded at once."""
PIECE = 200_000
"""Bytes between two turns of the event loop."""
LOOKED_THROUGH = 8_000_000
_DEPTH = 6
# A union would be made anew at each look.
_CONTAINERS = (list, dict)

_whole = msgspec.json.Decoder()


def weight(value: Any, depth: int = _DEPTH) -> int:
    """About how many bytes a value takes as JSON, judged by a few of its items: not a walk through it."""
    if type(value) is str:
        return len(value) + 2
    if not depth or not isinstance(value, _CONTAINERS) or not value:
        return 4
    few = _few_of(value, depth)
    total = 0
    for each in few:
        total += weight(each, depth - 1)
    return len(value) * (4 + total // len(few))


def _few_of(value: Any, depth: int) -> Collection[Any]:
    if isinstance(value, list):
        return [value[0], value[len(value) // 2], value[-1]]
    # Of an envelope's few fields one holds all the data; those of rows are alike.
    most = 16 if depth > _DEPTH - 3 else 3
    values: Collection[Any] = value.values()
    return values if len(value) <= most else list(itertools.islice(values, most))


async def holds(raw: bytes, *texts: bytes) -> bool:
    """Whether one of the texts is in there."""
    for at in range(0, len(raw), LOOKED_THROUGH):
        if at:
            await asyncio.sleep(0)
        # A text may begin in one piece and end in the next.
        for text in texts:
            if raw.find(text, at, at + LOOKED_THROUGH + len(text)) >= 0:
                return True
    return False


def is_large(value: Any) -> bool:
    """Whether a value takes so long to encode that it is not done on the event loop."""
    return weight(value) >= LARGE


def portions(container: list[Any] | dict[str, Any]) -> Iterator[list[Any] | dict[str, Any]]:
    """The items of a container in containers of its kind, each of about PIECE bytes or one large item."""
    items = iter(container) if isinstance(container, list) else iter(container.items())
    number = 16
    while some := list(itertools.islice(items, number)):
        yield some if isinstance(container, list) else dict(some)
        number = max(1, int(number * PIECE / max(1, weight(some))))


async def encode(value: Any) -> bytes:
    """The value's JSON. Raises TypeError, ValueError for what has none."""
    if not is_large(value):
        return msgspec.json.encode(value)
    pieces = []
    for piece in _encoded_pieces(value):
        pieces.append(piece)
        await asyncio.sleep(0)
    return await asyncio.to_thread(b"".join, pieces)


def _encoded_pieces(value: Any) -> Iterator[bytes]:
    if not isinstance(value, list | dict) or not is_large(value):
        yield msgspec.json.encode(value)
        return
    comma = b"[" if isinstance(value, list) else b"{"
    for some in portions(value):
        if not is_large(some):
            yield comma + msgspec.json.encode(some)[1:-1]
            comma = b","
            continue
        for each in some:
            yield comma + (msgspec.json.encode(each) + b":" if isinstance(some, dict) else b"")
            yield from _encoded_pieces(some[each] if isinstance(some, dict) else each)
            comma = b","
    yield b"]" if isinstance(value, list) else b"}"


async def decode(raw: bytes) -> Any:
    """The value. Raises msgspec.DecodeError, RecursionError."""
    if len(raw) < LARGE:
        return _at_once(raw)
    try:
        with collector.held():
            return await _decode(raw)
    except ValueError:
        return _at_once(raw)  # whose words name the place in the whole, not in a piece


def _at_once(raw: bytes) -> Any:
    try:
        return _whole.decode(raw)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"JSON is malformed: a text is not UTF-8 ({error.reason})") from None


async def _decode(raw: bytes) -> Any:
    begin = _skip(raw, 0)
    if raw[begin : begin + 1] not in (b"[", b"{"):
        return _whole.decode(raw)
    value, end = await _Reader(raw).container(begin)
    if raw[end:].strip():
        raise msgspec.DecodeError("trailing characters")
    return value


class _Reader:
    """Decodes a container some items at a time: those that are whole within the next piece.

    Where a piece may be cut is guessed by what stands between two items. A wrong guess does not decode,
    and what decodes was cut between two items of this container, never within one.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def container(self, at: int) -> tuple[Any, int]:
        """The list or object that begins there, and where it ends. Raises msgspec.DecodeError."""
        opener = self._raw[at : at + 1]
        found: Any = [] if opener == b"[" else {}
        at, ended, rested = at + 1, False, at
        mark, singly, patience = _NO_MARK, 0, 1
        while not ended:
            taken = None if singly else self._some(opener, at, mark)
            if taken is None:
                # Where guesses fail, more and more items are taken one by one before the next guess.
                singly, patience = (singly - 1, patience) if singly else (patience, min(patience * 2, 256))
                taken, mark = await self._one(opener, at)
            some, at, ended = taken
            if found and not some:
                raise msgspec.DecodeError("an item is missing")
            if opener == b"[":
                found += some
            else:
                found |= some
            if at - rested >= PIECE - _TAIL:
                rested = at
                await asyncio.sleep(0)
        return found, at

    def _some(self, opener: bytes, at: int, mark: _Mark) -> _Taken | None:
        """As many items as the piece holds; None where that cannot be seen."""
        text = opener + self._raw[at : at + PIECE]
        closer = _CLOSERS[opener]
        for cut in _cuts(text, mark):
            some = _decoded(text[:cut] + closer)
            if some:
                return some, at + cut, False
        end = _end_of_first(text)
        return None if end is None else (_whole.decode(text[:end]), at + end - 1, True)

    async def _one(self, opener: bytes, at: int) -> tuple[_Taken, _Mark]:
        """The next item alone, and what stands between it and the one behind it."""
        raw, key = self._raw, None
        at = _skip(raw, at)
        if opener == b"{":
            named = _KEY.match(raw, at)
            if named is None:
                raise msgspec.DecodeError("a key is missing")
            key, at = _whole.decode(named[1]), named.end()
        value, end = await self._value(at)
        at = _skip(raw, end)
        after = raw[at : at + 1]
        if after not in (b",", _CLOSERS[opener]):
            raise msgspec.DecodeError("neither a comma nor an end")
        some = [value] if opener == b"[" else {key: value}
        return (some, at + 1, after != b","), _mark(raw, end, at)

    async def _value(self, at: int) -> tuple[Any, int]:
        raw, size = self._raw, 4_000
        while True:
            end = _end_of_first(raw[at : at + size])
            # A number that the piece cuts is a number, too.
            if end is not None and end < size:
                return _whole.decode(raw[at : at + end]), at + end
            if at + size >= len(raw):
                raise msgspec.DecodeError("the end is missing")
            if size > PIECE and raw[at : at + 1] in (b"[", b"{"):
                return await self.container(at)
            size *= 4


_Taken = tuple[Any, int, bool]
"""Items, where to go on behind them, and whether their container has ended."""
_Mark = tuple[bytes, int]
"""The bytes around a comma between two items, and where in them the comma stands."""
_NO_MARK: _Mark = (b"", 0)
_CLOSERS = {b"[": b"]", b"{": b"}"}
_BETWEEN = {b"{": re.compile(rb"}\s*(,)\s*{"), b"[": re.compile(rb"]\s*(,)\s*\["), b"": re.compile(rb"(,)")}
_BETWEEN_KEYS = re.compile(rb'(,)\s*"')
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_ENDING = re.compile(rb"[]}\s]*\Z")
_BEGINNING = re.compile(rb'{?\s*"(?:[^"\\]{,60}"\s*:)?|\[|')
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_SPACE = re.compile(rb"[ \t\r\n]*")
_TAIL = 32_000
"""Bytes at the end of a piece in which a cut is looked for."""
_TRIES = 4


def _skip(raw: bytes, at: int) -> int:
    found = _SPACE.match(raw, at)
    assert found is not None
    return found.end()


def _cuts(text: bytes, mark: _Mark) -> Iterator[int]:
    """Where a piece may be cut between two items, the last places first."""
    if mark[0] and (found := text.rfind(mark[0], 1)) > 0:
        yield found + mark[1]
    begin = _skip(text, 1)
    pattern = _BETWEEN_KEYS if text[:1] == b"{" else _BETWEEN.get(text[begin : begin + 1], _BETWEEN[b""])
    places = [found.start(1) for found in pattern.finditer(text, max(1, len(text) - _TAIL))]
    yield from reversed(places[-_TRIES:])


def _mark(raw: bytes, end: int, comma: int) -> _Mark:
    """How one item ends and the next begins, to find more such places by."""
    ending = _ENDING.search(raw[max(0, end - 60) : end])
    following = _skip(raw, comma + 1)
    beginning = _BEGINNING.match(raw, following)
    assert ending is not None
    assert beginning is not None
    if not ending[0]:
        return _NO_MARK
    # Of an object's items only that a key follows: each has another.
    head = beginning[0][:1] if beginning[0][:1] == b'"' else beginning[0]
    return ending[0] + raw[end:following] + head, len(ending[0]) + comma - end


def _decoded(text: bytes) -> Any:
    try:
        return _whole.decode(text)
    except ValueError:
        return None


def _end_of_first(text: bytes) -> int | None:
    """Where the text's first value ends; None where it is not whole."""
    try:
        _whole.decode(text)
    except msgspec.DecodeError as error:
        found = _TRAILING.search(str(error))
        # The place that is told is behind the first of them.
        return None if found is None else int(found[1]) - 1
    except ValueError:
        return None
    return len(text)
