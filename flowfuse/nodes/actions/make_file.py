"""Makes a file of a value."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from flowfuse.data.files import FileStore
from flowfuse.errors import NodeFailed
from flowfuse.node import NodeType, Output, Params, RunContext, form
from flowfuse.nodes.actions.read_file import check_encoding

_TYPES = {"text": "text/plain", "json": "application/json", "csv": "text/csv", "base64": ""}
_ENDINGS = {"text": ".txt", "json": ".json", "csv": ".csv", "base64": ".bin"}


class MakeFileParams(Params, frozen=True):
    """What is in the file, and what it is called."""

    content: Annotated[Any, form("Content", "A text, any value, a list of rows, or base64.")]
    format: Annotated[
        Literal["text", "json", "csv", "base64"],
        form("Written as", "`csv` takes a list of objects or of lists.", widget="choice", kind="plain"),
    ] = "text"
    name: Annotated[str, form("Name", "Empty: `file` with the ending of the format.")] = ""
    type: Annotated[str, form("Content type", "Empty: that of the format.")] = ""
    encoding: Annotated[str, form("Encoding", "Of text, JSON and CSV.", kind="plain")] = "utf-8"
    delimiter: Annotated[
        str, form("Delimiter", "Between cells.", kind="plain", min_length=1, max_length=1)
    ] = ","


class FileValue(msgspec.Struct):
    """A file as a value."""

    sha256: str = msgspec.field(name="$file")
    name: str
    type: str
    size: int


class MakeFile(NodeType):
    type = "action.make_file"
    title = "Make file"
    summary = "Makes a file of a text, a value or rows, to send or to download."
    icon = "file"
    detached = True
    default_timeout = 30.0
    params = MakeFileParams
    output: ClassVar[Any] = FileValue
    example: ClassVar = {
        "id": "report",
        "type": "action.make_file",
        "config": {"content": "{{ nodes.orders }}", "format": "csv", "name": "orders {{ today() }}.csv"},
    }

    def __init__(self, files: FileStore) -> None:
        self._files = files

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return check_encoding(config)

    async def run(self, params: Any, context: RunContext) -> Output:
        data = await asyncio.to_thread(_written, params)
        name = params.name or f"file{_ENDINGS[params.format]}"
        kept = await self._files.save(context.workspace, data, name, params.type or _TYPES[params.format])
        return Output("main", kept.value())


def _written(params: MakeFileParams) -> bytes:
    content = params.content
    if params.format == "base64":
        try:
            return base64.b64decode("".join(str(content).split()), validate=True)
        except binascii.Error:
            raise NodeFailed(reason="content: this is not base64") from None
    if params.format == "csv":
        text = _csv(content, params.delimiter)
    elif params.format == "text" and isinstance(content, str):
        text = content
    else:
        text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
    try:
        return text.encode(params.encoding)
    except (UnicodeEncodeError, LookupError):
        raise NodeFailed(reason=f"content: it has characters that {params.encoding} has not") from None


def _csv(content: Any, delimiter: str) -> str:
    """Rows as CSV; of objects, the first row names all columns in the order that they come up in."""
    if not isinstance(content, list) or not all(isinstance(row, dict | list) for row in content):
        raise NodeFailed(reason="content: CSV is made of a list of objects, or of lists")
    import csv  # when first needed: it costs a cold start 5 ms

    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    names = list(dict.fromkeys(name for row in content if isinstance(row, dict) for name in row))
    if names:
        writer.writerow(names)
    for row in content:
        cells = [row.get(name) for name in names] if isinstance(row, dict) else row
        writer.writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
