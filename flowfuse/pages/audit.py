"""/audit: who did what, and whether the log is whole."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.di import NamedDependency

from flowfuse.data.audit import PAGE, AuditLog, Entry
from flowfuse.pages.addresses import local_path, whole_number
from flowfuse.pages.api.body import answer
from flowfuse.pages.api.spec import items_of, spec
from flowfuse.pages.audit_trail import ACTIONS
from flowfuse.pages.guards import needs, workspace_of
from flowfuse.pages.page import page

Asked = Request[Any, Any, Any]


@get("/audit", guards=[needs("administer")])
async def audit_page(request: Asked, audit: NamedDependency[AuditLog]) -> Response[str]:
    """The entries of the workspace, newest first."""
    query = request.query_params
    text, action = query.get("q", "")[:200], query.get("action", "")
    before = query.get("before", "")
    entries = await audit.list(
        workspace_of(request),
        text=text,
        action=action,
        before=whole_number(before),
    )
    older = None
    if len(entries) >= PAGE:
        older = f"/audit?{urlencode({'q': text, 'action': action, 'before': entries[-1].seq})}"
    count, broken = await audit.check() if "check" in query else (0, None)
    return page(
        request, "audit.html", entries=entries, actions=ACTIONS, q=text, action=action, older=older,
        checked="check" in query, count=count, broken=broken, local_path=local_path,
    )  # fmt: skip


@get(
    "/api/v1/audit",
    guards=[needs("administer")],
    opt=spec(
        "Audit",
        query={
            "q": "Only entries with these words.",
            "action": "Only of this action.",
            "before": "The number of the last entry of the page before.",
        },
        answer=items_of(Entry),
    ),
)
async def list_audit(request: Asked, audit: NamedDependency[AuditLog]) -> Response[bytes]:
    """Who did what, newest first."""
    query = request.query_params
    before = query.get("before", "")
    entries = await audit.list(
        workspace_of(request),
        text=query.get("q", "")[:200],
        action=query.get("action", ""),
        before=whole_number(before),
    )
    return answer({"items": entries})
