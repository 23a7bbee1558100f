"""Reading request bodies and headers: one way, with errors that name the field."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response

from flowfuse.errors import ConditionMissing, RequestInvalid
from flowfuse.pages.addresses import whole_number

T = TypeVar("T")


async def read_json(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The request's JSON body as that struct; an empty body counts as `{}`. Raises RequestInvalid."""
    raw = await request.body()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except RecursionError:
        raise RequestInvalid(field="body", reason="it is nested too deeply") from None
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        raise RequestInvalid(field=where.strip("`").removeprefix("$.") or "body", reason=reason) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestInvalid(field="body", reason=f"this is not JSON: {error}") from None


def number(request: Request[Any, Any, Any], name: str, default: int, least: int, most: int) -> int:
    """A whole number from the query. Raises RequestInvalid."""
    text = request.query_params.get(name)
    if text is None:
        return default
    found = whole_number(text)
    if found is None or not least <= found <= most:
        raise RequestInvalid(field=name, reason=f"“{text[:40]}” is not a number from {least} to {most}")
    return found


def if_match(request: Request[Any, Any, Any]) -> int:
    """The draft's sequence number that `If-Match` names. Raises ConditionMissing, RequestInvalid."""
    text = request.headers.get("if-match")
    if text is None:
        raise ConditionMissing()
    found = whole_number(text.strip().removeprefix("W/").strip('"'))
    if found is None:
        raise RequestInvalid(field="If-Match", reason=f"“{text[:40]}” is no ETag of a draft")
    return found


async def to_edit(value: Any) -> Response[bytes]:
    """A whole value as indented JSON, for a field in which it is edited."""
    text = await asyncio.to_thread(msgspec.json.format, msgspec.json.encode(value), indent=2)
    return Response(text, media_type="application/json")


def answer(value: Any, status: int = 200, **headers: str) -> Response[bytes]:
    """A JSON answer."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(
        msgspec.json.encode(value), status_code=status, media_type="application/json", headers=named
    )
