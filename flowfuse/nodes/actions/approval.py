"""Holds a run until a person has approved or rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from flowfuse.errors import ExpressionFailed
from flowfuse.node import Config, NodeType, Outcome, Params, Wait, form, span_us


class ApprovalParams(Params, frozen=True):
    """What is asked, and for how long."""

    title: Annotated[str, form("Question", "Such as “Pay invoice {{ input.number }}?”")]
    details: Annotated[Any, form("Details", "What the person needs to see to decide.", widget="json")] = None
    within: Annotated[
        float | str | None,
        form("Within", "Seconds, or a text such as 2d. After that the node fails (see “on error”)."),
    ] = None


class Approval(NodeType):
    type = "action.approval"
    title = "Ask for approval"
    summary = "Holds the run until a person approves or rejects it."
    icon = "user"
    params = ApprovalParams
    ports = ("approved", "rejected")
    example: ClassVar = {
        "id": "approve",
        "type": "action.approval",
        "config": {"title": "Pay invoice {{ trigger.body.number }}?", "within": "7d"},
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        title, details, within = config.get("title"), config.get("details"), config.get("within")

        def ask(frame: Any) -> Outcome:
            question, span = title(frame), within(frame)
            if not isinstance(question, str):
                raise ExpressionFailed(reason="title: expected a text")
            until = 0 if span is None else frame.now_us + span_us(span, "within")
            return Wait(until, "approval", {"title": question, "details": details(frame)})

        return ask
