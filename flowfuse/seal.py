"""Sealing: AES-256-GCM with a key per workspace (the only door to the cryptography library).

A sealed text is `key id:iv:ciphertext:tag`, the last three in hex as the seed has them. The associated
data says where a value belongs, so that a row cannot be put in another's place.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from flowfuse.errors import SealBroken, VaultLocked

KEY_BYTES = 32
IV_BYTES = 16
TAG_BYTES = 16
NONCE_BYTES = 12


class Sealer:
    """Seals and opens with keys derived from one master key."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise VaultLocked(reason=f"The master key has {len(master_key)} bytes; it must have {KEY_BYTES}.")
        self._master = master_key
        self._keys: dict[str, bytes] = {}
        self.key_id = hashlib.sha256(b"flowfuse/v1/key-id" + master_key).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"<Sealer {self.key_id}>"

    def seal(self, plaintext: bytes, workspace: str, place: str) -> str:
        """Seal for one workspace and place (table, row, field)."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        iv = os.urandom(IV_BYTES)
        sealed = AESGCM(self._key(workspace)).encrypt(iv, plaintext, self._associated(workspace, place))
        return f"{self.key_id}:{iv.hex()}:{sealed[:-TAG_BYTES].hex()}:{sealed[-TAG_BYTES:].hex()}"

    def open(self, sealed: str, workspace: str, place: str) -> bytes:
        """The plaintext. Raises VaultLocked for another key's seal, SealBroken for changed bytes."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key_id, iv, ciphertext, tag = self._parts(sealed)
        if key_id != self.key_id:
            raise VaultLocked(
                reason=f"This was sealed with the key {key_id}, and the key at hand is {self.key_id}. "
                "Start with the master key that belongs to this data folder."
            )
        try:
            return AESGCM(self._key(workspace)).decrypt(
                iv, ciphertext + tag, self._associated(workspace, place)
            )
        except InvalidTag:
            raise SealBroken(reason="A sealed value was changed, or lies in another's place.") from None

    def seal_bytes(self, plaintext: bytes, workspace: str, place: str) -> bytes:
        """Seal what is stored as bytes: the key's id, the nonce (12 bytes), ciphertext and tag."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._key(workspace)).encrypt(nonce, plaintext, self._associated(workspace, place))
        return self.key_id.encode() + nonce + sealed

    def open_bytes(self, sealed: bytes, workspace: str, place: str) -> bytes:
        """The opposite of `seal_bytes`. Raises VaultLocked, SealBroken."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key_id, nonce, rest = (
            sealed[:8].decode("latin-1"),
            sealed[8 : 8 + NONCE_BYTES],
            sealed[8 + NONCE_BYTES :],
        )
        if key_id != self.key_id:
            raise VaultLocked(
                reason=f"This was sealed with the key {key_id}, and the key at hand is {self.key_id}."
            )
        try:
            return AESGCM(self._key(workspace)).decrypt(nonce, rest, self._associated(workspace, place))
        except (InvalidTag, ValueError):
            raise SealBroken(reason="A sealed value was changed, or lies in another's place.") from None

    def sign(self, purpose: str, name: bytes) -> str:
        """HMAC-SHA256 by a key of that purpose alone, 32 hex digits of it."""
        key = hmac.digest(self._master, f"flowfuse/v1/sign/{purpose}".encode(), "sha256")
        return hmac.digest(key, name, "sha256").hex()[:32]

    def _parts(self, sealed: str) -> tuple[str, bytes, bytes, bytes]:
        try:
            key_id, iv, ciphertext, tag = sealed.split(":")
            return key_id, bytes.fromhex(iv), bytes.fromhex(ciphertext), bytes.fromhex(tag)
        except ValueError:
            raise SealBroken(reason="A sealed value has not the form key:iv:ciphertext:tag.") from None

    def _key(self, workspace: str) -> bytes:
        """The seed's deriveKey: HKDF-SHA256 (RFC 5869) with the workspace in `info`."""
        key = self._keys.get(workspace)
        if key is None:
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF

            info = f"flowfuse/v1/ws/{workspace}".encode()
            key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._master)
            self._keys[workspace] = key
        return key

    def _associated(self, workspace: str, place: str) -> bytes:
        return f"flowfuse/v1|{workspace}|{place}|{self.key_id}".encode()


def parse_key(text: str) -> bytes:
    """A master key of 64 hex digits. Raises VaultLocked."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultLocked(reason="The master key is not 64 hex digits.")
    return key


def new_key() -> bytes:
    """A fresh master key."""
    return os.urandom(KEY_BYTES)
