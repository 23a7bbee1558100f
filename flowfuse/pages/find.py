"""/find: what “Find or do” (⌘K) offers on the pages – pages, acts, workflows, and runs by their number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from flowfuse.data.workflows import WorkflowRepository
from flowfuse.pages.api.body import answer
from flowfuse.pages.guards import identity_of, signed_in
from flowfuse.pages.language import say
from flowfuse.pages.page import language_of

PAGES = (
    ("Home", "/", "read"),
    ("Workflows", "/workflows", "read"),
    ("Runs", "/runs", "read"),
    ("Failed runs", "/runs?state=failed", "read"),
    ("Inbox", "/inbox", "read"),
    ("Schedules", "/schedules", "read"),
    ("Webhooks", "/webhooks", "read"),
    ("Connections", "/connections", "read"),
    ("New connection", "/connections/new", "connect"),
    ("Templates", "/templates", "read"),
    ("Trash", "/workflows/trash", "read"),
    ("Audit", "/audit", "administer"),
    ("Settings", "/settings", "read"),
    ("Your account", "/settings/account", "self"),
    ("Members", "/settings/members", "administer"),
    ("API keys", "/settings/keys", "self"),
    ("Retention", "/settings/history", "administer"),
    ("Backups", "/settings/backup", "administer"),
    ("Help", "/help", "read"),
    ("API", "/docs/api", "read"),
)
MOST = 12
_RUN = re.compile(r"(?:(.+?)\s*)?#?(\d{1,12})$")


@get("/find", guards=[signed_in])
async def find(
    request: Request[Any, Any, Any], workflows: NamedDependency[WorkflowRepository]
) -> Response[bytes]:
    """What fits the words of `q`, the best first: `{words, hint, address}`."""
    identity, language = identity_of(request), language_of(request)
    wanted = request.query_params.get("q", "").strip()[:100].lower()
    items: list[dict[str, str]] = []
    summaries = await workflows.list(identity.workspace)
    for summary in summaries:
        if _fits(wanted, f"{summary.name} {summary.id} {summary.folder} {' '.join(summary.tags)}"):
            address = f"/workflows/{summary.id}"
            items.append({"words": summary.name, "hint": say(language, "workflow"), "address": address})
    pages = [
        {"words": say(language, words), "hint": say(language, "page"), "address": address}
        for words, address, permission in PAGES
        if identity.may(permission) and _fits(wanted, f"{words} {say(language, words)}")
    ]
    runs = list(_runs(wanted, summaries, language))
    found = [*runs, *pages, *items] if not wanted else [*runs, *items[:6], *pages, *items[6:]]
    return answer({"items": found[:MOST]})


def _fits(wanted: str, text: str) -> bool:
    return all(word in text.lower() for word in wanted.split())


def _runs(wanted: str, summaries: Any, language: str) -> Iterator[dict[str, str]]:
    """`orders 12` or `#12`: runs with that number."""
    found = _RUN.fullmatch(wanted)
    if found is None:
        return
    words, number = (found[1] or "").strip("# "), int(found[2])
    for summary in summaries:
        if number <= summary.last_number and _fits(words, f"{summary.name} {summary.id}"):
            address = f"/workflows/{summary.id}/runs/{number}"
            yield {"words": f"{summary.name} #{number}", "hint": say(language, "run"), "address": address}
