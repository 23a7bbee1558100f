"""Who may do what: the one table of roles and permissions.

A route asks for a permission; a person has those of their role in the workspace, a key those of its
scopes that its owner's role has, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from flowfuse.errors import RequestInvalid

PERMISSIONS: dict[str, str] = {
    "read": "See workflows, runs, schedules, webhooks and connections, never a secret.",
    "operate": "Start, stop, retry and answer runs; pause schedules.",
    "build": "Make, change and publish workflows; try code.",
    "connect": "Make, change and delete connections.",
    "administer": "Change settings and members, see the audit log, make backups.",
    "own": "Make others owners; make and rename workspaces; sign-in links; bring backups back.",
}
"""What can be allowed, as it is said to people. Scopes of keys are these names."""

ROLES: dict[str, frozenset[str]] = {
    "viewer": frozenset({"read"}),
    "operator": frozenset({"read", "operate"}),
    "editor": frozenset({"read", "operate", "build", "connect"}),
    "admin": frozenset({"read", "operate", "build", "connect", "administer"}),
    "owner": frozenset(PERMISSIONS),
}
"""Each role's permissions, the least first."""

SELF = "self"
"""One's own account: a person who is signed in has it (and the install's token), a key never."""


def check_role(role: str) -> None:
    """Raises RequestInvalid where there is no such role."""
    if role not in ROLES:
        raise RequestInvalid(field="role", reason=f"“{role}” is none of {', '.join(ROLES)}")


def check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes as a set. Raises RequestInvalid where one is unknown, or there is none."""
    found = frozenset(scopes)
    unknown = sorted(found - set(PERMISSIONS))
    if unknown or not found:
        named = f"“{unknown[0]}” is none of" if unknown else "choose at least one of"
        raise RequestInvalid(field="scopes", reason=f"{named} {', '.join(PERMISSIONS)}")
    return found


def roles_with(permission: str) -> list[str]:
    """The roles that have a permission, the least first."""
    return [role for role, allowed in ROLES.items() if permission in allowed]
