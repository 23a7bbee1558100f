"""AuditTrail: each change that a request made becomes an entry of the audit log, before it is answered.

What a route does is said here by the name of its handler; a test looks that every route that changes
something is named. Edits of a draft come by the keystroke: who edits a workflow is noted once a while.
"""

from __future__ import annotations

import logging
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection

from flowfuse.data.audit import AuditLog
from flowfuse.errors import FlowFuseError
from flowfuse.pages.guards import SAFE
from flowfuse.pages.identity import Identity

log = logging.getLogger("flowfuse.audit")

ACTIONS: dict[str, str] = {
    "sign_in": "signed in",
    "sign_in_failed": "tried to sign in, and failed",
    "finish_single_sign_on": "signed in by single sign-on",
    "use_link": "signed in by a link",
    "accept_invitation": "accepted an invitation",
    "set_up": "became the owner",
    "sign_out": "signed out",
    "create_workflow": "made a workflow",
    "new_workflow": "made a workflow",
    "put_workflow": "replaced the draft of",
    "operate": "edited",
    "delete_workflow": "put in the trash",
    "publish": "published",
    "unpublish": "unpublished",
    "keep_version": "kept a version of",
    "name_draft": "named a version of",
    "name_version": "renamed a version of",
    "restore_version": "restored a version of",
    "import_all": "imported workflows",
    "change_workflows": "changed several workflows",
    "publish_again": "published again",
    "restore_connection": "brought back the connection",
    "restore_workflows": "restored from the trash",
    "destroy_workflow": "deleted for good",
    "pause_in_list": "changed the schedule of",
    "save_connection": "saved the connection",
    "forget_connection": "deleted the connection",
    "try_connection": "tried the connection",
    "replay_call": "replayed a call of",
    "send_test_call": "sent a test call to",
    "change_setting": "changed a setting in",
    "back_up_now": "made a backup",
    "bring_back": "brought back the backup",
    "change_profile": "changed their profile",
    "change_password": "changed their password",
    "change_second_factor": "changed their second factor",
    "end_session_in_list": "ended a session",
    "switch_workspace": "went to another workspace",
    "make_key": "made the API key",
    "end_key_in_list": "ended an API key",
    "invite_in_list": "invited",
    "change_member": "changed the member",
    "change_workspaces": "changed the workspaces",
    "use_template": "made a workflow of a template",
    "run_first": "ran",
    "begin_tour": "made a workflow of a template",
    "try_service": "had a call tried through the breaker",
    "take_back_runs": "took back the discarding of several runs",
    "change_runs": "acted on several runs",
    "decide_in_inbox": "decided on",
    "run_workflow": "ran",
    "run_document": "ran a document",
    "run_part_of": "ran a part of",
    "run_code": "tried code",
    "try_code": "tried code of",
    "restart": "restarted",
    "retry": "retried",
    "requeue": "queued again",
    "discard": "discarded",
    "try_breaker": "had a call tried through the breaker",
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
    "answer": "answered",
    "decide": "decided on",
    "upload_file": "uploaded a file",
    "pause_schedule": "paused the schedule of",
    "resume_schedule": "resumed the schedule of",
    "create_credential": "made the connection",
    "replace_credential": "changed the connection",
    "delete_credential": "deleted the connection",
    "change_settings": "changed settings",
    "make_backup": "made a backup",
    "restore_backup": "brought back the backup",
    "make_link": "made a sign-in link",
    "invite_member": "invited",
    "change_role": "changed the role of",
    "remove_member": "removed the member",
    "create_workspace": "made the workspace",
    "end_session": "ended a session",
    "create_key": "made the API key",
    "end_key": "ended the API key",
    "issue_tokens": "asked for access tokens",
    "revoke_tokens": "revoked access tokens",
}
"""What was done, by the handler's name: the sentence goes on with the thing it was done to."""

UNNOTED = frozenset({
    "validate_document", "validate_workflow", "preview_field", "read_document", "check_code",
    "preview_schedule", "refresh_tokens", "keep_view", "end_tour",
})  # fmt: skip
"""Routes that change nothing though they are posted to, or nothing that anybody asks for later."""

SELDOM_US = 10 * 60 * 1_000_000
_SELDOM = frozenset({"operate"})
_KEPT = 10_000
_ADDRESSES = (
    ("execution", "/runs/{}"),
    ("workflow", "/workflows/{}"),
    ("credential", "/connections/{}"),
)


def note(request: Request[Any, Any, Any], subject: str = "", detail: str = "") -> None:
    """Say what a request has changed, where its address does not. Never a secret."""
    request.scope["state"]["audit"] = (subject, detail)


class AuditTrail:
    """Called by the framework before an answer leaves."""

    def __init__(self, audit: AuditLog, auth: Any, now_us: Any) -> None:
        self._audit, self._auth, self._now_us = audit, auth, now_us
        self._last: dict[tuple[str, str, str], int] = {}

    async def before_send(self, message: Any, scope: Any) -> None:
        """An answer begins: note what was done, where something was."""
        if message["type"] != "http.response.start" or message["status"] >= 400:
            return
        handler = scope.get("route_handler")
        name = getattr(getattr(handler, "fn", None), "__name__", "")
        told = scope["state"].get("audit")
        if name not in ACTIONS or (scope["method"] in SAFE and told is None):
            return
        identity: Identity | None = scope["state"].get("identity")
        if identity is None:
            return
        subject, detail = told or (_subject(scope), "")
        if self._is_seldom(identity, name, subject):
            return
        await self._add(identity, name, subject, detail, self._auth.client_of(ASGIConnection(scope)).ip)

    async def signed_in(self, action: str, user: str, name: str, workspace: str, ip: str) -> None:
        """Somebody came in, or tried to: there is no identity yet."""
        identity = Identity(
            workspace=workspace, user=user, name=name, role="", permissions=frozenset(), via="session"
        )
        await self._add(identity, action, "", "", ip)

    async def _add(self, identity: Identity, action: str, subject: str, detail: str, ip: str) -> None:
        try:
            await self._audit.add(
                identity.workspace,
                action,
                subject,
                detail,
                actor=identity.user,
                actor_name=identity.name,
                via=identity.via,
                ip=ip,
            )
        except FlowFuseError as error:
            # It is done, and whoever asked has to hear so; the disk is what has to be looked at.
            log.error("“%s %s %s” could not be noted: %s", identity.name, action, subject, error)

    def _is_seldom(self, identity: Identity, action: str, subject: str) -> bool:
        """Whether the same was noted a moment ago, of what comes by the keystroke."""
        if action not in _SELDOM:
            return False
        key, now = (identity.user, action, subject), self._now_us()
        if now - self._last.get(key, 0) < SELDOM_US:
            return True
        if len(self._last) >= _KEPT:
            self._last.clear()
        self._last[key] = now
        return False


def _subject(scope: Any) -> str:
    parameters = scope.get("path_params", {})
    for name, address in _ADDRESSES:
        if name in parameters:
            return address.format(parameters[name])
    return ""
