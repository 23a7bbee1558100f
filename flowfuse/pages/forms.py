"""Forms that a browser sends: read like JSON bodies, with errors that name the field."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from litestar import Request

from flowfuse.errors import RequestInvalid
from flowfuse.pages.api.body import read_json

T = TypeVar("T")
FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The request's form, or JSON body, as that struct. A field of a list takes all values of its name.

    Raises RequestInvalid.
    """
    if not request.headers.get("content-type", "").startswith(FORM):
        return await read_json(request, kind)
    try:
        sent = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=2000)
    except (UnicodeDecodeError, ValueError):
        raise RequestInvalid(field="body", reason="this is no form") from None
    plain: dict[str, Any] = {}
    fields: Any = kind
    for field in msgspec.structs.fields(fields):
        values = sent.get(field.encode_name)
        if values is not None:
            plain[field.encode_name] = values if _is_list(field.type) else values[-1]
    try:
        return msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        raise RequestInvalid(field=where.strip("`").removeprefix("$.") or "form", reason=reason) from None


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", kind) is list
