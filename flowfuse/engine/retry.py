"""Retry: a new execution in the place of one that ended – from its failure, a node, or the start.

It has the same root, so its effects go by their old keys, unless outputs were discarded, the input was
edited, or another version is run. A dead letter that is retried is one no more.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from flowfuse.clock import id_bytes, id_text
from flowfuse.data.dead_letters import DeadLetters
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine import records
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.copies import Copies, mode_again
from flowfuse.engine.history import History
from flowfuse.engine.kept import Kept, keep_all_but_failures, keep_before
from flowfuse.engine.plan import NodePlan, Plan
from flowfuse.engine.state import StateManager
from flowfuse.errors import Conflict, RequestInvalid
from flowfuse.model import TERMINAL, Execution, State, Value


class Retry:
    """Begins executions that continue or repeat others; the old ones stay as they were."""

    def __init__(
        self,
        executions: ExecutionRepository,
        workflows: WorkflowRepository,
        state: StateManager,
        history: History,
        dead_letters: DeadLetters,
        controller: ExecutionController,
        copies: Copies,
    ) -> None:
        self._executions, self._workflows, self._state = executions, workflows, state
        self._history, self._dead_letters, self._controller = history, dead_letters, controller
        self._copies = copies

    async def retry(
        self,
        workspace: str,
        execution: str,
        *,
        node: str | None = None,
        path: str = "",
        keep: bool = True,
        published: bool = False,
        value: Value | UnsetType = UNSET,
    ) -> str:
        """The new execution's id.

        `node` (with the loop `path` of a round) says from where on things are done anew; without it, what
        failed is. `keep=False`, another version or an edited input begin at the start. Raises NotFound,
        Conflict where it has not ended, RequestInvalid, Unavailable.
        """
        self._controller.check_accepting()
        found = await self._executions.get(workspace, execution)
        if State[found.state] not in TERMINAL:
            raise Conflict(reason=f"The run is {found.state}; only one that has ended can be retried")
        if not keep or published or value is not UNSET:
            if node is not None:
                raise RequestInvalid(
                    field="from",
                    reason="a node keeps what was done before it, with the version and input it had",
                )
            return await self._begin_anew(workspace, found, published=published, value=value)
        plan = await self._history.plan(workspace, execution)
        log = await self._state.log(workspace, execution, fill=False)
        if node is None:
            kept = keep_all_but_failures(plan, log)
        else:
            kept = keep_before(plan, log, _chosen(plan, node), _rounds(plan, node, path))
        return await self._begin_kept(workspace, found, kept, plan)

    async def _begin_kept(self, workspace: str, old: Execution, kept: Kept, plan: Plan) -> str:
        seq, segments = 0, []
        for base, left in kept.segments:
            data = records.segment(base, len(left), b"".join(map(records.again, left)))
            segments.append((seq + 1, self._state.stored(workspace, data, plan)))
            seq += len(left)
        return await self._copies.begin(
            workspace, old, plan, segments, seq, own_root=kept.discarded,
            also=lambda fresh: self._settles(workspace, old, fresh),
        )  # fmt: skip

    async def _begin_anew(
        self, workspace: str, old: Execution, *, published: bool, value: Value | UnsetType
    ) -> str:
        if published:
            content = await self._workflows.published(workspace, old.workflow)
            if content is None:
                raise RequestInvalid(field="version", reason=f"“{old.workflow}” is not published")
        else:
            number = await self._executions.content_of(workspace, old.id)
            content = await self._workflows.content(workspace, number)
        plan = self._controller.plan(content)
        if old.trigger not in plan.by_id:
            raise RequestInvalid(
                field="version", reason=f"the published version has no trigger “{old.trigger}”"
            )
        given = (await self._history.detail(workspace, old.id, plain=True)).input if value is UNSET else value
        run = self._controller.start(
            workspace, old.workflow, content.id, plan, old.trigger, given, mode=mode_again(old),
            claim=lambda fresh: _all(self._settles(workspace, old, fresh)),
        )  # fmt: skip
        assert run.accepted is not None
        await run.accepted
        return id_text(run.id)

    def _settles(self, workspace: str, old: Execution, fresh: bytes) -> list[Any]:
        """What is committed with the new run: a dead letter that it takes the place of is one no more."""
        raw = id_bytes(old.id)
        assert raw is not None
        if old.state != State.failed.name or old.mode != "production":
            return []
        return [self._dead_letters.settle(workspace, raw, "requeued", fresh)]


def _all(changes: list[Any]) -> Any:
    def change(connection: Any) -> None:
        for each in changes:
            each(connection)

    return change


def _chosen(plan: Plan, node: str) -> NodePlan:
    found = plan.by_id.get(node)
    if found is None:
        raise RequestInvalid(field="from", reason=f"the run has no node “{node}”")
    if found.type.is_trigger:
        raise RequestInvalid(
            field="from", reason=f"“{node}” is a trigger; use keep: false to begin at the start"
        )
    return found


def _rounds(plan: Plan, node: str, path: str) -> tuple[int, ...]:
    """The numbers of a loop path such as `each:3/inner:0`. Raises RequestInvalid."""
    if not path:
        return ()
    names, numbers = [], []
    for part in path.split("/"):
        name, _, number = part.partition(":")
        if not number.isdigit():
            raise RequestInvalid(field="path", reason=f"“{path}” is no loop path such as each:3")
        names.append(name)
        numbers.append(int(number))
    expected, scope = [], plan.by_id[node].scope
    while scope.loop is not None:
        expected.append(scope.loop.id)
        scope = scope.loop.scope
    if names != expected[::-1]:
        where = "/".join(f"{name}:…" for name in reversed(expected)) or "no loop"
        raise RequestInvalid(field="path", reason=f"“{node}” stands in {where}, not in “{path}”")
    return tuple(numbers)
