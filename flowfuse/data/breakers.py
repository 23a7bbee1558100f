"""BreakerRepository: the breakers that are not closed, so that a restart does not close them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct

from flowfuse.data.database import Database


class StoredBreaker(Struct, frozen=True):
    """A breaker as it is stored. `until` is UTC microseconds."""

    workspace: str
    connector: str
    state: str
    until: int


class BreakerRepository:
    """Of every workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredBreaker]:
        """Every breaker that is not closed."""
        rows = await self._database.rows("SELECT workspace_id, connector, state, until FROM breakers")
        return [StoredBreaker(r["workspace_id"], r["connector"], r["state"], r["until"]) for r in rows]

    async def save(self, breaker: StoredBreaker) -> None:
        """Keep a breaker's state; a closed one is forgotten."""
        key = (breaker.workspace, breaker.connector)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM breakers WHERE workspace_id = ? AND connector = ?", key)
            if breaker.state != "closed":
                connection.execute(
                    "INSERT INTO breakers (workspace_id, connector, state, until) VALUES (?, ?, ?, ?)",
                    (*key, breaker.state, breaker.until),
                )

        await self._database.write(write)

    async def wake(self, workspace: str, now_us: int) -> None:
        """What waits for a breaker of the workspace may look again, now."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE executions SET wake_at = ? WHERE wake_at > ? AND state = 1 AND waiting = 'breaker' "
                "AND workspace_id = ?",
                (now_us, now_us, workspace),
            )
        )
