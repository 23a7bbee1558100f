"""What a route of the API takes and gives, said beside it; the OpenAPI document is made of this.

`opt=spec(…)` on a handler; its docstring is the summary, its path and methods are the router's.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

SPEC = "spec"
WORKFLOW = {"$ref": "#/components/schemas/WorkflowDocument"}

QUERY_PAGE = {
    "limit": "How many at most.",
    "cursor": "Where the page before ended: its `cursor`.",
}


class Spec(Struct, frozen=True, kw_only=True):
    """A route's query parameters (with what they are for), body, answer, and an example of both."""

    tag: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: Any = None
    body_example: Any = None
    media: tuple[str, ...] = ("application/json",)
    answer: Any = None
    answer_example: Any = None
    status: int = 200
    answer_media: tuple[str, ...] = ("application/json",)


def spec(tag: str, *, public: bool = False, **fields: Any) -> dict[str, Any]:
    """The `opt` of a handler of the API."""
    return {SPEC: Spec(tag=tag, **fields), **({"public": True} if public else {})}


def items_of(kind: Any, *, cursor: bool = False) -> dict[str, Any]:
    """The schema of `{"items": [kind]}`, with the place where the page ended."""
    return {"items_of": kind, "cursor": cursor}
