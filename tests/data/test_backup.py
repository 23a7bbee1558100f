"""Backups: whole while the server writes, read before they count, brought back; and before a migration."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowfuse.data.backup import HOUR_US, Backups, restore, verify
from flowfuse.data.database import connect, migrate, newest_schema
from flowfuse.data.preferences import BackupSettings
from flowfuse.errors import BackupInvalid
from flowfuse.resources import asset_root
from tests.data.test_history import BIG, run
from tests.support.local import LocalServer
from tests.support.server import request

pytestmark = pytest.mark.slow
MIGRATIONS = asset_root("migrations")


class Moved:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = 1_790_000_000_000_000

    def now_us(self) -> int:
        return self.now


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "data").start()
    yield running
    running.stop()


def test_a_backup_while_it_is_written_to_is_whole(server: LocalServer, tmp_path: Path) -> None:
    server.publish(BIG)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            run(server, "big", "x" * 20_000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        made = [server.api("POST", "/backups")]
        while len(made) < 3:
            answer = server.api("POST", "/backups")
            # Two within a second have one name.
            if answer.status == 201:
                made.append(answer)
    finally:
        stop.set()
        thread.join()
    assert [answer.status for answer in made] == [201] * 3
    for answer in made:
        manifest = verify(Path(answer.json["path"]), MIGRATIONS)
        assert manifest.checked
    assert [each["name"] for each in server.api("GET", "/backups").json["items"]] == sorted(
        (answer.json["name"] for answer in made), reverse=True
    )


def test_one_with_large_values_and_dead_letters_is_sound(server: LocalServer) -> None:
    server.publish(BIG)
    run(server, "big", "x" * 5_000_000)
    fails = {"id": "stop", "type": "action.fail", "config": {"message": "no"}}
    hook = {"id": "hook", "type": "trigger.webhook", "config": {"path": "fails", "respond": "last_node"}}
    server.publish({"id": "fails", "nodes": [hook, fails], "edges": [{"from": "hook", "to": "stop"}]})
    for _ in range(2):
        request("POST", f"{server.base}/hook/fails", {})
    failed, requeued = server.executions(workflow="fails")
    for act, execution in (("discard", failed), ("requeue", requeued)):
        assert server.api("POST", f"/dead-letters/{act}", {"ids": [execution["id"]]}).json["refused"] == []
    made = server.api("POST", "/backups")
    assert made.status == 201, made.raw
    assert verify(Path(made.json["path"]), MIGRATIONS).checked


def test_what_was_backed_up_comes_back(server: LocalServer, tmp_path: Path) -> None:
    server.publish(BIG)
    kept = run(server, "big", 1)
    path = Path(server.api("POST", "/backups").json["path"])
    lost = run(server, "big", 2)
    server.stop()
    restore(path, server.data, MIGRATIONS, Moved())  # type: ignore[arg-type]
    server.start()
    assert [each["id"] for each in server.executions()] == [kept]
    assert server.api("GET", f"/executions/{lost}").status == 404
    assert run(server, "big", 3)
    aside = [each.name for each in server.data.iterdir() if "before-restore" in each.name]
    assert any(name.startswith("flowfuse.db.before-restore") for name in aside)


@pytest.mark.parametrize("steps", [("shutil.copyfile",), ("os.link", "shutil.copyfile"), ("Path.replace",)])
def test_a_restore_that_breaks_off_leaves_what_was_there(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, steps: tuple[str, ...]
) -> None:
    server.publish(BIG)
    server.call(server.app.engine.files.save("main", b"of the backup", "x", "a/b"))
    path = Path(server.api("POST", "/backups").json["path"])
    run(server, "big", 2)
    before = [each["id"] for each in server.executions()]
    server.stop()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        for each in steps:
            patched.setattr(f"flowfuse.data.backup.{each}", refuse)
        with pytest.raises(BackupInvalid, match="No space left"):
            restore(path, server.data, MIGRATIONS, Moved())  # type: ignore[arg-type]
    server.start()
    assert [each["id"] for each in server.executions()] == before


def test_what_only_the_journal_holds_is_kept_aside_too(server: LocalServer) -> None:
    server.publish(BIG)
    path = Path(server.api("POST", "/backups").json["path"])
    run(server, "big", 1)
    server.stop()
    database = server.data / "flowfuse.db"
    with contextlib.closing(connect(database)) as connection:
        connection.execute("UPDATE executions SET reason = 'only in the journal'")
        copied = [(each, each.read_bytes()) for each in (database, database.with_name("flowfuse.db-wal"))]
    for each, content in copied:  # as a killed server leaves it
        each.write_bytes(content)
    restore(path, server.data, MIGRATIONS, Moved())  # type: ignore[arg-type]
    (aside,) = (each for each in server.data.iterdir() if each.name.startswith("flowfuse.db.before-restore"))
    with contextlib.closing(connect(aside, read_only=True)) as connection:
        assert connection.execute("SELECT reason FROM executions").fetchone()[0] == "only in the journal"


def test_a_damaged_backup_is_named_and_nothing_is_touched(server: LocalServer) -> None:
    server.publish(BIG)
    path = Path(server.api("POST", "/backups").json["path"])
    server.stop()
    before = (server.data / "flowfuse.db").read_bytes()
    data = bytearray((path / "flowfuse.db").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "flowfuse.db").write_bytes(data)
    with pytest.raises(BackupInvalid, match="checksum"):
        restore(path, server.data, MIGRATIONS, Moved())  # type: ignore[arg-type]
    (path / "manifest.json").write_text("{")
    with pytest.raises(BackupInvalid, match="no backup"):
        verify(path, MIGRATIONS)
    with pytest.raises(BackupInvalid, match="no backup"):
        verify(path / "nowhere", MIGRATIONS)
    assert (server.data / "flowfuse.db").read_bytes() == before
    server.start()


def test_hourly_and_daily_ones_are_kept(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "flowfuse.db"):
        clock = Moved()
        backups = Backups(tmp_path, MIGRATIONS, clock)  # type: ignore[arg-type]
        for _ in range(24 * 10):
            backups.make()
            backups.thin_out(BackupSettings())
            clock.now += HOUR_US
    found = backups.list()
    assert len(found) == 24 + 7
    ages = [(clock.now - each.manifest.created) // HOUR_US for each in found]
    assert ages[:24] == list(range(1, 25))
    days = [each.manifest.created // (24 * HOUR_US) for each in found[24:]]
    assert len(set(days)) == 7


def test_a_database_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    connection = connect(tmp_path / "flowfuse.db")
    old = tmp_path / "migrations"
    old.mkdir()
    for file in sorted(MIGRATIONS.glob("*.sql"))[:3]:
        (old / file.name).write_text(file.read_text())
    migrate(connection, old)
    backups = Backups(tmp_path, MIGRATIONS, Moved())  # type: ignore[arg-type]
    migrate(connection, MIGRATIONS, backups.before_migration)
    connection.close()
    (made,) = backups.list()
    assert made.manifest.schema == 3
    assert "schema 3" in made.manifest.reason
    assert backups.before_migration(newest_schema(MIGRATIONS)) is None
    assert backups.before_migration(0) is None


def test_a_backup_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**10, 10**10 - 150_000_000, 150_000_000))
    with sqlite3.connect(tmp_path / "flowfuse.db"):
        backups = Backups(tmp_path, MIGRATIONS, Moved())  # type: ignore[arg-type]
        with pytest.raises(BackupInvalid, match="150 MB left"):
            backups.make()
    assert backups.list() == []
