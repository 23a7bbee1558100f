"""Ends the run, or the round, with an error of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from flowfuse.errors import NodeStopped
from flowfuse.model import json_bytes
from flowfuse.node import Config, NodeType, Outcome, Params, form


class FailParams(Params, frozen=True):
    """The error as it will be shown."""

    message: Annotated[Any, form("Message", "What went wrong, and what to do about it.")]
    code: Annotated[str, form("Code", "A short name for programs.")] = "stopped"


class FailAction(NodeType):
    type = "action.fail"
    title = "Stop with an error"
    summary = "Fails the run with a message of your own."
    icon = "stop"
    ports: ClassVar[tuple[str, ...]] = ()
    params = FailParams
    example: ClassVar = {
        "id": "refuse",
        "type": "action.fail",
        "config": {"message": "No address for {{ trigger.body.id }}", "code": "no_address"},
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        message, code = config.get("message"), config.get("code")

        def step(frame: Any) -> Outcome:
            text = message(frame)
            text = text if isinstance(text, str) else json_bytes(text).decode()
            raise NodeStopped(reason=text, custom=str(code(frame)))

        return step
