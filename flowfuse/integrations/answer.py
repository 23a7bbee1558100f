"""What comes back from a call: read within bounds, as JSON, text, or a file that is streamed to the disk."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from flowfuse import large_json
from flowfuse.data.files import FileStore
from flowfuse.errors import NodeFailed, OutputInvalid, RemoteError, TooLarge
from flowfuse.integrations.credential import OpenCredential, Redactor
from flowfuse.model import Value

MAX_DECODED = 32_000_000
"""Bytes of an answer that becomes a value, after decompression."""
MAX_FILE = 10_000_000_000
"""Bytes of an answer that becomes a file."""
EXCERPT, EXCERPT_READ = 200, 10_000
"""Characters of a refusal that its error shows, and bytes of it that are read for them."""
ACCEPT_ENCODING = "gzip, deflate"
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_PIECE = 1024 * 1024
_TEXTS = (
    "json",
    "xml",
    "javascript",
    "x-www-form-urlencoded",
    "yaml",
    "x-yaml",
    "toml",
    "graphql",
    "x-ndjson",
)


class Answer(msgspec.Struct, frozen=True):
    """What came back. `link` is where the next page is, by the header Link."""

    status: int
    headers: dict[str, str]
    body: Value
    size: int = 0
    link: str = ""
    url: str = ""


def headers_of(response: Any) -> dict[str, str]:
    """The headers with lower-case names."""
    return {name.lower(): value for name, value in response.headers.items()}


async def decoded(response: Any) -> AsyncIterator[bytes]:
    """The body's bytes after decompression, in pieces that are small however much a few bytes unpack to.

    Raises OutputInvalid where it is not what its encoding says.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for piece in response.aiter_raw():
            yield piece
        return
    if encoding not in _WINDOWS:
        raise OutputInvalid(reason=f"the answer is encoded as “{encoding[:40]}”, which was not asked for")
    unpacker, begun = zlib.decompressobj(_WINDOWS[encoding]), False
    try:
        async for piece in response.aiter_raw():
            left, begun = piece, True
            while left:
                if unpacker.eof:
                    unpacker = zlib.decompressobj(_WINDOWS[encoding])
                yield unpacker.decompress(left, _PIECE)
                left = unpacker.unconsumed_tail or unpacker.unused_data
    except zlib.error as error:
        raise OutputInvalid(reason=f"the answer is not {encoding} as it says: {error}") from None
    if begun and not unpacker.eof:
        raise OutputInvalid(reason="the answer's compressed data end early")


class Wanted(msgspec.Struct, frozen=True):
    """How an answer is to be taken. Of what goes into a file, the credential's secrets are taken out."""

    form: str
    limit: int
    workspace: str
    credential: OpenCredential | None


async def body_of(response: Any, wanted: Wanted, files: FileStore | None) -> tuple[Value, int]:
    """The body in the wanted form, and its size. Raises NodeFailed, OutputInvalid, FileNotKept."""
    kind = _kind(response)
    if files is not None and (wanted.form == "file" or (wanted.form == "auto" and not _is_text(kind))):
        return await _to_file(response, wanted, files)
    raw = await _read(response, wanted.limit or MAX_DECODED)
    return await _decode(response, raw, wanted.form, kind), len(raw)


def _kind(response: Any) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower()


def _is_text(kind: str) -> bool:
    family, _, name = kind.partition("/")
    return not kind or family == "text" or name.rpartition("+")[2] in _TEXTS


async def _to_file(response: Any, wanted: Wanted, files: FileStore) -> tuple[Value, int]:
    limit = wanted.limit or MAX_FILE
    redactor = Redactor(wanted.credential) if wanted.credential is not None else None
    try:
        async with files.writing(wanted.workspace, limit) as writer:
            async for piece in decoded(response):
                await writer.write(piece if redactor is None else redactor.feed(piece))
            if redactor is not None:
                await writer.write(redactor.end())
            if not writer.size and wanted.form != "file":
                return None, 0
            kept = await writer.finish(_name(response), _kind(response))
            return kept.value(), kept.size
    except TooLarge:
        raise _too_large(limit) from None


def _name(response: Any) -> str:
    """What the peer calls the file, else the last part of the address."""
    from email.message import Message

    message = Message()
    message["content-disposition"] = response.headers.get("content-disposition", "")
    return message.get_filename() or unquote(response.url.path.rpartition("/")[2])


async def _read(response: Any, limit: int) -> bytes:
    parts, size = [], 0
    async for part in decoded(response):
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> NodeFailed:
    words = f"{limit / 1_000_000:g} MB" if limit >= 100_000 else f"{limit} bytes"
    return NodeFailed(
        reason=f"The answer is larger than {words}",
        hint="Raise max_bytes, or take the answer as a file (response: file).",
    )


async def _decode(response: Any, raw: bytes, wanted: str, kind: str) -> Value:
    if wanted == "json" or (wanted == "auto" and kind.endswith(("/json", "+json"))):
        if not raw:
            return None
        try:
            value: Value = await large_json.decode(raw)
            return value
        except (msgspec.DecodeError, RecursionError) as error:
            if wanted == "json":
                raise OutputInvalid(reason=f"the answer is not JSON: {error}") from None
    charset = response.charset_encoding or "utf-8"
    try:
        return raw.decode(charset)
    except (UnicodeDecodeError, LookupError):
        named = response.headers.get("content-type", "no content type")
        raise OutputInvalid(reason=f"the answer is no text ({named})") from None


async def remote_error(request: Any, response: Any, credential: OpenCredential | None) -> RemoteError:
    """The error of a status that is not accepted, with the beginning of what the peer says."""
    raw = b""
    async for part in decoded(response):
        raw += part[:EXCERPT_READ]
        if len(raw) >= EXCERPT_READ:
            break
    text = raw[:EXCERPT_READ].decode("utf-8", "replace").strip()
    if credential is not None:
        # Before it is cut: a part of a secret would not be found any more.
        text = credential.redact(text)
    detail = f": {text[:EXCERPT]}" if text else ""
    error = RemoteError(
        method=request.method, host=request.url.host, status=response.status_code, detail=detail
    )
    error.retry_after = _retry_after(response.headers.get("retry-after"))
    return error


def _retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header: a number or a date (RFC 9110 §10.2.3)."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
