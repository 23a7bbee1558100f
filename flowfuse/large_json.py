"""Large JSON without a standstill: decoded in pieces, and the event loop runs in between."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

LARGE = 1_000_000
"""Bytes. What is smaller takes some 10 ms at most, and is decoded at once."""
PIECE = 200_000
"""Bytes between two turns of the event loop."""
UNFREEZE_EVERY = 64

_whole = msgspec.json.Decoder()
_parts = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw])
_container = re.compile(rb"\s*[\[{]")


async def decode(raw: bytes) -> Any:
    """The value. Raises msgspec.DecodeError, RecursionError."""
    if len(raw) < LARGE:
        return _at_once(raw)
    try:
        with _collector.held():
            return await _decode(raw)
    except ValueError:
        return _at_once(raw)  # whose words name the place in the whole, not in a piece


def _at_once(raw: bytes) -> Any:
    try:
        return _whole.decode(raw)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"JSON is malformed: a text is not UTF-8 ({error.reason})") from None


async def _decode(raw: bytes | msgspec.Raw) -> Any:
    if len(raw) < LARGE or _container.match(raw) is None:
        return _whole.decode(raw)
    parts: Any = _parts.decode(raw)
    done = 0
    for place in range(len(parts)) if isinstance(parts, list) else list(parts):
        size = len(parts[place])
        parts[place] = _whole.decode(parts[place]) if size < LARGE else await _decode(parts[place])
        done += size
        if done >= PIECE:
            done = 0
            await asyncio.sleep(0)
    return parts


class _Collector:
    """Keeps the cyclic collector off what is being decoded: it would go through all of it, again and
    again, and stop everything for as long; and JSON has no cycles that it could find.
    """

    def __init__(self) -> None:
        self._holders = 0
        self._frozen = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Off while inside; what is there at the end is not looked at again."""
        self._holders += 1
        gc.disable()
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._freeze()
                gc.enable()

    def _freeze(self) -> None:
        self._frozen += 1
        if self._frozen % UNFREEZE_EVERY == 0:
            gc.unfreeze()  # once in a while cycles among what was frozen are found after all
            return
        gc.freeze()


_collector = _Collector()
