"""/api/v1/settings, /api/v1/storage, /api/v1/backups: what people may set, what is kept, and its copies."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.data.backup import Backup, Backups
from flowfuse.data.preferences import PreferenceStore, describe
from flowfuse.data.sessions import Sessions
from flowfuse.data.storage import Storage, Usage
from flowfuse.pages.api.body import answer, read_json
from flowfuse.pages.api.spec import items_of, spec
from flowfuse.pages.audit_trail import note
from flowfuse.pages.auth import AuthManager
from flowfuse.pages.backups import begin
from flowfuse.pages.guards import check_first_workspace, needs, workspace_of

Asked = Request[Any, Any, Any]


@get(
    "/api/v1/settings",
    guards=[needs("administer")],
    opt=spec("Settings", answer=items_of({"type": "object"})),
)
async def get_settings(request: Asked, preferences: NamedDependency[PreferenceStore]) -> Response[bytes]:
    """The workspace's settings, each with its group, meaning, default and value."""
    workspace = workspace_of(request)
    changed = await preferences.changed(workspace)
    return answer({"items": describe(await preferences.get(workspace), changed, workspace)})


@patch(
    "/api/v1/settings",
    guards=[needs("administer")],
    opt=spec(
        "Settings",
        body={"type": "object"},
        body_example={"history.keep_days": 14},
        answer=items_of({"type": "object"}),
    ),
)
async def change_settings(request: Asked, preferences: NamedDependency[PreferenceStore]) -> Response[bytes]:
    """Change settings by key, all of them or none; null brings a default back."""
    changes = await read_json(request, dict[str, Any])
    workspace = workspace_of(request)
    changed = await preferences.set(workspace, changes)
    note(request, "/settings", ", ".join(f"{key} = {value!r}" for key, value in changes.items()))
    return answer({"items": describe(changed, await preferences.changed(workspace), workspace)})


@get("/api/v1/storage", guards=[needs("administer")], opt=spec("Storage", answer=Usage))
async def get_storage(storage: NamedDependency[Storage]) -> Response[bytes]:
    """What takes the space, in bytes, measured now."""
    return answer(await storage.usage())


@get(
    "/api/v1/backups", guards=[needs("administer")], opt=spec("Storage", answer=items_of({"type": "object"}))
)
async def list_backups(request: Asked, backups: NamedDependency[Backups]) -> Response[bytes]:
    """The backups in the data folder, newest first."""
    check_first_workspace(request)
    found = await asyncio.to_thread(backups.list)
    return answer({"items": [_shown(backup) for backup in found]})


@post(
    "/api/v1/backups",
    guards=[needs("administer")],
    opt=spec("Storage", answer={"type": "object"}, status=201),
)
async def make_backup(request: Asked, backups: NamedDependency[Backups]) -> Response[bytes]:
    """Make a backup now; it is read whole before it counts."""
    check_first_workspace(request)
    return answer(_shown(await asyncio.to_thread(backups.make)), 201)


@post(
    "/api/v1/backups/{backup:str}/restore",
    guards=[needs("own")],
    status_code=202,
    opt=spec("Storage", status=202),
)
async def restore_backup(
    request: Asked,
    backup: FromPath[str],
    backups: NamedDependency[Backups],
    sessions: NamedDependency[Sessions],
    auth: NamedDependency[AuthManager],
) -> None:
    """Put a backup in the place of everything. The server drains and starts anew: `/ready` says when.

    What was there is kept beside it, in the data folder.
    """
    await begin(request, backup, backups, sessions, auth)


def _shown(backup: Backup) -> dict[str, Any]:
    return {"name": backup.path.name, "path": str(backup.path), "manifest": backup.manifest}
