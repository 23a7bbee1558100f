"""SingleSignOn: signing people in by OpenID Connect, with the authorization code flow and PKCE.

What is asked for at the issuer and what comes back belong together by `state` and `nonce`, which are used
once, within ten minutes, by the browser that began.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from flowfuse.clock import Clock, Ids
from flowfuse.data.secrets import digest, new_secret
from flowfuse.data.tokens import read_id_token
from flowfuse.errors import Denied, NodeFailed
from flowfuse.integrations.client import APIClient, Call

PENDING_US = 10 * 60 * 1_000_000
MOST_PENDING = 1000
SCOPE = "openid email profile"


class Begun(Struct, frozen=True):
    """A sign-in that was begun: where the browser goes, and the secret that it has to bring back."""

    address: str
    browser: str


class Pending(Struct, frozen=True):
    """What is known of a sign-in until the browser comes back."""

    browser: bytes
    nonce: str
    verifier: str
    next: str
    expires: int


class Person(Struct, frozen=True):
    """Whom the issuer knows. `email` is empty where it has not checked the address."""

    issuer: str
    subject: str
    email: str
    name: str
    next: str


class SingleSignOn:
    """The client of one issuer."""

    def __init__(
        self,
        api: APIClient,
        clock: Clock,
        ids: Ids,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
    ) -> None:
        self._api, self._clock, self._ids = api, clock, ids
        self._issuer, self._client_id, self._secret = issuer, client_id, client_secret
        self._pending: dict[bytes, Pending] = {}

    async def begin(self, redirect: str, next_page: str) -> Begun:
        """Begin a sign-in that comes back to `redirect`. Raises Denied."""
        found = await self._discovered()
        state, browser = new_secret(self._ids), new_secret(self._ids)
        nonce, verifier = new_secret(self._ids), new_secret(self._ids)
        now = self._clock.now_us()
        self._pending = {name: each for name, each in self._pending.items() if each.expires > now}
        if len(self._pending) >= MOST_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[digest(state)] = Pending(digest(browser), nonce, verifier, next_page, now + PENDING_US)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "response_type": "code", "client_id": self._client_id, "redirect_uri": redirect,
            "scope": SCOPE, "state": state, "nonce": nonce,
            "code_challenge": challenge.decode(), "code_challenge_method": "S256",
        }  # fmt: skip
        address = str(found["authorization_endpoint"])
        return Begun(f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", browser)

    async def finish(self, state: str, code: str, browser: str, redirect: str) -> Person:
        """Who came back with a code. Raises Denied."""
        pending = self._pending.pop(digest(state), None)
        if (
            pending is None
            or pending.expires < self._clock.now_us()
            or not hmac.compare_digest(pending.browser, digest(browser))
        ):
            raise Denied(reason="This sign-in is not one that this browser has begun; begin anew")
        found = await self._discovered()
        body: dict[str, Any] = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect,
            "client_id": self._client_id, "code_verifier": pending.verifier,
        }  # fmt: skip
        headers = []
        if self._secret:
            methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            if "client_secret_basic" in methods:
                pair = base64.b64encode(f"{self._client_id}:{self._secret}".encode()).decode()
                headers.append(("authorization", f"Basic {pair}"))
            else:
                body["client_secret"] = self._secret
        given = await self._ask("POST", str(found["token_endpoint"]), body, headers)
        keys = await self._ask("GET", str(found["jwks_uri"]))
        claims = read_id_token(
            str(given.get("id_token", "")),
            keys,
            issuer=self._issuer,
            audience=self._client_id,
            nonce=pending.nonce,
            now_us=self._clock.now_us(),
        )
        return _person(await self._with_email(claims, found, given), pending.next)

    async def _with_email(
        self, claims: dict[str, Any], found: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Many issuers tell the e-mail only at a place of its own."""
        if claims.get("email") or "userinfo_endpoint" not in found:
            return claims
        bearer = [("authorization", f"Bearer {given.get('access_token', '')}")]
        more = await self._ask("GET", str(found["userinfo_endpoint"]), None, bearer)
        return {**more, **claims} if more.get("sub") == claims["sub"] else claims

    async def _discovered(self) -> dict[str, Any]:
        found = await self._ask("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise Denied(reason=f"The single sign-on calls itself {found.get('issuer')}, not {self._issuer}")
        missing = [
            name for name in ("authorization_endpoint", "token_endpoint", "jwks_uri") if name not in found
        ]
        if missing:
            raise Denied(reason=f"The single sign-on does not say its {missing[0]}")
        return found

    async def _ask(
        self, method: str, url: str, body: Any = None, headers: list[tuple[str, str]] | None = None
    ) -> dict[str, Any]:
        call = Call(
            method=method, url=url, query=[], headers=headers or [], body=body,
            body_type="form" if body is not None else "none", response="json", accept=lambda status: False,
            idempotency_key="", literal_host=True, operator=True, credential=None,
        )  # fmt: skip
        try:
            answer = await self._api.send(call)
        except NodeFailed as error:
            raise Denied(reason=f"The single sign-on did not answer as it should: {error.message}") from None
        if not isinstance(answer.body, dict):
            raise Denied(reason="The single sign-on did not answer as it should: that was no JSON object")
        return answer.body


def _person(claims: dict[str, Any], next_page: str) -> Person:
    email = str(claims.get("email") or "").strip().lower()
    if claims.get("email_verified") not in (True, "true"):
        email = ""
    name = str(claims.get("name") or claims.get("preferred_username") or email or claims["sub"])
    return Person(str(claims["iss"]), str(claims["sub"]), email, name[:100], next_page)
