"""Sessions, keys and tokens: what was revoked does not live on, and a full disk locks nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowfuse.clock import Clock, Ids
from flowfuse.data.accounts import Accounts
from flowfuse.data.database import Database, Readers
from flowfuse.data.keys import ApiKeys
from flowfuse.data.sessions import IDLE_US, NOBODY, Sessions
from flowfuse.data.tokens import Tokens
from flowfuse.errors import DatabaseUnavailable
from flowfuse.model import WORKSPACE
from flowfuse.resources import asset_root

MINUTE_US = 60 * 1_000_000


class Moved(Clock):
    """A clock that tests move."""

    now = 1_790_000_000_000_000

    def now_us(self) -> int:
        return self.now


class HeldReaders(Readers):
    """Readers whose answers can be held back on their way."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.open = asyncio.Event()
        self.open.set()
        self.held = asyncio.Event()

    async def rows(self, sql: str, parameters: tuple[Any, ...]) -> list[sqlite3.Row]:
        found = await super().rows(sql, parameters)
        if not self.open.is_set():
            self.held.set()
            await self.open.wait()
        return found


class House:
    """Who can sign in, on a database of its own."""

    def __init__(self, path: Path) -> None:
        self.readers = HeldReaders(path)
        self.database = Database(path, asset_root("migrations"), readers=lambda _: self.readers)
        self.clock = Moved()
        ids = Ids(self.clock, random.Random(1).randbytes)
        self.sessions = Sessions(self.database, self.clock, ids)
        self.accounts = Accounts(self.database, self.clock, ids, self.sessions)
        self.keys = ApiKeys(self.database, self.clock, ids)
        self.tokens = Tokens(self.database, self.clock, ids, lambda: ("k", b"k" * 32))

    async def person(self) -> tuple[str, str]:
        user = (await self.accounts.create(WORKSPACE, "Ada", "ada@example.org", "admin")).id
        return user, await self.sessions.open(WORKSPACE, user, NOBODY)

    async def fill_disk(self) -> None:
        """The next commit that changes something fails."""
        with contextlib.suppress(DatabaseUnavailable):
            await self.database.write(lambda connection: None)
        await self.database.write(lambda connection: connection.execute("PRAGMA query_only=ON"))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path / "flowfuse.db")
    await made.database.open()
    await made.accounts.owner()
    yield made
    await made.database.close()


@pytest.mark.parametrize("how", ["end", "end_all", "end_one", "role", "remove"])
async def test_a_session_that_ends_while_it_is_looked_up_is_not_kept(house: House, how: str) -> None:
    user, secret = await house.person()
    session = (await house.sessions.of(user))[0].id
    revoke = {
        "end": lambda: house.sessions.end(secret),
        "end_all": lambda: house.sessions.end_all(user),
        "end_one": lambda: house.sessions.end_one(user, session),
        "role": lambda: house.accounts.set_role(WORKSPACE, user, "viewer"),
        "remove": lambda: house.accounts.remove(WORKSPACE, user),
    }[how]
    house.readers.open.clear()
    looking = asyncio.create_task(house.sessions.find(secret))
    await house.readers.held.wait()
    await revoke()
    house.readers.open.set()
    await looking
    assert await house.sessions.find(secret) is None


async def test_what_changes_while_it_is_looked_up_is_read_anew(house: House) -> None:
    user, secret = await house.person()
    house.readers.open.clear()
    looking = asyncio.create_task(house.sessions.find(secret))
    await house.readers.held.wait()
    await house.accounts.change(user, name="Lovelace")
    house.readers.open.set()
    await looking
    found = await house.sessions.find(secret)
    assert found is not None
    assert found.name == "Lovelace"


async def test_a_family_that_is_revoked_while_it_is_renewed_does_not_come_back(house: House) -> None:
    user, _ = await house.person()
    pair = await house.tokens.issue(WORKSPACE, user, ["read"])
    assert await house.tokens.find(pair.access_token) is not None
    renewed, _ = await asyncio.gather(
        house.tokens.renew(pair.refresh_token), house.tokens.revoke(pair.refresh_token)
    )
    assert await house.tokens.find(renewed.access_token) is None
    assert await house.tokens.find(pair.access_token) is None


async def test_a_full_disk_locks_nobody_out(house: House) -> None:
    user, secret = await house.person()
    _, key = await house.keys.create(WORKSPACE, user, "a program", ["read"], None)
    house.clock.now += 2 * MINUTE_US
    await house.fill_disk()
    assert await house.sessions.find(secret) is not None
    await house.fill_disk()
    assert await house.keys.find(key) is not None


async def test_a_session_that_was_idle_for_too_long_has_ended_on_a_full_disk_too(house: House) -> None:
    _, secret = await house.person()
    assert await house.sessions.find(secret) is not None
    house.clock.now += IDLE_US + 1
    await house.fill_disk()
    assert await house.sessions.find(secret) is None


async def test_when_a_session_and_a_key_were_last_used_is_kept(house: House) -> None:
    user, secret = await house.person()
    _, key = await house.keys.create(WORKSPACE, user, "a program", ["read"], None)
    house.clock.now += 2 * MINUTE_US
    await house.sessions.find(secret)
    await house.keys.find(key)
    await house.database.write(lambda connection: None)
    assert [each.seen for each in await house.sessions.of(user)] == [house.clock.now]
    assert [each.seen for each in await house.keys.list(WORKSPACE)] == [house.clock.now]
