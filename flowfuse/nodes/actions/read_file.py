"""Reads a file as a value."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from flowfuse import large_json
from flowfuse.data.files import FileStore, as_file
from flowfuse.errors import NodeFailed, NotFound, TooLarge
from flowfuse.model import Value
from flowfuse.node import NodeType, Output, Params, RunContext, form

MAX_BYTES = 32_000_000
MAX_CELL = 1_000_000


class ReadFileParams(Params, frozen=True):
    """The file, and what to make of it."""

    file: Annotated[
        Any, form("File", "Such as `{{ trigger.body.photo }}` or `{{ nodes.fetch.body }}`.", widget="file")
    ]
    format: Annotated[
        Literal["text", "json", "csv", "base64"],
        form("Read as", "`csv` gives a list of rows.", widget="choice", kind="plain"),
    ] = "text"
    encoding: Annotated[
        str, form("Encoding", "Of text, JSON and CSV; a byte order mark is left out.", kind="plain")
    ] = "utf-8"
    header: Annotated[
        bool,
        form(
            "First row names the columns",
            "Then a row is an object, else a list.",
            widget="switch",
            kind="plain",
        ),
    ] = True
    delimiter: Annotated[
        str,
        form("Delimiter", "Between cells.", kind="plain", min_length=1, max_length=1),
    ] = ","


class ReadFile(NodeType):
    type = "action.read_file"
    title = "Read file"
    summary = "Gives what is in a file: text, JSON, the rows of a CSV file, or base64."
    icon = "file"
    detached = True
    default_timeout = 30.0
    params = ReadFileParams
    example: ClassVar = {
        "id": "rows",
        "type": "action.read_file",
        "config": {"file": "{{ trigger.body.upload }}", "format": "csv"},
    }

    def __init__(self, files: FileStore) -> None:
        self._files = files

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return check_encoding(config)

    async def run(self, params: Any, context: RunContext) -> Output:
        file = as_file(params.file)
        if file is None:
            raise NodeFailed(reason="file: this is no file, such as a webhook's upload or a call's answer")
        try:
            raw = await self._files.read(context.workspace, file.sha256, MAX_BYTES)
        except NotFound:
            raise NodeFailed(reason=f"file: “{file.name}” is not kept any more") from None
        except TooLarge:
            raise NodeFailed(
                reason=f"file: “{file.name}” is larger than {MAX_BYTES // 1_000_000} MB, which is the most "
                "that becomes a value"
            ) from None
        if params.format == "json":
            return Output("main", await _json(raw, params))
        return Output("main", await asyncio.to_thread(_read, raw, params))


def check_encoding(config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What is wrong with a config's `encoding`: no codec of text has that name."""
    name = config.get("encoding", "utf-8")
    try:
        fits = isinstance("".encode(name), bytes) and isinstance(b"".decode(name), str)
    except (LookupError, ValueError, TypeError):
        fits = False
    if not fits:
        yield "encoding", f"“{name}” is no encoding such as utf-8, latin-1 or utf-16"


def _read(raw: bytes, params: ReadFileParams) -> Value:
    if params.format == "base64":
        return base64.b64encode(raw).decode()
    text = _text(raw, params)
    return _rows(text, params) if params.format == "csv" else text


def _text(raw: bytes, params: ReadFileParams) -> str:
    try:
        return raw.decode(params.encoding).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError):
        raise NodeFailed(reason=f"file: this is no text in {params.encoding}") from None


async def _json(raw: bytes, params: ReadFileParams) -> Value:
    text = await asyncio.to_thread(lambda: _text(raw, params).encode("utf-8", "surrogatepass"))
    try:
        value: Value = await large_json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NodeFailed(reason=f"file: this is not JSON: {error}") from None
    return value


def _rows(text: str, params: ReadFileParams) -> Value:
    import csv  # when first needed: it costs a cold start 5 ms

    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=params.delimiter)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise NodeFailed(reason=f"file: line {reader.line_num} is not CSV: {error}") from None
    if not params.header or not rows:
        return rows
    names = rows[0]
    return [_named(names, row) for row in rows[1:]]


def _named(names: list[str], row: list[str]) -> dict[str, Value]:
    """A row by its columns' names; a cell that is missing is null, one too many is left out."""
    return {name: row[place] if place < len(row) else None for place, name in enumerate(names)}
