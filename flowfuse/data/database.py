"""The database: one writer with group commit, readers beside it, migrations.

SQLite in WAL with `synchronous=FULL`: a commit that was reported is on the disk. The writer commits as
soon as it is idle and never lingers; while it waits for the disk, the next batch forms behind it. Each
write of a batch is isolated, so that one that is refused fails alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from flowfuse.errors import DatabaseDamaged, DatabaseUnavailable, MigrationFailed
from flowfuse.faults import crash_point

log = logging.getLogger("flowfuse.database")

MAX_BATCH = 512
BUSY_SECONDS = 15.0
_PRAGMAS = (
    f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-16000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA journal_size_limit=67108864",
    # The pages that every run touches are the same few: folded in seldom, they are written once.
    "PRAGMA wal_autocheckpoint=4000",
)


class Write:
    """One change that is committed whole or not at all. Subclasses set `apply` and may set `bulk`."""

    __slots__ = ()
    bulk: ClassVar[bool] = False

    def apply(self, connection: sqlite3.Connection) -> Any:
        """Make the change; runs in the writer's thread, inside the batch's transaction."""
        raise TypeError("a Write says how it is applied")

    @classmethod
    def apply_all(cls, connection: sqlite3.Connection, writes: Sequence[Any]) -> list[Any]:
        """Make many changes of this class with few statements; the results in the same order."""
        return [write.apply(connection) for write in writes]

    def refused(self) -> None:
        """Called in the writer's thread at once when the change did not come to stand."""

    def settled(self, result: Any, error: BaseException | None) -> None:
        """Called on the event loop once the commit is on the disk, or has failed."""


class FunctionWrite(Write):
    """A change made by a function of the connection, awaited through a future."""

    __slots__ = ("_function", "_future")

    def __init__(self, function: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        self._function, self._future = function, future

    def apply(self, connection: sqlite3.Connection) -> Any:
        return self._function(connection)

    def settled(self, result: Any, error: BaseException | None) -> None:
        if self._future.done():
            return
        if error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(result)


class Note(Write):
    """A change that nobody waits for, and that may be lost."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[sqlite3.Connection], Any]) -> None:
        self._function = function

    def apply(self, connection: sqlite3.Connection) -> Any:
        return self._function(connection)


class FoldJournal(FunctionWrite):
    """Asks that, after the commit, the whole journal is folded into the file and gives its room back."""


Settled = list[tuple[Write, Any, BaseException | None]]


class Carrier(Protocol):
    """Brings batches to the committer and results back: a thread in the product, a loop in simulation."""

    def start(self, commit: Callable[[list[Write]], Settled]) -> None: ...

    def submit(self, write: Write) -> None: ...

    async def stop(self) -> None: ...


class RowReader(Protocol):
    """Runs queries beside the writer: aiosqlite in the product, the same thread in simulation."""

    async def rows(self, sql: str, parameters: tuple[Any, ...]) -> list[sqlite3.Row]: ...

    async def close(self) -> None: ...


class ThreadCarrier:
    """The product's carrier: a thread that takes everything that is waiting as one batch.

    What one round of the event loop writes is handed over together: waking the thread for the first of
    it would make that a commit of its own, and the others wait for its disk.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[list[Write] | None] = queue.SimpleQueue()
        self._gathered: list[Write] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    def start(self, commit: Callable[[list[Write]], Settled]) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, args=(commit,), name="writer", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> None:
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(write)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._queue.put(gathered)

    async def stop(self) -> None:
        if self._thread is None:
            return
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._thread = None
        await asyncio.sleep(0)

    def _work(self, commit: Callable[[list[Write]], Settled]) -> None:
        while True:
            batch, last = self._take()
            for start in range(0, len(batch), MAX_BATCH):
                settled = commit(batch[start : start + MAX_BATCH])
                self._loop.call_soon_threadsafe(deliver, settled)
            # What they belong to may be large, and the next batch may be long in coming.
            batch, settled = [], []
            if last:
                return

    def _take(self) -> tuple[list[Write], bool]:
        batch = self._queue.get()
        if batch is None:
            return [], True
        while len(batch) < MAX_BATCH:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch += following
        return batch, False


def deliver(settled: Settled) -> None:
    """Tell each write of a batch how it went; on the event loop."""
    for write, result, error in settled:
        try:
            write.settled(result, error)
        except Exception:
            # What one run does with its news must not keep the others of the batch from theirs.
            log.exception("What follows a commit broke")


class Database:
    """The file, its one writer and its readers."""

    def __init__(
        self,
        path: Path,
        migrations: Path,
        carrier: Carrier | None = None,
        *,
        connect: Callable[[Path], sqlite3.Connection] | None = None,
        readers: Callable[[Path], RowReader] | None = None,
    ) -> None:
        self.path = path
        self._connect = connect if connect is not None else open_file
        self._make_readers = readers if readers is not None else Readers
        self._migrations = migrations
        self._carrier: Carrier = carrier if carrier is not None else ThreadCarrier()
        self._connection: sqlite3.Connection | None = None
        self._readers: RowReader | None = None
        self.trouble: str | None = None
        """Why the last commit failed; None while commits succeed."""
        self.commits = 0
        """How many batches were committed since the start."""
        self.before_migration: Callable[[int], object] = lambda schema: None
        """Called with the schema that is there, before it is changed: makes a copy."""
        self.on_rollback: list[Callable[[], None]] = []
        """Called in the writer's thread when a batch, or a part of it, is taken back."""

    async def open(self) -> None:
        """Connect, bring the schema to this version, start the writer. Raises MigrationFailed."""
        try:
            self._connection = self._connect(self.path)
            migrate(self._connection, self._migrations, self.before_migration)
        except BaseException as error:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if isinstance(error, sqlite3.Error):
                raise MigrationFailed(reason=f"{self.path} cannot be opened: {_reason(error)}") from error
            raise
        self._readers = self._make_readers(self.path)
        self._carrier.start(self.commit)

    def open_read_only(self) -> None:
        """Only read, beside whoever holds the file."""
        self._readers = Readers(self.path)

    async def close(self) -> None:
        """Let the writer finish what it has, then close all connections."""
        await self._carrier.stop()
        if self._readers is not None:
            await self._readers.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def submit(self, write: Write) -> None:
        """Hand a change to the writer; `write.settled` tells how it went."""
        self._carrier.submit(write)

    async def write(self, function: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run `function` in a committed transaction of the writer; its result after the commit.

        Raises what it raised, or DatabaseUnavailable where the commit failed.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit(FunctionWrite(function, future))
        return await future

    def note(self, function: Callable[[sqlite3.Connection], Any]) -> None:
        """Make a change that may be lost: whoever asks for it is served all the same on a full disk."""
        self.submit(Note(function))

    def journal_bytes(self) -> int:
        """The size of the write-ahead log."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    async def fold_journal(self) -> None:
        """Fold the write-ahead log into the file, as far as no reader needs it, and give its room back."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit(FoldJournal(lambda connection: None, future))
        await future

    async def rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query, read beside the writer."""
        assert self._readers is not None
        return await self._readers.rows(sql, tuple(parameters))

    async def row(self, sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        found = await self.rows(sql, parameters)
        return found[0] if found else None

    def commit(self, batch: list[Write]) -> Settled:
        """Commit a batch; runs in the writer's thread. Never raises."""
        try:
            settled = self._commit(batch)
        except (sqlite3.Error, OSError) as error:
            self.trouble = _reason(error)
            self._recover(batch)
            failure = DatabaseUnavailable(reason=self.trouble)
            return [(write, None, failure) for write in batch]
        except Exception as error:
            # A defect in one write must not end the writer: the batch is refused, the server goes on.
            log.exception("A batch of %d writes failed", len(batch))
            self._recover(batch)
            return [(write, None, error) for write in batch]
        self.trouble = None
        return settled

    def _commit(self, batch: list[Write]) -> Settled:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect(self.path)
        connection.execute("BEGIN IMMEDIATE")
        settled: Settled = []
        for group in _groups(batch):
            settled += self._apply(connection, group)
        crash_point("before_commit")
        connection.execute("COMMIT")
        crash_point("after_commit")
        self.commits += 1
        if any(type(write) is FoldJournal for write in batch):
            _fold(connection)
        return settled

    def _apply(self, connection: sqlite3.Connection, group: list[Write]) -> Settled:
        """Apply a group at once; where that is refused, each of it alone."""
        if len(group) > 1:
            connection.execute("SAVEPOINT part")
            try:
                results = type(group[0]).apply_all(connection, group)
            except Exception as error:
                if not _of_one_write(error):
                    raise
                self._take_back(connection)
            else:
                connection.execute("RELEASE part")
                return [(write, result, None) for write, result in zip(group, results, strict=True)]
        return [self._apply_one(connection, write) for write in group]

    def _apply_one(
        self, connection: sqlite3.Connection, write: Write
    ) -> tuple[Write, Any, BaseException | None]:
        connection.execute("SAVEPOINT part")
        try:
            result = write.apply(connection)
        except Exception as error:
            if not _of_one_write(error):
                raise
            self._take_back(connection)
            write.refused()
            return write, None, error
        connection.execute("RELEASE part")
        return write, result, None

    def _take_back(self, connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK TO part")
        connection.execute("RELEASE part")
        for forget in self.on_rollback:
            forget()

    def _recover(self, batch: list[Write]) -> None:
        """After a failed commit: nothing of it may stand, and the connection is not trusted again."""
        for forget in self.on_rollback:
            forget()
        for write in batch:
            write.refused()
        broken, self._connection = self._connection, None
        if broken is None:
            return
        try:
            if broken.in_transaction:
                broken.execute("ROLLBACK")
        except sqlite3.Error:
            # The connection is thrown away in any case; closing it rolls back what is left.
            self.trouble = self.trouble or "the transaction could not be rolled back"
        broken.close()


class Readers:
    """One reading connection of aiosqlite, opened when the first page asks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Any = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def rows(self, sql: str, parameters: tuple[Any, ...]) -> list[sqlite3.Row]:
        if self._connection is None:
            async with self._opening:
                # A late reader must not open a connection that nobody will close: its thread would
                # keep the process from ending.
                if self._closed:
                    raise DatabaseUnavailable(reason="it is closed")
                if self._connection is None:
                    self._connection = await self._open()
        try:
            return list(await self._connection.execute_fetchall(sql, parameters))
        except OverflowError:
            # A number beyond 64 bits, asked for from outside: no row has it.
            return []
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError):
                raise
            raise DatabaseDamaged(reason=str(error)) from None

    async def close(self) -> None:
        async with self._opening:
            self._closed = True
            if self._connection is not None:
                await self._connection.close()
                self._connection = None

    async def _open(self) -> Any:
        import aiosqlite

        address = f"{self._path.absolute().as_uri()}?mode=ro"
        connection = await aiosqlite.connect(address, uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            for pragma in (_PRAGMAS[0], "PRAGMA query_only=ON", "PRAGMA cache_size=-8000"):
                await connection.execute(pragma)
        except BaseException:
            # Its thread would keep the process from ending.
            await connection.close()
            raise
        return connection


def _fold(connection: sqlite3.Connection) -> None:
    """Fold the journal into the file, if nobody reads from it now: commits wait behind this.

    What the batch committed stands, whatever becomes of the folding; it is tried again.
    """
    try:
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        log.info("The journal could not be folded now: %s", error)
    finally:
        connection.execute(_PRAGMAS[0])


def _of_one_write(error: Exception) -> bool:
    """Whether a failure is the fault of what was written, and not of the database or the disk."""
    if isinstance(error, sqlite3.Error):
        faults = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
        return isinstance(error, faults)
    return not isinstance(error, OSError | MemoryError)


def _groups(batch: list[Write]) -> list[list[Write]]:
    """Neighbours of one class that can be applied together; all others alone."""
    groups: list[list[Write]] = []
    for write in batch:
        if groups and write.bulk and type(groups[-1][0]) is type(write):
            groups[-1].append(write)
        else:
            groups.append([write])
    return groups


def open_file(path: Path) -> sqlite3.Connection:
    """The writer's connection to the file."""
    return connect(path)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with our settings. A new file gets incremental vacuum before its first table."""
    if read_only:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute(_PRAGMAS[0])
    else:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
    connection.row_factory = sqlite3.Row
    return connection


def migrate(
    connection: sqlite3.Connection, folder: Path, before: Callable[[int], object] = lambda schema: None
) -> list[str]:
    """Bring the schema to this version, one file a transaction; the names of what was applied.

    `before` is called with the schema that is there, where something is to be applied.

    Raises MigrationFailed for a database that a newer version wrote.
    """
    current = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if current and current == newest_schema(folder):
        return []
    files = migration_files(folder)
    newest = newest_schema(folder)
    if current > newest:
        raise MigrationFailed(
            reason=f"The database is at schema {current}, this version knows {newest}. "
            "Start the newer FlowFuse that wrote it, or restore a backup."
        )
    before(current)
    return [_apply_migration(connection, number, file) for number, file in files if number > current]


def migration_files(folder: Path) -> list[tuple[int, Path]]:
    """The numbered migrations, in order."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [(int(file.name[:4]), file) for file in files]


def schema_of(path: Path) -> int:
    """The schema of a database file, read beside whoever uses it. Raises sqlite3.Error."""
    with contextlib.closing(connect(path, read_only=True)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def structure_fault(connection: sqlite3.Connection) -> str | None:
    """Read every page; what is wrong with the structure, None where nothing is. Raises sqlite3.Error.

    The quick check of SQLite before 3.42 finds NULLs where there are none, if a table's key columns are not
    its first: the whole check, which takes longer, has the last word.
    """
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
        return None
    found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return None if found == "ok" else found


def newest_schema(folder: Path) -> int:
    """The schema that this version writes: its newest migration's number."""
    files = migration_files(folder)
    return files[-1][0] if files else 0


def _apply_migration(connection: sqlite3.Connection, number: int, file: Path) -> str:
    import sqlite_utils

    text = file.read_text(encoding="utf-8")
    try:
        sqlite_utils.Database(connection, execute_plugins=False).conn.executescript(
            f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version={number};\nCOMMIT;"
        )
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise MigrationFailed(reason=f"The migration {file.name} failed: {error}") from error
    return file.name


_multi: dict[tuple[str, int], str] = {}


def insert_many(connection: sqlite3.Connection, head: str, width: int, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows with few statements.

    The driver gives up and takes back the interpreter's lock around each statement, which under load
    costs more than the statement; so up to 64 rows go into one.
    """
    start, left = 0, len(rows)
    while left:
        count = 1 << min(left.bit_length() - 1, 6)
        sql = _multi.get((head, count))
        if sql is None:
            row = "(" + ",".join("?" * width) + ")"
            sql = _multi[(head, count)] = f"{head} VALUES " + ",".join([row] * count)
        connection.execute(sql, [cell for row in rows[start : start + count] for cell in row])
        start += count
        left -= count


def _reason(error: BaseException) -> str:
    text = str(error)
    if "full" in text:
        return "the disk is full"
    if "readonly" in text or "read-only" in text:
        return "the data folder is read-only"
    if type(error) is sqlite3.DatabaseError:
        # What SQLite says of a file that is no sound database.
        return f"it is damaged ({text}). Bring a backup back: flowfuse restore latest"
    return text or type(error).__name__
