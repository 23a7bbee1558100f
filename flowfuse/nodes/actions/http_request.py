"""Calls an address and gives its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from flowfuse.errors import ExpressionFailed
from flowfuse.integrations.client import APIClient, Call
from flowfuse.node import NodeType, Output, Params, RunContext, form


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
    body: Annotated[Any, form("Body", "An object or a list is sent as JSON.", widget="json")] = None
    body_type: Annotated[
        Literal["auto", "json", "form", "text", "none"],
        form(
            "Body as",
            "By itself: objects and lists as JSON, texts as they are.",
            widget="choice",
            kind="plain",
        ),
    ] = "auto"
    response: Annotated[
        Literal["auto", "json", "text"],
        form("Answer as", "By itself: what its content type says.", widget="choice", kind="plain"),
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


class HttpValue(TypedDict):
    """The answer."""

    status: int
    headers: dict[str, str]
    body: Any


class HttpRequest(NodeType):
    type = "action.http_request"
    title = "HTTP request"
    summary = "Calls an address and gives status, headers and body of the answer."
    icon = "globe"
    effects = True
    takes_credential = True
    default_timeout = 30.0
    output: ClassVar[Any] = HttpValue
    params = HttpParams
    example: ClassVar = {
        "id": "fetch",
        "type": "action.http_request",
        "config": {
            "method": "POST",
            "url": "https://example.org/orders",
            "body": {"id": "{{ trigger.body.id }}"},
        },
    }

    def __init__(self, api: APIClient) -> None:
        self._api = api

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        url = config.get("url", "")
        if "{{" not in url and not url.lower().startswith(("http://", "https://")):
            yield "url", f"“{url}” does not begin with http:// or https://"
        for index, status in enumerate(config.get("accept_status", [])):
            if not _is_status(status):
                yield f"accept_status[{index}]", f"{status!r} is no status such as 404 or “4xx”"

    async def run(self, params: Any, context: RunContext) -> Output:
        answer = await self._api.send(
            Call(
                method=params.method,
                url=params.url,
                query=_texts("query", params.query, lists=True),
                headers=_texts("headers", params.headers, lists=False),
                body=params.body,
                body_type=params.body_type,
                response=params.response,
                accept=lambda status: _accepted(status, params.accept_status),
                idempotency_key=context.idempotency_key(),
                literal_host=context.literal_host,
                operator=context.operator,
                credential=await context.credential(),
            )
        )
        return Output("main", {"status": answer.status, "headers": answer.headers, "body": answer.body})


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
