"""Lets through only the items that no run has seen before."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from flowfuse.data.seen import SeenItems
from flowfuse.errors import ExpressionFailed
from flowfuse.node import NodeType, Output, Params, RunContext, form
from flowfuse.nodes.key_path import MISSING, look, split


class OnlyNewParams(Params, frozen=True):
    """The items, and by what they are told apart."""

    items: Annotated[list[Any], form("Items", "A list, such as “{{ input.body }}”.", widget="expression")]
    key: Annotated[
        str,
        form(
            "Told apart by",
            "The path of a key of each item, such as “id”. Empty: the whole item.",
            kind="plain",
        ),
    ] = ""
    keep: Annotated[
        int, form("Remember", "How many keys, the newest.", widget="number", kind="plain", ge=1, le=1_000_000)
    ] = 10_000


class OnlyNew(NodeType):
    type = "transform.only_new"
    title = "Only what is new"
    summary = "Gives the items that no run before has seen here."
    icon = "filter"
    effects = True
    params = OnlyNewParams
    output: ClassVar[Any] = list[Any]
    example: ClassVar = {
        "id": "fresh",
        "type": "transform.only_new",
        "config": {"items": "{{ nodes.poll.body }}", "key": "id"},
    }

    def __init__(self, seen: SeenItems) -> None:
        self._seen = seen

    async def run(self, params: Any, context: RunContext) -> Output:
        keys = [_key(item, params.key) for item in params.items]
        if context.mode == "test":
            # A run of a draft shows what there is, and uses nothing up.
            return Output("main", params.items)
        new = await self._seen.new_of(
            context.workspace, context.workflow, context.node, keys, context.idempotency_key(), params.keep
        )
        return Output("main", [item for item, is_new in zip(params.items, new, strict=True) if is_new])


def _key(item: Any, path: str) -> Any:
    found = look(item, split(path))
    if found is MISSING:
        there = ", ".join(item) if isinstance(item, dict) else "no keys at all"
        raise ExpressionFailed(reason=f"key: an item has no “{path}”. There are: {there}")
    return found
