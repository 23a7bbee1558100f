"""Identity: who asks, and what they may."""

from __future__ import annotations

from msgspec import Struct

SESSION_COOKIES = ("ff_session", "__Host-ff_session")
"""Without and with TLS."""


class Identity(Struct, frozen=True, kw_only=True):
    """Who asks, and what they may. `user` is empty for the install's own token."""

    workspace: str
    user: str
    name: str
    role: str
    permissions: frozenset[str]
    via: str
    """`token` (the install's), `session`, `key` or `jwt`."""
    session: str = ""
    key: str = ""
    """The id of the API key."""
    workspace_name: str = ""
    language: str = ""
    theme: str = ""
    single_keys: bool = True
    """Whether letters without a command key do something."""

    @property
    def whose(self) -> str:
        """For whom, and in which workspace, a page is opened."""
        return f"{self.workspace}/{self.user}"

    def may(self, permission: str) -> bool:
        """Whether they have a permission."""
        return permission in self.permissions
