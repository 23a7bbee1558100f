"""Takes a file of this machine into a run."""

from __future__ import annotations

import asyncio
import mimetypes
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, ClassVar

from flowfuse.data.files import FileStore
from flowfuse.integrations.folders import CHUNK, FolderGuard
from flowfuse.node import NodeType, Output, Params, RunContext, form
from flowfuse.nodes.actions.make_file import FileValue


class OpenFileParams(Params, frozen=True):
    """Which file."""

    path: Annotated[
        str,
        form(
            "Path",
            "Such as `/srv/orders/{{ today() }}.csv`, in a folder that the settings allow.",
            min_length=1,
        ),
    ]


class OpenFile(NodeType):
    type = "action.open_file"
    title = "Open file"
    summary = "Takes a file of this machine, to read it, send it on or answer with it."
    icon = "file"
    detached = True
    default_timeout = 300.0
    params = OpenFileParams
    output: ClassVar[Any] = FileValue
    example: ClassVar = {
        "id": "orders",
        "type": "action.open_file",
        "config": {"path": "/srv/orders/{{ today() }}.csv"},
    }

    def __init__(self, files: FileStore, folders: FolderGuard) -> None:
        self._files, self._folders = files, folders

    async def run(self, params: Any, context: RunContext) -> Output:
        name = Path(params.path).name
        reading = self._folders.reading(params.path, operator=context.operator)
        async with AsyncExitStack() as stack:
            file = await asyncio.to_thread(stack.enter_context, reading)
            writer = await stack.enter_async_context(self._files.writing(context.workspace))
            while piece := await asyncio.to_thread(file.read, CHUNK):
                await writer.write(piece)
            kept = await writer.finish(name, mimetypes.guess_type(name)[0] or "")
        return Output("main", kept.value())
