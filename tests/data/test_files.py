"""FileStore: streamed, hashed, safe; collected when nothing refers to it; never lost while it is kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flowfuse.clock import Clock
from flowfuse.data.database import Database
from flowfuse.data.files import CHUNK, FileStore, as_file, references, safe_name, safe_type
from flowfuse.errors import FileNotKept, NotFound, TooLarge
from flowfuse.resources import asset_root

DAY = 24 * 3600


class Later(Clock):
    """A clock that can be put forward."""

    ahead = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
async def store(tmp_path: Path, clock: Later) -> AsyncIterator[FileStore]:
    database = Database(tmp_path / "flowfuse.db", asset_root("migrations"))
    await database.open()
    yield FileStore(tmp_path / "files", database, clock)
    await database.close()


def there(store: FileStore) -> list[str]:
    return sorted(p.name for p in store.folder.rglob("*") if p.is_file())


async def test_what_is_written_is_read(store: FileStore) -> None:
    pieces = [os.urandom(size) for size in (0, 1, CHUNK, CHUNK * 2 + 3)]
    async with store.writing("main") as writer:
        for piece in pieces:
            await writer.write(piece)
        kept = await writer.finish("../../a/b.txt", "text/plain; charset=utf-8")
    whole = b"".join(pieces)
    assert kept.value() == {
        "$file": hashlib.sha256(whole).hexdigest(), "name": "b.txt", "type": "text/plain", "size": len(whole),
    }  # fmt: skip
    assert b"".join([piece async for piece in store.stream("main", kept.sha256)]) == whole
    assert there(store) == [kept.sha256]
    assert store.path(kept.sha256).stat().st_mode & 0o777 == 0o600
    assert as_file(kept.value()) == kept


async def test_equal_files_are_kept_once_and_an_empty_one_is_a_file(store: FileStore) -> None:
    one, again, empty = [await store.save("main", data, "x", "a/b") for data in (b"1", b"1", b"")]
    assert one.sha256 == again.sha256
    assert there(store) == sorted([one.sha256, empty.sha256])
    assert await store.read("main", empty.sha256, 10) == b""


async def test_what_was_not_finished_leaves_nothing(store: FileStore) -> None:
    with pytest.raises(RuntimeError):
        async with store.writing("main") as writer:
            await writer.write(b"x" * (CHUNK + 1))
            raise RuntimeError
    with pytest.raises(TooLarge):
        async with store.writing("main", limit=CHUNK) as writer:
            await writer.write(b"x" * CHUNK)
            await writer.write(b"x")
    assert there(store) == []


class SlowFolder(type(Path())):  # type: ignore[misc]
    """A folder on a disk that takes its time."""

    reached, done = threading.Event(), threading.Event()

    def mkdir(self, *how: Any, **more: Any) -> None:
        self.reached.set()
        assert self.done.wait(10)
        super().mkdir(*how, **more)


async def test_a_write_that_is_cancelled_leaves_nothing_when_its_thread_is_done(store: FileStore) -> None:
    store.temporary = SlowFolder(store.temporary)
    executor = ThreadPoolExecutor()
    asyncio.get_running_loop().set_default_executor(executor)

    async def write() -> None:
        async with store.writing("main") as writer:
            await writer.write(bytes(CHUNK))

    writing = asyncio.create_task(write())
    while not SlowFolder.reached.is_set():
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    SlowFolder.done.set()
    executor.shutdown(wait=True)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    for _ in range(5):
        await asyncio.sleep(0)
    assert there(store) == []


async def test_workspaces_do_not_see_each_others_files(store: FileStore) -> None:
    kept = await store.save("main", b"1", "x", "a/b")
    with pytest.raises(NotFound):
        await store.find("other", kept.sha256)
    for name in ("", "x", "../../../etc/passwd", kept.sha256.upper(), kept.sha256[:-1] + "g"):
        with pytest.raises(NotFound):
            await store.find("main", name)


async def test_a_file_goes_when_nothing_refers_to_it_for_a_day(store: FileStore, clock: Later) -> None:
    kept, loose = [await store.save("main", data, "x", "a/b") for data in (b"kept", b"loose")]
    digest = bytes.fromhex(kept.sha256)
    await _execution(store, b"e" * 16)
    await store._database.write(references("main", b"e" * 16, [digest]))
    assert await store.sweep() == 0
    clock.ahead = (DAY + 1) * 1_000_000
    assert await store.sweep() == 1
    assert there(store) == [kept.sha256]
    with pytest.raises(NotFound):
        await store.find("main", loose.sha256)
    await store._database.write(lambda connection: connection.execute("DELETE FROM executions"))
    assert await store.sweep() == 1
    assert there(store) == []


async def _execution(store: FileStore, raw: bytes) -> None:
    """A row of an execution; only that it is there counts."""

    def insert(connection: sqlite3.Connection) -> None:
        columns = connection.execute("PRAGMA table_info(executions)").fetchall()
        needed = {c["name"]: "" if c["type"] == "TEXT" else 0 for c in columns if c["notnull"]}
        needed.update(id=raw, workspace_id="main")
        connection.execute(
            f"INSERT INTO executions ({', '.join(needed)}) VALUES ({', '.join('?' * len(needed))})",
            tuple(needed.values()),
        )

    await store._database.write(insert)


async def test_a_file_that_comes_again_while_it_is_swept_is_there(store: FileStore, clock: Later) -> None:
    """Whatever order both end in, what `save` has said is kept can be read."""
    for number in range(30):
        data = f"round {number}".encode()
        await store.save("main", data, "x", "a/b")
        clock.ahead += (DAY + 1) * 1_000_000
        kept, _ = await asyncio.gather(store.save("main", data, "x", "a/b"), store.sweep())
        assert await store.read("main", kept.sha256, 100) == data


async def test_a_disk_that_refuses_is_a_clear_error(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flowfuse.data.files.os.write", full)
    with pytest.raises(FileNotKept, match="No space left"):
        await store.save("main", b"x", "x", "a/b")
    monkeypatch.undo()
    assert there(store) == []
    assert (await store.save("main", b"x", "x", "a/b")).size == 1


async def test_a_place_that_cannot_be_made_refuses_the_file_alone(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other commits of the same batch stand."""

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    together = await asyncio.gather(
        store.save("main", b"x", "x", "a/b"), _execution(store, b"e" * 16), return_exceptions=True
    )
    assert isinstance(together[0], FileNotKept)
    assert "No space left" in str(together[0])
    assert together[1] is None
    assert store._database.trouble is None
    assert there(store) == []


async def test_content_that_cannot_be_taken_away_does_not_stop_the_sweep(
    store: FileStore, clock: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [await store.save("main", data, "x", "a/b") for data in (b"one", b"two")]
    stuck, unlink = store.path(kept[0].sha256), Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == stuck:
            raise PermissionError(1, "Operation not permitted")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    clock.ahead = (DAY + 1) * 1_000_000
    assert await store.sweep() == 2
    assert there(store) == [stuck.name]


async def test_what_a_killed_process_was_writing_is_cleared(store: FileStore) -> None:
    store.temporary.mkdir(parents=True)
    (store.temporary / "half").write_bytes(b"x")
    await store.open()
    assert there(store) == []


async def test_content_that_never_got_its_row_is_taken_away(store: FileStore) -> None:
    kept = await store.save("main", b"kept", "x", "")
    stray, fresh = (hashlib.sha256(data).hexdigest() for data in (b"stray", b"fresh"))
    for name in (stray, fresh):
        store.path(name).parent.mkdir(parents=True, exist_ok=True)
        store.path(name).write_bytes(b"x")
    for name in (stray, kept.sha256):
        os.utime(store.path(name), (1, 1))
    watching = asyncio.create_task(store.watch())
    while store.path(stray).exists():
        await asyncio.sleep(0.01)
    watching.cancel()
    assert there(store) == sorted([fresh, kept.sha256])


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a.txt", "a.txt"), ("../a", "a"), ("C:\\x\\ü b.pdf", "ü b.pdf"), ("", "file"), ("..", "file"), ('a"\r\n;b', "a;b"),
     ("x" * 300 + ".txt", "x" * 251 + ".txt")],
)  # fmt: skip
def test_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("kind", "safe"),
    [
        ("Text/HTML; charset=x", "text/html"),
        ("", "application/octet-stream"),
        ("a/b\r\nx: y", "application/octet-stream"),
    ],
)
def test_types(kind: str, safe: str) -> None:
    assert safe_type(kind) == safe
