"""Sessions: who is signed in, and the one-time links that sign in. Secrets lie here only as hashes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from flowfuse.clock import Clock, Ids
from flowfuse.data.database import Database
from flowfuse.data.secrets import digest, new_secret
from flowfuse.errors import NotFound

LINK_US = 15 * 60 * 1_000_000
INVITATION_US = 7 * 86400 * 1_000_000
PASSWORD_US = 3600 * 1_000_000
LINK_LASTS = {"sign_in": LINK_US, "password": PASSWORD_US, "invitation": INVITATION_US}
"""Kinds of links, and how long each works. The last two let their person choose a password."""
SESSION_US = 30 * 86400 * 1_000_000
IDLE_US = 12 * 3600 * 1_000_000
_SEEN_EVERY_US = 60 * 1_000_000
_LONGEST_AGENT = 200

_COLUMNS = "hash, id, workspace_id, user_id, ip, agent, created, seen, expires"
_INSERT = f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_BACK = f"""INSERT OR IGNORE INTO sessions ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
 WHERE EXISTS (SELECT 1 FROM members WHERE workspace_id = ?3 AND user_id = ?4)"""
_FIND = """SELECT s.id, s.workspace_id, s.user_id, s.ip, s.agent, s.created, s.seen, s.expires,
 u.name, u.language, u.theme, u.single_keys, m.role, w.name AS workspace_name FROM sessions s
 JOIN workspaces w ON w.workspace_id = s.workspace_id
 JOIN users u ON u.id = s.user_id
 JOIN members m ON m.user_id = s.user_id AND m.workspace_id = s.workspace_id"""


class Client(Struct, frozen=True):
    """Whence somebody signs in: the address, and what the browser calls itself."""

    ip: str = ""
    agent: str = ""


NOBODY = Client()


class Session(Struct, frozen=True, kw_only=True):
    """A live session with whose it is. Times are UTC microseconds."""

    id: str
    workspace: str
    workspace_name: str
    user: str
    name: str
    role: str
    language: str
    theme: str
    single_keys: bool
    ip: str
    agent: str
    created: int
    seen: int
    expires: int


class Link(Struct, frozen=True):
    """Whom a one-time link signs in, and of which kind it is."""

    workspace: str
    user: str
    kind: str


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database, self._clock, self._ids = database, clock, ids
        self._known: dict[bytes, Session] = {}
        self._changes = 0
        """Counts what ended or was forgotten: what was read before that is not kept behind it."""
        self._watched: dict[bytes, set[asyncio.Event]] = {}

    # -- links

    async def make_link(self, workspace: str, user: str, kind: str = "sign_in") -> str:
        """A code that signs in once: within 15 minutes, for a new password within an hour, an invitation's
        within 7 days."""
        code, now = new_secret(self._ids), self._clock.now_us()
        expires = now + LINK_LASTS[kind]

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM links WHERE expires < ?", (now,))
            connection.execute(
                "INSERT INTO links (hash, workspace_id, user_id, kind, expires) VALUES (?, ?, ?, ?, ?)",
                (digest(code), workspace, user, kind, expires),
            )

        await self._database.write(insert)
        return code

    async def find_link(self, code: str) -> Link | None:
        """What a link's code is for; None where it is wrong, used or too old."""
        row = await self._database.row(
            "SELECT workspace_id, user_id, kind FROM links WHERE hash = ? AND expires >= ?",
            (digest(code), self._clock.now_us()),
        )
        return None if row is None else Link(row["workspace_id"], row["user_id"], row["kind"])

    async def use_link(self, code: str, client: Client = NOBODY) -> str | None:
        """A new session's secret for a link's code; None where the code is wrong, used or too old."""
        now, secret = self._clock.now_us(), new_secret(self._ids)

        def take(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "DELETE FROM links WHERE hash = ? RETURNING workspace_id, user_id, expires", (digest(code),)
            ).fetchone()
            if found is None or found["expires"] < now:
                return False
            self._insert(connection, secret, found["workspace_id"], found["user_id"], client, now)
            return True

        return secret if await self._database.write(take) else None

    # -- sessions

    async def open(self, workspace: str, user: str, client: Client, *, instead_of: str = "") -> str:
        """A new session's secret. `instead_of` is the secret of the one that ends with it (rotation)."""
        now, secret = self._clock.now_us(), new_secret(self._ids)
        old = digest(instead_of)

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM sessions WHERE hash = ? OR expires < ?", (old, now))
            self._insert(connection, secret, workspace, user, client, now)

        await self._database.write(insert)
        self._ended(old)
        return secret

    def _insert(
        self, connection: sqlite3.Connection, secret: str, workspace: str, user: str, client: Client, now: int
    ) -> None:
        values = (digest(secret), new_secret(self._ids, 9), workspace, user, client.ip)
        connection.execute(_INSERT, (*values, client.agent[:_LONGEST_AGENT], now, now, now + SESSION_US))

    async def find(self, secret: str) -> Session | None:
        """The live session of a secret; None where there is no such session."""
        now, name, changes = self._clock.now_us(), digest(secret), self._changes
        found = self._known.get(name)
        if found is None:
            row = await self._database.row(f"{_FIND} WHERE s.hash = ?", (name,))
            if row is None:
                return None
            found = _session(row)
        if now > found.expires or now - found.seen > IDLE_US:
            self._database.note(
                lambda connection: connection.execute("DELETE FROM sessions WHERE hash = ?", (name,))
            )
            self._ended(name)
            return None
        if now - found.seen > _SEEN_EVERY_US:
            self._database.note(
                lambda connection: connection.execute(
                    "UPDATE sessions SET seen = ? WHERE hash = ?", (now, name)
                )
            )
            found = replace(found, seen=now)
        if changes == self._changes:
            self._known[name] = found
        return found

    async def stored(self, secret: str) -> tuple[Any, ...] | None:
        """The session of a secret as it is stored, for `put_back` after a change of the database."""
        row = await self._database.row(f"SELECT {_COLUMNS} FROM sessions WHERE hash = ?", (digest(secret),))
        return None if row is None else tuple(row)

    async def put_back(self, stored: tuple[Any, ...]) -> None:
        """Let a session go on in a database that does not know it, if it knows its person."""
        await self._database.write(lambda connection: connection.execute(_PUT_BACK, stored).rowcount)

    async def of(self, user: str) -> Sequence[Session]:
        """Somebody's live sessions, the last seen first."""
        now = self._clock.now_us()
        rows = await self._database.rows(
            f"{_FIND} WHERE s.user_id = ? AND s.expires > ? AND s.seen > ? ORDER BY s.seen DESC",
            (user, now, now - IDLE_US),
        )
        return [_session(row) for row in rows]

    async def end(self, secret: str) -> None:
        """Sign out."""
        await self._delete("hash = ?", (digest(secret),))

    async def end_one(self, user: str, session: str) -> None:
        """End one of somebody's sessions by its id. Raises NotFound."""
        if not await self._delete("user_id = ? AND id = ?", (user, session)):
            raise NotFound(what="session", id=session)

    async def end_all(self, user: str, *, but: str = "") -> None:
        """End all of somebody's sessions, except the one of the secret `but`."""
        await self._delete("user_id = ? AND hash <> ?", (user, digest(but)))

    def forget(self, user: str) -> None:
        """Something about a user has changed: read it anew."""
        self._changes += 1
        self._known = {name: each for name, each in self._known.items() if each.user != user}

    def forget_all(self) -> None:
        """Something about a workspace has changed: read all anew."""
        self._changes += 1
        self._known.clear()

    async def _delete(self, condition: str, parameters: tuple[Any, ...]) -> int:
        ended = await self._database.write(
            lambda connection: connection.execute(
                f"DELETE FROM sessions WHERE {condition} RETURNING hash", parameters
            ).fetchall()
        )
        for row in ended:
            self._ended(bytes(row["hash"]))
        return len(ended)

    @contextmanager
    def watching(self, secret: str) -> Iterator[asyncio.Event]:
        """An event that is set when the session of that secret ends."""
        name, event = digest(secret), asyncio.Event()
        self._watched.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            left = self._watched[name]
            left.discard(event)
            if not left:
                del self._watched[name]

    def _ended(self, name: bytes) -> None:
        self._changes += 1
        self._known.pop(name, None)
        for event in self._watched.get(name, ()):
            event.set()


def _session(row: sqlite3.Row) -> Session:
    return Session(
        id=row["id"],
        workspace=row["workspace_id"],
        workspace_name=row["workspace_name"],
        user=row["user_id"],
        name=row["name"],
        role=row["role"],
        language=row["language"],
        theme=row["theme"],
        single_keys=bool(row["single_keys"]),
        ip=row["ip"],
        agent=row["agent"],
        created=row["created"],
        seen=row["seen"],
        expires=row["expires"],
    )
