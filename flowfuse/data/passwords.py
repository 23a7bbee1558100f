"""Passwords: argon2id, in a thread, two at a time (the only door to argon2)."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

from flowfuse.errors import RequestInvalid

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 10, 1000
AT_ONCE = 2
"""Each takes 64 MiB: more of them at a time would be a way to exhaust the memory."""
_ALIKE = 4


class Passwords:
    """Makes and checks hashes of passwords."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str, *, of: str = "") -> str:
        """A new hash. `of`: what the password must not be, such as the e-mail. Raises RequestInvalid."""
        check_password(password, of)
        async with self._slots:
            return await asyncio.to_thread(_hasher().hash, password)

    async def check(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a new hash where the old one was made with less work.

        Without a hash as much work is done, so that nobody can tell by the time whether there is one.
        """
        async with self._slots:
            return await asyncio.to_thread(_check, password[:LONGEST], hashed)


def check_password(password: str, of: str = "") -> None:
    """Raises RequestInvalid for one that is too short, too long or too plain."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise RequestInvalid(
            field="password", reason=f"{len(password)} characters; it has to have {SHORTEST} to {LONGEST}"
        )
    if len(set(password)) < _ALIKE or (of and password.lower() in (of.lower(), of.lower().partition("@")[0])):
        raise RequestInvalid(field="password", reason="it is easy to guess; take several words")


@cache
def _hasher() -> PasswordHasher:
    # Imported at the first sign-in: a start of the server needs none of it.
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)


@cache
def _nobody() -> str:
    return _hasher().hash("nobody has this password")


def _check(password: str, hashed: str | None) -> tuple[bool, str | None]:
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = _hasher()
    try:
        hasher.verify(hashed or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False, None
    if hashed is None:
        return False, None
    return True, hasher.hash(password) if hasher.check_needs_rehash(hashed) else None
