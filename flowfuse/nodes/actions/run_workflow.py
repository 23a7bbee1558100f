"""Runs another workflow, and gives its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from flowfuse.node import NodeType, Outcome, Output, Params, RunContext, Wait, form


class RunWorkflowParams(Params, frozen=True):
    """Which workflow, with what, and whether to wait for it."""

    workflow: Annotated[
        str, form("Workflow", "The id of a published workflow. Its manual trigger is where it begins.")
    ]
    input: Annotated[Any, form("Input", "What its trigger gives.", widget="json")] = None
    wait: Annotated[
        bool,
        form("Wait for its end", "Without waiting, the value is the id of the run.", widget="switch",
             kind="plain"),
    ] = True  # fmt: skip


class RunWorkflow(NodeType):
    type = "action.run_workflow"
    title = "Run a workflow"
    summary = "Runs another workflow as it is published now, and gives its result."
    icon = "flow"
    effects = True
    params = RunWorkflowParams
    example: ClassVar = {
        "id": "ship",
        "type": "action.run_workflow",
        "config": {"workflow": "ship-order", "input": {"order": "{{ trigger.body.id }}"}},
    }

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        if not config.get("workflow"):
            yield "workflow", "Name the workflow to run"

    async def run(self, params: Any, context: RunContext) -> Outcome:
        child = await context.call_workflow(params.workflow, params.input, waits=params.wait)
        if isinstance(child, Wait):
            return child
        if not params.wait:
            return Output("main", {"id": child})
        return Wait(context.deadline_us(), "workflow", child)
