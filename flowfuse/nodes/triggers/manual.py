"""Starts a run by hand, from a program or from the command line."""

from __future__ import annotations

from typing import ClassVar

from flowfuse.node import NodeType, Params


class ManualParams(Params, frozen=True):
    """A manual trigger has no settings: its value is the input given."""


class ManualTrigger(NodeType):
    type = "trigger.manual"
    title = "Run by hand"
    summary = "Starts when somebody or a program runs the workflow, with the input given."
    icon = "play"
    is_trigger = True
    params = ManualParams
    example: ClassVar = {"id": "start", "type": "trigger.manual"}
