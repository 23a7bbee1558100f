"""Calls an address and gives its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypedDict
from urllib.parse import urlsplit

import msgspec

from flowfuse.data.files import FileStore, FileWriter
from flowfuse.errors import ExpressionFailed, NodeFailed
from flowfuse.integrations.answer import MAX_DECODED, Answer
from flowfuse.integrations.client import OWN_PATHS, APIClient, Call, check_proxy
from flowfuse.model import Value
from flowfuse.node import NodeType, Output, Params, RunContext, form
from flowfuse.nodes.actions.paging import Pager, Pagination


class HttpParams(Params, frozen=True):
    """The call, and which answers are good ones."""

    url: Annotated[str, form("Address", "Where to call. A host that comes from data must be public.")]
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"], form("Method", widget="choice")
    ] = "GET"
    query: Annotated[
        dict[str, Any], form("Query", "Parameters behind the address; lists repeat.", widget="key_value")
    ] = {}  # noqa: RUF012
    headers: Annotated[dict[str, Any], form("Headers", widget="key_value")] = {}  # noqa: RUF012
    body: Annotated[
        Any, form("Body", "An object or a list is sent as JSON, a file as it is.", widget="json")
    ] = None
    body_type: Annotated[
        Literal["auto", "json", "form", "multipart", "text", "file", "none"],
        form(
            "Body as",
            "By itself: objects and lists as JSON, texts and files as they are. `form` and `multipart` send "
            "an object's fields; in `multipart`, files among them.",
            widget="choice",
            kind="plain",
        ),
    ] = "auto"
    response: Annotated[
        Literal["auto", "json", "text", "file"],
        form(
            "Answer as",
            "By itself: what its content type says; what is no text becomes a file.",
            widget="choice",
            kind="plain",
        ),
    ] = "auto"
    accept_status: Annotated[
        list[int | str],
        form(
            "Accept",
            "Statuses over 399 that are no error, such as 404 or “4xx”.",
            widget="list",
            kind="plain",
        ),
    ] = []  # noqa: RUF012
    pagination: Annotated[
        Pagination | None,
        form("Pages", "Reads page after page; the body is then the list of all items.", widget="json"),
    ] = None
    next_page: Annotated[
        Any,
        form(
            "Next page by expression",
            "Sees `page`: `status`, `headers`, `body`, `number`, `count` (of items). Gives an address, "
            "or an object of `url`, `query`, `body` to change; null ends.",
            widget="expression",
            kind="lazy",
        ),
    ] = None
    max_bytes: Annotated[
        int,
        form(
            "Largest answer",
            "Bytes after decompression. 0: 32 MB for a value, 10 GB for a file.",
            widget="number",
            ge=0,
        ),
    ] = 0
    proxy: Annotated[
        str,
        form(
            "Proxy",
            "Such as http://proxy.example.org:3128; empty: that of the settings; `none`: straight.",
            kind="plain",
        ),
    ] = ""


class HttpValue(TypedDict):
    """The answer. With pagination: of the last page, with all items as the body."""

    status: int
    headers: dict[str, str]
    body: Any
    pages: NotRequired[int]
    more: NotRequired[bool]


class HttpRequest(NodeType):
    type = "action.http_request"
    title = "HTTP request"
    summary = "Calls an address and gives status, headers and body of the answer."
    icon = "globe"
    effects = True
    takes_credential = True
    remote = True
    default_timeout = 30.0
    lazy_names: ClassVar = {"next_page": ("page",)}
    output: ClassVar[Any] = HttpValue
    params = HttpParams
    example: ClassVar = {
        "id": "fetch",
        "type": "action.http_request",
        "config": {
            "url": "https://api.example.org/orders",
            "query": {"since": "{{ trigger.body.since }}"},
            "pagination": {"mode": "cursor", "items": "data", "next": "meta.next"},
        },
    }

    def __init__(self, api: APIClient, files: FileStore) -> None:
        self._api, self._files = api, files

    def connector_of(self, params: HttpParams) -> str:
        try:
            parts = urlsplit(params.url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return ""  # what is no address is told of by the call, and is no service's failure
        return f"{host}:{port}" if port else host

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        url = config.get("url", "")
        if "{{" not in url and not url.lower().startswith(("http://", "https://", *OWN_PATHS)):
            yield "url", f"“{url}” does not begin with http:// or https://"
        for index, status in enumerate(config.get("accept_status", [])):
            if not _is_status(status):
                yield f"accept_status[{index}]", f"{status!r} is no status such as 404 or “4xx”"
        proxy = config.get("proxy", "")
        wrong = check_proxy(proxy)
        if wrong is None and "@" in proxy:
            wrong = "a password has no place in a document; set network.proxy in the settings"
        if wrong is not None:
            yield "proxy", wrong
        yield from _check_pages(config)

    async def run(self, params: Any, context: RunContext) -> Output:
        call = Call(
            method=params.method,
            url=params.url,
            query=_texts("query", params.query, lists=True),
            headers=_texts("headers", params.headers, lists=False),
            body=params.body,
            body_type=params.body_type,
            response="json" if params.pagination is not None else params.response,
            accept=lambda status: _accepted(status, params.accept_status),
            idempotency_key=context.idempotency_key(),
            literal_host=context.literal_host,
            operator=context.operator,
            credential=await context.credential(),
            max_bytes=params.max_bytes,
            proxy=params.proxy,
            workspace=context.workspace,
        )
        if params.pagination is not None:
            return await self._pages(params, call, context)
        answer = await self._api.send(call)
        return Output("main", {"status": answer.status, "headers": answer.headers, "body": answer.body})

    async def _pages(self, params: HttpParams, call: Call, context: RunContext) -> Output:
        """Read page after page. Each call has an Idempotency-Key of its own, the same in every attempt."""
        assert params.pagination is not None
        given = params.pagination
        pager = Pager(given, call)
        following: Call | None = pager.first()
        async with AsyncExitStack() as stack:
            items = await self._collection(given, params.max_bytes, context, stack)
            answer = Answer(0, {}, None)
            while following is not None and pager.number < given.max_pages:
                key = context.idempotency_key(pager.number)
                answer = await self._api.send(msgspec.structs.replace(following, idempotency_key=key))
                found = pager.items(answer)
                await items.add(found, answer.size)
                said = await self._said(given, context, answer, pager.number, len(found))
                following = pager.following(answer, len(found), said)
            body = await items.end()
        value = {
            "status": answer.status, "headers": answer.headers, "body": body,
            "pages": pager.number, "more": following is not None,
        }  # fmt: skip
        return Output("main", value)

    async def _collection(
        self, given: Pagination, limit: int, context: RunContext, stack: AsyncExitStack
    ) -> Items | Lines:
        if given.into == "list":
            return Items(limit or MAX_DECODED)
        return Lines(await stack.enter_async_context(self._files.writing(context.workspace)))

    async def _said(
        self, given: Pagination, context: RunContext, answer: Answer, number: int, count: int
    ) -> Value:
        if given.mode != "expression":
            return None
        page: dict[str, Value] = {
            "status": answer.status, "headers": dict(answer.headers), "body": answer.body,
            "number": number, "count": count,
        }  # fmt: skip
        return await context.evaluate("next_page", page=page)


class Items:
    """The items of all pages as a list, within a bound."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._items: list[Any] = []

    async def add(self, items: list[Any], size: int) -> None:
        """Take a page's items. Raises NodeFailed over the bound."""
        self._size += size
        if self._size > self._limit:
            raise NodeFailed(
                reason=f"The pages together are larger than {self._limit / 1_000_000:g} MB",
                hint="Raise max_bytes, or collect them into a file (pagination.into: file).",
            )
        self._items += items

    async def end(self) -> Value:
        """The list."""
        return self._items


class Lines:
    """The items of all pages in a file, one JSON value a line, written as they come."""

    def __init__(self, writer: FileWriter) -> None:
        self._writer = writer

    async def add(self, items: list[Any], size: int) -> None:
        """Write a page's items. Raises FileNotKept."""
        await self._writer.write(b"".join(msgspec.json.encode(each) + b"\n" for each in items))

    async def end(self) -> Value:
        """The file's value."""
        return (await self._writer.finish("items.jsonl", "application/x-ndjson")).value()


def _check_pages(config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    given = config.get("pagination")
    by_expression = isinstance(given, dict) and given.get("mode") == "expression"
    if by_expression and "next_page" not in config:
        yield "next_page", "With the mode “expression”, this says what the next page is"
    if "next_page" in config and not by_expression:
        yield "next_page", "This needs pagination with the mode “expression”"
    if isinstance(given, dict) and given.get("mode") == "cursor" and not given.get("next"):
        yield "pagination.next", "Name the place of the next cursor in a page, such as “meta.next”"
    if isinstance(given, dict) and config.get("response") in ("text", "file"):
        yield "response", "Pages are read as JSON"


def _is_status(value: int | str) -> bool:
    text = str(value)
    return len(text) == 3 and text[0] in "12345" and (text[1:] == "xx" or text[1:].isdigit())


def _accepted(status: int, accept: list[int | str]) -> bool:
    return any(str(given) in (str(status), f"{status // 100}xx") for given in accept)


def _texts(field: str, values: Mapping[str, Any], *, lists: bool) -> list[tuple[str, str]]:
    """Name and text pairs; null leaves a name out, a list repeats it."""
    pairs = []
    for name, value in values.items():
        for each in value if lists and isinstance(value, list) else [value]:
            if each is None:
                continue
            if isinstance(each, dict | list):
                raise ExpressionFailed(reason=f"{field}.{name}: expected a text or a number")
            pairs.append((name, str(each).lower() if isinstance(each, bool) else str(each)))
    return pairs
