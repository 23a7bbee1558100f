"""The application on a port of its own, in a thread: a `Server` that starts in a moment."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn

from flowfuse.app import FlowFuse, create_app
from flowfuse.config import Config
from flowfuse.data.folder import DataFolder
from tests.support.server import Server


class LocalServer(Server):
    """The same doors as a server process, without the process."""

    def __init__(self, data: Path, **settings: Any) -> None:
        super().__init__(data)
        self._settings = settings
        self._uvicorn: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.app: FlowFuse

    def start(self, *, wait: bool = True, **environment: str) -> LocalServer:
        folder = DataFolder(self.data)
        folder.make()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(100)
        self.app = create_app(
            Config(**{"data": self.data, "port": self.port, "demos": False, **self._settings})
        )
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                self.app, log_config=None, http="httptools", ws="websockets-sansio", lifespan="on",
                timeout_graceful_shutdown=2,
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(listener),))
        self._thread.start()
        while not self._uvicorn.started:
            assert self._thread.is_alive(), "the server did not start"
        return self

    async def _serve(self, listener: socket.socket) -> None:
        assert self._uvicorn is not None
        self._loop = asyncio.get_running_loop()
        await self._uvicorn.serve(sockets=[listener])

    def call(self, coroutine: Any) -> Any:
        """Run a coroutine on the server's loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def stop(self, patience: float = 30) -> int:
        if self._uvicorn is not None and self._thread is not None:
            self._uvicorn.should_exit = True
            self._thread.join(patience)
            assert not self._thread.is_alive(), "the server did not end"
            self._uvicorn = self._thread = None
        return 0

    def kill(self) -> None:
        self.stop()
