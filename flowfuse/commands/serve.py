"""`flowfuse serve`: the server, from the data folder's lock to the last drained run."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from flowfuse.commands.common import add_data, config_of
from flowfuse.config import LOOPBACK, Config
from flowfuse.data.folder import DataFolder, Running
from flowfuse.errors import ConfigInvalid
from flowfuse.model import WORKSPACE

LAST_ANSWERS_SECONDS = 2
"""How long answers may take to leave once everything is drained."""


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Options of `serve`."""
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on (default 8420)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    add_data(parser)
    parser.set_defaults(handler=serve)


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C, then drain."""
    return serve_config(
        config_of(options, host=options.host, port=options.port), browser=not options.no_browser
    )


def serve_config(config: Config, extra: Callable[[], Sequence[Any]] = tuple, *, browser: bool = False) -> int:
    """Serve with these settings; `extra` makes more routes, when the site is built."""
    if config.host not in LOOPBACK:
        raise ConfigInvalid(
            field="--host", reason=f"{config.host} is not this machine's own address; without accounts only "
            "127.0.0.1, ::1 and localhost can be served"
        )  # fmt: skip
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    folder = DataFolder(config.data)
    folder.make()
    folder.hold()
    try:
        with _listen(config) as listener:
            # With port 0 the system chooses one.
            config = msgspec.structs.replace(config, port=listener.getsockname()[1])
            _run(config, folder, listener, extra, browser)
    finally:
        folder.release()
    return 0


def _listen(config: Config) -> socket.socket:
    """The listening socket. Raises ConfigInvalid where the port cannot be had."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigInvalid(
            field="--port", reason=f"{config.port} cannot be listened on ({reason}); choose another port"
        ) from None
    listener.listen(2048)
    return listener


def _run(config: Config, folder: DataFolder, listener: socket.socket, extra: Any, browser: bool) -> None:
    import uvicorn

    from flowfuse.app import create_app

    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    # The writer's thread needs the interpreter's lock only for moments; with the default of 5 ms it
    # would wait that long for each of them while the event loop is busy.
    sys.setswitchinterval(0.0005)
    app = create_app(config, folder, extra)
    server = _server_class()(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="websockets-sansio",
            proxy_headers=False,
            http="httptools",
            timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
        )
    )
    server.engine = app.engine
    server.ready = lambda: _announce(config, folder, app, browser)
    try:
        asyncio.run(_open_and_serve(app, server, listener))
    except BaseExceptionGroup as group:
        # The framework opens an application in a task group; what kept it from opening is inside.
        raise _cause(group) from None


def _cause(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


async def _open_and_serve(app: Any, server: Any, listener: socket.socket) -> None:
    """Open the application, serve, close it: also what is not begun any more is closed in order."""
    server.take_signals()
    async with app.lifespan():
        await server.serve(sockets=[listener])


async def _announce(config: Config, folder: DataFolder, app: Any, browser: bool) -> None:
    running = Running(pid=os.getpid(), host=config.host, port=config.port)
    folder.announce(running)
    code = await app.engine.accounts.make_link(WORKSPACE)
    link = f"{running.address}/link/{code}"
    print(f"FlowFuse is running. Sign in once, within 15 minutes, at {link}", flush=True)
    if browser and config.display and sys.stdout.isatty():
        import webbrowser

        await asyncio.to_thread(webbrowser.open, link)


def _server_class() -> Any:
    """A class that is made when it is first needed: other commands have no use for uvicorn."""
    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn with our own signals: SIGTERM drains first, a second one waits for nothing."""

        engine: Any = None
        ready: Any = None
        stopping: asyncio.Task[None] | None = None

        def take_signals(self) -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                await self.ready()

        def _stop(self) -> None:
            if not self.started:
                self.should_exit = True
            elif self.stopping is None:
                self.stopping = asyncio.get_running_loop().create_task(self._drain())
            else:
                self.force_exit = self.should_exit = True
                self.engine.hurry()

        async def _drain(self) -> None:
            """New work gets 503 while what runs ends; then the listener closes."""
            await self.engine.drain()
            self.should_exit = True

    return Server
