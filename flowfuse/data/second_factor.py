"""The second factor: time-based codes (RFC 6238), and recovery codes (the only door to pyotp and segno)."""

from __future__ import annotations

import hmac

from flowfuse.clock import Ids
from flowfuse.data.secrets import digest

ISSUER = "FlowFuse"
STEP_SECONDS = 30
CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_AROUND = (0, -1, 1)
"""A clock may be one step off."""


def new_totp() -> str:
    """A fresh secret for an authenticator."""
    import pyotp

    return pyotp.random_base32()


def address_of(secret: str, account: str) -> str:
    """The otpauth: address that an authenticator takes."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=ISSUER)


def picture_of(address: str) -> str:
    """That address as a QR code: an SVG element."""
    import segno

    return str(segno.make_qr(address).svg_inline(scale=4, border=3, dark="#000", light="#fff"))


def step_of(secret: str, code: str, now_us: int, last_step: int) -> int | None:
    """The time step that a code belongs to; None where it is wrong, or was used before."""
    import pyotp

    try:
        totp, now = pyotp.TOTP(secret), now_us // 1_000_000
    except ValueError:
        # No secret at all: too short, or not in base32.
        return None
    given = "".join(code.split())
    for around in _AROUND:
        step = now // STEP_SECONDS + around
        right = totp.at(step * STEP_SECONDS)
        if hmac.compare_digest(right.encode(), given.encode()):
            return step if step > last_step else None
    return None


def new_recovery_codes(ids: Ids) -> tuple[list[str], list[str]]:
    """Ten codes that each sign in once, and what is kept of them."""
    codes = []
    for _ in range(CODES):
        letters = [_LETTERS[byte % len(_LETTERS)] for byte in ids.token(12)]
        codes.append(f"{''.join(letters[:6])}-{''.join(letters[6:])}")
    return codes, [digest(code).hex() for code in codes]
