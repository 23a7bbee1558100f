"""The body of an outgoing call: JSON, a form, parts, text, or a file that is streamed from the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import msgspec

from flowfuse.data.files import FileStore, StoredFile, as_file
from flowfuse.errors import NodeFailed
from flowfuse.model import Value

Make = Callable[[ExitStack], dict[str, Any]]
"""Gives the request's arguments anew for each hop, since a stream is read only once; files are closed
with the stack."""


class Content(msgspec.Struct, frozen=True):
    """A body with the headers that describe it."""

    headers: dict[str, str]
    make: Make


def nothing(stack: ExitStack) -> dict[str, Any]:
    """No body."""
    return {}


async def content_of(
    body: Value, kind: str, headers: Mapping[str, str], files: FileStore | None, workspace: str
) -> Content:
    """A call's body, with its own headers added to what the document sets. Raises NodeFailed, NotFound."""
    given = dict(headers)
    if kind == "none" or (body is None and kind == "auto"):
        return Content(given, nothing)
    if kind == "multipart":
        return await _multipart(body, given, files, workspace)
    file = as_file(body)
    if kind == "file" or (kind == "auto" and file is not None):
        if file is None:
            raise NodeFailed(reason="body: a file is needed here, such as one that a webhook or a call gave")
        return await _file(file, given, files, workspace)
    given_type, raw = _encoded(body, kind)
    given.setdefault("content-type", given_type)
    return Content(given, lambda stack: {"content": raw})


def _encoded(body: Value, kind: str) -> tuple[str, bytes]:
    if kind == "form":
        if not isinstance(body, dict):
            raise NodeFailed(reason="body: a form is an object of fields")
        pairs = [(name, _field(name, each)) for name, value in body.items() for each in _listed(value)]
        return "application/x-www-form-urlencoded", urlencode(pairs).encode()
    if kind == "json" or (kind == "auto" and not isinstance(body, str)):
        return "application/json", msgspec.json.encode(body)
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    return "text/plain; charset=utf-8", text.encode()


async def _file(
    file: StoredFile, headers: dict[str, str], files: FileStore | None, workspace: str
) -> Content:
    store = _store(files)
    path = await store.find(workspace, file.sha256)
    headers.setdefault("content-type", file.type)
    headers["content-length"] = str(path.stat().st_size)
    return Content(headers, lambda stack: {"content": store.stream(workspace, file.sha256)})


async def _multipart(
    body: Value, headers: dict[str, str], files: FileStore | None, workspace: str
) -> Content:
    """Parts of a form; a file's value becomes a part that is read from the disk while it is sent."""
    if not isinstance(body, dict):
        raise NodeFailed(reason="body: a multipart form is an object of fields")
    # The boundary belongs to the type, so it is made with the parts.
    headers.pop("content-type", None)
    fields: list[tuple[str, str]] = []
    parts: list[tuple[str, StoredFile, Any]] = []
    for name, value in body.items():
        for each in _listed(value):
            file = as_file(each)
            if file is None:
                fields.append((name, _field(name, each)))
            else:
                parts.append((name, file, await _store(files).find(workspace, file.sha256)))

    def make(stack: ExitStack) -> dict[str, Any]:
        opened = [
            (name, (file.name, stack.enter_context(path.open("rb")), file.type)) for name, file, path in parts
        ]
        plain = [(name, (None, text.encode(), None)) for name, text in fields]
        return {"files": [*plain, *opened]}

    return Content(headers, make)


def _listed(value: Value) -> list[Any]:
    """What a field sends: a list repeats it, null leaves it out."""
    return [each for each in (value if isinstance(value, list) else [value]) if each is not None]


def _field(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise NodeFailed(reason=f"body.{name}: a field of a form is a text, a number or a file")
    return str(value)


def _store(files: FileStore | None) -> FileStore:
    if files is None:
        raise NodeFailed(reason="There is no place for files here")
    return files
