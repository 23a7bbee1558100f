"""`flowfuse doctor`: looks at everything that FlowFuse needs, and says what to do about what is wrong."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from flowfuse import __version__
from flowfuse.clock import Clock
from flowfuse.commands.common import add_data, add_json, coloured, config_of, print_json
from flowfuse.config import Config
from flowfuse.data.backup import Backups
from flowfuse.data.database import newest_schema, schema_of
from flowfuse.data.folder import DataFolder
from flowfuse.data.storage import quick_check, reserve_of
from flowfuse.errors import FlowFuseError
from flowfuse.integrations.vault import sealing_keys
from flowfuse.resources import asset_root
from flowfuse.seal import Sealer, parse_key

OLDEST_SQLITE = (3, 38, 0)
EARLIEST = 1_767_225_600
"""2026 began at this second: a clock before it is wrong."""
DAY_SECONDS = 86400
_COLOURS = {"ok": "32", "warning": "33", "problem": "31"}


class Finding(Struct, frozen=True):
    """What one check found: `ok`, a `warning` or a `problem`, in words, and what to do about it."""

    name: str
    level: str
    found: str
    advice: str = ""


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Options of `doctor`."""
    add_data(parser)
    add_json(parser)
    parser.add_argument("--port", type=int, help="the port that is to be used (default 8420)")
    parser.set_defaults(handler=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Run every check; 1 where there is a problem."""
    config = config_of(options, port=options.port)
    folder = DataFolder(config.data)
    findings = [finding for check in CHECKS for finding in check(config, folder)]
    if options.json:
        print_json({"items": findings})
    else:
        for finding in findings:
            print(
                f"{coloured(finding.level.ljust(8), _COLOURS[finding.level])} {finding.name}: {finding.found}"
            )
            if finding.advice:
                print(f"         {finding.advice}")
    return 1 if any(finding.level == "problem" for finding in findings) else 0


def _folder(config: Config, folder: DataFolder) -> Iterator[Finding]:
    path = folder.path
    if not path.exists():
        yield Finding("folder", "ok", f"{path} is not there yet; the first start makes it")
        return
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "folder",
            "problem",
            f"{path} cannot be written",
            "Give it to this user, or name another by --data.",
        )
        return
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding("folder", "warning", f"{path} can be read by other users", f"chmod 700 {path}")
        return
    yield Finding("folder", "ok", str(path))


def _database(config: Config, folder: DataFolder) -> Iterator[Finding]:
    if not folder.database.exists() or folder.database.stat().st_size == 0:
        yield Finding("database", "ok", "none yet")
        return
    damage = quick_check(folder.database)
    if damage is not None:
        yield Finding("database", "problem", damage, "Stop the server and run: flowfuse restore latest")
        return
    schema = schema_of(folder.database)
    newest = newest_schema(asset_root("migrations"))
    if schema > newest:
        yield Finding(
            "database",
            "problem",
            f"schema {schema} is of a newer FlowFuse",
            "Start that version, or restore a backup.",
        )
    elif schema < newest:
        yield Finding(
            "database",
            "warning",
            f"schema {schema}; the next start brings it to {newest}",
            "A copy is made before.",
        )
    else:
        yield Finding("database", "ok", f"schema {schema}, its structure is good")


def _key(config: Config, folder: DataFolder) -> Iterator[Finding]:
    path = folder.path / "master.key"
    try:
        text = config.master_key or (path.read_text(encoding="ascii") if path.exists() else None)
        if text is None:
            sealed = sealing_keys(folder.database)
            if sealed:
                yield Finding(
                    "key",
                    "problem",
                    f"what is kept was sealed, and {path} is missing",
                    "Put it back, or set FLOWFUSE_MASTER_KEY.",
                )
            else:
                yield Finding("key", "ok", "none yet; the first start makes one")
            return
        key_id = Sealer(parse_key(text)).key_id
    except (OSError, FlowFuseError) as error:
        yield Finding(
            "key", "problem", str(error), "It has to be 64 hex digits; bring it back from where you keep it."
        )
        return
    others = sealing_keys(folder.database) - {key_id}
    if others:
        yield Finding(
            "key",
            "problem",
            f"what is kept was sealed with another key ({', '.join(sorted(others))})",
            "Start with that key.",
        )
    elif config.master_key is None and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding("key", "problem", f"{path} can be read by other users", f"chmod 600 {path}")
    else:
        yield Finding("key", "ok", f"key {key_id}")


def _disk(config: Config, folder: DataFolder) -> Iterator[Finding]:
    place = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    usage = shutil.disk_usage(place)
    found = f"{usage.free // 1_000_000} MB free of {usage.total // 1_000_000} MB"
    reserve = reserve_of(usage.total)
    if usage.free < reserve:
        least = f"with less than {reserve // 1_000_000} MB nothing new is accepted."
        yield Finding("disk", "problem", found, f"Make room: {least}")
    elif usage.free < 10 * reserve:
        yield Finding(
            "disk", "warning", found, "Make room soon, or let history be kept for less long (settings)."
        )
    else:
        yield Finding("disk", "ok", found)


def _clock(config: Config, folder: DataFolder) -> Iterator[Finding]:
    now = Clock().now_us() / 1e6
    written = _newest_change(folder.path)
    if now < EARLIEST:
        yield Finding(
            "clock", "problem", f"it says {time.ctime(now)}", "Set it (NTP): schedules and sign-ins go by it."
        )
    elif written > now + 60:
        yield Finding("clock", "warning", "the data folder was changed in the future", "Set the clock (NTP).")
    else:
        yield Finding("clock", "ok", time.ctime(now))
    try:
        ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        yield Finding("clock", "problem", "the timezone data is missing", "pip install tzdata")


def _newest_change(path: Path) -> float:
    try:
        return max((each.stat().st_mtime for each in path.iterdir()), default=0.0)
    except OSError:
        return 0.0


def _port(config: Config, folder: DataFolder) -> Iterator[Finding]:
    running = folder.running() if folder.path.exists() else None
    if running is not None:
        yield Finding("port", "ok", f"FlowFuse is running at {running.address} (process {running.pid})")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            yield Finding(
                "port",
                "problem",
                f"{config.port} cannot be listened on ({error.strerror})",
                "Choose another by --port.",
            )
            return
    yield Finding("port", "ok", f"{config.port} is free")


def _versions(config: Config, folder: DataFolder) -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(
        "versions", "ok", f"FlowFuse {__version__}, Python {python}, SQLite {sqlite3.sqlite_version}"
    )
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Finding(
            "versions",
            "problem",
            f"SQLite {sqlite3.sqlite_version} is too old",
            "Use a Python with SQLite 3.38 or later.",
        )


def _backups(config: Config, folder: DataFolder) -> Iterator[Finding]:
    found = Backups(folder.path, asset_root("migrations"), Clock()).list()
    if not found:
        yield Finding(
            "backups",
            "ok" if not folder.database.exists() else "warning",
            "none yet",
            "flowfuse backup makes one.",
        )
        return
    age = Clock().now_us() / 1e6 - found[0].manifest.created / 1e6
    level = "warning" if age > DAY_SECONDS else "ok"
    yield Finding(
        "backups",
        level,
        f"{len(found)}, the newest {age / 3600:.0f} h old",
        "" if level == "ok" else "flowfuse backup makes one.",
    )


Check = Callable[[Config, DataFolder], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (_folder, _database, _key, _disk, _clock, _port, _versions, _backups)
