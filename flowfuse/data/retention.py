"""Retention: history by age, number and size. What still runs is never touched, and the disk gets it back."""

from __future__ import annotations

import asyncio
import sqlite3

from flowfuse.clock import Clock
from flowfuse.data.database import Database
from flowfuse.data.executions import forget_executions
from flowfuse.data.preferences import PreferenceStore
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.model import TERMINAL, WORKSPACE, seconds

BATCH = 200
"""Executions that are removed in one commit: others' commits wait for it."""
VACUUM_PAGES = 2000
"""Pages given back to the disk in one commit."""
DAY_US = 86400 * 1_000_000
_ENDED = ", ".join(str(int(state)) for state in sorted(TERMINAL))


class Retention:
    """Removes what is older, more or larger than the settings allow."""

    def __init__(
        self, database: Database, workflows: WorkflowRepository, preferences: PreferenceStore, clock: Clock
    ) -> None:
        self._database, self._workflows = database, workflows
        self._preferences, self._clock = preferences, clock

    async def collect(self) -> int:
        """Remove what is over the limits, and give its room back; how many executions."""
        removed = 0
        for workspace in await self._workflows.workspaces():
            removed += await self._collect(workspace)
        most = (await self._preferences.get(WORKSPACE)).history.keep_bytes
        if most:
            removed += await self._shrink(most)
        if removed:
            await self.give_back()
        return removed

    async def _collect(self, workspace: str) -> int:
        settings = (await self._preferences.get(workspace)).history
        removed = 0
        own = await self._own_keeps(workspace)
        for workflow, keep in own.items():
            removed += await self._older(workspace, workflow, self._clock.now_us() - int(keep * 1e6))
        if settings.keep_days:
            before = self._clock.now_us() - int(settings.keep_days * DAY_US)
            for workflow in await self._with_runs(workspace):
                if workflow not in own:
                    removed += await self._older(workspace, workflow, before)
        if settings.keep_count:
            for workflow in await self._with_runs(workspace):
                removed += await self._beyond(workspace, workflow, settings.keep_count)
        return removed

    async def give_back(self) -> int:
        """Give free pages back to the disk; how many."""
        given = 0
        while True:
            count: int = await self._database.write(_vacuum)
            given += count
            if count == 0:
                return given
            await asyncio.sleep(0)

    async def _own_keeps(self, workspace: str) -> dict[str, float]:
        """Workflows that say by themselves how long their executions stay, in seconds."""
        keeps = await self._workflows.keeps(workspace)
        return {workflow: seconds(keep) for workflow, keep in keeps.items()}

    async def _with_runs(self, workspace: str) -> list[str]:
        rows = await self._database.rows(
            "SELECT workflow_id FROM counters WHERE workspace_id = ?", (workspace,)
        )
        return [row["workflow_id"] for row in rows]

    async def _older(self, workspace: str, workflow: str, before_us: int) -> int:
        """Remove a workflow's executions that ended before that moment, the oldest first."""

        def some(after: int) -> tuple[str, tuple[object, ...]]:
            return (
                "SELECT id, number, state, finished, created FROM executions INDEXED BY executions_by_number "
                "WHERE workspace_id = ? AND workflow_id = ? AND number > ? ORDER BY number LIMIT ?",
                (workspace, workflow, after, BATCH),
            )

        removed, after = 0, 0
        while True:
            rows = await self._database.rows(*some(after))
            old = [r["id"] for r in rows if r["finished"] is not None and r["finished"] < before_us]
            removed += await self._remove(old)
            # Numbers are in the order of time, so the first that is too young to have ended ends the search.
            if len(rows) < BATCH or rows[-1]["created"] >= before_us:
                return removed
            after = rows[-1]["number"]

    async def _beyond(self, workspace: str, workflow: str, keep: int) -> int:
        """Remove a workflow's ended executions but for the newest `keep`."""
        newest = await self._database.row(
            "SELECT number FROM executions INDEXED BY executions_by_number WHERE workspace_id = ? "
            "AND workflow_id = ? ORDER BY number DESC LIMIT 1 OFFSET ?",
            (workspace, workflow, keep),
        )
        if newest is None:
            return 0
        removed, after = 0, 0
        while True:
            rows = await self._database.rows(
                "SELECT id, number, finished FROM executions INDEXED BY executions_by_number "
                "WHERE workspace_id = ? AND workflow_id = ? AND number > ? AND number <= ? "
                "ORDER BY number LIMIT ?",
                (workspace, workflow, after, newest["number"], BATCH),
            )
            removed += await self._remove([row["id"] for row in rows if row["finished"] is not None])
            if len(rows) < BATCH:
                return removed
            after = rows[-1]["number"]

    async def _shrink(self, most: int) -> int:
        """Remove the oldest ended executions, whosever they are, until what is used fits."""
        removed, after = 0, b""
        while await self._used() > most:
            rows = await self._database.rows(
                "SELECT id, finished FROM executions WHERE id > ? ORDER BY id LIMIT ?", (after, BATCH)
            )
            if not rows:
                return removed
            removed += await self._remove([row["id"] for row in rows if row["finished"] is not None])
            after = bytes(rows[-1]["id"])
        return removed

    async def _used(self) -> int:
        """Bytes of the database that hold something."""
        row = await self._database.row(
            "SELECT (SELECT page_count FROM pragma_page_count()) - "
            "(SELECT freelist_count FROM pragma_freelist_count()) AS pages, "
            "(SELECT page_size FROM pragma_page_size()) AS size"
        )
        assert row is not None
        return int(row["pages"]) * int(row["size"])

    async def _remove(self, ids: list[bytes]) -> int:
        if not ids:
            return 0
        return int(await self._database.write(lambda connection: forget_executions(connection, ids)))


def _vacuum(connection: sqlite3.Connection) -> int:
    """Give some free pages back; how many."""
    free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
    if free:
        # The pragma gives back a page with each step of its statement.
        connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
    return min(free, VACUUM_PAGES)
