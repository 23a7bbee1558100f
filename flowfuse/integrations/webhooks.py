"""Who may call a webhook: the checks of a call's credentials, by the node's own credential.

A signature covers the body, so a check is fed with the body while it comes in, and asked at its end.
Whatever is compared is compared in constant time; a call that fails is told no more than that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from flowfuse.errors import CallDenied, HookLocked, NodeFailed
from flowfuse.integrations.credential import OpenCredential
from flowfuse.integrations.vault import CredentialVault

MAX_SIGNATURES = 10
"""More signatures than these in one header (keys that are being changed) are not looked at."""
_CHALLENGES = {"basic": 'Basic realm="webhook", charset="UTF-8"', "bearer": 'Bearer realm="webhook"'}
_MILLISECONDS_FROM = 10**11


class Signature(msgspec.Struct, frozen=True):
    """How a sender signs: an HMAC over the body, in a header."""

    header: str
    algorithm: Literal["sha256", "sha1", "sha512"]
    encoding: Literal["hex", "base64"]
    prefix: str
    timestamp_header: str
    tolerance: float


class Check:
    """The check of one call. `hides` is the header that must not be stored, for it holds the secret."""

    def __init__(self, hides: str = "") -> None:
        self.hides = hides

    def update(self, data: bytes) -> None:
        """Take a piece of the body."""

    def verify(self) -> None:
        """At the end of the body. Raises CallDenied."""


NO_CHECK = Check()


async def open_check(
    vault: CredentialVault,
    workspace: str,
    auth: str,
    name: str | None,
    signature: Signature,
    headers: Mapping[str, str],
    now_us: int,
) -> Check:
    """Begin the check of a call. Raises CallDenied as soon as the headers are wrong, and HookLocked."""
    try:
        credential = await vault.open(workspace, name or "")
    except NodeFailed:
        raise HookLocked(reason="its credential is not there") from None
    if credential.kind != auth:
        raise HookLocked(reason=f"its credential is of the kind {credential.kind}, and {auth} is needed")
    if auth == "hmac":
        return SignatureCheck(credential.data["secret"], signature, headers, now_us)
    if not _fits(auth, credential, headers):
        raise CallDenied(challenge=_CHALLENGES.get(auth, ""))
    return Check(credential.data["name"].lower() if auth == "header" else "authorization")


def _fits(auth: str, credential: OpenCredential, headers: Mapping[str, str]) -> bool:
    data = credential.data
    if auth == "header":
        return _same(headers.get(data["name"].lower(), ""), data["value"])
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != auth:
        return False
    if auth == "bearer":
        return _same(given.strip(), data["token"])
    try:
        pair = base64.b64decode(given.strip(), validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(pair, f"{data['user']}:{data['password']}".encode())


def _same(given: str, expected: str) -> bool:
    # Headers come as latin-1 text; what was sent are bytes.
    return hmac.compare_digest(given.encode("latin-1", "replace"), expected.encode())


class SignatureCheck(Check):
    """An HMAC over the body, or over `timestamp.body` where the sender gives a timestamp."""

    def __init__(self, secret: str, given: Signature, headers: Mapping[str, str], now_us: int) -> None:
        super().__init__()
        self._candidates = _candidates(headers.get(given.header.lower(), ""), given)
        self._made = hmac.new(secret.encode(), digestmod=getattr(hashlib, given.algorithm))
        if given.timestamp_header:
            stamp = headers.get(given.timestamp_header.lower(), "").strip()
            if not _is_now(stamp, now_us, given.tolerance):
                raise CallDenied(challenge="")
            self._made.update(stamp.encode() + b".")
        if not self._candidates:
            raise CallDenied(challenge="")

    def update(self, data: bytes) -> None:
        self._made.update(data)

    def verify(self) -> None:
        expected = self._made.digest()
        found = [hmac.compare_digest(expected, each) for each in self._candidates]
        if not any(found):
            raise CallDenied(challenge="")


def _candidates(text: str, given: Signature) -> list[bytes]:
    """The signatures in a header, decoded; several are told apart by commas or spaces."""
    found = []
    for part in re.split(r"[,\s]+", text)[:MAX_SIGNATURES]:
        if not part.startswith(given.prefix):
            continue
        bare = part[len(given.prefix) :]
        try:
            raw = bytes.fromhex(bare) if given.encoding == "hex" else base64.b64decode(bare, validate=True)
        except (ValueError, binascii.Error):
            continue
        found.append(raw)
    return [each for each in found if each]


def _is_now(stamp: str, now_us: int, tolerance: float) -> bool:
    """Whether a timestamp (Unix seconds, or milliseconds) is about now."""
    if not stamp.isdigit() or len(stamp) > 16:
        return False
    seconds = int(stamp) / 1000 if int(stamp) >= _MILLISECONDS_FROM else int(stamp)
    return abs(seconds - now_us / 1e6) <= tolerance
