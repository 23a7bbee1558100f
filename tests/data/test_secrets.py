"""Keys with a checksum, passwords, and the second factor's codes."""

from __future__ import annotations

import asyncio

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse.clock import Clock, Ids
from flowfuse.data.passwords import Passwords, check_password
from flowfuse.data.second_factor import STEP_SECONDS, new_recovery_codes, step_of
from flowfuse.data.secrets import digest, is_key, new_key
from flowfuse.errors import RequestInvalid

IDS = Ids(Clock())
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = 1_790_000_000_000_000


def test_a_key_is_known_by_its_form_and_a_typing_error_shows() -> None:
    key = new_key(IDS)
    assert is_key(key)
    assert not is_key(key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert not is_key(key.replace("ff_", "fg_"))


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_key(text: str) -> None:
    assert not is_key(text)


@given(st.integers(min_value=-4, max_value=4))
def test_a_code_is_right_one_step_around_and_once(around: int) -> None:
    step = NOW // 1_000_000 // STEP_SECONDS + around
    code = pyotp.TOTP(SECRET).at(step * STEP_SECONDS)
    found = step_of(SECRET, f" {code[:3]} {code[3:]} ", NOW, 0)
    assert found == (step if abs(around) <= 1 else None)
    if found is not None:
        assert step_of(SECRET, code, NOW, found) is None


@given(st.text(max_size=12))
def test_no_other_text_is_a_code(text: str) -> None:
    right = {pyotp.TOTP(SECRET).at(NOW // 1_000_000 + 30 * n) for n in (-1, 0, 1)}
    if "".join(text.split()) not in right:
        assert step_of(SECRET, text, NOW, 0) is None


@pytest.mark.parametrize("secret", ["", "short", "not base32!", "JBSWY3DP"])
def test_what_is_no_secret_has_no_code(secret: str) -> None:
    assert step_of(secret, "000000", NOW, 0) is None


def test_recovery_codes_differ_and_are_kept_as_hashes() -> None:
    codes, kept = new_recovery_codes(IDS)
    assert len(set(codes)) == 10
    assert kept == [digest(code).hex() for code in codes]


def test_passwords_are_hashed_with_enough_work_and_made_anew_with_more() -> None:
    from argon2 import PasswordHasher

    async def go() -> None:
        passwords = Passwords()
        hashed = await passwords.hash("a long password")
        assert hashed.startswith("$argon2id$v=19$m=65536,t=3,")
        assert await passwords.check("a long password", hashed) == (True, None)
        assert await passwords.check("another password", hashed) == (False, None)
        assert await passwords.check("nobody has this password", None) == (False, None)
        weak = PasswordHasher(time_cost=1, memory_cost=8192).hash("a long password")
        right, better = await passwords.check("a long password", weak)
        assert right
        assert better is not None
        assert "m=65536" in better

    asyncio.run(go())


@pytest.mark.parametrize("password", ["", "short", "x" * 1001, "abababababab", "ada@example.org"])
def test_poor_passwords_are_refused(password: str) -> None:
    with pytest.raises(RequestInvalid):
        check_password(password, "ada@example.org")
