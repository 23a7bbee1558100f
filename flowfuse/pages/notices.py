"""Notices: what an act has done, said once on the page that one is sent back to.

They travel in the address, as the name of a sentence and its parts, so that nobody can put words of
their own on a page by a link. What was refused is kept here, and its number travels.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.pages.addresses import whole_number
from flowfuse.pages.language import say_count

MOST_KEPT = 500
LONGEST_IDS = 1500
KEPT = "@"
"""Begins the key of ids that are kept here."""
_OWN = ("done", "n", "ids", "refused")
SENTENCES: dict[str, tuple[str, str]] = {
    "published": ("{n} workflow published.", "{n} workflows published."),
    "unpublished": ("{n} workflow unpublished.", "{n} workflows unpublished."),
    "tagged": ("{n} workflow tagged.", "{n} workflows tagged."),
    "moved": ("{n} workflow moved.", "{n} workflows moved."),
    "trashed": ("{n} workflow put in the trash.", "{n} workflows put in the trash."),
    "restored": ("{n} workflow restored, not published.", "{n} workflows restored, not published."),
    "undone": ("{n} workflow is there again as it was.", "{n} workflows are there again as they were."),
    "connection_deleted": ("Connection deleted.", "Connection deleted."),
    "connection_restored": ("The connection is there again.", "The connection is there again."),
    "destroyed": ("{n} workflow deleted for good.", "{n} workflows deleted for good."),
    "retried": ("{n} run queued again.", "{n} runs queued again."),
    "discarded": ("{n} run discarded.", "{n} runs discarded."),
    "taken_back": ("{n} run is open again.", "{n} runs are open again."),
    "cancelled": ("{n} run cancelled.", "{n} runs cancelled."),
    "saved": ("Saved.", "Saved."),
    "deleted": ("Deleted.", "Deleted."),
    "decided": ("Decided. The run goes on.", "Decided. The run goes on."),
    "ended": ("{n} session ended.", "{n} sessions ended."),
    "backed_up": ("A backup was made.", "A backup was made."),
    "sent": ("The call was sent.", "The call was sent."),
}  # fmt: skip


class Notice(Struct, frozen=True):
    """A sentence, what can be undone by which ids, and what did not work."""

    text: str
    done: str
    ids: list[str]
    refused: str


def back(
    request: Request[Any, Any, Any],
    address: str,
    done: str,
    *,
    count: int = 1,
    ids: str = "",
    refused: str = "",
) -> Redirect:
    """Send the reader to a page with a notice."""
    key = _keep(request, refused) if refused else ""
    if len(ids) > LONGEST_IDS:
        ids = KEPT + _keep(request, ids)
    parts = urlsplit(address)
    kept = [(key, value) for key, value in parse_qsl(parts.query) if key not in _OWN]
    told = [("done", done), ("n", str(count)), ("ids", ids), ("refused", key)]
    query = urlencode([*kept, *((key, value) for key, value in told if value)])
    return Redirect(f"{parts.path}?{query}", status_code=303)


def _keep(request: Request[Any, Any, Any], text: str) -> str:
    """Keep what is too long for an address, or not for one; the key that travels instead."""
    kept: dict[str, str] = request.app.state.kept_texts
    if len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    key = secrets.token_urlsafe(9)
    kept[key] = text
    return key


def notice_of(request: Request[Any, Any, Any], language: str) -> Notice | None:
    """The notice that a page's address asks for."""
    query = request.query_params
    forms = SENTENCES.get(query.get("done", ""))
    if forms is None:
        return None
    named = whole_number(query.get("n", "1"))
    count = named if named is not None else 1
    named_ids = query.get("ids", "")
    if named_ids.startswith(KEPT):
        named_ids = request.app.state.kept_texts.get(named_ids.removeprefix(KEPT), "")
    ids = [each for each in named_ids.split(",") if each]
    text = "" if count == 0 else say_count(language, *forms, count)
    return Notice(text, query["done"], ids, request.app.state.kept_texts.get(query.get("refused", ""), ""))
