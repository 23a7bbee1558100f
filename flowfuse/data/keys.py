"""ApiKeys: what programs sign in with. A key is shown once, when it is made; kept is its hash."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from flowfuse.clock import Clock, Ids
from flowfuse.data.accounts import check_name
from flowfuse.data.database import Database
from flowfuse.data.roles import ROLES, check_scopes
from flowfuse.data.secrets import digest, is_key, new_key, new_secret
from flowfuse.errors import NotFound, RequestInvalid

HINT = 8
_SEEN_EVERY_US = 60 * 1_000_000
_COLUMNS = "k.id, k.workspace_id, k.user_id, k.name, k.hint, k.scopes, k.created, k.seen, k.expires"


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as it is listed. `expires` is empty for one that never does."""

    id: str
    name: str
    hint: str
    scopes: list[str]
    user: str
    user_name: str
    created: int
    seen: int | None
    expires: int | None


class KeyHolder(Struct, frozen=True, kw_only=True):
    """Who calls with a key, and what it may do: its scopes, as far as its owner's role goes today."""

    id: str
    workspace: str
    user: str
    name: str
    role: str
    permissions: frozenset[str]


class ApiKeys:
    """Makes, finds and ends keys."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database, self._clock, self._ids = database, clock, ids

    async def create(
        self, workspace: str, user: str, name: str, scopes: Iterable[str], expires: int | None
    ) -> tuple[str, str]:
        """(id, key) of a new key; the key is never shown again. Raises RequestInvalid."""
        allowed, name, now = check_scopes(scopes), check_name(name), self._clock.now_us()
        if expires is not None and expires <= now:
            raise RequestInvalid(field="expires", reason="that time is over")
        key, id = new_key(self._ids), new_secret(self._ids, 9)
        values = (digest(key), id, workspace, user, name, key[:HINT], " ".join(sorted(allowed)), now, expires)
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT INTO api_keys "
                "(hash, id, workspace_id, user_id, name, hint, scopes, created, expires) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        )
        return id, key

    async def find(self, key: str) -> KeyHolder | None:
        """Who holds a key; None where it is wrong, has expired, or its owner has left the workspace."""
        if not is_key(key):
            return None
        now, name = self._clock.now_us(), digest(key)
        row = await self._database.row(
            f"SELECT {_COLUMNS}, m.role, u.name AS user_name FROM api_keys k "
            "JOIN members m ON m.workspace_id = k.workspace_id AND m.user_id = k.user_id "
            "JOIN users u ON u.id = k.user_id WHERE k.hash = ? AND (k.expires IS NULL OR k.expires > ?)",
            (name, now),
        )
        if row is None:
            return None
        if row["seen"] is None or now - row["seen"] > _SEEN_EVERY_US:
            self._database.note(
                lambda connection: connection.execute(
                    "UPDATE api_keys SET seen = ? WHERE hash = ?", (now, name)
                )
            )
        return KeyHolder(
            id=row["id"],
            workspace=row["workspace_id"],
            user=row["user_id"],
            name=f"{row['user_name']} · {row['name']}",
            role=row["role"],
            permissions=frozenset(row["scopes"].split()) & ROLES[row["role"]],
        )

    async def list(self, workspace: str, user: str | None = None) -> Sequence[ApiKey]:
        """The keys of a workspace, or of one of its members, the newest first."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS}, u.name AS user_name FROM api_keys k JOIN users u ON u.id = k.user_id "
            "WHERE k.workspace_id = ? AND (? IS NULL OR k.user_id = ?) ORDER BY k.created DESC, k.id",
            (workspace, user, user),
        )
        return [_key(row) for row in rows]

    async def end(self, workspace: str, id: str, user: str | None = None) -> None:
        """End a key, of that user alone where one is named. Raises NotFound."""
        ended = await self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM api_keys WHERE workspace_id = ? AND id = ? AND (? IS NULL OR user_id = ?)",
                    (workspace, id, user, user),
                ).rowcount
            )
        )
        if not ended:
            raise NotFound(what="API key", id=id)


def _key(row: sqlite3.Row) -> ApiKey:
    plain = {name: row[name] for name in ("id", "name", "hint", "created", "seen", "expires", "user_name")}
    return msgspec.convert({**plain, "user": row["user_id"], "scopes": row["scopes"].split()}, ApiKey)
