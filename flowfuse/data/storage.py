"""Storage: what takes the space in the data folder, and whether there is enough left to accept work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from pathlib import Path

from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.database import Database, connect, structure_fault
from flowfuse.errors import DatabaseDamaged, DatabaseUnavailable

log = logging.getLogger("flowfuse.storage")

QUIET_SECONDS = 2.0
"""How long the check of the structure leaves a start in peace."""
RESERVE_BYTES = 100_000_000
RESERVE_SHARE = 0.05
"""Accepting stops while the disk has less than the lesser of both free."""
RELIEF = 1.2
"""And goes on when there is this much more than that again."""
GLANCE_SECONDS = 60.0
"""So old the sizes of tables may be where a page shows them."""

_PARTS = {
    "executions": ("executions", "counters", "deliveries", "fires", "follow_ups"),
    "outputs": ("segments",),
    "large values": ("blobs", "blob_references"),
    "workflows": ("workflows", "operations", "contents", "versions", "hooks", "schedules"),
}


class Part(Struct, frozen=True):
    """Something that takes space, in bytes."""

    name: str
    bytes: int


class Usage(Struct, frozen=True):
    """The data folder's use of its disk, in bytes. `accepting`: whether there is enough for new work."""

    database: int
    free_in_database: int
    journal: int
    files: int
    backups: int
    disk_free: int
    disk_size: int
    reserve: int
    accepting: bool
    parts: list[Part]


class Storage:
    """Measures the data folder."""

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self._folder, self._database, self._clock = folder, database, clock
        self._low = False
        self._measured: tuple[float, list[Part]] | None = None
        self._measuring: asyncio.Task[list[Part]] | None = None
        self.damage: str | None = None
        """What the check of the database's structure has found; None while nothing is known to be wrong."""

    def low(self) -> int | None:
        """The bytes that are left, where they are too few for new work.

        Asked each second, so it is one call to the system.
        """
        usage = shutil.disk_usage(self._folder)
        reserve = reserve_of(usage.total)
        self._low = usage.free < (reserve * RELIEF if self._low else reserve)
        return usage.free if self._low else None

    async def check_structure(self) -> None:
        """Read every page once, in the background: after an unclean stop, damage is named early."""
        await asyncio.sleep(QUIET_SECONDS)
        found = await asyncio.to_thread(quick_check, self._database.path)
        if found is not None:
            self.damage = f"The database is damaged: {found}. Restore the last backup (flowfuse restore)."
            log.error("%s", self.damage)

    async def usage(self, *, glance: bool = False) -> Usage:
        """Everything, measured now. Looks at each page of the database once.

        With `glance`, what the tables take may be a minute old: a page does not wait for a long history.
        """
        disk = await asyncio.to_thread(shutil.disk_usage, self._folder)
        free = await self._database.row(
            "SELECT (SELECT freelist_count FROM pragma_freelist_count()) "
            "* (SELECT page_size FROM pragma_page_size()) AS free"
        )
        path = self._database.path
        sizes = await asyncio.to_thread(
            lambda: (
                _size(path),
                _size(path.with_name(path.name + "-wal")),
                _tree(self._folder / "files"),
                _tree(self._folder / "backups"),
            )
        )
        return Usage(
            database=sizes[0],
            free_in_database=0 if free is None else free["free"],
            journal=sizes[1],
            files=sizes[2],
            backups=sizes[3],
            disk_free=disk.free,
            disk_size=disk.total,
            reserve=reserve_of(disk.total),
            accepting=self.low() is None,
            parts=await self._parts(glance),
        )

    async def _parts(self, glance: bool) -> list[Part]:
        """What was measured now, or at a glance last; where that is old, it is measured anew behind it."""
        if not glance or self._measured is None:
            return await asyncio.shield(self._measure())
        at, parts = self._measured
        if self._clock.perf() - at > GLANCE_SECONDS:
            self._measure()
        return parts

    def _measure(self) -> asyncio.Task[list[Part]]:
        """Measure the tables, once for all who ask meanwhile."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.create_task(self._measure_parts())
        return self._measuring

    async def _measure_parts(self) -> list[Part]:
        begun = self._clock.perf()
        # On a connection of its own: with a long history it takes a while, and others read meanwhile.
        parts = await asyncio.to_thread(table_sizes, self._database.path)
        self._measured = (begun, parts)
        return parts


def table_sizes(path: Path) -> list[Part]:
    """By table with its indexes, as SQLite's dbstat table tells it. Raises DatabaseUnavailable,
    DatabaseDamaged.
    """
    try:
        with contextlib.closing(connect(path, read_only=True)) as connection:
            by_table = dict[str, int](
                connection.execute(
                    "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat AS s "
                    "JOIN sqlite_schema AS m ON m.name = s.name WHERE s.aggregate = TRUE GROUP BY m.tbl_name"
                )
            )
    except sqlite3.OperationalError as error:
        raise DatabaseUnavailable(reason=str(error)) from error
    except sqlite3.DatabaseError as error:
        raise DatabaseDamaged(reason=str(error)) from error
    parts = [Part(name, sum(by_table.pop(t, 0) for t in tables)) for name, tables in _PARTS.items()]
    return [*parts, Part("other", sum(by_table.values()))]


def quick_check(path: Path) -> str | None:
    """What is wrong with the structure of a database; None where nothing is."""
    try:
        with contextlib.closing(connect(path, read_only=True)) as connection:
            return structure_fault(connection)
    except sqlite3.Error as error:
        return str(error)


def reserve_of(total: int) -> int:
    """The bytes of a disk of that size that are left free, so that what runs can end."""
    return int(min(RESERVE_BYTES, total * RESERVE_SHARE))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tree(folder: Path) -> int:
    """Bytes of the files below; one that has several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    if folder.is_dir():
        for path in folder.rglob("*"):
            try:
                found = path.stat()
            except OSError:
                continue
            if path.is_file():
                seen[(found.st_dev, found.st_ino)] = found.st_size
    return sum(seen.values())
