"""Two ways: the condition holds, or it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from flowfuse.node import Config, NodeType, Outcome, Output, Params, form


class IfParams(Params, frozen=True):
    """The question."""

    condition: Annotated[
        Any, form("Condition", "An expression; its truth decides.", widget="expression", kind="lazy")
    ]


class If(NodeType):
    type = "condition.if"
    title = "If"
    summary = "Sends its input by “true” or by “false”."
    icon = "fork"
    ports: ClassVar[tuple[str, ...]] = ("true", "false")
    params = IfParams
    example: ClassVar = {
        "id": "large",
        "type": "condition.if",
        "config": {"condition": "{{ input.total > 100 }}"},
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        condition = config.get("condition")
        return lambda frame: Output("true" if condition(frame) else "false", frame.input)
