"""SeenItems: what a node has seen before, for nodes that let through only what is new."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

import msgspec

from flowfuse.clock import Clock
from flowfuse.data.database import Database
from flowfuse.model import Value

_KEY = "workspace_id = ? AND workflow_id = ? AND node = ?"


class SeenItems:
    """Keys that were seen, by workflow and node."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def new_of(
        self, workspace: str, workflow: str, node: str, keys: Sequence[Value], effect: str, keep: int
    ) -> list[bool]:
        """Of each key whether it is new; it then counts as seen. The newest `keep` keys are remembered.

        `effect` is the effect's idempotency key: the same effect, repeated after a crash, gets the same
        answer.
        """
        now = self._clock.now_us()
        hashes = [hashlib.sha256(msgspec.json.encode(key, order="sorted")).digest() for key in keys]

        def look(connection: sqlite3.Connection) -> list[bool]:
            found, here = [], set()
            for digest in hashes:
                row = connection.execute(
                    f"SELECT effect FROM seen WHERE {_KEY} AND hash = ?", (workspace, workflow, node, digest)
                ).fetchone()
                found.append(digest not in here and (row is None or row["effect"] == effect))
                here.add(digest)
                # What comes again is as new in memory as what comes for the first time: a service that
                # always names it must not see it forgotten, and pass again.
                connection.execute(
                    "INSERT INTO seen (workspace_id, workflow_id, node, hash, effect, at) "
                    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
                    (workspace, workflow, node, digest, effect, now),
                )
            connection.execute(
                f"DELETE FROM seen WHERE {_KEY} AND at < (SELECT at FROM seen WHERE {_KEY} "
                "ORDER BY at DESC LIMIT 1 OFFSET ?)",
                (workspace, workflow, node, workspace, workflow, node, keep),
            )
            return found

        new: list[bool] = await self._database.write(look)
        return new
