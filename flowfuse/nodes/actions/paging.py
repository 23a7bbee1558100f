"""Pagination of HTTP requests: from one page's answer to the call of the next, and the items of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from flowfuse.errors import ExpressionFailed, NodeFailed
from flowfuse.integrations.answer import Answer
from flowfuse.integrations.client import Call, join_url
from flowfuse.model import Value
from flowfuse.node import Params, form
from flowfuse.nodes.key_path import MISSING, look, split

MAX_PAGES = 10_000


class Pagination(Params, frozen=True):
    """How the next page is asked for, and where the items of a page are."""

    mode: Annotated[
        Literal["next_url", "cursor", "page", "offset", "expression"],
        form(
            "Next page",
            "`next_url`: the page names the next one's address. `cursor`: it gives a text to send along. "
            "`page` and `offset`: pages, or items, are counted. `expression`: `next_page` says.",
            widget="choice",
        ),
    ]
    items: Annotated[
        str, form("Items", "Key path of the list in a page, such as `data.items`; empty: the page itself.")
    ] = ""
    next: Annotated[
        str,
        form(
            "Next",
            "Key path of the next address or cursor in a page. Empty with `next_url`: the header Link.",
        ),
    ] = ""
    parameter: Annotated[
        str, form("Parameter", "Carries the cursor, page or offset; empty: named like the mode.")
    ] = ""
    place: Annotated[
        Literal["query", "body"],
        form("Sent in", "Whether the parameter stands in the query or in the body.", widget="choice"),
    ] = "query"
    start: Annotated[
        int | None, form("Begin at", "Page 1 or offset 0, where nothing is said.", widget="number")
    ] = None
    size: Annotated[
        int,
        form(
            "Page size",
            "Items of a full page; a page with fewer is the last. Without it, an empty page ends.",
            widget="number",
            ge=0,
        ),
    ] = 0
    size_parameter: Annotated[
        str, form("Size parameter", "Carries the page size, where the peer wants to be told.")
    ] = ""
    into: Annotated[
        Literal["list", "file"],
        form(
            "Collect into",
            "`list`: the body is the list of all items. `file`: they are written to a file as they come, one "
            "JSON value a line, however many.",
            widget="choice",
        ),
    ] = "list"
    max_pages: Annotated[
        int,
        form(
            "At most",
            "Pages; `more` in the output says whether there were more.",
            widget="number",
            ge=1,
            le=MAX_PAGES,
        ),
    ] = 100


class Pager:
    """Makes the calls of the pages, one from the answer before it."""

    def __init__(self, given: Pagination, first: Call) -> None:
        self._given = given
        self._first = first
        self._items, self._next = split(given.items), split(given.next)
        self._parameter = given.parameter or given.mode
        start = given.start if given.start is not None else int(given.mode == "page")
        self._at = start
        self._seen: set[Any] = set()
        self.number = 0

    def first(self) -> Call:
        """The call of the first page."""
        call = self._first
        if self._given.mode in ("page", "offset"):
            call = self._with(call, {self._parameter: self._at})
        if self._given.size_parameter and self._given.size:
            call = self._with(call, {self._given.size_parameter: self._given.size})
        self._first = call
        return call

    def items(self, answer: Answer) -> list[Any]:
        """The items of a page. Raises NodeFailed where there is no list."""
        found = look(answer.body, self._items)
        if isinstance(found, list):
            return found
        if found is None or (found is MISSING and answer.body in (None, "")):
            return []
        where = f"pagination.items: the page has no list at “{self._given.items}”"
        raise NodeFailed(reason=where if self._items else "pagination.items: the page is not a list")

    def following(self, answer: Answer, count: int, said: Value) -> Call | None:
        """The call of the next page; None after the last. `said` is what `next_page` gives.

        Raises NodeFailed where a page leads back to one that was read.
        """
        self.number += 1
        mode, given = self._given.mode, self._given
        if mode in ("page", "offset"):
            if not count or (given.size and count < given.size):
                return None
            self._at += 1 if mode == "page" else count
            return self._with(self._first, {self._parameter: self._at})
        following = said
        if mode == "next_url":
            following = look(answer.body, self._next) if self._next else answer.link
        elif mode == "cursor":
            following = look(answer.body, self._next)
        if following is MISSING or following in (None, "", False, {}):
            return None
        self._remember(following)
        if mode == "cursor":
            return self._with(self._first, {self._parameter: following})
        if isinstance(following, dict):
            return self._changed(following)
        if not isinstance(following, str):
            raise ExpressionFailed(reason="pagination: the next page is named by an address, or an object")
        return self._to(following, answer)

    def _remember(self, following: Any) -> None:
        mark = msgspec.json.encode(following)
        if mark in self._seen:
            raise NodeFailed(reason=f"pagination: page {self.number} leads back to one that was read before")
        self._seen.add(mark)

    def _to(self, address: str, answer: Answer) -> Call:
        """The page at an address, which may be relative. Another host than the first one is data."""
        url, host = join_url(answer.url, address)
        same = host == join_url(self._first.url, "")[1]
        literal, headers = self._first.literal_host and same, self._first.headers
        if not same:
            headers = [pair for pair in headers if pair[0].lower() not in ("authorization", "cookie")]
        return msgspec.structs.replace(self._first, url=url, query=[], literal_host=literal, headers=headers)

    def _changed(self, change: Mapping[str, Any]) -> Call:
        """The first call with another `url`, and fields of `query` and `body` set anew."""
        unknown = set(change) - {"url", "query", "body"}
        if unknown:
            raise ExpressionFailed(reason=f"next_page: “{min(unknown)}” is none of url, query, body")
        call = self._first
        if "url" in change:
            call = self._to(str(change["url"]), Answer(0, {}, None, url=call.url))
            call = msgspec.structs.replace(call, query=self._first.query)
        for place in ("query", "body"):
            if isinstance(change.get(place), dict):
                call = self._with(call, change[place], place)
            elif place in change and place == "body":
                call = msgspec.structs.replace(call, body=change["body"])
        return call

    def _with(self, call: Call, values: Mapping[str, Any], place: str = "") -> Call:
        """The call with parameters set in the query or the body."""
        if (place or self._given.place) == "body":
            body = call.body if isinstance(call.body, dict) else {}
            return msgspec.structs.replace(call, body={**body, **values})
        kept = [(name, text) for name, text in call.query if name not in values]
        added = [(name, _text(value)) for name, value in values.items() if value is not None]
        return msgspec.structs.replace(call, query=kept + added)


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise ExpressionFailed(reason="pagination: a parameter is a text or a number")
    return str(value).lower() if isinstance(value, bool) else str(value)
