"""WebhookCalls: the last calls that started no run – refused, or caught while nothing was published.

What did start one lies in that run's input. Kept are the last twenty of each webhook.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.database import Database

KEPT = 20
LONGEST_BODY = 64_000


class Call(Struct, frozen=True, kw_only=True):
    """A call: when, what was answered and why, and what was sent."""

    number: int
    at: int
    status: int
    reason: str
    request: dict[str, Any]


class WebhookCalls:
    """Keeps and lists them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def keep(
        self, workspace: str, workflow: str, node: str, *, status: int, reason: str, request: dict[str, Any]
    ) -> None:
        """Keep a call; the oldest of its webhook's make room."""
        raw, now = msgspec.json.encode(request), self._clock.now_us()
        key = (workspace, workflow, node)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO calls (workspace_id, workflow_id, node, at, status, reason, request) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, now, status, reason[:500], raw),
            )
            connection.execute(
                "DELETE FROM calls WHERE workspace_id = ?1 AND workflow_id = ?2 AND node = ?3 AND number <= "
                "(SELECT number FROM calls WHERE workspace_id = ?1 AND workflow_id = ?2 AND node = ?3 "
                "ORDER BY number DESC LIMIT 1 OFFSET ?4)",
                (*key, KEPT),
            )

        await self._database.write(write)

    async def list(self, workspace: str, workflow: str, node: str) -> Sequence[Call]:
        """Of one webhook, the newest first."""
        rows = await self._database.rows(
            "SELECT number, at, status, reason, request FROM calls "
            "WHERE workspace_id = ? AND workflow_id = ? AND node = ? ORDER BY number DESC",
            (workspace, workflow, node),
        )
        return [_call(row) for row in rows]


def _call(row: sqlite3.Row) -> Call:
    return Call(
        number=row["number"],
        at=row["at"],
        status=row["status"],
        reason=row["reason"],
        request=msgspec.json.decode(row["request"]),
    )
