"""The database: group commit with isolated writes, what a failed commit leaves, migrations, listings."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowfuse.data.database import BUSY_SECONDS, Database, connect, migrate, migration_files, structure_fault
from flowfuse.errors import Conflict, DatabaseUnavailable, MigrationFailed
from flowfuse.resources import asset_root
from tests.support.server import request

MIGRATIONS = asset_root("migrations")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path / "flowfuse.db", MIGRATIONS)
    await made.open()
    yield made
    await made.close()


def put(key: str, value: int) -> Any:
    return lambda connection: connection.execute(
        "INSERT INTO meta (workspace_id, key, value) VALUES ('t', ?, ?)", (key, value)
    )


async def keys(database: Database) -> list[str]:
    rows = await database.rows("SELECT key FROM meta WHERE workspace_id = 't' ORDER BY key")
    return [row["key"] for row in rows]


async def test_one_bad_write_of_a_batch_fails_alone(database: Database) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta (workspace_id, key, value) VALUES ('t', 'half', 1)")
        raise Conflict(reason="no")

    writes = [database.write(put("a", 1)), database.write(put("a", 2)), database.write(refuse)]
    writes += [database.write(put(f"k{n}", n)) for n in range(50)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(results[1], sqlite3.IntegrityError)
    assert isinstance(results[2], Conflict)
    assert not [r for i, r in enumerate(results) if i not in (1, 2) and isinstance(r, BaseException)]
    assert await keys(database) == sorted(["a", *(f"k{n}" for n in range(50))])


async def test_what_one_turn_of_the_loop_writes_is_one_commit(database: Database) -> None:
    before = database.commits
    await asyncio.gather(*(database.write(put(f"k{n}", n)) for n in range(50)))
    assert database.commits - before == 1


async def test_a_defect_in_a_write_does_not_end_the_writer(database: Database) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(broken)
    await database.write(put("after", 1))
    assert await keys(database) == ["after"]


async def test_a_failed_commit_leaves_nothing_and_the_next_one_works(database: Database) -> None:
    def full(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta (workspace_id, key, value) VALUES ('t', 'lost', 1)")
        connection.execute("PRAGMA max_page_count=1")
        connection.execute("INSERT INTO meta (workspace_id, key, value) VALUES ('t', ?, 1)", ("x" * 100_000,))

    with pytest.raises(DatabaseUnavailable, match="disk is full"):
        await database.write(full)
    assert database.trouble == "the disk is full"
    await database.write(put("after", 1))
    assert database.trouble is None
    assert await keys(database) == ["after"]


async def test_every_commit_is_synchronous(database: Database) -> None:
    level = await database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])
    mode = await database.write(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0])
    vacuum = await database.write(lambda c: c.execute("PRAGMA auto_vacuum").fetchone()[0])
    assert (level, mode, vacuum) == (2, "wal", 2)


async def test_a_closed_database_is_not_opened_again_by_a_late_reader(tmp_path: Path) -> None:
    database = Database(tmp_path / "flowfuse.db", MIGRATIONS)
    await database.open()
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await database.rows("SELECT 1")


def test_migrations_are_applied_once_and_in_order(tmp_path: Path) -> None:
    connection = connect(tmp_path / "new.db")
    names = [file.name for _, file in migration_files(MIGRATIONS)]
    assert migrate(connection, MIGRATIONS) == names
    assert migrate(connection, MIGRATIONS) == []
    connection.close()


def test_a_broken_migration_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_good.sql").write_text("-- fine\nCREATE TABLE a (x);")
    (folder / "0002_bad.sql").write_text("-- not fine\nCREATE TABLE b (x);\nCREATE TABLE a (x);")
    connection = connect(tmp_path / "new.db")
    with pytest.raises(MigrationFailed, match=r"0002_bad\.sql"):
        migrate(connection, folder)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert tables == ["a"]
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    connection.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    connection = connect(tmp_path / "new.db")
    connection.execute("PRAGMA user_version=999")
    with pytest.raises(MigrationFailed, match="newer"):
        migrate(connection, MIGRATIONS)
    connection.close()


def test_every_table_knows_its_workspace(tmp_path: Path) -> None:
    connection = connect(tmp_path / "new.db")
    migrate(connection, MIGRATIONS)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
        assert "workspace_id" in columns, table
    connection.close()


def test_key_columns_come_first_in_their_order(tmp_path: Path) -> None:
    """Else the quick check of SQLite before 3.42 calls a sound database damaged."""
    connection = connect(tmp_path / "new.db")
    migrate(connection, MIGRATIONS)
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    for table in [row["name"] for row in found if "WITHOUT ROWID" in row["sql"]]:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        keys = sorted((each["pk"], each["name"]) for each in columns if each["pk"])
        assert [name for _, name in keys] == [each["name"] for each in columns[: len(keys)]], table
    connection.close()


def test_a_sound_database_is_found_sound_before_and_after_the_key_columns_moved(tmp_path: Path) -> None:
    old = tmp_path / "migrations"
    old.mkdir()
    for number, file in migration_files(MIGRATIONS):
        if number <= 12:
            (old / file.name).write_text(file.read_text())
    connection = connect(tmp_path / "old.db")
    migrate(connection, old)
    reference, letter = ("main", b"h" * 32, b"e" * 16), ("main", b"e" * 16, "discarded", None, 5)
    connection.execute("INSERT INTO blob_references VALUES (?, ?, ?)", reference)
    connection.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?)", letter)
    assert structure_fault(connection) is None
    migrate(connection, MIGRATIONS)
    assert connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    found = connection.execute("SELECT workspace_id, hash, execution_id FROM blob_references").fetchone()
    assert tuple(found) == reference
    found = connection.execute(
        "SELECT workspace_id, execution_id, outcome, next_id, at FROM dead_letters"
    ).fetchone()
    assert tuple(found) == letter
    connection.close()


LISTINGS = [
    "SELECT id FROM executions WHERE +workspace_id = 'm' ORDER BY id DESC LIMIT 50",
    "SELECT id FROM executions WHERE +workspace_id = 'm' AND id < x'00' ORDER BY id DESC LIMIT 50",
    "SELECT id FROM executions INDEXED BY executions_by_number WHERE workspace_id = 'm' AND workflow_id = 'w' "
    "ORDER BY number DESC LIMIT 50",
    "SELECT id FROM executions INDEXED BY executions_not_completed WHERE workspace_id = 'm' AND state = 4 "
    "AND state <> 3 ORDER BY id DESC LIMIT 50",
    "SELECT workspace_id, id FROM executions INDEXED BY executions_pending WHERE state = 0 "
    "AND waiting IS NULL ORDER BY priority DESC, id LIMIT 5",
    "SELECT workspace_id, id FROM executions INDEXED BY executions_wake WHERE wake_at IS NOT NULL "
    "AND wake_at <= 5 AND state = 1 ORDER BY wake_at LIMIT 5",
    "SELECT id, content_id FROM executions INDEXED BY executions_held WHERE state = 0 "
    "AND waiting IS NOT NULL AND workspace_id = 'w' AND workflow_id = 'a' ORDER BY priority DESC, id LIMIT 1",
    "SELECT id FROM executions INDEXED BY executions_active WHERE state = 1 AND workspace_id = 'w' "
    "AND workflow_id = 'a' ORDER BY id LIMIT 1",
    "SELECT next_due FROM schedules INDEXED BY schedules_due WHERE next_due IS NOT NULL AND paused = 0 "
    "ORDER BY next_due LIMIT 1",
]


@pytest.mark.parametrize("sql", LISTINGS)
def test_no_listing_sorts_or_scans_the_whole_table(tmp_path: Path, sql: str) -> None:
    connection = connect(tmp_path / "new.db")
    migrate(connection, MIGRATIONS)
    plan = " | ".join(row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))
    connection.close()
    assert "TEMP B-TREE" not in plan, plan
    # By primary key, newest first, with a limit: SQLite calls that a scan, and stops after the page.
    assert "SEARCH" in plan or "USING INDEX" in plan or "ORDER BY id DESC" in sql, plan


@pytest.mark.slow
def test_the_journal_stays_small_under_load_with_slow_readers_and_is_folded(tmp_path: Path) -> None:
    """T7 in small: pages are read all the while, and what was written does not pile up in the journal."""
    import threading

    from tests.support.local import LocalServer

    server = LocalServer(tmp_path / "data").start()
    flow = {
        "id": "flow",
        "nodes": [
            {"id": "hook", "type": "trigger.webhook", "config": {"path": "flow", "respond": "last_node"}},
            {"id": "a", "type": "transform.set", "config": {"fields": {"v": "{{ trigger.body.v }}"}}},
        ],
        "edges": [{"from": "hook", "to": "a"}],
    }
    server.publish(flow)
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            server.api("GET", "/executions?limit=500")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    largest = 0
    try:
        for number in range(500):
            answer = request(
                "POST", f"{server.base}/hook/flow", {"v": random.Random(number).randbytes(20_000).hex()}
            )
            assert answer.status == 200
            if number % 50 == 0:
                largest = max(largest, server.app.engine.database.journal_bytes())
    finally:
        stop.set()
        for each in readers:
            each.join()
    assert 0 < largest <= 64 * 1024 * 1024
    server.call(server.app.engine.database.fold_journal())
    assert server.app.engine.database.journal_bytes() < 1_000_000
    server.stop()


async def test_folding_waits_for_no_reader(database: Database) -> None:
    await database.write(put("a", 1))
    with contextlib.closing(connect(database.path, read_only=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchall()
        await database.write(put("b", 1))
        async with asyncio.timeout(5):
            await database.fold_journal()
    assert database.journal_bytes() > 0
    await database.fold_journal()
    assert database.journal_bytes() == 0
    timeout = await database.write(lambda c: c.execute("PRAGMA busy_timeout").fetchone()[0])
    assert timeout == BUSY_SECONDS * 1000


async def test_a_fold_that_fails_takes_no_commit_back(database: Database) -> None:
    unread: list[sqlite3.Cursor] = []

    def leave_unread(connection: sqlite3.Connection) -> None:
        # A table that is still being read by the writer itself keeps its journal locked.
        unread.append(connection.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                         "SELECT i, (SELECT count(*) FROM meta) FROM n"))  # fmt: skip
        unread[0].fetchone()

    await database.write(leave_unread)
    await asyncio.gather(database.write(put("a", 1)), database.fold_journal())
    assert database.trouble is None
    assert await keys(database) == ["a"]
    await database.write(lambda connection: unread[0].close())
    await database.fold_journal()
    assert database.journal_bytes() == 0
