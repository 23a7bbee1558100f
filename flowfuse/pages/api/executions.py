"""/api/v1/executions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from flowfuse.clock import Clock, id_bytes
from flowfuse.data.dead_letters import DeadLetters
from flowfuse.data.executions import PAGE, ExecutionRepository, Filter
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.drafts import check_storable
from flowfuse.engine.history import History
from flowfuse.engine.retry import Retry
from flowfuse.engine.rollback import Rollback
from flowfuse.engine.state import StateManager
from flowfuse.errors import Conflict, NotFound, RequestInvalid
from flowfuse.model import Checkpoint, Event, Execution, ExecutionDetail, State, Statistics
from flowfuse.pages.addresses import whole_number
from flowfuse.pages.api.body import answer as json_answer
from flowfuse.pages.api.body import number, read_json
from flowfuse.pages.api.spec import QUERY_PAGE, items_of, spec
from flowfuse.pages.guards import needs, signed_in, workspace_of

BASE = "/api/v1/executions"
ONE = f"{BASE}/{{execution:str}}"
Asked = Request[Any, Any, Any]
FILTERS = {
    "workflow": "Only of this workflow.",
    "state": "Only in these states, with commas between them.",
    "trigger": "Only those that this trigger started.",
    "mode": "production, manual, test, error or cli.",
    "since": "Accepted at this moment or later: ISO 8601, or UTC microseconds.",
    "until": "Accepted before this moment.",
    "text": "Whose error or id holds this text; among the newest 100,000 that fit.",
}
STARTED: dict[str, Any] = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
SEVERAL: dict[str, Any] = {
    "type": "object",
    "required": ["items", "refused"],
    "properties": {"items": {"type": "array"}, "refused": {"type": "array"}},
}
DAY_US = 86400 * 1_000_000
ANSWERS = ("retry", "done", "fail")


class AnswerRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A person's answer for an effect that may or may not have happened."""

    node: str
    answer: str
    path: str = ""
    output: Any = None


class RetryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """From where a new execution begins, and with what."""

    from_node: str | None = msgspec.field(default=None, name="from")
    path: str = ""
    keep: bool = True
    version: Literal["pinned", "published"] = "pinned"
    input: Any | msgspec.UnsetType = msgspec.UNSET


class SeveralRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Several executions by their ids."""

    ids: Annotated[list[str], msgspec.Meta(max_length=1000)]
    keep: bool = True
    version: Literal["pinned", "published"] = "pinned"


def moment(request: Asked, name: str) -> int | None:
    """A moment from the query, as UTC microseconds. Raises RequestInvalid."""
    text = request.query_params.get(name)
    if not text:
        return None
    number = whole_number(text)
    if number is not None:
        return number
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        micros = int(found.timestamp() * 1e6)
    except (ValueError, OverflowError):
        micros = -1
    if micros < 0:
        raise RequestInvalid(field=name, reason=f"“{text[:40]}” is no moment such as 2026-11-25T09:00:00Z")
    return micros


def filter_from(request: Asked) -> Filter:
    """What a list is narrowed by, beside workflow and one state. Raises RequestInvalid."""
    names = [name for name in request.query_params.get("state", "").split(",") if name]
    return Filter(
        states=tuple(_state(name) for name in names) if len(names) > 1 else (),
        trigger=request.query_params.get("trigger", ""),
        mode=request.query_params.get("mode", ""),
        since=moment(request, "since"),
        until=moment(request, "until"),
        text=request.query_params.get("text", ""),
    )


def _state(name: str) -> State:
    if name not in State.__members__:
        raise RequestInvalid(field="state", reason=f"“{name[:40]}” is none of {', '.join(State.__members__)}")
    return State[name]


def state_from(request: Asked) -> State | None:
    """The state that a list is filtered by. Raises RequestInvalid."""
    name = request.query_params.get("state")
    return _state(name) if name and "," not in name else None


def _cursor_from(request: Asked) -> str | None:
    """The place where the last page ended. Raises RequestInvalid."""
    cursor: str | None = request.query_params.get("cursor")
    if not cursor:
        return None
    if id_bytes(cursor) is None:
        raise RequestInvalid(field="cursor", reason=f"“{cursor[:40]}” is none that a page gave")
    return cursor


@get(
    BASE,
    guards=[signed_in],
    opt=spec("Executions", query={**FILTERS, **QUERY_PAGE}, answer=items_of(Execution, cursor=True)),
)
async def list_executions(
    request: Asked, executions: NamedDependency[ExecutionRepository]
) -> Response[bytes]:
    """Newest first; `workflow`, `state`, `limit`, and the `cursor` that the last page gave."""
    limit = number(request, "limit", PAGE, 1, 500)
    items = await executions.list(
        workspace_of(request),
        workflow=request.query_params.get("workflow") or None,
        state=state_from(request),
        before=_cursor_from(request),
        limit=limit,
        more=filter_from(request),
    )
    return json_answer({"items": items, "cursor": items[-1].id if len(items) == limit else None})


@get(
    "/api/v1/statistics",
    guards=[signed_in],
    opt=spec(
        "Executions",
        query={
            "workflow": "Only of this workflow.",
            "since": "The span's begin; a day ago, where it is not given.",
            "until": "The span's end; now, where it is not given.",
            "parts": "Into how many parts the span is cut (24).",
        },
        answer=Statistics,
    ),
)
async def get_statistics(
    request: Asked, executions: NamedDependency[ExecutionRepository], clock: NamedDependency[Clock]
) -> Response[bytes]:
    """How many runs a span has, in which states, and how long they took."""
    until = moment(request, "until")
    until = clock.now_us() if until is None else until
    since = moment(request, "since")
    since = max(0, until - DAY_US) if since is None else since
    if not 0 <= since < until < 2**47 * 1000:
        raise RequestInvalid(field="since", reason="it is not before “until”")
    parts = number(request, "parts", 24, 1, 1000)
    found = await executions.statistics(
        workspace_of(request), since=since, until=until,
        workflow=request.query_params.get("workflow") or None, bucket=max(1, -(-(until - since) // parts)),
    )  # fmt: skip
    return json_answer(found)


@get(ONE, guards=[signed_in], opt=spec("Executions", answer=ExecutionDetail))
async def get_execution(
    request: Asked, execution: FromPath[str], history: NamedDependency[History]
) -> Response[bytes]:
    """An execution with each node's input, output, attempts and timing."""
    return json_answer(await history.detail(workspace_of(request), execution))


@get(
    f"{ONE}/events",
    guards=[signed_in],
    opt=spec(
        "Executions", query={"after": "The number of the last event that is known."}, answer=items_of(Event)
    ),
)
async def list_events(
    request: Asked,
    execution: FromPath[str],
    history: NamedDependency[History],
    states: NamedDependency[StateManager],
) -> Response[bytes]:
    """The numbered events after `after`."""
    after = number(request, "after", 0, 0, 10**9)
    plan = await history.plan(workspace_of(request), execution)
    return json_answer({"items": await states.events(workspace_of(request), execution, after, plan)})


@get(f"{ONE}/checkpoints", guards=[signed_in], opt=spec("Executions", answer=items_of(Checkpoint)))
async def list_checkpoints(
    request: Asked,
    execution: FromPath[str],
    history: NamedDependency[History],
    states: NamedDependency[StateManager],
) -> Response[bytes]:
    """The numbered cuts of a run."""
    plan = await history.plan(workspace_of(request), execution)
    cuts = await states.checkpoints(workspace_of(request), execution, plan)
    return json_answer({"items": [cut for _, cut in cuts]})


@post(
    f"{ONE}/checkpoints/{{checkpoint:int}}/restart",
    guards=[needs("operate")],
    opt=spec("Executions", answer=STARTED, status=202),
)
async def restart(
    request: Asked, execution: FromPath[str], checkpoint: FromPath[int], rollback: NamedDependency[Rollback]
) -> Response[bytes]:
    """A new execution that begins at that cut; the old one stays as it was."""
    fresh = await rollback.restart(workspace_of(request), execution, checkpoint)
    return json_answer({"id": fresh}, 202, location=f"{BASE}/{fresh}")


@post(
    f"{ONE}/retry",
    guards=[needs("operate")],
    opt=spec(
        "Executions",
        body=RetryRequest,
        body_example={"from": "ship", "path": "each_order:3"},
        answer=STARTED,
        status=202,
    ),
)
async def retry(request: Asked, execution: FromPath[str], retries: NamedDependency[Retry]) -> Response[bytes]:
    """A new execution from where this one failed, from a node, or from the start."""
    asked = await read_json(request, RetryRequest)
    if asked.input is not msgspec.UNSET:
        check_storable(asked.input, "input")
    fresh = await retries.retry(
        workspace_of(request),
        execution,
        node=asked.from_node,
        path=asked.path,
        keep=asked.keep,
        published=asked.version == "published",
        value=asked.input,
    )
    return json_answer({"id": fresh}, 202, location=f"{BASE}/{fresh}")


@get(
    "/api/v1/dead-letters",
    guards=[signed_in],
    opt=spec(
        "Dead letters",
        query={"workflow": "Only of this workflow.", **QUERY_PAGE},
        answer=items_of(Execution, cursor=True),
    ),
)
async def list_dead_letters(request: Asked, dead_letters: NamedDependency[DeadLetters]) -> Response[bytes]:
    """Production runs that failed and were neither requeued nor discarded, newest first."""
    limit = number(request, "limit", PAGE, 1, 500)
    items = await dead_letters.list(
        workspace_of(request),
        workflow=request.query_params.get("workflow") or None,
        before=_cursor_from(request),
        limit=limit,
    )
    return json_answer({"items": items, "cursor": items[-1].id if len(items) == limit else None})


@post(
    "/api/v1/dead-letters/requeue",
    guards=[needs("operate")],
    status_code=200,
    opt=spec("Dead letters", body=SeveralRequest, body_example={"ids": []}, answer=SEVERAL),
)
async def requeue(request: Asked, retries: NamedDependency[Retry]) -> Response[bytes]:
    """Retry several: `{items: [{id, next}], refused: [{id, reason}]}`."""
    asked = await read_json(request, SeveralRequest)
    done, refused = [], []
    for execution in asked.ids:
        try:
            fresh = await retries.retry(
                workspace_of(request), execution, published=asked.version == "published", keep=asked.keep
            )
        except (Conflict, NotFound, RequestInvalid) as error:
            refused.append({"id": execution, "reason": error.message})
        else:
            done.append({"id": execution, "next": fresh})
    return json_answer({"items": done, "refused": refused})


@post(
    "/api/v1/dead-letters/discard",
    guards=[needs("operate")],
    status_code=200,
    opt=spec("Dead letters", body=SeveralRequest, body_example={"ids": []}, answer=SEVERAL),
)
async def discard(request: Asked, dead_letters: NamedDependency[DeadLetters]) -> Response[bytes]:
    """They need no further work: `{items: [{id}], refused: [{id, reason}]}`."""
    asked = await read_json(request, SeveralRequest)
    done, refused = [], []
    for execution in asked.ids:
        try:
            await dead_letters.discard(workspace_of(request), execution)
        except (Conflict, NotFound) as error:
            refused.append({"id": execution, "reason": error.message})
        else:
            done.append({"id": execution})
    return json_answer({"items": done, "refused": refused})


@post(f"{ONE}/pause", guards=[needs("operate")], status_code=204, opt=spec("Executions", status=204))
async def pause(
    request: Asked, execution: FromPath[str], controller: NamedDependency[ExecutionController]
) -> None:
    """Start nothing new; what runs is let finish."""
    await controller.pause(workspace_of(request), execution)


@post(f"{ONE}/resume", guards=[needs("operate")], status_code=204, opt=spec("Executions", status=204))
async def resume(
    request: Asked, execution: FromPath[str], controller: NamedDependency[ExecutionController]
) -> None:
    """Let a paused run go on."""
    await controller.resume(workspace_of(request), execution)


@post(f"{ONE}/cancel", guards=[needs("operate")], status_code=204, opt=spec("Executions", status=204))
async def cancel(
    request: Asked, execution: FromPath[str], controller: NamedDependency[ExecutionController]
) -> None:
    """Stop a run for good."""
    await controller.cancel(workspace_of(request), execution)


@post(
    f"{ONE}/answer",
    guards=[needs("operate")],
    status_code=204,
    opt=spec("Executions", body=AnswerRequest, body_example={"node": "pay", "answer": "retry"}, status=204),
)
async def answer(
    request: Asked, execution: FromPath[str], controller: NamedDependency[ExecutionController]
) -> None:
    """Say what becomes of an effect in doubt: `retry`, `done` (with its output) or `fail`."""
    asked = await read_json(request, AnswerRequest)
    if asked.answer not in ANSWERS:
        raise RequestInvalid(field="answer", reason=f"“{asked.answer}” is none of {', '.join(ANSWERS)}")
    check_storable(asked.output, "output")
    await controller.answer(
        workspace_of(request), execution, asked.node, asked.path, asked.answer, asked.output
    )
