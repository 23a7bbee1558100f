"""/inbox: what waits for somebody – approvals, and effects of which nobody knows whether they happened."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.history import History
from flowfuse.model import Execution, NodeRun, Value
from flowfuse.pages.addresses import local_path
from flowfuse.pages.api.approvals import ASKING
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.notices import back
from flowfuse.pages.page import page

Asked = Request[Any, Any, Any]
MOST = 50


class Question(Struct, frozen=True):
    """A node that waits for somebody, in its run."""

    kind: str
    execution: Execution
    run: NodeRun

    @property
    def title(self) -> str:
        """What is asked, as the node asks it."""
        told = self.run.waits_for
        title = told.get("title") if isinstance(told, dict) else None
        return title if isinstance(title, str) and title else self.run.node

    @property
    def details(self) -> Value:
        """What the person needs to see to decide."""
        told = self.run.waits_for
        return told.get("details") if isinstance(told, dict) else None


class DecisionForm(msgspec.Struct, forbid_unknown_fields=True):
    """A decision, or an answer for an effect in doubt."""

    node: str
    answer: Literal["approved", "rejected", "retry", "done", "fail"]
    path: str = ""
    comment: str = ""
    here: str = "/inbox"


async def questions(workspace: str, executions: ExecutionRepository, history: History) -> list[Question]:
    """What waits for a person, what runs out first at the top."""
    found = []
    for execution in await executions.waiting_for_people(workspace, MOST):
        detail = await history.detail(workspace, execution.id)
        found += [Question(ASKING[run.state], execution, run) for run in detail.nodes if run.state in ASKING]
    return sorted(found, key=lambda each: (each.execution.wake_at is None, each.execution.wake_at or 0))


@get("/inbox", guards=[signed_in])
async def inbox(
    request: Asked,
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
    workflows: NamedDependency[WorkflowRepository],
) -> Response[str]:
    """Everything that waits for somebody."""
    workspace = workspace_of(request)
    names = {summary.id: summary.name for summary in await workflows.list(workspace)}
    found = await questions(workspace, executions, history)
    return page(request, "inbox.html", questions=found, names=names)


@post("/inbox/{execution:str}", guards=[needs("operate")], status_code=303)
async def decide_in_inbox(
    request: Asked, execution: FromPath[str], controller: NamedDependency[ExecutionController]
) -> Redirect:
    """Decide; the run goes on. Raises NotFound, Conflict where somebody else was quicker."""
    form, identity = await read_form(request, DecisionForm), identity_of(request)
    if form.answer in ("approved", "rejected"):
        await controller.orders.decide(
            identity.workspace, execution, form.node, form.path, form.answer, form.comment, identity.name
        )
    else:
        await controller.answer(identity.workspace, execution, form.node, form.path, form.answer)
    note(request, f"/runs/{execution}", f"{form.node}: {form.answer}")
    return back(request, local_path(form.here), "decided")
