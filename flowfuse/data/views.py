"""Views: lists as somebody has filtered them, kept under a name."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from flowfuse.data.accounts import check_name
from flowfuse.data.database import Database


class View(Struct, frozen=True):
    """A name, and the query of the page's address."""

    name: str
    query: str


class Views:
    """Keeps each person's own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, workspace: str, user: str, page: str) -> Sequence[View]:
        """Somebody's views of a page, by name."""
        rows = await self._database.rows(
            "SELECT name, query FROM views WHERE workspace_id = ? AND user_id = ? AND page = ? ORDER BY name",
            (workspace, user, page),
        )
        return [View(row["name"], row["query"]) for row in rows]

    async def save(self, workspace: str, user: str, page: str, name: str, query: str) -> None:
        """Keep a view; one of that name is replaced. Raises RequestInvalid."""
        name = check_name(name)
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT INTO views (workspace_id, user_id, page, name, query) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (workspace_id, user_id, page, name) DO UPDATE SET query = excluded.query",
                (workspace, user, page, name, query[:2000]),
            )
        )

    async def delete(self, workspace: str, user: str, page: str, name: str) -> None:
        """Forget a view."""
        await self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM views WHERE workspace_id = ? AND user_id = ? AND page = ? AND name = ?",
                (workspace, user, page, name),
            )
        )
