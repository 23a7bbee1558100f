"""Addresses: which are ours. Anybody may have written them."""

from __future__ import annotations


def local_path(text: str) -> str:
    """An address of ours to go to next; Home for what leads elsewhere."""
    begins_well = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if begins_well and text.isprintable() else "/"
