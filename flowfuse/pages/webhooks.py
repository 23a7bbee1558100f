"""/webhooks: addresses to copy, the last calls of each with what was sent, replay, and a test call."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.clock import id_text
from flowfuse.data.calls import KEPT, WebhookCalls
from flowfuse.data.executions import ExecutionRepository, Filter
from flowfuse.data.workflows import WebhookNode, WorkflowRepository
from flowfuse.engine.drafts import Drafts
from flowfuse.engine.history import History
from flowfuse.errors import NotFound, RequestInvalid
from flowfuse.model import Execution, Value
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import needs, signed_in, workspace_of
from flowfuse.pages.page import page

Asked = Request[Any, Any, Any]
HERE = "/webhooks"
ONE = f"{HERE}/{{workflow:str}}/{{node:str}}"


class ShownCall(Struct, frozen=True):
    """A call as it is shown: of a run, or one that started none."""

    at: int
    key: str
    request: Value
    execution: Execution | None = None
    status: int = 0
    reason: str = ""


class ReplayForm(msgspec.Struct, forbid_unknown_fields=True):
    """Which call to repeat."""

    key: str


class TestForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a test call, as JSON or plain text."""

    body: str = ""


@get(HERE, guards=[signed_in])
async def webhooks(
    request: Asked,
    workflows: NamedDependency[WorkflowRepository],
    public_address: NamedDependency[str],
) -> Response[str]:
    """All webhooks."""
    items = await workflows.webhook_nodes(workspace_of(request))
    return page(request, "webhooks.html", items=items, one=None, base=_base(request, public_address))


@get(ONE, guards=[signed_in])
async def webhook(
    request: Asked,
    workflow: FromPath[str],
    node: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
    calls: NamedDependency[WebhookCalls],
    public_address: NamedDependency[str],
) -> Response[str]:
    """One webhook with its last calls. Raises NotFound."""
    workspace = workspace_of(request)
    items = await workflows.webhook_nodes(workspace)
    one = _find(items, workflow, node)
    shown = await _calls(workspace, one, executions, history, calls)
    return page(
        request, "webhooks.html", items=items, one=one, base=_base(request, public_address), calls=shown
    )


def _base(request: Asked, public_address: str) -> str:
    """How this server is reached from outside: as the settings say, else as whoever asks has reached it."""
    return public_address or f"{request.url.scheme}://{request.headers['host']}"


def _find(items: Any, workflow: str, node: str) -> WebhookNode:
    one: WebhookNode | None = next((i for i in items if (i.workflow, i.node) == (workflow, node)), None)
    if one is None:
        raise NotFound(what="webhook", id=f"{workflow}.{node}")
    return one


async def _calls(
    workspace: str,
    one: WebhookNode,
    executions: ExecutionRepository,
    history: History,
    calls: WebhookCalls,
) -> list[ShownCall]:
    """The last calls, newest first: those that started a run, and those that did not."""
    started = await executions.list(
        workspace, workflow=one.workflow, limit=KEPT, more=Filter(trigger=one.node)
    )
    shown = [ShownCall(run.created, run.id, await history.given(workspace, run.id), run) for run in started]
    for call in await calls.list(workspace, one.workflow, one.node):
        shown.append(ShownCall(call.at, str(call.number), call.request, None, call.status, call.reason))
    return sorted(shown, key=lambda call: call.at, reverse=True)[:KEPT]


@post(f"{ONE}/replay", guards=[needs("operate")], status_code=303)
async def replay_call(
    request: Asked,
    workflow: FromPath[str],
    node: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
    history: NamedDependency[History],
    calls: NamedDependency[WebhookCalls],
    drafts: NamedDependency[Drafts],
) -> Redirect:
    """Start a run with what a call sent: of the published version, else of the draft. Raises NotFound."""
    form, workspace = await read_form(request, ReplayForm), workspace_of(request)
    one = _find(await workflows.webhook_nodes(workspace), workflow, node)
    shown = await _calls(workspace, one, executions, history, calls)
    call = next((each for each in shown if each.key == form.key), None)
    if call is None:
        raise NotFound(what="call", id=form.key)
    run = await drafts.run(workspace, workflow, call.request, trigger=node, published=one.active)
    note(request, f"/workflows/{workflow}", "replayed a call")
    return await _to_run(run)


@post(f"{ONE}/test", guards=[needs("operate")], status_code=303)
async def send_test_call(
    request: Asked,
    workflow: FromPath[str],
    node: FromPath[str],
    workflows: NamedDependency[WorkflowRepository],
    drafts: NamedDependency[Drafts],
) -> Redirect:
    """Start a test run of the draft, as if its webhook were called with that body. Raises NotFound."""
    form, workspace = await read_form(request, TestForm), workspace_of(request)
    one = _find(await workflows.webhook_nodes(workspace), workflow, node)
    try:
        body = msgspec.json.decode(form.body) if form.body.strip() else None
    except msgspec.DecodeError:
        body = form.body
    except RecursionError:
        raise RequestInvalid(field="body", reason="it is nested too deeply") from None
    value = {
        "method": one.methods[0], "path": f"/hook/{one.path}", "params": {}, "query": {},
        "headers": {"content-type": "application/json", "user-agent": "FlowFuse test call"}, "body": body,
    }  # fmt: skip
    run = await drafts.run(workspace, workflow, value, trigger=node)
    note(request, f"/workflows/{workflow}", "sent a test call")
    return await _to_run(run)


async def _to_run(run: Any) -> Redirect:
    if run.accepted is not None:
        await run.accepted
    return Redirect(f"/runs/{id_text(run.id)}", status_code=303)
