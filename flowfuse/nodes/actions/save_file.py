"""Writes a file of this machine."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from flowfuse.data.files import FileStore, as_file
from flowfuse.errors import NodeFailed, NotFound
from flowfuse.integrations.folders import FolderGuard
from flowfuse.node import NodeType, Output, Params, RunContext, form


class SaveFileParams(Params, frozen=True):
    """What is written, and where."""

    path: Annotated[
        str,
        form(
            "Path",
            "Such as `/srv/reports/{{ today() }}.csv`, in a folder that the settings allow.",
            min_length=1,
        ),
    ]
    file: Annotated[
        Any, form("File", "Such as `{{ nodes.report }}` of a Make file, or a text as it is.", widget="file")
    ]
    existing: Annotated[
        Literal["replace", "fail"],
        form("If it is there", "`replace` it, or `fail`.", widget="choice", kind="plain"),
    ] = "replace"


class Saved(msgspec.Struct):
    """Where it is now."""

    path: str
    size: int


class SaveFile(NodeType):
    type = "action.save_file"
    title = "Save file"
    summary = "Writes a file to a folder of this machine, whole or not at all."
    icon = "file"
    effects = True
    default_timeout = 300.0
    params = SaveFileParams
    output: ClassVar[Any] = Saved
    example: ClassVar = {
        "id": "keep",
        "type": "action.save_file",
        "config": {"path": "/srv/reports/orders.csv", "file": "{{ nodes.report }}"},
    }

    def __init__(self, files: FileStore, folders: FolderGuard) -> None:
        self._files, self._folders = files, folders

    async def run(self, params: Any, context: RunContext) -> Output:
        file = as_file(params.file)
        if file is None and not isinstance(params.file, str):
            raise NodeFailed(reason="file: this is no file and no text; Make file makes one of any value")
        writing = self._folders.writing(
            params.path, operator=context.operator, replace=params.existing == "replace"
        )
        size = 0
        with ExitStack() as stack:
            out = await asyncio.to_thread(stack.enter_context, writing)
            if file is None:
                size = await asyncio.to_thread(out.write, params.file.encode("utf-8", "surrogatepass"))
            else:
                try:
                    async for piece in self._files.stream(context.workspace, file.sha256):
                        size += await asyncio.to_thread(out.write, piece)
                except NotFound:
                    raise NodeFailed(reason=f"file: “{file.name}” is not kept any more") from None
            await asyncio.to_thread(stack.pop_all().close)
        return Output("main", {"path": params.path, "size": size})
