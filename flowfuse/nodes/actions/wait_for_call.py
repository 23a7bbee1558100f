"""Holds a run until its own address is called: `execution.resume_url`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from flowfuse.node import Config, NodeType, Outcome, Params, Wait, form, span_us


class WaitForCallParams(Params, frozen=True):
    """How long to wait at most."""

    within: Annotated[
        float | str | None,
        form("Within", "Seconds, or a text such as 2d. After that the node fails (see “on error”)."),
    ] = None


class WaitForCall(NodeType):
    type = "action.wait_for_call"
    title = "Wait for a call"
    summary = "Holds the run until the address in “execution.resume_url” is called, and gives the call."
    icon = "hourglass"
    params = WaitForCallParams
    example: ClassVar = {"id": "answer", "type": "action.wait_for_call", "config": {"within": "2d"}}

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        within = config.get("within")
        return lambda frame: Wait(_until(within(frame), frame.now_us), "call")


def _until(within: Any, now_us: int) -> int:
    return 0 if within is None else now_us + span_us(within, "within")
