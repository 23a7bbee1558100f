"""Makes an object of named fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from flowfuse.errors import ExpressionFailed
from flowfuse.node import Config, NodeType, Outcome, Output, Params, form


class SetParams(Params, frozen=True):
    """The fields to make, and whether the input's stay."""

    fields: Annotated[dict[str, Any], form("Fields", "Name and value of each.", widget="key_value")]
    keep: Annotated[
        Literal["none", "all"],
        form("Keep", "Nothing of the input, or all that is not set anew.", widget="choice", kind="plain"),
    ] = "none"


class SetFields(NodeType):
    type = "transform.set"
    title = "Set fields"
    summary = "Makes an object of the fields you name."
    icon = "shift"
    params = SetParams
    example: ClassVar = {
        "id": "label",
        "type": "transform.set",
        "config": {
            "fields": {"name": "{{ upper(trigger.body.name) }}", "total": "{{ trigger.body.amount * 2 }}"}
        },
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        fields = config.get("fields")
        if config.plain("keep") == "none":
            return lambda frame: Output("main", fields(frame))

        def step(frame: Any) -> Outcome:
            if not isinstance(frame.input, dict):
                raise ExpressionFailed(reason="keep: all needs an object as input")
            return Output("main", {**frame.input, **fields(frame)})

        return step
