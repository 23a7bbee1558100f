"""Secrets that people and programs carry: made at random, and kept here only as hashes."""

from __future__ import annotations

import base64
import hashlib
import zlib

from flowfuse.clock import Ids

KEY_PREFIX = "ff_"
_CHECK = 8


def new_secret(ids: Ids, size: int = 32) -> str:
    """An unguessable text of `size` bytes."""
    return base64.urlsafe_b64encode(ids.token(size)).rstrip(b"=").decode()


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def new_key(ids: Ids) -> str:
    """A key for programs, with a checksum: scanners for leaked secrets know it, typing errors show."""
    body = KEY_PREFIX + new_secret(ids)
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def is_key(text: str) -> bool:
    """Whether a text has the form of such a key."""
    body, _, check = text.rpartition("_")
    return (
        body.startswith(KEY_PREFIX) and len(check) == _CHECK and f"{zlib.crc32(body.encode()):08x}" == check
    )
