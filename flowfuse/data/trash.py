"""Trash: deleted workflows, whole with their versions, that can be restored for 30 days."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.database import Database
from flowfuse.errors import Conflict, NotFound

KEPT_US = 30 * 86400 * 1_000_000
_LONGEST = 62
_WITH_AUTHOR = 5
_COLUMNS = (
    "workspace_id, workflow_id, name, folder, draft, seq, field_versions, versions, created, at, published, "
    "paused"
)


class Trashed(Struct, frozen=True, kw_only=True):
    """A deleted workflow. `number` is what it is restored by."""

    number: int
    workflow: str
    name: str
    folder: str
    versions: int
    at: int
    until: int


class Restored(Struct, frozen=True):
    """What came back: its id, the version that was live, and whose schedules stood still."""

    workflow: str
    published: int | None
    paused: list[str]


class Trash:
    """Lists, restores and empties. Every method's first argument is the workspace, but for the timer's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def list(self, workspace: str) -> Sequence[Trashed]:
        """The last deleted first."""
        rows = await self._database.rows(
            "SELECT number, workflow_id, name, folder, json_array_length(versions) AS versions, at "
            "FROM trash WHERE workspace_id = ? ORDER BY at DESC, number DESC",
            (workspace,),
        )
        return [
            Trashed(
                number=row["number"],
                workflow=row["workflow_id"],
                name=row["name"] or row["workflow_id"],
                folder=row["folder"],
                versions=row["versions"],
                at=row["at"],
                until=row["at"] + KEPT_US,
            )
            for row in rows
        ]

    async def restore(self, workspace: str, number: int) -> Restored:
        """Bring a workflow back, as it was but unpublished. Raises NotFound, Conflict."""
        _check(number)
        now = self._clock.now_us()

        def bring_back(connection: sqlite3.Connection) -> Restored:
            row = connection.execute(
                f"DELETE FROM trash WHERE workspace_id = ? AND number = ? RETURNING {_COLUMNS}",
                (workspace, number),
            ).fetchone()
            if row is None:
                raise NotFound(what="workflow in the trash", id=str(number))
            try:
                _insert(connection, row, now)
            except sqlite3.IntegrityError:
                raise Conflict(
                    reason=f"There is a workflow “{row['workflow_id']}” again; delete that one first"
                ) from None
            return Restored(row["workflow_id"], row["published"], msgspec.json.decode(row["paused"]))

        restored: Restored = await self._database.write(bring_back)
        return restored

    async def newest(self, workspace: str, workflow: str) -> int:
        """The number of what was deleted last under an id. Raises NotFound."""
        row = await self._database.row(
            "SELECT max(number) AS number FROM trash WHERE workspace_id = ? AND workflow_id = ?",
            (workspace, workflow),
        )
        if row is None or row["number"] is None:
            raise NotFound(what="workflow in the trash", id=workflow)
        return int(row["number"])

    async def destroy(self, workspace: str, number: int) -> None:
        """Delete one for good. Raises NotFound."""
        _check(number)
        done = await self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM trash WHERE workspace_id = ? AND number = ?", (workspace, number)
                ).rowcount
            )
        )
        if not done:
            raise NotFound(what="workflow in the trash", id=str(number))

    async def empty_old(self) -> None:
        """Of all workspaces: what was deleted more than 30 days ago is gone for good."""
        before = self._clock.now_us() - KEPT_US
        if await self._database.row("SELECT 1 FROM trash WHERE at < ? LIMIT 1", (before,)) is None:
            return
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM trash WHERE at < ?", (before,))
        )


def _check(number: int) -> None:
    """A number that the database cannot hold is nothing's. Raises NotFound."""
    if number.bit_length() > _LONGEST:
        raise NotFound(what="workflow in the trash", id=str(number)[:30])


def put_in_trash(connection: sqlite3.Connection, workspace: str, workflow: str, now: int) -> None:
    """Within the commit that removes a workflow: keep all of it."""
    versions = connection.execute(
        "SELECT number, content_id, note, created, author FROM versions "
        "WHERE workspace_id = ? AND workflow_id = ?",
        (workspace, workflow),
    ).fetchall()
    paused = connection.execute(
        "SELECT node FROM schedules WHERE workspace_id = ? AND workflow_id = ? AND paused = 1",
        (workspace, workflow),
    ).fetchall()
    kept = msgspec.json.encode([tuple(row) for row in versions]).decode()
    stood_still = msgspec.json.encode([row["node"] for row in paused]).decode()
    connection.execute(
        f"INSERT INTO trash ({_COLUMNS}) SELECT workspace_id, id, name, folder, draft, seq, field_versions, "
        "?, created, ?, published, ? FROM workflows WHERE workspace_id = ? AND id = ?",
        (kept, now, stood_still, workspace, workflow),
    )


def _insert(connection: sqlite3.Connection, row: sqlite3.Row, now: int) -> None:
    draft = msgspec.json.decode(row["draft"])
    tags = msgspec.json.encode(draft.get("tags", [])).decode()
    key = (row["workspace_id"], row["workflow_id"])
    connection.execute(
        "INSERT INTO workflows (workspace_id, id, name, description, folder, tags, draft, seq, "
        "field_versions, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*key, row["name"], draft.get("description", ""), row["folder"], tags, row["draft"],
         row["seq"] + 1, row["field_versions"], row["created"], now),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO versions (workspace_id, workflow_id, number, content_id, note, created, author) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*key, *_with_author(version)) for version in msgspec.json.decode(row["versions"])],
    )


def _with_author(version: list[object]) -> list[object]:
    """A version as it was kept; what was deleted before authors were noted has none."""
    return version if len(version) == _WITH_AUTHOR else [*version, ""]
