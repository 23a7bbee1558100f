"""FollowUps as rows: noted in the commit of what they follow, so that a crash loses none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from flowfuse.data.database import Database

Kind = Literal["ended", "failed", "cancel"]


class FollowUp(Struct, frozen=True):
    """Of an execution: it `ended` and its caller waits; it `failed`; it is to be cancelled (`cancel`)."""

    number: int
    workspace: str
    kind: Kind
    execution: bytes


def note(workspace: str, kind: Kind, execution: bytes) -> Callable[[sqlite3.Connection], None]:
    """A change that notes a follow-up, for the commit of what it follows."""

    def insert(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO follow_ups (workspace_id, kind, execution_id) VALUES (?, ?, ?)",
            (workspace, kind, execution),
        )

    return insert


def forget(number: int) -> Callable[[sqlite3.Connection], None]:
    """A change that removes a follow-up, for the commit that does it."""
    return lambda connection: _forget(connection, number)


def _forget(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM follow_ups WHERE number = ?", (number,))


class FollowUpRepository:
    """The follow-ups that are still to be done, of every workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, number: int, limit: int) -> Sequence[FollowUp]:
        """The next ones in the order in which they were noted."""
        rows = await self._database.rows(
            "SELECT number, workspace_id, kind, execution_id FROM follow_ups WHERE number > ? "
            "ORDER BY number LIMIT ?",
            (number, limit),
        )
        return [FollowUp(r["number"], r["workspace_id"], r["kind"], bytes(r["execution_id"])) for r in rows]

    async def newest(self) -> int:
        """The number of the one that was noted last; 0 where there is none."""
        row = await self._database.row("SELECT max(number) AS number FROM follow_ups")
        return 0 if row is None else int(row["number"] or 0)

    async def add(self, workspace: str, kind: Kind, execution: bytes) -> None:
        """Note one by itself."""
        await self._database.write(note(workspace, kind, execution))

    async def done(self, number: int) -> None:
        """It was done: forget it."""
        await self._database.write(forget(number))
