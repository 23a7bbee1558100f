"""The body of a webhook's call as a value: JSON, a form, text; parts and all else as files.

The bound holds while the body comes in. Files lie in a temporary place till the whole call has been
found good, so that a call that is refused leaves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qsl

from flowfuse import large_json
from flowfuse.data.files import FileStore, FileWriter, as_file
from flowfuse.engine.records import Blob, blob_of
from flowfuse.errors import OutputInvalid, RequestInvalid, TooLarge
from flowfuse.integrations.webhooks import Check
from flowfuse.model import Value
from flowfuse.node import SPARE_LEVELS, check_incoming
from flowfuse.pages.identity import SESSION_COOKIES

MAX_PARTS = 1000
_TEXTS = ("json", "xml", "javascript", "yaml", "x-yaml", "toml", "graphql", "x-ndjson")
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"


def query_of(raw: bytes) -> dict[str, Any]:
    """Query parameters, or a form's fields; a name that comes again makes a list."""
    found: dict[str, Any] = {}
    if raw:
        for name, value in parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True):
            _add(found, name, value)
    return found


def _add(fields: dict[str, Any], name: str, value: Value) -> None:
    there = fields.get(name)
    if there is None:
        fields[name] = value
    elif isinstance(there, list):
        there.append(value)
    else:
        fields[name] = [there, value]


def is_text(kind: str) -> bool:
    """Whether a body of this type becomes a value, and not a file."""
    family, _, name = kind.partition("/")
    return not kind or family == "text" or kind == FORM or name.rpartition("+")[2] in _TEXTS


async def read_whole(receive: Any, limit: int, length: str) -> bytes:
    """A body that becomes a value. Raises TooLarge, RequestInvalid."""
    _check_length(length, limit)
    message = await receive()
    if not message.get("more_body") and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise TooLarge(what="body", limit=limit)
        return body
    parts = [part async for part in _pieces(receive, limit, message)]
    large = sum(map(len, parts)) >= large_json.LARGE
    return await asyncio.to_thread(b"".join, parts) if large else b"".join(parts)


async def _pieces(receive: Any, limit: int, message: Any = None) -> AsyncIterator[bytes]:
    """The pieces of a body as they come. Raises TooLarge, RequestInvalid."""
    size = 0
    while True:
        message = message or await receive()
        if message["type"] == "http.disconnect":
            raise RequestInvalid(field="body", reason="the connection ended before the whole body had come")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise TooLarge(what="body", limit=limit)
        if piece:
            yield piece
        if not message.get("more_body"):
            return
        message = None


def sent_headers(scope: Any) -> dict[str, str]:
    """The headers of a call as a value, one that comes twice joined; without a session of ours, which a
    browser sends along and no workflow is to see.
    """
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        if raw == b"cookie":
            text = _foreign_cookies(text)
            if not text:
                continue
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _foreign_cookies(text: str) -> str:
    cookies = (each.strip() for each in text.split(";"))
    return "; ".join(each for each in cookies if each.partition("=")[0] not in SESSION_COOKIES)


def kind_of(content_type: str) -> str:
    """The type of a body, without what comes behind it (a charset, a boundary)."""
    return content_type.partition(";")[0].strip().lower()


def _check_length(length: str, limit: int) -> None:
    """Refuse by what the caller says, before anything is read."""
    if length.isdigit() and (len(length) > 18 or int(length) > limit):
        raise TooLarge(what="body", limit=limit)


async def decode(raw: bytes, kind: str) -> Value:
    """A text body by its content type. Raises RequestInvalid."""
    if not raw:
        return None
    if kind == "application/json" or kind.endswith("+json") or not kind:
        try:
            value: Value = await large_json.decode(raw)
            if await large_json.holds(raw, b"$file", b"\\u0024"):
                _refuse_files(value)
            return value
        except (ValueError, RecursionError) as error:
            if kind:
                reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
                raise RequestInvalid(field="body", reason=f"this is not JSON: {reason}") from None
    if kind == FORM:
        return query_of(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RequestInvalid(
            field="body", reason=f"a body of {kind or 'no type'} that is no text is not taken"
        ) from None


async def check_call(value: Value, brackets: int) -> Blob | None:
    """Refuse a call's value that is not ours to store; of a large one, how it is kept.

    `brackets` is how many the body's text opens, which bounds its depth. Raises RequestInvalid.
    """
    try:
        if brackets >= large_json.LARGE:
            return await asyncio.to_thread(blob_of, value, SPARE_LEVELS)
        check_incoming(value, brackets)
    except OutputInvalid as error:
        raise RequestInvalid(field="body", reason=error.parameters["reason"]) from None
    return None


def brackets_in(raw: bytes) -> int:
    """How many lists and objects a text may begin; of a large one only that they are many."""
    return raw.count(b"[") + raw.count(b"{") if len(raw) < large_json.LARGE else len(raw)


def _refuse_files(value: Value) -> None:
    """A file's value from outside would stand for any file whose hash the caller knows. Raises
    RequestInvalid."""
    left = [value]
    while left:
        current = left.pop()
        if as_file(current) is not None:
            raise RequestInvalid(field="body", reason="a file is sent as itself, not by its “$file” value")
        if isinstance(current, dict):
            left.extend(current.values())
        elif isinstance(current, list):
            left.extend(current)


async def read_file(
    receive: Any, limit: int, length: str, kind: str, check: Check, files: FileStore, workspace: str
) -> Value:
    """A body that becomes a file; null where it is empty. Raises TooLarge, CallDenied, FileNotKept."""
    _check_length(length, limit)
    async with files.writing(workspace) as writer:
        async for piece in _pieces(receive, limit):
            check.update(piece)
            await writer.write(piece)
        check.verify()
        return (await writer.finish("body", kind)).value() if writer.size else None


async def read_parts(
    receive: Any, limit: int, length: str, boundary: str, check: Check, files: FileStore, workspace: str
) -> Value:
    """The fields of a multipart form, files among them. Raises RequestInvalid, TooLarge, CallDenied."""
    import multipart

    _check_length(length, limit)
    try:
        parser = multipart.PushMultipartParser(boundary.encode("latin-1"), max_segment_count=MAX_PARTS)
        async with AsyncExitStack() as stack:
            parts = Parts(files, workspace, stack)
            async for piece in _pieces(receive, limit):
                check.update(piece)
                for event in parser.parse(piece):
                    await parts.take(event)
            parser.close()
            check.verify()
            return await parts.fields()
    except (multipart.MultipartError, ValueError) as error:
        raise RequestInvalid(field="body", reason=f"this is no multipart form: {error}") from None


class Parts:
    """Gathers the parts of a multipart form: texts in memory, files in temporary places."""

    def __init__(self, files: FileStore, workspace: str, stack: AsyncExitStack) -> None:
        self._files, self._workspace, self._stack = files, workspace, stack
        self._found: list[tuple[Any, bytearray | FileWriter]] = []

    async def take(self, event: Any) -> None:
        """A part's head, a piece of it, or (None) its end."""
        if event is None:
            return
        if isinstance(event, bytes | bytearray):
            target = self._found[-1][1]
            if isinstance(target, bytearray):
                target += event
            else:
                await target.write(bytes(event))
            return
        place: bytearray | FileWriter = bytearray()
        if event.filename is not None:
            place = await self._stack.enter_async_context(self._files.writing(self._workspace))
        self._found.append((event, place))

    async def fields(self) -> dict[str, Value]:
        """All parts by their names; the files are kept now."""
        fields: dict[str, Value] = {}
        for head, place in self._found:
            if isinstance(place, bytearray):
                _add(fields, head.name, _text(head.name, bytes(place)))
            elif place.size or head.filename:
                kept = await place.finish(head.filename, head.content_type or "")
                _add(fields, head.name, kept.value())
            else:
                # A form's file field in which nothing was chosen.
                fields.setdefault(head.name, None)
        return fields


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RequestInvalid(
            field=f"body.{name}", reason="this part is neither text in UTF-8 nor a file (with a filename)"
        ) from None
