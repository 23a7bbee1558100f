"""DeadLetters: production runs that failed, until somebody requeues or discards them (or they expire)."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Sequence

from msgspec import Struct

from flowfuse.clock import Clock, id_bytes
from flowfuse.data.database import Database
from flowfuse.data.executions import LISTED, as_execution
from flowfuse.errors import Conflict, NotFound
from flowfuse.model import Execution, State

MOST = 500
"""So many of the newest are looked through for their causes."""
_NUMBERS = re.compile(r"\d+")


class Cause(Struct, frozen=True):
    """Runs that failed of the same, the newest first."""

    key: str
    runs: list[Execution]

    @property
    def newest(self) -> Execution:
        """The run that failed last."""
        return self.runs[0]

    @property
    def workflows(self) -> list[str]:
        """The workflows whose runs they are."""
        return list(dict.fromkeys(run.workflow for run in self.runs))


def cause_of(execution: Execution) -> str:
    """What makes two failures the same: the node, the code, and the words but for their numbers."""
    error = execution.error
    if error is None:
        said = execution.reason or ""
    else:
        said = f"{execution.workflow} {error.node} {error.code} {_NUMBERS.sub('#', error.message)[:200]}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]


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

    async def count(self, workspace: str) -> int:
        """How many there are, as far as anybody wants to know."""
        row = await self._database.row(
            "SELECT count(*) AS n FROM (SELECT 1 FROM executions AS e INDEXED BY executions_not_completed "
            "WHERE workspace_id = ? AND state = 4 AND state <> 3 AND mode = 'production' "
            "AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE execution_id = e.id) LIMIT ?)",
            (workspace, MOST),
        )
        return 0 if row is None else int(row["n"])

    async def causes(self, workspace: str) -> Sequence[Cause]:
        """What the newest of them failed of, the most frequent first."""
        found: dict[str, list[Execution]] = {}
        for execution in await self.list(workspace, limit=MOST):
            found.setdefault(cause_of(execution), []).append(execution)
        causes = [Cause(key=key, runs=runs) for key, runs in found.items()]
        return sorted(causes, key=lambda cause: (-len(cause.runs), cause.key))

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

    async def take_back(self, workspace: str, executions: Sequence[str]) -> int:
        """Undo of `discard`: how many of them are dead letters again."""
        known = [raw for raw in map(id_bytes, executions) if raw is not None]

        def write(connection: sqlite3.Connection) -> int:
            return sum(
                connection.execute(
                    "DELETE FROM dead_letters WHERE execution_id = ? AND workspace_id = ? "
                    "AND outcome = 'discarded'",
                    (raw, workspace),
                ).rowcount
                for raw in known
            )

        return int(await self._database.write(write))

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
