"""Accounts: people, and their roles in workspaces."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from flowfuse.clock import Clock, Ids
from flowfuse.data.database import Database
from flowfuse.data.roles import check_role
from flowfuse.data.secrets import digest, new_secret
from flowfuse.data.sessions import Sessions
from flowfuse.errors import Conflict, NotFound, RequestInvalid
from flowfuse.model import WORKSPACE

OWNER_NAME = "Owner"
LONGEST_NAME = 100
_EMAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]{1,190}")
_USER = """u.id, u.workspace_id, u.email, u.name, u.password IS NOT NULL AS has_password,
 u.totp IS NOT NULL AS has_totp, u.issuer, u.language, u.theme, u.single_keys,
 u.toured, u.created"""


class User(Struct, frozen=True, kw_only=True):
    """A person, without anything secret. `workspace` is where their next session begins."""

    id: str
    workspace: str
    email: str
    name: str
    has_password: bool
    has_totp: bool
    single_sign_on: bool
    language: str
    theme: str
    single_keys: bool
    toured: bool
    created: int


class Member(Struct, frozen=True):
    """A person with their role in a workspace."""

    user: User
    role: str
    since: int


class Workspace(Struct, frozen=True, kw_only=True):
    """A workspace, with the role in it of whoever asks."""

    id: str
    name: str
    role: str = ""


class SignInSecrets(Struct, frozen=True, kw_only=True):
    """What a sign-in is checked against."""

    user: str
    password: str | None
    totp: str | None
    totp_step: int
    recovery: list[str]


class Accounts:
    """Reads and changes of people, members and workspaces."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, sessions: Sessions) -> None:
        self._database, self._clock, self._ids, self._sessions = database, clock, ids, sessions

    # -- people

    async def user(self, user: str) -> User:
        """One person. Raises NotFound."""
        row = await self._database.row(f"SELECT {_USER} FROM users u WHERE id = ?", (user,))
        if row is None:
            raise NotFound(what="user", id=user)
        return _user(row)

    async def find(self, email: str) -> User | None:
        """The person with an e-mail address."""
        row = await self._database.row(
            f"SELECT {_USER} FROM users u WHERE email = ?", (email.strip().lower(),)
        )
        return None if row is None else _user(row)

    async def by_subject(self, issuer: str, subject: str) -> User | None:
        """The person whom a single sign-on knows by that name."""
        row = await self._database.row(
            f"SELECT {_USER} FROM users u WHERE issuer = ? AND subject = ?", (issuer, subject)
        )
        return None if row is None else _user(row)

    async def secrets(self, *, email: str = "", user: str = "") -> SignInSecrets | None:
        """What a sign-in is checked against; None where there is no such person."""
        row = await self._database.row(
            "SELECT id, password, totp, totp_step, recovery FROM users WHERE email = ? OR id = ?",
            (email.strip().lower() or None, user),
        )
        if row is None:
            return None
        return SignInSecrets(
            user=row["id"],
            password=row["password"],
            totp=row["totp"],
            totp_step=row["totp_step"],
            recovery=msgspec.json.decode(row["recovery"]),
        )

    async def owner(self) -> str:
        """The install's owner, who signs in by links from this machine; made when there is none."""
        fresh, now = new_secret(self._ids, 9), self._clock.now_us()

        def find_or_insert(connection: sqlite3.Connection) -> str:
            found = connection.execute(
                "SELECT user_id FROM members WHERE workspace_id = ? AND role = 'owner' "
                "ORDER BY created, user_id LIMIT 1",
                (WORKSPACE,),
            ).fetchone()
            if found is not None:
                return str(found["user_id"])
            _insert_user(connection, fresh, WORKSPACE, OWNER_NAME, None, now)
            _insert_member(connection, WORKSPACE, fresh, "owner", now)
            return fresh

        return str(await self._database.write(find_or_insert))

    async def claimed(self) -> bool:
        """Whether there is an owner who can sign in from elsewhere."""
        row = await self._database.row(
            "SELECT 1 FROM members m JOIN users u ON u.id = m.user_id WHERE m.role = 'owner' "
            "AND m.workspace_id = ? AND (u.password IS NOT NULL OR u.subject IS NOT NULL)",
            (WORKSPACE,),
        )
        return row is not None

    async def anyone(self) -> bool:
        """Whether there is somebody who can sign in by a password."""
        return await self._database.row("SELECT 1 FROM users WHERE password IS NOT NULL LIMIT 1") is not None

    async def create(self, workspace: str, name: str, email: str, role: str) -> User:
        """A new person in a workspace; one whom the install knows already joins it. Raises Conflict."""
        check_role(role)
        email = check_email(email)
        fresh, now = new_secret(self._ids, 9), self._clock.now_us()

        def insert(connection: sqlite3.Connection) -> str:
            found = connection.execute("SELECT id FROM users WHERE email = ?", (email,)).fetchone()
            user = fresh if found is None else str(found["id"])
            if found is None:
                _insert_user(connection, user, workspace, check_name(name or email), email, now)
            try:
                _insert_member(connection, workspace, user, role, now)
            except sqlite3.IntegrityError:
                raise Conflict(reason=f"{email} is a member of this workspace already") from None
            return user

        return await self.user(await self._database.write(insert))

    async def change(self, user: str, **values: Any) -> None:
        """Set columns of a person. Raises Conflict where the e-mail is another's, NotFound."""
        names = ", ".join(f"{name} = ?" for name in values)

        def update(connection: sqlite3.Connection) -> int:
            try:
                return connection.execute(
                    f"UPDATE users SET {names}, updated = ? WHERE id = ?",
                    (*values.values(), self._clock.now_us(), user),
                ).rowcount
            except sqlite3.IntegrityError:
                raise Conflict(reason=f"{values.get('email', 'That')} belongs to somebody else") from None

        if not await self._database.write(update):
            raise NotFound(what="user", id=user)
        self._sessions.forget(user)

    async def use_step(self, user: str, step: int) -> bool:
        """Take a time step of the second factor, once."""
        return bool(
            await self._database.write(
                lambda connection: (
                    connection.execute(
                        "UPDATE users SET totp_step = ? WHERE id = ? AND totp_step < ?", (step, user, step)
                    ).rowcount
                )
            )
        )

    async def use_recovery(self, user: str, code: str) -> bool:
        """Take a recovery code, once."""
        name = digest(code).hex()

        def take(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT recovery FROM users WHERE id = ?", (user,)).fetchone()
            left = [] if row is None else msgspec.json.decode(row["recovery"], type=list[str])
            if name not in left:
                return False
            left.remove(name)
            connection.execute(
                "UPDATE users SET recovery = ? WHERE id = ?", (msgspec.json.encode(left).decode(), user)
            )
            return True

        return bool(await self._database.write(take))

    # -- members

    async def elsewhere(self, workspace: str, user: str) -> bool:
        """Whether a person is a member of another workspace, too."""
        found = await self._database.row(
            "SELECT 1 FROM members WHERE user_id = ? AND workspace_id != ?", (user, workspace)
        )
        return found is not None

    async def members(self, workspace: str) -> Sequence[Member]:
        """Everybody in a workspace, by name."""
        rows = await self._database.rows(
            f"SELECT {_USER}, m.role, m.created AS since FROM members m JOIN users u ON u.id = m.user_id "
            "WHERE m.workspace_id = ? ORDER BY u.name, u.id",
            (workspace,),
        )
        return [Member(_user(row), row["role"], row["since"]) for row in rows]

    async def role(self, workspace: str, user: str) -> str:
        """A member's role. Raises NotFound."""
        row = await self._database.row(
            "SELECT role FROM members WHERE workspace_id = ? AND user_id = ?", (workspace, user)
        )
        if row is None:
            raise NotFound(what="member", id=user)
        return str(row["role"])

    async def set_role(self, workspace: str, user: str, role: str) -> None:
        """Change a member's role, which ends their sessions. Raises NotFound, Conflict for the last owner."""
        check_role(role)

        def update(connection: sqlite3.Connection) -> int:
            changed = connection.execute(
                "UPDATE members SET role = ? WHERE workspace_id = ? AND user_id = ?", (role, workspace, user)
            ).rowcount
            _keep_an_owner(connection, workspace)
            return changed

        if not await self._database.write(update):
            raise NotFound(what="member", id=user)
        # Should the sessions' end fail to commit, they are at least read anew.
        self._sessions.forget(user)
        await self._sessions.end_all(user)

    async def remove(self, workspace: str, user: str) -> None:
        """Take somebody out of a workspace, with their keys. Raises NotFound, Conflict for the last owner."""

        def delete(connection: sqlite3.Connection) -> int:
            key = (workspace, user)
            removed = connection.execute(
                "DELETE FROM members WHERE workspace_id = ? AND user_id = ?", key
            ).rowcount
            _keep_an_owner(connection, workspace)
            for table in ("api_keys", "refresh_tokens", "links"):
                connection.execute(f"DELETE FROM {table} WHERE workspace_id = ? AND user_id = ?", key)
            return removed

        if not await self._database.write(delete):
            raise NotFound(what="member", id=user)
        # Should the sessions' end fail to commit, they are at least read anew.
        self._sessions.forget(user)
        await self._sessions.end_all(user)

    # -- workspaces

    async def workspaces(self, user: str) -> Sequence[Workspace]:
        """The workspaces in which somebody is, with their role there."""
        rows = await self._database.rows(
            "SELECT w.workspace_id, w.name, m.role FROM workspaces w "
            "JOIN members m ON m.workspace_id = w.workspace_id WHERE m.user_id = ? "
            "ORDER BY w.created, w.name",
            (user,),
        )
        return [Workspace(id=row["workspace_id"], name=row["name"], role=row["role"]) for row in rows]

    async def workspace(self, workspace: str) -> Workspace:
        """One workspace. Raises NotFound."""
        row = await self._database.row(
            "SELECT workspace_id, name FROM workspaces WHERE workspace_id = ?", (workspace,)
        )
        if row is None:
            raise NotFound(what="workspace", id=workspace)
        return Workspace(id=row["workspace_id"], name=row["name"])

    async def create_workspace(self, name: str, owner: str) -> Workspace:
        """A new, empty workspace with its owner."""
        name, now = check_name(name), self._clock.now_us()
        made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:24] or "workspace"
        workspace = f"{made}-{new_secret(self._ids, 4).lower().replace('_', 'x').replace('-', 'y')}"

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO workspaces (workspace_id, name, created) VALUES (?, ?, ?)",
                (workspace, name, now),
            )
            _insert_member(connection, workspace, owner, "owner", now)

        await self._database.write(insert)
        return Workspace(id=workspace, name=name, role="owner")

    async def rename_workspace(self, workspace: str, name: str) -> None:
        """Give a workspace another name. Raises RequestInvalid."""
        name = check_name(name)
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE workspaces SET name = ? WHERE workspace_id = ?", (name, workspace)
            )
        )
        self._sessions.forget_all()


def check_email(email: str) -> str:
    """An e-mail address in the form it is kept in. Raises RequestInvalid."""
    email = email.strip().lower()
    if _EMAIL.fullmatch(email) is None:
        raise RequestInvalid(field="email", reason=f"“{email[:80]}” is no e-mail address")
    return email


def check_name(name: str) -> str:
    """A name in the form it is kept in. Raises RequestInvalid."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise RequestInvalid(field="name", reason=f"it has to have 1 to {LONGEST_NAME} characters")
    return name


def _insert_user(
    connection: sqlite3.Connection, user: str, workspace: str, name: str, email: str | None, now: int
) -> None:
    connection.execute(
        "INSERT INTO users (id, workspace_id, email, name, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
        (user, workspace, email, name, now, now),
    )


def _insert_member(connection: sqlite3.Connection, workspace: str, user: str, role: str, now: int) -> None:
    connection.execute(
        "INSERT INTO members (workspace_id, user_id, role, created) VALUES (?, ?, ?, ?)",
        (workspace, user, role, now),
    )


def _keep_an_owner(connection: sqlite3.Connection, workspace: str) -> None:
    """Within the transaction of a change: refuse it where nobody would be left to undo it."""
    left = connection.execute(
        "SELECT 1 FROM members WHERE workspace_id = ? AND role = 'owner'", (workspace,)
    ).fetchone()
    if left is None:
        raise Conflict(reason="A workspace keeps at least one owner; make somebody else an owner first")


def _user(row: sqlite3.Row) -> User:
    return User(
        id=row["id"],
        workspace=row["workspace_id"],
        email=row["email"] or "",
        name=row["name"],
        has_password=bool(row["has_password"]),
        has_totp=bool(row["has_totp"]),
        single_sign_on=row["issuer"] is not None,
        language=row["language"],
        theme=row["theme"],
        single_keys=bool(row["single_keys"]),
        toured=bool(row["toured"]),
        created=row["created"],
    )
