"""The first run: until somebody has made it or wants no tour, Home offers one; the editor shows the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.clock import id_text
from flowfuse.data.accounts import Accounts
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.drafts import Drafts
from flowfuse.errors import NotFound
from flowfuse.model import WorkflowSummary
from flowfuse.pages.api.accounts import user_of
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs, workspace_of
from flowfuse.pages.identity import Identity
from flowfuse.pages.templates import templates

BY_HAND = "trigger.manual"
LOOKED_AT = 10
SMALLEST = "hello"


class Tour(Struct, frozen=True):
    """What to begin with; None: it is made first, of a template."""

    workflow: WorkflowSummary | None


class TourForm(msgspec.Struct, forbid_unknown_fields=True):
    """Which workflow to run."""

    workflow: str


async def tour_for(
    identity: Identity,
    accounts: Accounts,
    summaries: Sequence[WorkflowSummary],
    workflows: WorkflowRepository,
) -> Tour | None:
    """The tour of whoever has neither done nor refused it, whatever has run by itself meanwhile."""
    if not identity.may("operate") or (await accounts.user(await user_of(identity, accounts))).toured:
        return None
    return Tour(await _first_to_run(identity.workspace, summaries, workflows))


async def _first_to_run(
    workspace: str,
    summaries: Sequence[WorkflowSummary],
    workflows: WorkflowRepository,
) -> WorkflowSummary | None:
    """The oldest workflow that starts by hand."""
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
    accounts: NamedDependency[Accounts],
) -> Redirect:
    """Run it, and show the run: that is the tour done. Raises NotFound, WorkflowInvalid."""
    form, workspace = await read_form(request, TourForm), workspace_of(request)
    trigger = await _trigger(workspace, form.workflow, workflows)
    if trigger is None:
        raise NotFound(what="workflow that starts by hand", id=form.workflow)
    run = await drafts.run(workspace, form.workflow, {}, trigger=trigger)
    if run.accepted is not None:
        await run.accepted
    await accounts.change(await user_of(identity_of(request), accounts), toured=True)
    note(request, f"/workflows/{form.workflow}")
    return Redirect(f"/runs/{id_text(run.id)}", status_code=303)


@post("/tour/begin", guards=[needs("build")], status_code=303)
async def begin_tour(request: Request[Any, Any, Any], drafts: NamedDependency[Drafts]) -> Redirect:
    """Make the smallest workflow of a template, and show the way in it."""
    fresh = msgspec.structs.replace(templates()[SMALLEST].workflow, id=None, tags=[])
    draft = await drafts.create(workspace_of(request), fresh)
    note(request, f"/workflows/{draft.summary.id}", f"template {SMALLEST}")
    return Redirect(f"/workflows/{draft.summary.id}?tour=1", status_code=303)


@post("/tour/end", guards=[needs("self")], status_code=303)
async def end_tour(request: Request[Any, Any, Any], accounts: NamedDependency[Accounts]) -> Redirect:
    """Whoever has done it, or wants none, is not asked again."""
    await accounts.change(await user_of(identity_of(request), accounts), toured=True)
    return Redirect("/", status_code=303)
