"""The first run: while there was none, Home offers to run something that is there, and shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from flowfuse.clock import id_text
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.drafts import Drafts
from flowfuse.errors import NotFound
from flowfuse.model import WorkflowSummary
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import needs, workspace_of

BY_HAND = "trigger.manual"
LOOKED_AT = 10


class TourForm(msgspec.Struct, forbid_unknown_fields=True):
    """Which workflow to run."""

    workflow: str


async def first_to_run(
    workspace: str,
    summaries: Sequence[WorkflowSummary],
    workflows: WorkflowRepository,
    executions: ExecutionRepository,
) -> WorkflowSummary | None:
    """The oldest workflow that starts by hand, where nothing has ever run."""
    if not summaries or await executions.list(workspace, limit=1):
        return None
    for summary in sorted(summaries, key=lambda each: each.created)[:LOOKED_AT]:
        if await _trigger(workspace, summary.id, workflows) is not None:
            return summary
    return None


async def _trigger(workspace: str, workflow: str, workflows: WorkflowRepository) -> str | None:
    document = (await workflows.get(workspace, workflow)).document
    return next((node.id for node in document.nodes if node.type == BY_HAND), None)


@post("/tour", guards=[needs("operate")], status_code=303)
async def run_first(
    request: Request[Any, Any, Any],
    workflows: NamedDependency[WorkflowRepository],
    drafts: NamedDependency[Drafts],
) -> Redirect:
    """Run it, and show the run. Raises NotFound, WorkflowInvalid."""
    form, workspace = await read_form(request, TourForm), workspace_of(request)
    trigger = await _trigger(workspace, form.workflow, workflows)
    if trigger is None:
        raise NotFound(what="workflow that starts by hand", id=form.workflow)
    run = await drafts.run(workspace, form.workflow, {}, trigger=trigger)
    if run.accepted is not None:
        await run.accepted
    note(request, f"/workflows/{form.workflow}")
    return Redirect(f"/runs/{id_text(run.id)}", status_code=303)
