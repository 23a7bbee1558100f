"""Defaults, and what looks random."""

from __future__ import annotations

from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.library.arguments import need_integer
from flowfuse.expression.library.registry import Group
from flowfuse.expression.site import Misuse

GROUP = Group("Defaults and random values")
MAX_SPREAD = 1 << 128


def _empty(value: Any) -> bool:
    return value is None or (type(value) in (str, list, dict) and not value)


@GROUP.function('is_empty("")', True)
def is_empty(meter: Meter, value: Any) -> bool:
    """Whether a value is null or an empty text, list or object. 0 and false are not empty."""
    return _empty(value)


@GROUP.function('default("", "nobody")', "nobody")
def default(meter: Meter, value: Any, fallback: Any) -> Any:
    """The value, or the fallback where it is null or an empty text, list or object."""
    return fallback if _empty(value) else value


@GROUP.function("coalesce(null, 0, 5)", 0)
def coalesce(meter: Meter, *values: Any) -> Any:
    """The first value that is not null, or null."""
    return next((value for value in values if value is not None), None)


def _draw(meter: Meter) -> bytes:
    """Bytes that look random and are the same whenever this node runs again on the same item."""
    import hashlib

    seed = meter.env.seed()
    meter.calls += 1
    meter.charge(20, 100)
    place = f"{meter.site.path}\0{meter.calls}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(len(seed).to_bytes(4, "big") + seed + place).digest()


@GROUP.function("uuid()", "1f51e9af-2d8d-419e-b567-6343d37dd32b")
def uuid(meter: Meter) -> str:
    """A UUID (version 4) that stays the same when this run is repeated."""
    digest = bytearray(_draw(meter)[:16])
    digest[6] = digest[6] & 0x0F | 0x40
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@GROUP.function("random_int(1, 6)", 2)
def random_int(meter: Meter, low: Any, high: Any) -> int:
    """An integer from low up to high that stays the same when this run is repeated."""
    spread = need_integer(high, "the upper end") - need_integer(low, "the lower end") + 1
    if spread < 1:
        raise Misuse("the upper end is below the lower end.")
    if spread > MAX_SPREAD:
        raise Misuse("the ends are too far apart.")
    # 256 bits over at most 128: no end is favoured by more than one in 2¹²⁸.
    return int(low + int.from_bytes(_draw(meter), "big") % spread)
