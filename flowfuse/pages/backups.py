"""Backups on the settings' page: made now, and one put in the place of everything."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from flowfuse.data.backup import Asker, Backups, BringBack
from flowfuse.data.sessions import Sessions
from flowfuse.errors import Conflict
from flowfuse.pages.audit_trail import note
from flowfuse.pages.auth import AuthManager, secret_of
from flowfuse.pages.guards import check_first_workspace, identity_of, needs
from flowfuse.pages.notices import back
from flowfuse.pages.page import page

Asked = Request[Any, Any, Any]
HERE = "/settings/backups"
PANEL = "/settings/backup"


@post(HERE, guards=[needs("administer")], status_code=303)
async def back_up_now(request: Asked, backups: NamedDependency[Backups]) -> Redirect:
    """Make a backup now; it is read whole before it counts."""
    check_first_workspace(request)
    made = await asyncio.to_thread(backups.make)
    note(request, made.path.name)
    return back(request, PANEL, "backed_up")


@post(f"{HERE}/{{backup:str}}/restore", guards=[needs("own")], status_code=202)
async def bring_back(
    request: Asked,
    backup: FromPath[str],
    backups: NamedDependency[Backups],
    sessions: NamedDependency[Sessions],
    auth: NamedDependency[AuthManager],
) -> Response[str]:
    """Put a backup in the place of everything; the page waits until the server has started anew."""
    await begin(request, backup, backups, sessions, auth)
    return page(request, "restoring.html", backup=backup)


async def begin(request: Asked, name: str, backups: Backups, sessions: Sessions, auth: AuthManager) -> None:
    """Begin to bring a backup back. Raises NotFound, BackupInvalid, Conflict, and Denied elsewhere
    than in the first workspace.
    """
    check_first_workspace(request)
    if backups.start_anew is None:
        raise Conflict(reason="This server cannot start anew by itself: stop it and use `flowfuse restore`")
    path = await asyncio.to_thread(backups.verified, name)
    identity, secret = identity_of(request), secret_of(request)
    by = Asker(
        workspace=identity.workspace, actor=identity.user, actor_name=identity.name, via=identity.via,
        ip=auth.client_of(request).ip, session=await sessions.stored(secret) if secret else None,
    )  # fmt: skip
    backups.start_anew(BringBack(path, by))
    note(request, name)
