"""Tokens: short JWT access tokens for the API, and the refresh tokens behind them (the only door to jwt).

An access token says whose it is and of which family; whether the family still lives is looked up at each
use, so that revoking works at once. A refresh token works once: one that comes again was stolen, by
whoever came first or second, and ends its family.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from flowfuse.clock import Clock, Ids
from flowfuse.data.database import Database
from flowfuse.data.keys import KeyHolder
from flowfuse.data.roles import ROLES, check_scopes
from flowfuse.data.secrets import digest, new_secret
from flowfuse.errors import Denied, SignInNeeded

ACCESS_SECONDS = 600
REFRESH_US = 30 * 86400 * 1_000_000
AUDIENCE = "flowfuse"
ALGORITHM = "HS256"
_ID_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_LEEWAY = 60
_LIVE = """t.expires > ?2 AND (t.key_id IS NULL OR EXISTS (SELECT 1 FROM api_keys k
 WHERE k.id = t.key_id AND (k.expires IS NULL OR k.expires > ?2)))"""

_Row = tuple[Any, ...]
"""Family, workspace, user, API key and scopes of a refresh token."""


class TokenPair(Struct, frozen=True, kw_only=True):
    """What a program gets: the access token for `expires_in` seconds, and the token for the next pair."""

    access_token: str
    refresh_token: str
    expires_in: int = ACCESS_SECONDS
    token_type: str = "Bearer"


class Tokens:
    """Issues, checks, renews and revokes. `key` gives (key id, key), once the vault is open."""

    def __init__(
        self, database: Database, clock: Clock, ids: Ids, key: Callable[[], tuple[str, bytes]]
    ) -> None:
        self._database, self._clock, self._ids, self._key = database, clock, ids, key

    async def issue(
        self, workspace: str, user: str, scopes: Iterable[str], key: str | None = None
    ) -> TokenPair:
        """The first pair of a new family, which ends with the API key that asks for it."""
        now, refresh = self._clock.now_us(), new_secret(self._ids)
        row = (new_secret(self._ids, 12), workspace, user, key, " ".join(sorted(check_scopes(scopes))))
        await self._database.write(lambda connection: _insert(connection, refresh, row, now))
        return self._pair(refresh, row, now)

    async def renew(self, refresh: str) -> TokenPair:
        """The next pair for a refresh token. Raises SignInNeeded."""
        now, name, fresh = self._clock.now_us(), digest(refresh), new_secret(self._ids)

        def take(connection: sqlite3.Connection) -> _Row | None:
            row = connection.execute(
                f"SELECT family, workspace_id, user_id, key_id, scopes, used FROM refresh_tokens t "
                f"WHERE hash = ?1 AND {_LIVE}",
                (name, now),
            ).fetchone()
            if row is None:
                return None
            *kept, used = row
            if used:
                connection.execute("DELETE FROM refresh_tokens WHERE family = ?", (row["family"],))
                return None
            connection.execute("UPDATE refresh_tokens SET used = 1 WHERE hash = ?", (name,))
            # Within the same change: a family that is revoked in between must not come back.
            _insert(connection, fresh, tuple(kept), now)
            return tuple(kept)

        row: _Row | None = await self._database.write(take)
        if row is None:
            raise SignInNeeded()
        return self._pair(fresh, row, now)

    async def revoke(self, refresh: str) -> None:
        """End the family of a refresh token; nothing is said of one that does not exist (RFC 7009)."""
        await self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM refresh_tokens WHERE family = "
                "(SELECT family FROM refresh_tokens WHERE hash = ?)",
                (digest(refresh),),
            )
        )

    async def find(self, access: str) -> KeyHolder | None:
        """Who holds an access token; None where it is wrong, too old or revoked."""
        claims = self._claims(access)
        if claims is None:
            return None
        row = await self._database.row(
            "SELECT t.workspace_id, t.user_id, t.scopes, u.name, m.role FROM refresh_tokens t "
            "JOIN users u ON u.id = t.user_id "
            "JOIN members m ON m.workspace_id = t.workspace_id AND m.user_id = t.user_id "
            f"WHERE t.family = ?1 AND {_LIVE} LIMIT 1",
            (claims["fam"], self._clock.now_us()),
        )
        if row is None or row["user_id"] != claims["sub"] or row["workspace_id"] != claims["ws"]:
            return None
        return KeyHolder(
            id=claims["fam"],
            workspace=row["workspace_id"],
            user=row["user_id"],
            name=row["name"],
            role=row["role"],
            permissions=frozenset(row["scopes"].split()) & ROLES[row["role"]],
        )

    def _pair(self, refresh: str, row: _Row, now: int) -> TokenPair:
        import jwt

        (family, workspace, user, *_), issued = row, now // 1_000_000
        kid, key = self._key()
        claims = {"sub": user, "ws": workspace, "fam": family, "aud": AUDIENCE, "iat": issued}
        access = jwt.encode(
            {**claims, "exp": issued + ACCESS_SECONDS}, key, algorithm=ALGORITHM, headers={"kid": kid}
        )
        return TokenPair(access_token=access, refresh_token=refresh)

    def _claims(self, access: str) -> dict[str, Any] | None:
        import jwt

        kid, key = self._key()
        try:
            if jwt.get_unverified_header(access).get("kid") != kid:
                return None
            claims: dict[str, Any] = jwt.decode(
                access,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                # By the one clock, below.
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "sub", "fam", "ws"]},
            )
        except jwt.PyJWTError:
            return None
        exp = claims["exp"]
        return claims if isinstance(exp, int) and exp * 1_000_000 > self._clock.now_us() else None


def _insert(connection: sqlite3.Connection, refresh: str, row: _Row, now: int) -> None:
    connection.execute("DELETE FROM refresh_tokens WHERE expires < ?", (now,))
    connection.execute(
        "INSERT INTO refresh_tokens (hash, family, workspace_id, user_id, key_id, scopes, expires) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (digest(refresh), *row, now + REFRESH_US),
    )


def is_access_token(text: str) -> bool:
    """Whether a text has the form of a JWT."""
    return text.count(".") == 2


def read_id_token(
    token: str, keys: Mapping[str, Any], *, issuer: str, audience: str, nonce: str, now_us: int
) -> dict[str, Any]:
    """The claims of a single sign-on's ID token (OpenID Connect Core §3.1.3.7). Raises Denied."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in _ID_ALGORITHMS:
            raise Denied(reason=f"The single sign-on signs by {header.get('alg')}, which is not accepted")
        wanted = [
            key
            for key in keys.get("keys", ())
            if key.get("use", "sig") == "sig" and header.get("kid") in (None, key.get("kid"))
        ]
        if not wanted:
            raise Denied(reason="The single sign-on has no key by which its answer could be checked")
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK.from_dict(wanted[0]).key,
            algorithms=[header["alg"]],
            audience=audience,
            issuer=issuer,
            options={"verify_exp": False, "verify_iat": False, "require": ["exp", "sub", "iss", "aud"]},
        )
    except jwt.PyJWTError as error:
        raise Denied(reason=f"The single sign-on's answer is not genuine: {error}") from None
    if claims.get("nonce") != nonce:
        raise Denied(reason="The single sign-on's answer belongs to another sign-in")
    if claims.get("azp", audience) != audience:
        raise Denied(reason="The single sign-on's answer is for another application")
    if int(claims["exp"]) + _LEEWAY < now_us // 1_000_000:
        raise Denied(reason="The single sign-on's answer is too old; the clocks may differ")
    return claims
