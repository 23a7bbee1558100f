"""AuditLog: who did what. Entries are only added, and each is chained to the one before it by its hash.

Whoever changes or removes an entry behind our back breaks the chain, which `check` finds.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.database import Database

PAGE = 50
_COLUMNS = "seq, workspace_id, at, actor, actor_name, via, ip, action, subject, detail"
_AT_ONCE = 5000


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that somebody did. `subject` names what it was done to, as an address of ours or a name."""

    seq: int
    at: int
    actor: str
    actor_name: str
    via: str
    ip: str
    action: str
    subject: str
    detail: str


class AuditLog:
    """Adds and reads entries."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def add(
        self,
        workspace: str,
        action: str,
        subject: str = "",
        detail: str = "",
        *,
        actor: str,
        actor_name: str,
        via: str,
        ip: str = "",
    ) -> None:
        """Add an entry, durably."""
        values = (workspace, self._clock.now_us(), actor, actor_name, via, ip, action, subject, detail)

        def insert(connection: sqlite3.Connection) -> None:
            last = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
            seq, before = (0, b"") if last is None else (int(last["seq"]), bytes(last["hash"]))
            row = (seq + 1, *values)
            connection.execute(
                f"INSERT INTO audit ({_COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, _chained(before, row)),
            )

        await self._database.write(insert)

    async def list(
        self,
        workspace: str,
        *,
        text: str = "",
        action: str = "",
        actor: str = "",
        before: int | None = None,
        limit: int = PAGE,
    ) -> Sequence[Entry]:
        """Newest first. `before` is the number of the last entry of the page before."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM audit WHERE workspace_id = ?1 AND (?2 IS NULL OR seq < ?2) "
            "AND (?3 = '' OR action = ?3) AND (?4 = '' OR actor = ?4) "
            "AND (?5 = '' OR "
            "instr(lower(actor_name || ' ' || action || ' ' || subject || ' ' || detail), ?5)) "
            "ORDER BY seq DESC LIMIT ?6",
            (workspace, before, action, actor, text.lower(), limit),
        )
        return [_entry(row) for row in rows]

    async def check(self) -> tuple[int, int | None]:
        """(how many entries there are, the first whose hash is wrong), of all workspaces: one chain."""
        before, last = b"", 0
        while True:
            rows = await self._database.rows(
                f"SELECT {_COLUMNS}, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (last, _AT_ONCE)
            )
            for row in rows:
                values = tuple(row)
                if values[0] != last + 1 or bytes(row["hash"]) != _chained(before, values[:-1]):
                    return last, last + 1
                before, last = bytes(row["hash"]), int(row["seq"])
            if len(rows) < _AT_ONCE:
                return last, None


def _chained(before: bytes, row: Sequence[object]) -> bytes:
    return hashlib.sha256(before + msgspec.json.encode(row)).digest()


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        seq=row["seq"],
        at=row["at"],
        actor=row["actor"],
        actor_name=row["actor_name"],
        via=row["via"],
        ip=row["ip"],
        action=row["action"],
        subject=row["subject"],
        detail=row["detail"],
    )
