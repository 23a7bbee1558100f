"""`flowfuse serve`: the server, from the data folder's lock to the last drained run."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flowfuse.clock import Clock
from flowfuse.collector import collector
from flowfuse.commands.common import add_data, config_of
from flowfuse.config import Config, local_address
from flowfuse.data.backup import BringBack, restore
from flowfuse.data.folder import DataFolder, Running
from flowfuse.errors import BackupInvalid, ConfigInvalid, Conflict
from flowfuse.model import WORKSPACE
from flowfuse.resources import asset_root
from flowfuse.tls import fingerprint

log = logging.getLogger("flowfuse.serve")

LAST_ANSWERS_SECONDS = 2
"""How long answers may take to leave once everything is drained."""


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Options of `serve`."""
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on (default 8420)")
    parser.add_argument(
        "--tls", action="store_true", default=None, help="serve https, by a certificate that is made at once"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    add_data(parser)
    parser.set_defaults(handler=serve)


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C, then drain."""
    return serve_config(
        config_of(options, host=options.host, port=options.port, tls=options.tls),
        browser=not options.no_browser,
    )


def serve_config(config: Config, extra: Callable[[], Sequence[Any]] = tuple, *, browser: bool = False) -> int:
    """Serve with these settings; `extra` makes more routes, when the site is built."""
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    folder = DataFolder(config.data)
    folder.make()
    folder.hold()
    restored: BringBack | None = None
    try:
        while True:
            with _listen(config) as listener, contextlib.ExitStack() as starting:
                starting.enter_context(collector.held())
                # With port 0 the system chooses one.
                config = msgspec.structs.replace(config, port=listener.getsockname()[1])
                wanted = _run(config, folder, listener, extra, browser, starting, restored)
            if wanted is None:
                return 0
            restored, browser = _restored(wanted, folder), False
            collector.let_go()
    finally:
        folder.release()


def _restored(wanted: BringBack, folder: DataFolder) -> BringBack:
    """Bring a backup back between two servers; with `trouble`, what was there is there still."""
    try:
        restore(wanted.backup, folder.path, asset_root("migrations"), Clock())
    except BackupInvalid as error:
        log.error("Nothing was brought back. %s", error)
        return msgspec.structs.replace(wanted, trouble=str(error))
    return wanted


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
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            raise ConfigInvalid(
                field="--host", reason=f"{config.host} is no address of this machine ({reason}); 127.0.0.1 "
                "is for it alone, 0.0.0.0 for everybody who can reach it"
            ) from None  # fmt: skip
        raise ConfigInvalid(
            field="--port", reason=f"{config.port} cannot be listened on ({reason}); choose another port"
        ) from None
    listener.listen(2048)
    return listener


def _run(
    config: Config,
    folder: DataFolder,
    listener: socket.socket,
    extra: Any,
    browser: bool,
    starting: contextlib.ExitStack,
    restored: BringBack | None,
) -> BringBack | None:
    """Serve until the end; the backup to go on with, where one is wanted.

    `starting` is what is held until the server is ready, `restored` what it starts from.
    """
    import uvicorn

    from flowfuse.app import create_app

    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    # The writer's thread needs the interpreter's lock only for moments; with the default of 5 ms it
    # would wait that long for each of them while the event loop is busy.
    sys.setswitchinterval(0.0005)
    certificate, key = _certificate(config, folder)
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
            ssl_certfile=certificate or None,
            ssl_keyfile=key or None,
        )
    )
    server.engine = app.engine
    app.engine.backups.start_anew, app.engine.backups.began_from = server.start_anew, restored
    app.built = collector.settle

    async def ready() -> None:
        starting.close()
        await _announce(config, folder, app, certificate, browser=browser)

    server.ready = ready
    try:
        asyncio.run(_open_and_serve(app, server, listener, restored))
    except BaseExceptionGroup as group:
        # The framework opens an application in a task group; what kept it from opening is inside.
        raise _cause(group) from None
    wanted: BringBack | None = server.wanted
    return wanted


def _certificate(config: Config, folder: DataFolder) -> tuple[str, str]:
    """The files of the certificate and its key; empty where http is served. Raises ConfigInvalid."""
    if config.tls_cert or config.tls_key:
        if not (config.tls_cert and config.tls_key):
            missing = "tls_key" if config.tls_cert else "tls_cert"
            raise ConfigInvalid(field=missing, reason="a certificate needs both, its file and its key's")
        fingerprint(Path(config.tls_cert))
        return config.tls_cert, config.tls_key
    if not config.tls:
        return "", ""
    from flowfuse.app import names_of

    names = dict.fromkeys([*names_of(config), *_own_addresses(config), "localhost", "127.0.0.1", "::1"])
    certificate, key = folder.certificate(list(names))
    return str(certificate), str(key)


def _own_addresses(config: Config) -> list[str]:
    """The addresses by which others on the LAN reach this machine."""
    if config.host not in ("0.0.0.0", "::"):
        return [config.host] if config.lan else []
    family = socket.AF_INET if config.host == "0.0.0.0" else socket.AF_UNSPEC
    found = []
    try:
        # No packet is sent: it only asks which of our addresses would be used.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            found.append(probe.getsockname()[0])
    except OSError:
        pass
    try:
        found += [str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None, family)]
    except OSError:
        pass
    usable = [each for each in found if "%" not in each and not each.startswith("127.")]
    return list(dict.fromkeys(usable))


def _cause(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


async def _open_and_serve(app: Any, server: Any, listener: socket.socket, restored: BringBack | None) -> None:
    """Open the application, serve, close it: also what is not begun any more is closed in order."""
    server.take_signals()
    async with app.lifespan():
        if restored is not None and not restored.trouble:
            await _note(app.engine, restored)
        await server.serve(sockets=[listener])


async def _note(engine: Any, restored: BringBack) -> None:
    """In the database that has come back: whoever brought it back is signed in, and the log says so."""
    by = restored.by
    if by.session is not None:
        await engine.sessions.put_back(by.session)
    await engine.audit.add(
        by.workspace, "restore_backup", restored.backup.name,
        actor=by.actor, actor_name=by.actor_name, via=by.via, ip=by.ip,
    )  # fmt: skip


async def _announce(config: Config, folder: DataFolder, app: Any, certificate: str, *, browser: bool) -> None:
    running = Running(pid=os.getpid(), host=config.host, port=config.port, certificate=certificate)
    folder.announce(running)
    if app.gate.setup_only:
        _print_setup(config, app.auth.make_setup_code(), running)
    else:
        engine = app.engine
        code = await engine.sessions.make_link(WORKSPACE, await engine.accounts.owner())
        link = f"{running.address}/link/{code}"
        print(f"FlowFuse is running. Sign in once, within 15 minutes, at {link}", flush=True)
        for address in _own_addresses(config) if config.lan else []:
            print(f"  On the network: {_address(address, running)}", flush=True)
        if browser and config.display and sys.stdout.isatty():
            import webbrowser

            await asyncio.to_thread(webbrowser.open, link)
    if certificate:
        print(f"  Certificate, SHA-256: {fingerprint(Path(certificate))}", flush=True)
    elif config.lan and not config.secure:
        print("  Without --tls, others on the network can read along.", flush=True)


def _print_setup(config: Config, code: str, running: Running) -> None:
    print("FlowFuse is running, and others can reach it, so it has to have an owner first.", flush=True)
    for address in _own_addresses(config) or ["localhost"]:
        print(f"  Open {_address(address, running)}/setup", flush=True)
    print(f"  Setup code, for 15 minutes: {code}", flush=True)


def _address(host: str, running: Running) -> str:
    return local_address(host, running.port, tls=bool(running.certificate))


def _server_class() -> Any:
    """A class that is made when it is first needed: other commands have no use for uvicorn."""
    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn with our own signals: SIGTERM drains first, a second one waits for nothing."""

        engine: Any = None
        ready: Any = None
        stopping: asyncio.Task[None] | None = None
        wanted: BringBack | None = None

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

        def start_anew(self, wanted: BringBack) -> None:
            """End like by a signal, to begin again from a backup. Raises Conflict where it ends already."""
            if self.stopping is not None:
                raise Conflict(reason="The server is stopping already; nothing was brought back")
            self._stop()
            self.wanted = wanted

        def _stop(self) -> None:
            self.wanted = None
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
