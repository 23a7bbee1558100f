"""/workflows: all workflows, searched and filtered, acts on several of them, and the trash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from msgspec import Struct

from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.schedules import ScheduleRepository
from flowfuse.data.trash import Trash
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.drafts import Drafts
from flowfuse.engine.operations import Operation
from flowfuse.errors import FlowFuseError, RequestInvalid
from flowfuse.events import EventBus, WorkflowChanged
from flowfuse.model import WorkflowSummary
from flowfuse.pages.addresses import local_path, whole_number
from flowfuse.pages.audit_trail import note
from flowfuse.pages.charts import SPARK
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.home import WorkflowRow
from flowfuse.pages.identity import Identity
from flowfuse.pages.notices import back
from flowfuse.pages.page import page

Asked = Request[Any, Any, Any]
SHOWN = 50
STATES = ("live", "draft")
Act = Literal["publish", "unpublish", "tag", "move", "delete"]
_DONE = {
    "publish": "published", "unpublish": "unpublished", "tag": "tagged", "move": "moved", "delete": "trashed"
}  # fmt: skip


class BulkForm(msgspec.Struct, forbid_unknown_fields=True):
    """An act on several workflows; `value` is the tag or the folder."""

    act: Act
    id: list[str] = []
    value: str = ""
    here: str = "/workflows"


class TrashForm(msgspec.Struct, forbid_unknown_fields=True):
    """Workflows in the trash by their numbers. `live`: those that were live are so again."""

    number: list[int] = []
    here: str = "/workflows"
    live: bool = False


class LiveForm(msgspec.Struct, forbid_unknown_fields=True):
    """Workflows that were live: each with its version, and the nodes whose schedules stood still."""

    was: list[str] = []
    here: str = "/workflows"


class WasLive(Struct, frozen=True):
    """What a workflow has to be again when its unpublishing is undone."""

    workflow: str
    version: int
    paused: list[str]

    def text(self) -> str:
        """As it stands in an address; no id has a colon in it."""
        return ":".join([self.workflow, str(self.version), *self.paused])

    @classmethod
    def of(cls, text: str) -> WasLive:
        """The opposite of `text`. Raises RequestInvalid."""
        workflow, _, rest = text.partition(":")
        version, *paused = rest.split(":")
        number = whole_number(version)
        if number is None:
            raise RequestInvalid(field="was", reason=f"“{text[:80]}” names no version")
        return cls(workflow, number, paused)


class Asks(Struct, frozen=True):
    """What the list is narrowed by."""

    q: str
    folder: str
    tag: str
    state: str

    def fits(self, summary: WorkflowSummary) -> bool:
        """Whether a workflow is what is looked for. A folder holds those below it, too."""
        text = f"{summary.name} {summary.id} {summary.description} {summary.folder} {' '.join(summary.tags)}"
        return (
            all(word in text.lower() for word in self.q.lower().split())
            and (not self.folder or f"{summary.folder}/".startswith(f"{self.folder}/"))
            and (not self.tag or self.tag in summary.tags)
            and (not self.state or (self.state == "live") == summary.active)
        )

    def query(self) -> str:
        """As it stands in an address."""
        return urlencode({key: value for key, value in msgspec.structs.asdict(self).items() if value})


@get("/workflows", guards=[signed_in])
async def workflow_list(
    request: Asked,
    workflows: NamedDependency[WorkflowRepository],
    executions: NamedDependency[ExecutionRepository],
    schedules: NamedDependency[ScheduleRepository],
    trash: NamedDependency[Trash],
) -> Response[str]:
    """All workflows, the last changed first."""
    workspace, query = workspace_of(request), request.query_params
    state = query.get("state", "")
    asks = Asks(
        query.get("q", "")[:200], query.get("folder", ""), query.get("tag", ""),
        state if state in STATES else "",
    )  # fmt: skip
    everything = await workflows.list(workspace)
    found = [summary for summary in everything if asks.fits(summary)]
    begin = min(whole_number(query.get("from", "")) or 0, len(found))
    shown = found[begin : begin + SHOWN]
    recent = await executions.recent(workspace, [summary.id for summary in shown], SPARK)
    planned = await schedules.list(workspace)
    due = {each.workflow: each.next_due for each in reversed(planned) if not each.paused}
    following = begin + SHOWN
    older = f"/workflows?{asks.query()}&from={following}" if following < len(found) else None
    return page(
        request,
        "workflows.html",
        rows=[
            WorkflowRow(each, list(reversed(recent[each.id])), due.get(each.id))
            for each in shown
        ],
        total=len(everything),
        found=len(found),
        asks=asks,
        folders=sorted({summary.folder for summary in everything if summary.folder}),
        tags=sorted({tag for summary in everything for tag in summary.tags}),
        older=older,
        trashed=len(await trash.list(workspace)),
    )  # fmt: skip


@post("/workflows/bulk", guards=[needs("build")], status_code=303)
async def change_workflows(
    request: Asked,
    workflows: NamedDependency[WorkflowRepository],
    drafts: NamedDependency[Drafts],
    schedules: NamedDependency[ScheduleRepository],
    trash: NamedDependency[Trash],
) -> Redirect:
    """An act on several workflows; what one refuses does not keep the others from it."""
    form, identity = await read_form(request, BulkForm), identity_of(request)
    workspace = identity.workspace
    act = _act(form, identity, workflows, drafts)
    were = await _were_live(workspace, workflows, schedules) if form.act == "unpublish" else {}
    done, refused = [], []
    for name in dict.fromkeys(form.id):
        try:
            await act(name)
        except FlowFuseError as error:
            refused.append(f"{name}: {error.message}")
        else:
            done.append(name)
    note(request, ", ".join(done), form.value)
    undo = [were[name].text() for name in done if name in were]
    if form.act == "delete":
        undo = [str(await trash.newest(workspace, name)) for name in done]
    return back(
        request,
        local_path(form.here),
        _DONE[form.act],
        count=len(done),
        ids=",".join(undo),
        refused=" · ".join(refused[:5]),
    )


def _act(
    form: BulkForm, identity: Identity, workflows: WorkflowRepository, drafts: Drafts
) -> Callable[[str], Awaitable[Any]]:
    workspace = identity.workspace
    value = " ".join(form.value.split()).strip("/")
    if form.act == "tag" and not value:
        raise RequestInvalid(field="value", reason="name the tag")

    async def tag(name: str) -> None:
        tags = (await workflows.get(workspace, name)).document.tags
        if value not in tags:
            await _set(drafts, workspace, name, "tags", [*tags, value])

    acts: dict[str, Callable[[str], Awaitable[Any]]] = {
        "publish": lambda name: drafts.publish(workspace, name, author=identity.name),
        "unpublish": lambda name: drafts.unpublish(workspace, name),
        "tag": tag,
        "move": lambda name: _set(drafts, workspace, name, "folder", value),
        "delete": lambda name: drafts.delete(workspace, name),
    }
    return acts[form.act]


async def _were_live(
    workspace: str, workflows: WorkflowRepository, schedules: ScheduleRepository
) -> dict[str, WasLive]:
    paused = [each for each in await schedules.list(workspace) if each.paused]
    return {
        each.id: WasLive(each.id, each.published, [one.node for one in paused if one.workflow == each.id])
        for each in await workflows.list(workspace)
        if each.active and each.published is not None
    }


@post("/workflows/live", guards=[needs("build")], status_code=303)
async def publish_again(request: Asked, drafts: NamedDependency[Drafts]) -> Redirect:
    """Undo of unpublishing: the same versions are live again. Raises RequestInvalid."""
    form, workspace = await read_form(request, LiveForm), workspace_of(request)
    done, refused = await _go_live([WasLive.of(each) for each in form.was], workspace, drafts)
    note(request, ", ".join(done))
    return back(request, local_path(form.here), "published", count=len(done), refused=" · ".join(refused[:5]))


async def _go_live(were: list[WasLive], workspace: str, drafts: Drafts) -> tuple[list[str], list[str]]:
    """Which are live again, and what was refused of the others."""
    done, refused = [], []
    for each in were:
        try:
            await drafts.go_live(workspace, each.workflow, each.version, each.paused)
        except FlowFuseError as error:
            refused.append(f"{each.workflow}: {error.message}")
        else:
            done.append(each.workflow)
    return done, refused


async def _set(drafts: Drafts, workspace: str, name: str, path: str, value: Any) -> None:
    operation = Operation(id=drafts.new_id(), kind="set", path=path, value=value)
    applied = await drafts.operate(workspace, name, [operation])
    if applied.refused:
        raise RequestInvalid(field=path, reason=applied.refused[0].by)


@get("/workflows/trash", guards=[signed_in])
async def trash_list(request: Asked, trash: NamedDependency[Trash]) -> Response[str]:
    """Deleted workflows, for 30 days."""
    return page(request, "trash.html", items=await trash.list(workspace_of(request)))


@post("/workflows/trash/restore", guards=[needs("build")], status_code=303)
async def restore_workflows(
    request: Asked,
    trash: NamedDependency[Trash],
    drafts: NamedDependency[Drafts],
    bus: NamedDependency[EventBus],
) -> Redirect:
    """Bring workflows back. Raises NotFound, Conflict."""
    form, workspace = await read_form(request, TrashForm), workspace_of(request)
    restored = []
    for number in form.number:
        restored.append(await trash.restore(workspace, number))
        bus.publish(WorkflowChanged(workspace, restored[-1].workflow))
    note(request, ", ".join(each.workflow for each in restored))
    here = local_path(form.here)
    if not form.live:
        return back(request, here, "restored", count=len(restored))
    were = [
        WasLive(each.workflow, each.published, each.paused) for each in restored if each.published is not None
    ]
    _, refused = await _go_live(were, workspace, drafts)
    return back(request, here, "undone", count=len(restored), refused=" · ".join(refused[:5]))


@post("/workflows/trash/{number:int}/destroy", guards=[needs("build")], status_code=303)
async def destroy_workflow(request: Asked, number: FromPath[int], trash: NamedDependency[Trash]) -> Redirect:
    """Delete one for good. Raises NotFound."""
    await trash.destroy(workspace_of(request), number)
    return back(request, "/workflows/trash", "destroyed")
