"""DeadLetters: production runs that failed, until somebody requeues or discards them (or they expire)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from flowfuse.clock import Clock, id_bytes
from flowfuse.data.database import Database
from flowfuse.data.executions import LISTED, as_execution
from flowfuse.errors import Conflict, NotFound
from flowfuse.model import Execution, State


class DeadLetters:
    """Lists them, and keeps what became of them. Every method's first argument is the workspace."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def list(
        self, workspace: str, *, workflow: str | None = None, before: str | None = None, limit: int = 50
    ) -> Sequence[Execution]:
        """Newest first."""
        rows = await self._database.rows(
            f"SELECT {LISTED} FROM executions AS e INDEXED BY executions_not_completed "
            "WHERE workspace_id = ?1 AND state = 4 AND state <> 3 AND mode = 'production' "
            "AND (?2 IS NULL OR workflow_id = ?2) AND (?3 IS NULL OR id < ?3) "
            "AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE execution_id = e.id) "
            "ORDER BY id DESC LIMIT ?4",
            (workspace, workflow, None if before is None else id_bytes(before), limit),
        )
        return [as_execution(row) for row in rows]

    async def discard(self, workspace: str, execution: str) -> None:
        """It needs no further work. Raises NotFound, and Conflict where it is no dead letter."""
        raw = id_bytes(execution)
        row = None
        if raw is not None:
            row = await self._database.row(
                "SELECT state, mode FROM executions WHERE id = ? AND workspace_id = ?", (raw, workspace)
            )
        if row is None or raw is None:
            raise NotFound(what="execution", id=execution)
        if State(row["state"]) is not State.failed or row["mode"] != "production":
            raise Conflict(reason="Only a production run that failed is a dead letter")
        await self._database.write(self.settle(workspace, raw, "discarded", None))

    def settle(
        self, workspace: str, execution: bytes, outcome: str, following: bytes | None
    ) -> Callable[[sqlite3.Connection], None]:
        """A change that says what became of a run, for the commit of what takes its place."""
        values = (workspace, execution, outcome, following, self._clock.now_us())

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO dead_letters (workspace_id, execution_id, outcome, next_id, at) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (execution_id) DO UPDATE SET "
                "outcome = excluded.outcome, next_id = excluded.next_id, at = excluded.at",
                values,
            )

        return write
