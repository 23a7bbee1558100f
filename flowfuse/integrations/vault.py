"""CredentialVault: credentials sealed at rest, opened for one call, and taken out of what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from flowfuse.clock import Clock
from flowfuse.data.database import Database, FunctionWrite
from flowfuse.errors import Conflict, NodeFailed, NotFound, RequestInvalid, VaultLocked
from flowfuse.integrations.credential import KINDS, OpenCredential
from flowfuse.model import Credential, Value
from flowfuse.seal import Sealer

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_KEYS = (
    "SELECT value AS key_id FROM meta WHERE workspace_id = '' AND key = 'key_id' "
    "UNION SELECT key_id FROM credentials"
)
"""The keys that what is kept needs; of credentials from before it was noted, their own."""
_COLUMNS = "workspace_id, id, name, kind, hosts, sealed, key_id, created, updated"
KEPT_US = 86400 * 1_000_000
_NOTE_KEY = "INSERT OR IGNORE INTO meta (workspace_id, key, value) VALUES ('', 'key_id', ?)"


class CredentialVault:
    """The workspace's secrets. What leaves it is either public or in use."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._sealer: Sealer | None = None
        self._use_noted = False

    def unlock(self, sealer: Sealer) -> None:
        """Give the vault its key."""
        self._sealer = sealer

    def sign(self, purpose: str, name: bytes) -> str:
        """An unguessable text for an address that goes by that name. The key has to be there."""
        assert self._sealer is not None
        return self._sealer.sign(purpose, name)

    def sealer(self) -> Sealer:
        """What seals other secrets than credentials. The key has to be there."""
        assert self._sealer is not None
        return self._sealer

    def token_key(self) -> tuple[str, bytes]:
        """(key id, key) by which access tokens are signed."""
        sealer = self.sealer()
        return sealer.key_id, sealer.sign("access-tokens", b"").encode()

    def seal(self, plaintext: bytes, workspace: str, place: str) -> str:
        """Seal another secret than a credential. The key has to be there."""
        self._note_use()
        return self.sealer().seal(plaintext, workspace, place)

    def seal_log(self, workspace: str, data: bytes) -> bytes:
        """Seal what is stored of a run that handles sensitive values."""
        self._note_use()
        return self.sealer().seal_bytes(data, workspace, "segments")

    def open_log(self, workspace: str, data: bytes) -> bytes:
        """The opposite of `seal_log`. Raises VaultLocked, SealBroken."""
        if self._sealer is None:
            raise VaultLocked(reason="The vault is locked; what is sensitive cannot be read without its key.")
        return self._sealer.open_bytes(data, workspace, "segments")

    def _note_use(self) -> None:
        """Before the first thing that is sealed: let the database say which key it will need."""
        if self._use_noted:
            return
        self._use_noted = True
        key_id = self.sealer().key_id
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        noted.add_done_callback(self._use_is_noted)
        self._database.submit(
            FunctionWrite(
                lambda connection: connection.execute(
                    "INSERT OR IGNORE INTO meta (workspace_id, key, value) VALUES ('', 'key_id', ?)",
                    (key_id,),
                ),
                noted,
            )
        )

    def _use_is_noted(self, noted: asyncio.Future[None]) -> None:
        self._use_noted = not noted.cancelled() and noted.exception() is None

    async def any_sealed(self) -> bool:
        """Whether something is kept that only its own key can open."""
        return await self._database.row(f"{_KEYS} LIMIT 1") is not None

    async def check_key(self) -> None:
        """Refuse a key that is not the one that sealed what is kept. Raises VaultLocked."""
        assert self._sealer is not None
        row = await self._database.row(
            f"SELECT key_id FROM ({_KEYS}) WHERE key_id <> ? LIMIT 1", (self._sealer.key_id,)
        )
        if row is not None:
            raise VaultLocked(
                reason=f"What is kept here was sealed with the key {row['key_id']}, and the key at hand "
                f"is {self._sealer.key_id}. Start with the master key that belongs to this data folder."
            )

    async def list(self, workspace: str) -> list[Credential]:
        """All credentials, without their secrets."""
        rows = await self._database.rows(
            "SELECT id, name, kind, hosts, created, updated FROM credentials "
            "WHERE workspace_id = ? ORDER BY id",
            (workspace,),
        )
        return [_credential(row) for row in rows]

    async def save(
        self, workspace: str, id: str, name: str, kind: str, hosts: Sequence[str], data: Mapping[str, str],
        *, replace: bool = False,
    ) -> Credential:  # fmt: skip
        """Seal a credential. Raises RequestInvalid, and Conflict where the id is taken."""
        _check(id, kind, hosts, data)
        sealed = self.seal(msgspec.json.encode(dict(data)), workspace, f"credentials/{id}")
        now, key_id = self._clock.now_us(), self.sealer().key_id
        values = (name or id, kind, msgspec.json.encode([h.lower() for h in hosts]).decode(), sealed, key_id)

        def write(connection: sqlite3.Connection) -> None:
            if replace:
                connection.execute(
                    "UPDATE credentials SET name = ?, kind = ?, hosts = ?, sealed = ?, key_id = ?, "
                    "updated = ? WHERE workspace_id = ? AND id = ?",
                    (*values, now, workspace, id),
                )
                return
            try:
                connection.execute(
                    "INSERT INTO credentials (workspace_id, id, name, kind, hosts, sealed, key_id, created, "
                    "updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (workspace, id, *values, now, now),
                )
            except sqlite3.IntegrityError:
                raise Conflict(reason=f"There is a credential “{id}” already") from None

        await self._database.write(write)
        found = [c for c in await self.list(workspace) if c.id == id]
        if not found:
            raise NotFound(what="credential", id=id)
        return found[0]

    async def delete(self, workspace: str, id: str) -> None:
        """Take a credential away; for a day it can be brought back as it was. Raises NotFound."""
        now = self._clock.now_us()

        def move(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM deleted_credentials WHERE at < ?", (now - KEPT_US,))
            connection.execute(
                f"INSERT OR REPLACE INTO deleted_credentials ({_COLUMNS}, at) "
                f"SELECT {_COLUMNS}, ? FROM credentials WHERE workspace_id = ? AND id = ?",
                (now, workspace, id),
            )
            return connection.execute(
                "DELETE FROM credentials WHERE workspace_id = ? AND id = ?", (workspace, id)
            ).rowcount

        if not await self._database.write(move):
            raise NotFound(what="credential", id=id)

    async def restore(self, workspace: str, id: str) -> None:
        """Undo of `delete`. Raises NotFound, and Conflict where the id is taken again."""
        now = self._clock.now_us()

        def move(connection: sqlite3.Connection) -> int:
            try:
                count = connection.execute(
                    f"INSERT INTO credentials ({_COLUMNS}) SELECT {_COLUMNS} FROM deleted_credentials "
                    "WHERE workspace_id = ? AND id = ? AND at >= ?",
                    (workspace, id, now - KEPT_US),
                ).rowcount
            except sqlite3.IntegrityError:
                raise Conflict(reason=f"There is a credential “{id}” already") from None
            connection.execute(
                "DELETE FROM deleted_credentials WHERE workspace_id = ? AND id = ?", (workspace, id)
            )
            return count

        if not await self._database.write(move):
            raise NotFound(what="deleted credential", id=id)

    async def forget_old(self) -> None:
        """Of all workspaces: what was deleted more than a day ago is gone for good."""
        before = self._clock.now_us() - KEPT_US
        if await self._database.row("SELECT 1 FROM deleted_credentials WHERE at < ? LIMIT 1", (before,)):
            await self._database.write(
                lambda connection: connection.execute(
                    "DELETE FROM deleted_credentials WHERE at < ?", (before,)
                )
            )

    async def open(self, workspace: str, id: str) -> OpenCredential:
        """Open a credential for one use. Raises NodeFailed where there is none, SealBroken, VaultLocked."""
        row = await self._database.row(
            "SELECT kind, hosts, sealed FROM credentials WHERE workspace_id = ? AND id = ?", (workspace, id)
        )
        if row is None or self._sealer is None:
            raise NodeFailed(reason=f"There is no credential “{id}” in this workspace")
        plain = self._sealer.open(row["sealed"], workspace, f"credentials/{id}")
        return OpenCredential(
            name=id,
            kind=row["kind"],
            data=msgspec.json.decode(plain, type=dict[str, str]),
            hosts=tuple(msgspec.json.decode(row["hosts"], type=list[str])),
        )

    def redact(self, value: Value, credential: OpenCredential) -> Value:
        """The value with every form of the credential's secrets replaced."""
        return credential.redact(value)


def sealing_keys(path: Path) -> set[str]:
    """The ids of the keys that what is kept in a database needs; empty where it cannot be read."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            return {row[0] for row in connection.execute(_KEYS)}
    except sqlite3.Error:
        return set()


def _check(id: str, kind: str, hosts: Sequence[str], data: Mapping[str, str]) -> None:
    if _ID.fullmatch(id) is None:
        raise RequestInvalid(field="id", reason=f"“{id}” is not lower-case letters, digits, - and _")
    if kind not in KINDS:
        raise RequestInvalid(field="kind", reason=f"“{kind}” is none of {', '.join(KINDS)}")
    if set(data) != set(KINDS[kind]):
        raise RequestInvalid(
            field="data", reason=f"a {kind} credential has the fields {', '.join(KINDS[kind])}"
        )
    for field, text in data.items():
        # What a header cannot carry would come back in the words of an error.
        if not text or not text.isprintable() or (kind in ("header", "bearer") and not text.isascii()):
            raise RequestInvalid(
                field=f"data.{field}", reason="it is empty, or has characters that cannot be sent"
            )
    if kind == "header" and _HEADER_NAME.fullmatch(data["name"]) is None:
        raise RequestInvalid(field="data.name", reason="it is no name of a header")
    if not hosts and kind != "hmac":
        raise RequestInvalid(field="hosts", reason="name the hosts that the secret may be sent to")
    for host in hosts:
        if not host or "/" in host or " " in host or "*" in host:
            raise RequestInvalid(
                field="hosts",
                reason=f"“{host}” is not a host; write example.org, or .example.org for all below",
            )


def _credential(row: sqlite3.Row) -> Credential:
    return Credential(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        hosts=msgspec.json.decode(row["hosts"], type=list[str]),
        created=row["created"],
        updated=row["updated"],
    )
