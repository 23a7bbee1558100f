"""Sealing: the stored form, keys told apart, values that stay in their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse.errors import SealBroken, VaultLocked
from flowfuse.seal import Sealer, new_key, parse_key

SEALER = Sealer(bytes(range(32)))


@given(st.binary(max_size=200))
def test_what_was_sealed_opens(plain: bytes) -> None:
    sealed = SEALER.seal(plain, "main", "credentials/a")
    assert SEALER.open(sealed, "main", "credentials/a") == plain
    assert not plain or len(plain) < 4 or plain not in sealed.encode()


def test_the_stored_form() -> None:
    key_id, iv, ciphertext, tag = SEALER.seal(b"secret", "main", "x").split(":")
    assert key_id == SEALER.key_id
    assert (len(iv), len(ciphertext), len(tag)) == (32, 12, 32)
    assert SEALER.seal(b"secret", "main", "x") != SEALER.seal(b"secret", "main", "x")


def test_a_wrong_key_is_told_apart_from_damage() -> None:
    sealed = SEALER.seal(b"secret", "main", "x")
    with pytest.raises(VaultLocked, match=SEALER.key_id):
        Sealer(new_key()).open(sealed, "main", "x")


@pytest.mark.parametrize(("workspace", "place"), [("other", "x"), ("main", "y"), ("main|x", "")])
def test_a_value_in_anothers_place_does_not_open(workspace: str, place: str) -> None:
    sealed = SEALER.seal(b"secret", "main", "x")
    with pytest.raises(SealBroken):
        SEALER.open(sealed, workspace, place)


def test_a_changed_value_does_not_open() -> None:
    sealed = SEALER.seal(b"secret", "main", "x")
    for place in range(len(sealed.partition(":")[0]) + 1, len(sealed)):
        changed = sealed[:place] + ("0" if sealed[place] != "0" else "1") + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            SEALER.open(changed, "main", "x")
    for text in ("", "a:b", f"{SEALER.key_id}::::", f"{SEALER.key_id}:zz:zz:zz"):
        with pytest.raises((SealBroken, VaultLocked)):
            SEALER.open(text, "main", "x")


def test_keys() -> None:
    assert parse_key(f" {'ab' * 32}\n") == bytes.fromhex("ab" * 32)
    for text in ("", "ab", "zz" * 32, "ab" * 33):
        with pytest.raises(VaultLocked):
            parse_key(text)
    with pytest.raises(VaultLocked):
        Sealer(b"short")
    assert repr(SEALER) == f"<Sealer {SEALER.key_id}>"
