"""Key paths in configs: `data.items.0`, a text with dots; digits are an index in a list."""

from __future__ import annotations

from typing import Any

MISSING: Any = object()
"""Stands where a path leads to nothing."""


def split(path: str) -> tuple[str, ...]:
    """The steps of a path; none for the empty text, which is the value itself."""
    return tuple(path.split(".")) if path else ()


def look(value: Any, steps: tuple[str, ...]) -> Any:
    """What a value has at a path, or MISSING."""
    for key in steps:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value
