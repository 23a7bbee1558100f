"""FollowUps: what happens because a run has ended – its caller goes on, its error workflow starts.

Each is a row, noted in the commit that ended the run and removed in the one that does it, so that it is
done once, whatever ends the process in between.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from flowfuse.clock import Clock, id_text
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.follow_ups import FollowUp, FollowUpRepository, forget
from flowfuse.data.workflows import WorkflowRepository
from flowfuse.engine.calls import Caller
from flowfuse.engine.controller import ExecutionController
from flowfuse.engine.history import History
from flowfuse.engine.plan import Plan
from flowfuse.errors import (
    CallFailed,
    Duplicate,
    FlowFuseError,
    IllegalTransition,
    NodeFailed,
    NotFound,
    Unavailable,
)
from flowfuse.events import EventBus, FollowUpNoted
from flowfuse.model import TERMINAL, ExecutionDetail, State
from flowfuse.node import Output

log = logging.getLogger("flowfuse.engine")

BATCH = 100
AGAIN_SECONDS = 0.05
LONGEST_AGAIN_SECONDS = 5.0
ERROR_TRIGGER = "trigger.error"


class FollowUps:
    """Does what was noted, in its order; what cannot be done yet is tried again."""

    def __init__(
        self,
        clock: Clock,
        rows: FollowUpRepository,
        executions: ExecutionRepository,
        workflows: WorkflowRepository,
        history: History,
        controller: ExecutionController,
        bus: EventBus,
    ) -> None:
        self._clock, self._rows, self._executions = clock, rows, executions
        self._workflows, self._history, self._controller = workflows, history, controller
        self._wake = asyncio.Event()
        self._behind = 0
        bus.listen(FollowUpNoted, lambda _: self._wake.set())

    async def leave_others(self) -> None:
        """What was noted before now is for the next process."""
        self._behind = await self._rows.newest()

    async def work(self) -> None:
        """The loop that does what was noted. Never returns."""
        pause = AGAIN_SECONDS
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if await self._round():
                pause = AGAIN_SECONDS
            else:
                await self._clock.sleep(pause)
                pause = min(pause * 2, LONGEST_AGAIN_SECONDS)
                self._wake.set()

    async def _round(self) -> bool:
        """Do all that can be done; whether nothing is left."""
        complete, number = True, self._behind
        try:
            while batch := await self._rows.after(number, BATCH):
                for each in batch:
                    complete = await self._do(each) and complete
                number = batch[-1].number
        except Unavailable:
            return False
        return complete

    async def _do(self, each: FollowUp) -> bool:
        """Do one; whether it is done. Raises Unavailable."""
        try:
            done: bool = await _DO[each.kind](self, each)
        except Unavailable:
            raise
        except FlowFuseError as error:
            log.error("What follows the end of %s cannot be done: %s", id_text(each.execution), error)
            done = True
        except Exception:
            # What is wrong with one must not keep the others, which are done in their order, from theirs.
            log.exception("What follows the end of %s broke", id_text(each.execution))
            done = True
        if done:
            await self._rows.done(each.number)
        return done

    async def _cancel(self, each: FollowUp) -> bool:
        try:
            await self._controller.cancel(each.workspace, id_text(each.execution))
        except (IllegalTransition, NotFound):
            # It has ended by itself.
            return True
        return True

    async def _ended(self, each: FollowUp) -> bool:
        """Let the caller's node go on with the result, or with the error."""
        execution = await self._executions.get(each.workspace, id_text(each.execution))
        parent = await self._executions.parent_of(each.workspace, execution.id)
        if parent is None or execution.finished is None:
            return True
        caller = msgspec.json.decode(parent, type=Caller)
        try:
            waits = State[(await self._executions.get(each.workspace, caller.execution)).state]
        except NotFound:
            return True
        if waits is not State.running:
            # A paused one is told when it runs again; what there is to tell is read then, not each time.
            return waits in TERMINAL
        detail = await self._history.detail(each.workspace, execution.id, plain=True)
        return await self._controller.orders.child_ended(
            each.workspace, caller.execution, caller.node, caller.path, execution.id, _outcome(detail)
        )

    async def _failed(self, each: FollowUp) -> bool:
        """Start the error workflow of a run that failed, with what happened as its input."""
        execution = await self._executions.get(each.workspace, id_text(each.execution))
        document = await self._history.document(each.workspace, execution.id)
        name = document.settings.error_workflow
        if name is None or execution.mode not in ("production", "manual"):
            return True
        content = await self._workflows.published(each.workspace, name)
        if content is None:
            log.error("The error workflow “%s” of “%s” is not published", name, execution.workflow)
            return True
        value = {
            "execution": {
                "id": execution.id,
                "number": execution.number,
                "mode": execution.mode,
                "trigger": execution.trigger,
                "root": execution.root,
            },
            "workflow": {"id": execution.workflow, "name": document.name or execution.workflow},
            "error": msgspec.to_builtins(execution.error),
        }
        plan = self._controller.plan(content)
        run = self._controller.start(
            each.workspace, name, content.id, plan, _error_trigger(plan), value, mode="error",
            delivery=("error", id_text(each.execution)), claim=lambda _: forget(each.number),
        )  # fmt: skip
        assert run.accepted is not None
        try:
            await run.accepted
        except Duplicate:
            log.debug("The error workflow of %s was started before", execution.id)
        return True


_DO: dict[str, Any] = {"cancel": FollowUps._cancel, "ended": FollowUps._ended, "failed": FollowUps._failed}


def _outcome(detail: ExecutionDetail) -> Output | NodeFailed:
    execution = detail.execution
    if execution.state == State.completed.name:
        return Output("main", detail.result)
    told = execution.error.message if execution.error is not None else execution.reason or ""
    reason = f"its run {execution.number} ended as {execution.state}: {told}".rstrip(": ")
    return CallFailed(workflow=execution.workflow, reason=reason)


def _error_trigger(plan: Plan) -> str:
    """Where an error workflow begins: its error trigger, else the manual one, else its first."""
    kinds = {node.type.type: node.id for node in reversed(plan.triggers)}
    return kinds.get(ERROR_TRIGGER) or kinds.get("trigger.manual") or plan.triggers[0].id
