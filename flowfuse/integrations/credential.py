"""A credential in use: where it may be sent, and how its secrets are found again in what comes back."""

from __future__ import annotations

import base64
import json
import re
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from flowfuse.model import Value

KINDS: dict[str, tuple[str, ...]] = {
    "header": ("name", "value"),
    "bearer": ("token",),
    "basic": ("user", "password"),
    "query": ("name", "value"),
    "hmac": ("secret",),
}
"""Each kind of credential with the fields of its secret."""

_PUBLIC_FIELDS = ("name", "user")
REDACTED = "***"
MIN_SECRET = 4
"""Shorter texts occur everywhere by chance and are not searched for."""


class OpenCredential(msgspec.Struct, frozen=True, dict=True):
    """A credential while it is in use. Its text forms never show the secret."""

    name: str
    kind: str
    data: dict[str, str]
    hosts: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<credential {self.name}: ***>"

    __str__ = __repr__

    def allows(self, host: str) -> bool:
        """Whether the credential may be sent to that host: equal, or below a host with a leading dot."""
        name = host.lower().rstrip(".")
        return any(name == h or (h.startswith(".") and name.endswith(h)) for h in self.hosts)

    def redact(self, value: Value) -> Any:
        """The value with every form of the secrets replaced."""
        return _redacted(value, self._forms) if self._forms else value

    @cached_property
    def _forms(self) -> list[str]:
        """The secrets as they may stand in an answer: plain, base64, URL-encoded, JSON; the longest first."""
        hidden = [text for key, text in self.data.items() if key not in _PUBLIC_FIELDS]
        if self.kind == "basic":
            hidden.append(f"{self.data['user']}:{self.data['password']}")
        forms = {form for secret in hidden for form in _forms_of(secret)}
        return sorted((form for form in forms if len(form) >= MIN_SECRET), key=len, reverse=True)


class Redactor:
    """Takes a credential's secrets out of bytes that come piece by piece, also where one spans two pieces."""

    def __init__(self, credential: OpenCredential) -> None:
        self._forms = [form.encode() for form in credential._forms]
        self._keep = max((len(form) for form in self._forms), default=1) - 1
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be passed on by now."""
        whole = self._clean(self._held + data)
        cut = max(0, len(whole) - self._keep)
        self._held = whole[cut:]
        return whole[:cut]

    def end(self) -> bytes:
        """What was held back for what might have followed."""
        return self._held

    def _clean(self, data: bytes) -> bytes:
        for form in self._forms:
            data = data.replace(form, REDACTED.encode())
        return data


def _forms_of(secret: str) -> set[str]:
    raw = secret.encode()
    in_address = quote(secret, safe="")
    forms = {secret, in_address, quote(secret), quote_plus(secret), _lower_escapes(in_address)}
    forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        forms |= {encoded.decode(), encoded.rstrip(b"=").decode()}
    return forms if len(secret) >= MIN_SECRET else set()


def _lower_escapes(text: str) -> str:
    """`%2F` as `%2f`: both are in use."""
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), text)


def _redacted(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, REDACTED)
        return value
    if isinstance(value, dict):
        return {_redacted(key, secrets): _redacted(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redacted(inner, secrets) for inner in value]
    return value
