"""Takes a list out of an object, each item with chosen fields beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from flowfuse.errors import ExpressionFailed
from flowfuse.node import Config, NodeType, Outcome, Output, Params, form


class SplitOutParams(Params, frozen=True):
    """The list, and what to put beside each item."""

    items: Annotated[Any, form("Items", "The list to take out.", widget="expression")]
    fields: Annotated[
        dict[str, Any], form("Fields", "Put beside each item; the item's own stay.", widget="key_value")
    ] = {}  # noqa: RUF012


class SplitOut(NodeType):
    type = "transform.split_out"
    title = "Split out"
    summary = "Gives the list, each item with the fields you choose beside it."
    icon = "split"
    output: ClassVar[Any] = list[Any]
    params = SplitOutParams
    example: ClassVar = {
        "id": "lines",
        "type": "transform.split_out",
        "config": {"items": "{{ trigger.body.lines }}", "fields": {"order": "{{ trigger.body.id }}"}},
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        items, fields = config.get("items"), config.get("fields")

        def step(frame: Any) -> Outcome:
            found, beside = items(frame), fields(frame)
            if not isinstance(found, list):
                raise ExpressionFailed(reason=f"items: expected a list, got {type(found).__name__}")
            if not isinstance(beside, dict):
                raise ExpressionFailed(reason="fields: expected an object")
            if not beside:
                return Output("main", found)
            return Output(
                "main",
                [
                    {**beside, **item} if isinstance(item, dict) else {**beside, "value": item}
                    for item in found
                ],
            )

        return step
