"""FileStore: files by the hash of their content, in the data folder; which of them are still referred to.

A file is streamed into a temporary place while it is hashed, made safe, and then given its name, before
anything refers to it. A reference is a row that is written with the segment that holds the file's value.
What nothing refers to is taken away after a day; all of that happens in the writer's one thread, so a
file cannot go between being found and being kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from flowfuse.clock import Clock
from flowfuse.data.database import Database
from flowfuse.errors import FileNotKept, NotFound, TooLarge
from flowfuse.model import Value

log = logging.getLogger("flowfuse.files")

CHUNK = 1024 * 1024
"""Bytes that are gathered before they go to the disk."""
KEPT_UNREFERRED = 24 * 3600
"""Seconds that a file stays though nothing refers to it: a run may be about to."""
SWEEP_EVERY = 3600.0
MAX_NAME = 255
OCTETS = "application/octet-stream"
_HASH = re.compile(r"[0-9a-f]{64}")
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_AT_ONCE = 500
_UNREFERRED = (
    "touched < ? AND NOT EXISTS (SELECT 1 FROM file_references AS r "
    "WHERE r.workspace_id = files.workspace_id AND r.hash = files.hash)"
)
_OLD = f"SELECT workspace_id, hash FROM files WHERE {_UNREFERRED} LIMIT ?"
_DELETE = f"DELETE FROM files WHERE workspace_id = ? AND hash = ? AND {_UNREFERRED}"
_GONE = (
    "SELECT DISTINCT execution_id FROM file_references AS r WHERE NOT EXISTS "
    "(SELECT 1 FROM executions WHERE executions.id = r.execution_id) LIMIT ?"
)


class StoredFile(msgspec.Struct, frozen=True):
    """A file that is kept."""

    sha256: str
    name: str
    type: str
    size: int

    def value(self) -> dict[str, Value]:
        """The file as a value of a workflow."""
        return {"$file": self.sha256, "name": self.name, "type": self.type, "size": self.size}


def as_file(value: Any) -> StoredFile | None:
    """The file that a value stands for; None where it is not a file's value."""
    # An abstract class is asked last: that is slow, and each answer to a call comes by here.
    if not isinstance(value, (dict, Mapping)) or not isinstance(value.get("$file"), str):
        return None
    if _HASH.fullmatch(value["$file"]) is None:
        return None
    size = value.get("size")
    return StoredFile(
        sha256=value["$file"],
        name=safe_name(str(value.get("name") or "")),
        type=safe_type(str(value.get("type") or "")),
        size=size if isinstance(size, int) else 0,
    )


def safe_name(name: str) -> str:
    """A file's name without folders and what a header or a disk cannot take; never empty."""
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(sign for sign in last if sign.isprintable() and sign not in '"<>|:*?').strip(" .")
    return clean[-MAX_NAME:] or "file"


def safe_type(kind: str) -> str:
    """A media type without its parameters; octets where it is none."""
    plain = kind.partition(";")[0].strip().lower()
    return plain if _TYPE.fullmatch(plain) else OCTETS


class FileWriter:
    """A file that is being written. `finish` keeps it; without that, nothing stays."""

    def __init__(self, store: FileStore, workspace: str, limit: int | None) -> None:
        self._store, self._workspace, self._limit = store, workspace, limit
        self._hash = hashlib.sha256()
        self._parts: list[bytes] = []
        self._waiting = 0
        self._handle: int | None = None
        self._under_way: asyncio.Future[None] | None = None
        self.path = store.temporary / secrets.token_hex(16)
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Add to the file. Raises TooLarge over the limit, FileNotKept where the disk refuses."""
        self.size += len(data)
        if self._limit is not None and self.size > self._limit:
            raise TooLarge(what="file", limit=self._limit)
        self._parts.append(bytes(data))
        self._waiting += len(data)
        if self._waiting >= CHUNK:
            await self._in_thread(self._flush)

    async def finish(self, name: str, kind: str) -> StoredFile:
        """Make the file safe on the disk and give it its place. Raises FileNotKept."""
        await self._in_thread(self._close)
        digest = self._hash.digest()
        await self._store.keep(self._workspace, self.path, digest, self.size)
        return StoredFile(digest.hex(), safe_name(name), safe_type(kind), self.size)

    def discard(self) -> None:
        """Leave nothing of a file that was not finished; what a thread still writes goes when it is done."""
        if self._under_way is None or self._under_way.done():
            self._clear()
        else:
            # The thread of a write that was cancelled still holds the handle: closed now, its number
            # would be the next file's, and the rest be written there.
            self._under_way.add_done_callback(lambda _: self._clear())

    def _clear(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        self._parts.clear()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    async def _in_thread(self, work: Any) -> None:
        self._under_way = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            await asyncio.shield(self._under_way)
        except OSError as error:
            raise FileNotKept(reason=error.strerror or str(error)) from None

    def _flush(self) -> None:
        if self._handle is None:
            self._store.temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        data, self._parts, self._waiting = b"".join(self._parts), [], 0
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]

    def _close(self) -> None:
        self._flush()
        assert self._handle is not None
        os.fsync(self._handle)
        os.close(self._handle)
        self._handle = None


class FileStore:
    """The files of a data folder."""

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self._database, self._clock = database, clock

    @asynccontextmanager
    async def writing(self, workspace: str, limit: int | None = None) -> AsyncIterator[FileWriter]:
        """A file to write; what was not finished at the end of the block is gone."""
        writer = FileWriter(self, workspace, limit)
        try:
            yield writer
        finally:
            writer.discard()

    async def save(self, workspace: str, data: bytes, name: str, kind: str) -> StoredFile:
        """Keep bytes that are in memory already. Raises FileNotKept."""
        async with self.writing(workspace) as writer:
            await writer.write(data)
            return await writer.finish(name, kind)

    async def keep(self, workspace: str, temporary: Path, digest: bytes, size: int) -> None:
        """Give a finished file its place and its row. Raises FileNotKept, DatabaseUnavailable."""
        now = self._clock.now_us()

        def place(connection: sqlite3.Connection) -> None:
            self._give_place(temporary, digest)
            connection.execute(
                "INSERT INTO files (workspace_id, hash, size, touched) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (workspace_id, hash) DO UPDATE SET touched = excluded.touched",
                (workspace, digest, size, now),
            )

        await self._database.write(place)

    def _give_place(self, temporary: Path, digest: bytes) -> None:
        """Within a commit, of which the others are to stand though the folder refuses: raises FileNotKept."""
        path = self.path(digest.hex())
        try:
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                temporary.replace(path)
                sync_folder(path.parent)
        except OSError as error:
            raise FileNotKept(reason=error.strerror or str(error)) from None

    def path(self, sha256: str) -> Path:
        """Where a file of that content lies, or would."""
        return self.folder / sha256[:2] / sha256

    async def find(self, workspace: str, sha256: str) -> Path:
        """The path of a kept file. Raises NotFound."""
        found = None
        if _HASH.fullmatch(sha256):
            found = await self._database.row(
                "SELECT 1 FROM files WHERE workspace_id = ? AND hash = ?", (workspace, bytes.fromhex(sha256))
            )
        path = self.path(sha256)
        if found is None or not await asyncio.to_thread(path.is_file):
            raise NotFound(what="file", id=sha256[:64])
        return path

    async def stream(self, workspace: str, sha256: str) -> AsyncIterator[bytes]:
        """A kept file's bytes, piece by piece. Raises NotFound."""
        path = await self.find(workspace, sha256)
        handle = await asyncio.to_thread(path.open, "rb")
        try:
            while piece := await asyncio.to_thread(handle.read, CHUNK):
                yield piece
        finally:
            handle.close()

    async def read(self, workspace: str, sha256: str, limit: int) -> bytes:
        """A kept file as a whole. Raises NotFound, TooLarge."""
        path = await self.find(workspace, sha256)
        if (await asyncio.to_thread(path.stat)).st_size > limit:
            raise TooLarge(what="file", limit=limit)
        return await asyncio.to_thread(path.read_bytes)

    async def open(self) -> None:
        """Clear away what a process before this one was writing when it ended."""
        await asyncio.to_thread(self._clear_temporary)

    async def watch(self) -> None:
        """The loop that takes away what nothing refers to. Never returns."""
        await self._take_strays()
        while True:
            await self.sweep()
            await asyncio.sleep(SWEEP_EVERY)

    async def sweep(self, kept: float = KEPT_UNREFERRED) -> int:
        """Take away the files that nothing has referred to for `kept` seconds; how many.

        What to look at is found beside the writer; each is judged again where it is taken away.
        """
        before = self._clock.now_us() - int(kept * 1e6)
        await self._forget_gone_executions()
        count = 0
        while True:
            rows = await self._database.rows(_OLD, (before, _AT_ONCE))
            found = [(row["workspace_id"], bytes(row["hash"])) for row in rows]
            gone: int = await self._database.write(partial(self._take_away, found, before))
            count += gone
            if not gone or len(found) < _AT_ONCE:
                return count

    def _take_away(
        self, found: Sequence[tuple[str, bytes]], before: int, connection: sqlite3.Connection
    ) -> int:
        gone = 0
        for workspace, digest in found:
            if connection.execute(_DELETE, (workspace, digest, before)).rowcount:
                gone += 1
                self._unlink_unknown(connection, digest)
        return gone

    def _unlink_unknown(self, connection: sqlite3.Connection, digest: bytes) -> None:
        """Remove a file's content, where no workspace has the file any more."""
        if connection.execute("SELECT 1 FROM files WHERE hash = ? LIMIT 1", (digest,)).fetchone() is None:
            try:
                self.path(digest.hex()).unlink(missing_ok=True)
            except OSError as error:
                # It goes with the strays of a later start; the commit that this is part of stands.
                log.warning("The file %s could not be removed: %s", digest.hex(), error)

    async def _forget_gone_executions(self) -> None:
        """References of executions that are not there any more, whoever removed them."""
        while True:
            rows = await self._database.rows(_GONE, (_AT_ONCE,))
            gone = [(bytes(row["execution_id"]),) for row in rows]
            if not gone:
                return
            await self._database.write(partial(_delete_references, gone))

    async def _take_strays(self) -> None:
        """Content that got its place just before the process ended, and so never its row."""
        for digests in await asyncio.to_thread(self._old_content):
            await self._database.write(partial(self._unlink_all_unknown, digests))

    def _unlink_all_unknown(self, digests: Sequence[bytes], connection: sqlite3.Connection) -> None:
        for digest in digests:
            self._unlink_unknown(connection, digest)

    def _old_content(self) -> list[list[bytes]]:
        """The names of all content that is older than a day, in handfuls."""
        oldest = self._clock.now_us() / 1e6 - KEPT_UNREFERRED
        found = [
            bytes.fromhex(path.name)
            for path in self.folder.glob("??/*")
            if _HASH.fullmatch(path.name) and path.stat().st_mtime < oldest
        ]
        return [found[at : at + _AT_ONCE] for at in range(0, len(found), _AT_ONCE)]

    def _clear_temporary(self) -> None:
        if self.temporary.is_dir():
            for path in self.temporary.iterdir():
                path.unlink(missing_ok=True)


def references(
    workspace: str, execution: bytes, digests: Sequence[bytes]
) -> Callable[[sqlite3.Connection], None]:
    """The change that keeps files for an execution, for the commit of what refers to them."""
    rows = [(workspace, digest, execution) for digest in digests]

    def refer(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT OR IGNORE INTO file_references (workspace_id, hash, execution_id) VALUES (?, ?, ?)", rows
        )

    return refer


def share_references(connection: sqlite3.Connection, old: bytes | None, fresh: bytes) -> None:
    """An execution begins with what another has done: it holds the same files."""
    connection.execute(
        "INSERT OR IGNORE INTO file_references (workspace_id, hash, execution_id) "
        "SELECT workspace_id, hash, ? FROM file_references WHERE execution_id = ?",
        (fresh, old),
    )


def let_go(connection: sqlite3.Connection, execution: bytes) -> None:
    """An execution is removed: it holds no files any more."""
    connection.execute("DELETE FROM file_references WHERE execution_id = ?", (execution,))


def _delete_references(executions: Sequence[tuple[bytes]], connection: sqlite3.Connection) -> None:
    connection.executemany("DELETE FROM file_references WHERE execution_id = ?", executions)


def sync_folder(folder: Path) -> None:
    """Make a name in a folder safe, and the folder's own name in its parent."""
    for each in (folder, folder.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
