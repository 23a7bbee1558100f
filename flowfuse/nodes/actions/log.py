"""Leaves a line in the run's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from flowfuse.model import json_bytes
from flowfuse.node import Config, LogNote, NodeType, Outcome, Output, Params, form


class LogParams(Params, frozen=True):
    """What to write down, and how important it is."""

    message: Annotated[Any, form("Message", "A text; other values go in as JSON.")]
    level: Annotated[
        Literal["info", "debug", "warning", "error"], form("Level", widget="choice", kind="plain")
    ] = "info"


class LogAction(NodeType):
    type = "action.log"
    title = "Log"
    summary = "Writes a line into the run's log and passes its input on."
    icon = "note"
    params = LogParams
    example: ClassVar = {
        "id": "note",
        "type": "action.log",
        "config": {"message": "Order {{ trigger.body.id }} came in"},
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        message, level = config.get("message"), config.plain("level")

        def step(frame: Any) -> Outcome:
            text = message(frame)
            text = text if isinstance(text, str) else json_bytes(text).decode()
            return Output("main", frame.input, LogNote(level, text))

        return step
