"""Starts when a run of a workflow that names this one as its error workflow has failed."""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from flowfuse.node import NodeType, Params


class ErrorParams(Params, frozen=True):
    """Nothing to set: the workflows that fail name this one in their settings."""


class ErrorValue(TypedDict):
    """Which run failed, of which workflow, and why."""

    execution: dict[str, Any]
    workflow: dict[str, Any]
    error: Any


class ErrorTrigger(NodeType):
    type = "trigger.error"
    title = "When a run fails"
    summary = "Starts when a run fails of a workflow that names this one as its error workflow."
    icon = "bolt"
    is_trigger = True
    params = ErrorParams
    output: ClassVar[Any] = ErrorValue
    example: ClassVar = {"id": "failed", "type": "trigger.error"}
