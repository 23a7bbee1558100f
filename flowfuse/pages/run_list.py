"""/runs: all runs, filtered, with failures grouped by cause, views to keep, and acts on several."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.clock import Clock
from flowfuse.data.dead_letters import DeadLetters
from flowfuse.data.executions import PAGE, ExecutionRepository, Filter
from flowfuse.data.histogram import Histogram
from flowfuse.data.views import Views
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.retry import Retry
from flowfuse.errors import FlowFuseError
from flowfuse.model import State
from flowfuse.pages.addresses import local_path
from flowfuse.pages.audit_trail import note
from flowfuse.pages.charts import chart
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.notices import back
from flowfuse.pages.page import page, zone_of

Asked = Request[Any, Any, Any]
HERE = "runs"
DAY_US = 86_400 * 1_000_000
BUCKET_US = 20 * 60 * 1_000_000
SPANS = {"hour": 3600 * 1_000_000, "day": DAY_US, "week": 7 * DAY_US, "month": 30 * DAY_US}
MODES = ("production", "manual", "test")
_DONE = {"retry": "retried", "discard": "discarded", "cancel": "cancelled"}


class RunAsks(Struct, frozen=True):
    """What the list is narrowed by, as it stands in the address."""

    state: str = ""
    workflow: str = ""
    mode: str = ""
    span: str = ""
    q: str = ""

    def query(self) -> str:
        """As it stands in an address."""
        return urlencode({key: value for key, value in msgspec.structs.asdict(self).items() if value})


class RunsForm(msgspec.Struct, forbid_unknown_fields=True):
    """An act on several runs: by their ids, or on all failures of a cause."""

    act: Literal["retry", "discard", "cancel"]
    id: list[str] = []
    cause: str = ""
    here: str = "/runs"


class ViewForm(msgspec.Struct, forbid_unknown_fields=True):
    """A view to keep, or to forget."""

    name: str
    query: str = ""
    forget: bool = False


class TakeBackForm(msgspec.Struct, forbid_unknown_fields=True):
    """Runs that were discarded."""

    id: list[str] = []
    here: str = "/runs"


@get("/runs", guards=[signed_in])
async def runs(
    request: Asked,
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
    dead_letters: NamedDependency[DeadLetters],
    views: NamedDependency[Views],
    histogram: NamedDependency[Histogram],
    clock: NamedDependency[Clock],
) -> Response[str]:
    """All runs that fit, newest first."""
    identity, asks, now = identity_of(request), _asks(request), clock.now_us()
    workspace = identity.workspace
    found = await executions.list(
        workspace,
        workflow=asks.workflow or None,
        state=State[asks.state] if asks.state else None,
        before=request.query_params.get("before") or None,
        more=Filter(mode=asks.mode, since=now - SPANS[asks.span] if asks.span else None, text=asks.q.strip()),
    )
    begin = now - DAY_US
    parts = await histogram.parts(workspace, since=begin, until=now, bucket=BUCKET_US, now=now)
    older = f"/runs?{asks.query()}&before={found[-1].id}" if len(found) >= PAGE else None
    return page(
        request,
        "runs.html",
        runs=found,
        names={summary.id: summary.name for summary in await workflows.list(workspace)},
        asks=asks,
        modes=MODES,
        views=await views.list(workspace, identity.user, HERE),
        causes=await dead_letters.causes(workspace) if asks.state in ("", "failed") else [],
        day=chart(parts, since=begin, until=now, bucket=BUCKET_US, zone=zone_of(request)),
        next_page=older,
    )


def _asks(request: Asked) -> RunAsks:
    query = request.query_params
    state, span, mode = query.get("state", ""), query.get("span", ""), query.get("mode", "")
    return RunAsks(
        state=state if state in State.__members__ else "",
        workflow=query.get("workflow", ""),
        mode=mode if mode in MODES else "",
        span=span if span in SPANS else "",
        q=query.get("q", "")[:200],
    )


@post("/runs/bulk", guards=[needs("operate")], status_code=303)
async def change_runs(
    request: Asked,
    retries: NamedDependency[Retry],
    dead_letters: NamedDependency[DeadLetters],
    controller: NamedDependency[ExecutionController],
) -> Redirect:
    """An act on several runs; what one refuses does not keep the others from it."""
    form, workspace = await read_form(request, RunsForm), workspace_of(request)
    ids = list(dict.fromkeys(form.id))
    if form.cause:
        causes = await dead_letters.causes(workspace)
        ids += [run.id for cause in causes if cause.key == form.cause for run in cause.runs]
    done: list[str] = []
    refused: list[str] = []
    for execution in ids:
        try:
            if form.act == "retry":
                await retries.retry(workspace, execution)
            elif form.act == "discard":
                await dead_letters.discard(workspace, execution)
            else:
                await controller.cancel(workspace, execution)
        except FlowFuseError as error:
            refused.append(error.message)
        else:
            done.append(execution)
    note(request, "/runs", f"{form.act} {len(done)}")
    told = " · ".join(dict.fromkeys(refused))
    undo = ",".join(done) if form.act == "discard" else ""
    return back(request, local_path(form.here), _DONE[form.act], count=len(done), ids=undo, refused=told)


@post("/runs/take-back", guards=[needs("operate")], status_code=303)
async def take_back_runs(request: Asked, dead_letters: NamedDependency[DeadLetters]) -> Redirect:
    """Undo of discarding failed runs."""
    form, workspace = await read_form(request, TakeBackForm), workspace_of(request)
    count = await dead_letters.take_back(workspace, form.id)
    note(request, "/runs", str(count))
    return back(request, local_path(form.here), "taken_back", count=count)


@post("/runs/views", guards=[needs("self")], status_code=303)
async def keep_view(request: Asked, views: NamedDependency[Views]) -> Redirect:
    """Keep the list as it is filtered under a name, or forget one. Raises RequestInvalid."""
    form, identity = await read_form(request, ViewForm), identity_of(request)
    if form.forget:
        await views.delete(identity.workspace, identity.user, HERE, form.name)
        return back(request, "/runs", "deleted")
    known = set(RunAsks.__struct_fields__)
    query = urlencode([(key, value) for key, value in parse_qsl(form.query) if key in known])
    await views.save(identity.workspace, identity.user, HERE, form.name, query)
    return back(request, f"/runs?{query}", "saved")
