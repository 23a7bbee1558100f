"""Runs its body as long as a condition holds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from flowfuse.node import NodeType, Params, form


class WhileParams(Params, frozen=True):
    """The condition, the first state, and the end of patience."""

    condition: Annotated[
        Any, form("Condition", "Asked before each round; sees `item` (the state) and `index`.",
                  widget="expression", kind="lazy"),
    ]  # fmt: skip
    initial: Annotated[Any, form("First state", "What `item` is in the first round.", widget="json")] = None
    max_rounds: Annotated[
        int, form("At most", "Rounds; more is an error.", widget="number", ge=1, le=10_000_000)
    ] = 1000
    result: Annotated[
        Any, form("Next state", "By itself: the value of the body's end.", widget="expression", kind="lazy")
    ] = None


class While(NodeType):
    type = "loop.while"
    title = "While"
    summary = "Runs the nodes behind “item” while the condition holds; “done” gets the last state."
    icon = "turn"
    loop: ClassVar[Literal["", "for_each", "while"]] = "while"
    effects = True
    ports: ClassVar[tuple[str, ...]] = ("item", "done")
    params = WhileParams
    example: ClassVar = {
        "id": "count",
        "type": "loop.while",
        "config": {"condition": "{{ item < 10 }}", "initial": 0, "result": "{{ item + 1 }}"},
    }
