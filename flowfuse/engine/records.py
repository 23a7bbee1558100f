"""Records and segments: how what happened in a run is written down.

A record is a tuple whose first item is its kind; times in it are microseconds after the segment's
base. All records between two commits of a run make one segment: one value, one row. The numbered
events of an execution are its records, counted from 1.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec

from flowfuse.errors import SegmentBroken
from flowfuse.large_json import is_large, portions
from flowfuse.node import pack

START = 0  # (0, trigger, value)
DONE = 1  # (1, node, path, port, value, at, took, attempt)
ATTEMPT = 2  # (2, node, path, attempt, at)                      committed before the effect leaves
RETRY = 3  # (3, node, path, attempt, at, error, next_at)        an attempt failed and is repeated
FAILED = 4  # (4, node, path, attempt, at, error, port, value)   port: where on_error lets it leave
WAIT = 5  # (5, node, path, at, until, why, data)
LOOP = 6  # (6, loop, path, at)
ROUND = 7  # (7, loop, path, number, ok, value, at)
BLOCK = 8  # (8, loop, path, first, count, columns, results, at, took)
NOTE = 9  # (9, node, path, at, kind, short, long)      log: level, message; respond: status, headers
STATE = 10  # (10, state, at, reason, error)
INTERRUPTED = 11  # (11, node, path, attempt, at)                an effect was ended from outside

BLOB_BYTES = 256 * 1024
"""A record larger than this keeps its value in a blob."""

FILE_MARK = b"\xa5$file\xd9\x40"
"""How the value of a file begins in MessagePack: the key, and a text of 64 characters."""
_FILE = re.compile(re.escape(FILE_MARK) + rb"([0-9a-f]{64})")

_PACK = msgspec.msgpack.Encoder().encode
_COMPRESS_FROM = 1024
_RAW, _ZSTD, _SEALED = 0, 1, 2
Unseal = Callable[[bytes], bytes]
_BLOB_EXT = 1


class BlobRef(msgspec.Struct, frozen=True):
    """Stands in a decoded record where the value lies in a blob."""

    digest: bytes


class Blob(msgspec.Struct, frozen=True):
    """A value that is stored by its content: compressed, with its size before, and the files in it."""

    digest: bytes
    data: bytes
    size: int
    files: list[bytes]


def encode(record: tuple[Any, ...], value_at: int) -> tuple[bytes, Blob | None]:
    """A record's bytes; a large value goes out into a blob. Raises OutputInvalid for what is not JSON.

    `value_at` is the value's place in the record; 0 where the record holds none.
    """
    packed = pack(record)
    if len(packed) <= BLOB_BYTES or not value_at:
        return packed, None
    # The value's own bytes are in there; encoding it once more would take as long again.
    around = [sum(map(len, map(_PACK, part))) for part in (record[:value_at], record[value_at + 1 :])]
    data = packed[len(_array_header(len(record))) + around[0] : len(packed) - around[1]]
    blob = Blob(digest_of(data), compress(data), len(data), files_in(data) if FILE_MARK in data else [])
    return with_blob(record, value_at, blob), blob


def with_blob(record: tuple[Any, ...], value_at: int, blob: Blob) -> bytes:
    """A record's bytes, with a reference where its value stands."""
    reference = msgspec.msgpack.Ext(_BLOB_EXT, blob.digest)
    return msgspec.msgpack.encode((*record[:value_at], reference, *record[value_at + 1 :]))


def blob_of(value: Any, spare: int = 0) -> Blob:
    """A large value's blob, for a worker thread: made in pieces, between which others get their turn.

    Raises OutputInvalid for what is not JSON, or leaves fewer than `spare` levels of nesting free.
    """
    pieces, files, hasher = [], set[bytes](), hashlib.sha256()
    for piece in packed_pieces(value, spare):
        hasher.update(piece)
        if FILE_MARK in piece:
            files.update(files_in(piece))
        pieces.append(piece)
    data = b"".join(pieces)
    return Blob(hasher.digest(), _new_compressor().compress(data), len(data), list(files))


def packed_pieces(value: Any, spare: int = 0) -> Iterator[bytes]:
    """What `pack` gives for a value, in pieces of about PIECE bytes. Raises OutputInvalid."""
    if not is_large(value) or not isinstance(value, list | dict):
        yield _packed_within(value, spare)
        return
    yield _array_header(len(value)) if isinstance(value, list) else _map_header(len(value))
    for some in portions(value):
        yield from _some_packed(some, spare)


def _some_packed(some: list[Any] | dict[str, Any], spare: int) -> Iterator[bytes]:
    """The items of a container without its header."""
    if not is_large(some):
        yield _packed_within(some, spare)[len(_array_header(len(some))) :]  # a map's header is as long
    elif isinstance(some, list):
        for each in some:
            yield from packed_pieces(each, spare)
    else:
        for key, each in some.items():
            yield pack(key)
            yield from packed_pieces(each, spare)


def _packed_within(value: Any, levels: int) -> bytes:
    """What `pack` gives for a value that stands within so many lists, without their heads of one byte."""
    for _ in range(levels):
        value = [value]
    return pack(value)[levels:]


def _map_header(count: int) -> bytes:
    return _header(count, 0x80, 0xDE)


def _array_header(count: int) -> bytes:
    return _header(count, 0x90, 0xDC)


def _header(count: int, short: int, long: int) -> bytes:
    """MessagePack's head of a container: one byte for up to 15 items, else a marker and their number."""
    if count < 16:
        return bytes((short | count,))
    if count < 0x10000:
        return bytes((long,)) + count.to_bytes(2, "big")
    return bytes((long + 1,)) + count.to_bytes(4, "big")


def segment(base_us: int, count: int, records: bytes) -> bytes:
    """The stored form of a run's records, one behind the other: a format byte, a checksum, MessagePack."""
    body = b"\x92" + _PACK(base_us) + _array_header(count) + records
    if len(body) < _COMPRESS_FROM:
        return bytes((_RAW,)) + zlib.crc32(body).to_bytes(4, "big") + body
    packed = compress(body)
    return bytes((_ZSTD,)) + zlib.crc32(packed).to_bytes(4, "big") + packed


def sealed_segment(data: bytes, seal: Unseal) -> bytes:
    """A segment whose values are sensitive, as it is stored."""
    closed = seal(data)
    return bytes((_SEALED,)) + zlib.crc32(closed).to_bytes(4, "big") + closed


def open_segment(data: bytes, execution: str, unseal: Unseal | None = None) -> tuple[int, list[list[Any]]]:
    """(base, records) of a stored segment. Raises SegmentBroken where a byte of it is damaged."""
    base, found = msgspec.msgpack.decode(_body(data, execution, unseal), ext_hook=_ext_hook)
    return base, found


def _body(data: bytes, execution: str, unseal: Unseal | None) -> bytes:
    body = bytes(data[5:])
    if len(data) < 6 or zlib.crc32(body) != int.from_bytes(data[1:5], "big") or data[0] > _SEALED:
        raise SegmentBroken(execution=execution, reason="its checksum is wrong")
    if data[0] == _SEALED:
        if unseal is None:
            raise SegmentBroken(execution=execution, reason="it is sealed, and no key is at hand")
        return _body(unseal(body), execution, None)
    return decompress(body) if data[0] == _ZSTD else body


def again(record: list[Any]) -> bytes:
    """A record that was read, blobs not filled in, as it was written."""
    return msgspec.msgpack.encode(
        [msgspec.msgpack.Ext(_BLOB_EXT, v.digest) if isinstance(v, BlobRef) else v for v in record]
    )


def cut(data: bytes, count: int, execution: str, unseal: Unseal) -> bytes:
    """A stored segment's first records as a segment (not sealed). Raises SegmentBroken."""
    base, found = msgspec.msgpack.decode(_body(data, execution, unseal))
    kept = [_PACK(record) for record in found[:count]]
    return segment(base, len(kept), b"".join(kept))


def _ext_hook(code: int, data: memoryview) -> BlobRef:
    return BlobRef(bytes(data))


def compress(data: bytes) -> bytes:
    """zstd at its quick level. For the event loop's thread alone."""
    packed: bytes = _compressor().compress(data)
    return packed


def decompress(data: bytes) -> bytes:
    """The opposite of `compress`."""
    plain: bytes = _decompressor().decompress(data)
    return plain


@cache
def _compressor() -> Any:
    # Its working memory costs more to set up than most segments to compress.
    return _new_compressor()


def _new_compressor() -> Any:
    import zstandard

    return zstandard.ZstdCompressor(level=1)


@cache
def _decompressor() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor()


def files_in(packed: bytes) -> list[bytes]:
    """The hashes of the files whose values stand in a record."""
    return list({bytes.fromhex(found.decode()) for found in _FILE.findall(packed)})


def digest_of(data: bytes) -> bytes:
    """The name of a blob: its content's sha256."""
    return hashlib.sha256(data).digest()
