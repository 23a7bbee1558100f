"""Whose work is in FlowFuse: the installed libraries with their versions and licences."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from typing import Any

from msgspec import Struct

_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Library(Struct, frozen=True):
    """A library, its version and its licence as it says itself."""

    name: str
    version: str
    license: str


@cache
def libraries() -> list[Library]:
    """What FlowFuse needs while it runs, and what that needs, by name."""
    found: dict[str, Library] = {}
    waiting = ["flowfuse"]
    while waiting:
        name = waiting.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        key = distribution.metadata["Name"].lower()
        if key in found:
            continue
        found[key] = Library(distribution.metadata["Name"], distribution.version, _license(distribution))
        for requirement in distribution.requires or ():
            wanted = _NAME.match(requirement)
            if wanted is not None and "extra ==" not in requirement:
                waiting.append(wanted[0])
    found.pop("flowfuse", None)
    return sorted(found.values(), key=lambda library: library.name.lower())


def _license(distribution: metadata.Distribution) -> str:
    told: Any = distribution.metadata
    expression = told.get("License-Expression")
    if expression:
        return str(expression)
    classified = [
        line.rpartition(" :: ")[2]
        for line in told.get_all("Classifier") or ()
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    short = str(told.get("License") or "").partition("\n")[0][:60]
    return ", ".join(classified) or short or "see its package"
