"""Addresses: which are ours, and the numbers that stand in one. Anybody may have written them."""

from __future__ import annotations

MOST_DIGITS = 17
"""Moments in microseconds fit, and the database takes what fits."""


def local_path(text: str) -> str:
    """An address of ours to go to next; Home for what leads elsewhere."""
    begins_well = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if begins_well and text.isprintable() else "/"


def whole_number(text: str) -> int | None:
    """The number that a text is; None where it is none (“²” is a digit, too), or is out of all bounds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
