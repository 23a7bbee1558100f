"""ScheduleRepository: the schedules of published workflows, and what became of each due time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from flowfuse.clock import id_text
from flowfuse.data.database import Database
from flowfuse.errors import Duplicate, NotFound
from flowfuse.model import Fire, Schedule

KEPT_FIRES = 1000
"""How many due times of a schedule are remembered."""

_COLUMNS = "workspace_id, workflow_id, node, recurrence, catch_up, paused, next_due"
_KEY = "workspace_id = ? AND workflow_id = ? AND node = ?"


class ScheduleRepository:
    """Reads and changes of schedules. Every method's first argument is the workspace, but for the timer's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, workspace: str, workflow: str | None = None) -> Sequence[Schedule]:
        """All schedules, or a workflow's, the earliest due first."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM schedules WHERE workspace_id = ? AND (? IS NULL OR workflow_id = ?) "
            "ORDER BY next_due IS NULL, next_due, workflow_id, node",
            (workspace, workflow, workflow),
        )
        return [_schedule(row) for row in rows]

    async def get(self, workspace: str, workflow: str, node: str) -> Schedule:
        """One schedule. Raises NotFound."""
        row = await self._database.row(
            f"SELECT {_COLUMNS} FROM schedules WHERE {_KEY}", (workspace, workflow, node)
        )
        if row is None:
            raise NotFound(what="schedule", id=f"{workflow}.{node}")
        return _schedule(row)

    async def due(self, now_us: int, limit: int) -> Sequence[Schedule]:
        """Of all workspaces: the schedules whose time has come, the earliest first."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM schedules INDEXED BY schedules_due WHERE next_due IS NOT NULL "
            "AND paused = 0 AND next_due <= ? ORDER BY next_due LIMIT ?",
            (now_us, limit),
        )
        return [_schedule(row) for row in rows]

    async def next_due(self) -> int | None:
        """When the next of all schedules is due."""
        row = await self._database.row(
            "SELECT next_due FROM schedules INDEXED BY schedules_due WHERE next_due IS NOT NULL "
            "AND paused = 0 ORDER BY next_due LIMIT 1"
        )
        return None if row is None else int(row["next_due"])

    async def fires(self, workspace: str, workflow: str, node: str, limit: int = 50) -> Sequence[Fire]:
        """What became of the last due times, newest first."""
        rows = await self._database.rows(
            f"SELECT due, outcome, count, execution_id, at FROM fires WHERE {_KEY} ORDER BY due DESC LIMIT ?",
            (workspace, workflow, node, limit),
        )
        return [
            Fire(
                due=row["due"],
                outcome=row["outcome"],
                count=row["count"],
                execution=None if row["execution_id"] is None else id_text(bytes(row["execution_id"])),
                at=row["at"],
            )
            for row in rows
        ]

    async def pause(
        self, workspace: str, workflow: str, node: str, *, paused: bool, next_due: int | None
    ) -> None:
        """Stop a schedule, or let it go on at `next_due`. Raises NotFound."""

        def update(connection: sqlite3.Connection) -> int:
            return connection.execute(
                f"UPDATE schedules SET paused = ?, next_due = ? WHERE {_KEY}",
                (paused, next_due, workspace, workflow, node),
            ).rowcount

        if not await self._database.write(update):
            raise NotFound(what="schedule", id=f"{workflow}.{node}")

    async def skip(
        self, schedule: Schedule, due: int, count: int, outcome: str, next_due: int | None, now_us: int
    ) -> None:
        """Record due times that do not fire, and go on to the next."""

        def write(connection: sqlite3.Connection) -> None:
            key = (schedule.workspace, schedule.workflow, schedule.node)
            connection.execute(
                "INSERT OR IGNORE INTO fires (workspace_id, workflow_id, node, due, outcome, count, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, due, outcome, count, now_us),
            )
            _go_on(connection, schedule, next_due)

        await self._database.write(write)


def replace_schedules(
    connection: sqlite3.Connection, workspace: str, workflow: str, schedules: Sequence[Schedule], now_us: int
) -> None:
    """Within the commit that publishes: the workflow's schedules are these. One that is as before goes on."""
    before = {
        row["node"]: row
        for row in connection.execute(
            f"SELECT {_COLUMNS} FROM schedules WHERE workspace_id = ? AND workflow_id = ?",
            (workspace, workflow),
        ).fetchall()
    }
    connection.execute(
        "DELETE FROM schedules WHERE workspace_id = ? AND workflow_id = ?", (workspace, workflow)
    )
    for schedule in schedules:
        old = before.get(schedule.node)
        recurrence, next_due, paused = schedule.recurrence, schedule.next_due, schedule.paused
        if old is not None:
            paused = bool(old["paused"])
            if _unanchored(old["recurrence"]) == _unanchored(recurrence) and old["next_due"] is not None:
                recurrence, next_due = old["recurrence"], old["next_due"]
        connection.execute(
            f"INSERT INTO schedules ({_COLUMNS}, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (workspace, workflow, schedule.node, recurrence, schedule.catch_up, paused, next_due, now_us),
        )


def claim_due(
    schedule: Schedule, due: int, next_due: int | None, execution: bytes, now_us: int
) -> Callable[[sqlite3.Connection], None]:
    """Within the commit that accepts the run: this due time is taken. Raises Duplicate."""
    key = (schedule.workspace, schedule.workflow, schedule.node)

    def claim(connection: sqlite3.Connection) -> None:
        found = connection.execute(
            f"SELECT execution_id FROM fires WHERE {_KEY} AND due = ?", (*key, due)
        ).fetchone()
        if found is not None:
            raise Duplicate(delivery=str(due), execution=found["execution_id"])
        connection.execute(
            "INSERT INTO fires (workspace_id, workflow_id, node, due, outcome, execution_id, at) "
            "VALUES (?, ?, ?, ?, 'fired', ?, ?)",
            (*key, due, execution, now_us),
        )
        connection.execute(
            f"DELETE FROM fires WHERE {_KEY} AND due < (SELECT due FROM fires WHERE {_KEY} "
            "ORDER BY due DESC LIMIT 1 OFFSET ?)",
            (*key, *key, KEPT_FIRES),
        )
        _go_on(connection, schedule, next_due)

    return claim


def _go_on(connection: sqlite3.Connection, schedule: Schedule, next_due: int | None) -> None:
    """The schedule's next due time, unless it was published anew meanwhile."""
    connection.execute(
        f"UPDATE schedules SET next_due = ? WHERE {_KEY} AND recurrence = ?",
        (next_due, schedule.workspace, schedule.workflow, schedule.node, schedule.recurrence),
    )


def _unanchored(recurrence: str) -> dict[str, object]:
    """What a schedule is, without the moment from which its spans are counted."""
    plain: dict[str, object] = msgspec.json.decode(recurrence)
    return {**plain, "anchor_us": 0}


def _schedule(row: sqlite3.Row) -> Schedule:
    return Schedule(
        workspace=row["workspace_id"],
        workflow=row["workflow_id"],
        node=row["node"],
        recurrence=row["recurrence"],
        catch_up=row["catch_up"],
        paused=bool(row["paused"]),
        next_due=row["next_due"],
    )
