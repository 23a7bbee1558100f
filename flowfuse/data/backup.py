"""Backups: whole copies of the database and its files, made while it is used, checked, and brought back.

A backup is a folder: the database, the files (as further names of the same content, so they cost
nothing), and a manifest with checksums. The vault's key is not in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from flowfuse import __version__
from flowfuse.clock import Clock
from flowfuse.data.database import connect, newest_schema, structure_fault
from flowfuse.data.preferences import BackupSettings, PreferenceStore
from flowfuse.data.storage import reserve_of
from flowfuse.errors import BackupInvalid, NotFound
from flowfuse.model import WORKSPACE

log = logging.getLogger("flowfuse.backup")

DATABASE, MANIFEST, FILES = "flowfuse.db", "manifest.json", "files"
LOOK_EVERY = 60.0
HOUR_US = 3600 * 1_000_000
_BEFORE_MIGRATION = 3
"""Copies from before migrations that are kept."""


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup is. `created` is UTC microseconds, `checked` says that its copy was read whole."""

    version: str
    schema: int
    created: int
    sha256: str
    size: int
    executions: int
    checked: bool
    reason: str = ""


class Backup(Struct, frozen=True):
    """A backup that is there."""

    path: Path
    manifest: Manifest


class Asker(Struct, frozen=True, kw_only=True):
    """Who wants a backup back. `session` is their own, as it is stored: they stay signed in."""

    workspace: str
    actor: str
    actor_name: str
    via: str
    ip: str
    session: tuple[Any, ...] | None


class BringBack(Struct, frozen=True):
    """A backup that is to take the place of what is there, who wants that, and why it did not."""

    backup: Path
    by: Asker
    trouble: str = ""


class Backups:
    """Makes, lists and thins out the backups of one data folder."""

    def __init__(self, folder: Path, migrations: Path, clock: Clock) -> None:
        self.folder, self._migrations, self._clock = folder, migrations, clock
        self.start_anew: Callable[[BringBack], None] | None = None
        """Ends the process's use of the folder, restores, and begins again; whoever serves sets it.

        Raises Conflict where it is ending already."""
        self.began_from: BringBack | None = None
        """What this process has brought back before it opened the folder again."""

    @property
    def place(self) -> Path:
        """Where the folder's own backups lie."""
        return self.folder / "backups"

    def make(self, target: Path | None = None, reason: str = "") -> Backup:
        """Copy the database and its files; the copy is read whole before it counts.

        Runs beside a server. Raises BackupInvalid where that is not possible.
        """
        now = self._clock.now_us()
        path = target if target is not None else self.place / name_of(now)
        part = path.with_name(path.name + ".part")
        try:
            self._check_room(path.parent)
            if path.exists():
                raise BackupInvalid(path=str(path), reason="there is something by that name already")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o700, parents=True)
            manifest = self._fill(part, now, reason)
            part.rename(path)
            _sync(path.parent)
        except (OSError, sqlite3.Error) as error:
            shutil.rmtree(part, ignore_errors=True)
            raise BackupInvalid(
                path=str(path), reason=getattr(error, "strerror", None) or str(error)
            ) from None
        return Backup(path, manifest)

    def _check_room(self, place: Path) -> None:
        """A copy must not be what fills the disk. Raises BackupInvalid."""
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        usage, size = shutil.disk_usage(there), (self.folder / DATABASE).stat().st_size
        if usage.free - size < 2 * reserve_of(usage.total):
            raise BackupInvalid(
                path=str(place),
                reason=f"the disk has {usage.free // 1_000_000} MB left, and it needs {size // 1_000_000}",
            )

    def _fill(self, part: Path, now_us: int, reason: str) -> Manifest:
        copy = part / DATABASE
        copy_database(self.folder / DATABASE, copy)
        schema, executions = check_database(copy)
        _link_files(self.folder / FILES, part / FILES)
        manifest = Manifest(
            version=__version__, schema=schema, created=now_us, sha256=_sha256(copy),
            size=copy.stat().st_size, executions=executions, checked=True, reason=reason,
        )  # fmt: skip
        _write(part / MANIFEST, msgspec.json.encode(manifest))
        return manifest

    def list(self) -> Sequence[Backup]:
        """The backups in the data folder, newest first."""
        found = []
        if self.place.is_dir():
            for path in self.place.iterdir():
                with contextlib.suppress(OSError, msgspec.MsgspecError):
                    manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
                    found.append(Backup(path, manifest))
        return sorted(found, key=lambda backup: backup.manifest.created, reverse=True)

    def verified(self, name: str) -> Path:
        """A backup of the folder, read whole: blocks. Raises NotFound, BackupInvalid."""
        found = next((backup for backup in self.list() if backup.path.name == name), None)
        if found is None:
            raise NotFound(what="backup", id=name)
        verify(found.path, self._migrations)
        return found.path

    def thin_out(self, settings: BackupSettings) -> Sequence[Path]:
        """Remove what is over the newest hourly ones, and then one a day; what was removed."""
        own = [backup for backup in self.list() if not backup.manifest.reason]
        kept = {backup.path for backup in own[: settings.hourly]}
        days: dict[int, Path] = {}
        for backup in own[settings.hourly :]:
            days.setdefault(backup.manifest.created // (24 * HOUR_US), backup.path)
        kept |= set(list(days.values())[: settings.daily])
        gone = [backup.path for backup in own if backup.path not in kept]
        migrated = [backup.path for backup in self.list() if backup.manifest.reason]
        gone += migrated[_BEFORE_MIGRATION:]
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)
        return gone

    def before_migration(self, schema: int) -> Backup | None:
        """A copy of a database that is about to be changed; None where there is nothing to lose."""
        if schema == 0 or schema >= newest_schema(self._migrations):
            return None
        path = self.place / f"{name_of(self._clock.now_us())}-schema-{schema}"
        return self.make(path, f"before the migration from schema {schema}")

    async def work(self, preferences: PreferenceStore) -> None:
        """The loop that makes one each hour and thins them out. Never returns."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            settings = (await preferences.get(WORKSPACE)).backup
            if settings.enabled:
                await asyncio.to_thread(self._hourly, settings)

    def _hourly(self, settings: BackupSettings) -> None:
        newest = next((backup for backup in self.list() if not backup.manifest.reason), None)
        if newest is not None and self._clock.now_us() - newest.manifest.created < HOUR_US:
            return
        try:
            self.make()
        except BackupInvalid as error:
            log.error("%s", error)
            return
        self.thin_out(settings)


def restore(backup: Path, folder: Path, migrations: Path, clock: Clock) -> Manifest:
    """Bring a backup back into a data folder that nobody holds; what is there is kept beside it.

    Raises BackupInvalid where the backup is damaged or of a newer version.
    """
    manifest = verify(backup, migrations)
    aside = f".before-restore-{name_of(clock.now_us())}"
    try:
        fresh = folder / f"{DATABASE}.restoring"
        _copy(backup / DATABASE, fresh)
        fresh.chmod(0o600)
        _link_files(backup / FILES, folder / FILES)
        _keep_aside(folder, aside)
        fresh.replace(folder / DATABASE)
        _sync(folder)
    except OSError as error:
        raise BackupInvalid(path=str(backup), reason=error.strerror or str(error)) from None
    return manifest


def _keep_aside(folder: Path, suffix: str) -> None:
    """Give the database a second name; it stays where it is until the new one takes its place."""
    database = folder / DATABASE
    if not database.exists():
        return
    # A journal belongs to its own database alone. What is whole is folded in; of a damaged one it goes aside.
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _link(database, folder / f"{DATABASE}{suffix}")
    for name in (f"{DATABASE}-wal", f"{DATABASE}-shm"):
        if (folder / name).exists():
            (folder / name).rename(folder / f"{name}{suffix}")


def verify(backup: Path, migrations: Path) -> Manifest:
    """Read a backup whole. Raises BackupInvalid, which says why it cannot be brought back."""
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
        if _sha256(backup / DATABASE) != manifest.sha256:
            raise BackupInvalid(path=str(backup), reason="its database is damaged: the checksum is wrong")
        check_database(backup / DATABASE)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupInvalid(path=str(backup), reason=f"it is no backup ({error})") from None
    except sqlite3.Error as error:
        raise BackupInvalid(path=str(backup), reason=f"its database is damaged ({error})") from None
    if manifest.schema > newest_schema(migrations):
        raise BackupInvalid(
            path=str(backup),
            reason=f"it was made by FlowFuse {manifest.version}, which is newer than this one",
        )
    return manifest


def copy_database(source: Path, target: Path) -> None:
    """A whole copy at one moment, beside whoever writes. Raises sqlite3.Error, OSError."""
    with (
        contextlib.closing(connect(source, read_only=True)) as reading,
        contextlib.closing(sqlite3.connect(target)) as writing,
    ):
        # In one go: in steps, each commit in between would start it anew. Meanwhile the journal grows.
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")
    target.chmod(0o600)
    _sync(target)


def check_database(path: Path) -> tuple[int, int]:
    """Read every page of a database; its schema and number of executions. Raises sqlite3.Error."""
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        fault = structure_fault(connection)
        if fault is not None:
            raise sqlite3.DatabaseError(fault)
        schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
        count = int(connection.execute("SELECT count(*) FROM executions").fetchone()[0]) if schema else 0
    return schema, count


def name_of(moment_us: int) -> str:
    """A backup's name: its moment, in UTC."""
    return datetime.fromtimestamp(moment_us / 1e6, UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


def _link_files(source: Path, target: Path) -> None:
    """Give every kept file another name; on another disk it is copied."""
    if not source.is_dir():
        return
    for path in source.glob("[0-9a-f][0-9a-f]/*"):
        place = target / path.parent.name / path.name
        if place.exists():
            continue
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _link(path, place)


def _link(path: Path, place: Path) -> None:
    """A second name for the same content; on another disk, a copy."""
    try:
        os.link(path, place)
    except OSError:
        _copy(path, place)


def _copy(path: Path, place: Path) -> None:
    shutil.copyfile(path, place)
    _sync(place)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, safe on the disk."""
    handle: Any = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
