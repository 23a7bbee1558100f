"""Accounts: one-time sign-in links and the sessions they open. Secrets lie here only as hashes."""

from __future__ import annotations

import base64
import hashlib
import sqlite3

from flowfuse.clock import Clock, Ids
from flowfuse.data.database import Database

LINK_US = 15 * 60 * 1_000_000
SESSION_US = 30 * 86400 * 1_000_000
IDLE_US = 12 * 3600 * 1_000_000
_SEEN_EVERY_US = 60 * 1_000_000


class Accounts:
    """Who is signed in."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database, self._clock, self._ids = database, clock, ids
        self._known: dict[bytes, tuple[str, int, int]] = {}

    async def make_link(self, workspace: str) -> str:
        """A code that opens one session, once, within 15 minutes."""
        code, now = self._secret(), self._clock.now_us()

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM links WHERE expires < ?", (now,))
            connection.execute(
                "INSERT INTO links (workspace_id, hash, expires) VALUES (?, ?, ?)",
                (workspace, _hash(code), now + LINK_US),
            )

        await self._database.write(insert)
        return code

    async def use_link(self, code: str) -> str | None:
        """A new session's secret for a link's code; None where the code is wrong, used or too old."""
        now, secret = self._clock.now_us(), self._secret()

        def take(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "DELETE FROM links WHERE hash = ? RETURNING workspace_id, expires", (_hash(code),)
            ).fetchone()
            if found is None or found["expires"] < now:
                return False
            connection.execute(
                "INSERT INTO sessions (workspace_id, hash, created, seen, expires) VALUES (?, ?, ?, ?, ?)",
                (found["workspace_id"], _hash(secret), now, now, now + SESSION_US),
            )
            return True

        return secret if await self._database.write(take) else None

    async def workspace_of(self, secret: str) -> str | None:
        """The workspace of a live session; None where there is no such session."""
        now, name = self._clock.now_us(), _hash(secret)
        known = self._known.get(name)
        if known is None:
            row = await self._database.row(
                "SELECT workspace_id, seen, expires FROM sessions WHERE hash = ?", (name,)
            )
            if row is None:
                return None
            known = (row["workspace_id"], row["seen"], row["expires"])
        workspace, seen, expires = known
        if now > expires or now - seen > IDLE_US:
            await self.end(secret)
            return None
        if now - seen > _SEEN_EVERY_US:
            await self._database.write(
                lambda connection: connection.execute(
                    "UPDATE sessions SET seen = ? WHERE hash = ?", (now, name)
                )
            )
            seen = now
        self._known[name] = (workspace, seen, expires)
        return workspace

    async def end(self, secret: str) -> None:
        """Sign out."""
        name = _hash(secret)
        self._known.pop(name, None)
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM sessions WHERE hash = ?", (name,))
        )

    def _secret(self) -> str:
        return base64.urlsafe_b64encode(self._ids.token(32)).rstrip(b"=").decode()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
