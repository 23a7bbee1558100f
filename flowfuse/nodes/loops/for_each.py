"""Runs its body once for each item of a list."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from flowfuse.node import NodeType, Params, form


class ForEachParams(Params, frozen=True):
    """The list, and how its rounds run."""

    items: Annotated[Any, form("Items", "The list to go through.", widget="expression")]
    concurrency: Annotated[
        int, form("At once", "Rounds under way together.", widget="number", ge=1, le=1000)
    ] = 1
    batch_size: Annotated[
        int, form("Batch size", "Items of one round; over 1, `item` is a list.", widget="number", ge=1)
    ] = 1
    on_item_error: Annotated[
        Literal["fail", "skip", "collect"],
        form("When an item fails", "End the loop, leave the item out, or gather the errors.", widget="choice",
             kind="plain"),
    ] = "fail"  # fmt: skip
    result: Annotated[
        Any,
        form(
            "Result of a round", "By itself: the value of the body's end.", widget="expression", kind="lazy"
        ),
    ] = None


class ForEach(NodeType):
    type = "loop.for_each"
    title = "For each"
    summary = "Runs the nodes behind “item” once for each item; “done” gets the results in order."
    icon = "turn"
    loop: ClassVar[Literal["", "for_each", "while"]] = "for_each"
    effects = True
    ports: ClassVar[tuple[str, ...]] = ("item", "done")
    params = ForEachParams
    example: ClassVar = {
        "id": "each",
        "type": "loop.for_each",
        "config": {"items": "{{ trigger.body.items }}"},
    }
