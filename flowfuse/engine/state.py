"""StateManager: a run's stored state – loading it, its events, its checkpoints.

The log of records is the state. A checkpoint is a numbered cut of it, after every N completed nodes;
any of them can begin a new execution, and the old one stays as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from flowfuse.data.executions import ExecutionRepository
from flowfuse.engine import records
from flowfuse.engine.frame import path_text
from flowfuse.engine.plan import Plan
from flowfuse.engine.run import Run
from flowfuse.errors import SegmentBroken
from flowfuse.model import Checkpoint, Event, NodeError, State

Log = list[tuple[int, int, list[list[Any]]]]
"""(first sequence number, base, records) of each segment."""


class LogSeal(Protocol):
    """Seals what is stored of runs that handle sensitive values (the vault)."""

    def seal_log(self, workspace: str, data: bytes) -> bytes: ...

    def open_log(self, workspace: str, data: bytes) -> bytes: ...


class StateManager:
    """Reads what runs have written."""

    def __init__(self, executions: ExecutionRepository, secrets: LogSeal) -> None:
        self._executions, self._secrets = executions, secrets

    async def log(
        self, workspace: str, execution: str, after: int = 0, *, fill: bool = True, most: int = -1
    ) -> Log:
        """The records of a run (those after a sequence number, of at most so many segments), blobs filled in.

        Raises SegmentBroken.
        """
        log: Log = []
        expected = None
        for first, data in await self._executions.segments(workspace, execution, after, most):
            if expected is not None and first != expected:
                raise SegmentBroken(execution=execution, reason=f"the records from {expected} on are missing")
            base, found = records.open_segment(data, execution, self.unsealer(workspace))
            if fill:
                await self._fill_blobs(workspace, execution, found)
            log.append((first, base, found))
            expected = first + len(found)
        if log and not after and log[0][0] != 1:
            raise SegmentBroken(execution=execution, reason="its beginning is missing")
        return log

    def unsealer(self, workspace: str) -> records.Unseal:
        """Opens what is stored of runs that handle sensitive values."""
        return lambda data: self._secrets.open_log(workspace, data)

    def stored(self, workspace: str, data: bytes, plan: Plan) -> bytes:
        """A segment as it is stored: sealed, where the workflow has sensitive values."""
        if not plan.sensitive:
            return data
        return records.sealed_segment(data, lambda plain: self._secrets.seal_log(workspace, plain))

    async def load(self, row: sqlite3.Row, plan: Plan, log: Log, epoch: int) -> Run:
        """A Run from its row; its records are not applied yet (see `replay`)."""
        trigger = plan.by_id[row["trigger"]]
        raw = bytes(row["id"])
        run = Run(
            id=raw,
            workspace=row["workspace_id"],
            workflow_id=row["workflow_id"],
            content_id=row["content_id"],
            plan=plan,
            trigger=trigger,
            trigger_value=None,
            mode=row["mode"],
            now_us=row["created"],
            epoch=epoch,
            root=bytes(row["root"]) if row["root"] is not None else raw,
        )
        run.state = State(row["state"])
        run.inserted = True
        run.started = row["started"]
        run.ran_us, run.since = row["ran_us"], None
        run.deaths, run.parent = row["deaths"], row["parent"]
        run.reason = row["reason"]
        run.waiting = row["waiting"]
        return run

    async def events(self, workspace: str, execution: str, after: int, plan: Plan) -> list[Event]:
        """The numbered events after a sequence number."""
        log = await self.log(workspace, execution, after)
        return [event for event in events_of(log, plan) if event.seq > after]

    async def checkpoints(self, workspace: str, execution: str, plan: Plan) -> list[tuple[int, Checkpoint]]:
        """The cuts of a run, each with the sequence number that it follows."""
        log = await self.log(workspace, execution)
        every = plan.workflow.settings.checkpoint_every
        variables = plan.workflow.settings.variables
        completed: list[str] = []
        found: list[tuple[int, Checkpoint]] = []
        for first, base, segment in log:
            for offset, record in enumerate(segment):
                if record[0] != records.DONE:
                    continue
                completed.append(plan.nodes[record[1]].id)
                if len(completed) % every:
                    continue
                at = datetime.fromtimestamp((base + record[5]) / 1e6, UTC)
                state = {
                    "variables": variables,
                    "completed_nodes": list(dict.fromkeys(completed)),
                    "current_node": completed[-1],
                }
                cut = Checkpoint(
                    execution_id=execution,
                    checkpoint_index=len(completed) // every,
                    timestamp=at.isoformat().replace("+00:00", "Z"),
                    state=state,
                )
                found.append((first + offset, cut))
        return found

    async def _fill_blobs(self, workspace: str, execution: str, segment: list[list[Any]]) -> None:
        for record in segment:
            for position, value in enumerate(record):
                if isinstance(value, records.BlobRef):
                    record[position] = await self._blob(workspace, execution, value.digest)

    async def _blob(self, workspace: str, execution: str, digest: bytes) -> Any:
        stored = await self._executions.blob(workspace, digest)
        if stored is None:
            raise SegmentBroken(execution=execution, reason="a value of it is missing")
        data = records.decompress(stored)
        if records.digest_of(data) != digest:
            raise SegmentBroken(execution=execution, reason="a value of it has changed")
        return msgspec.msgpack.decode(data)


def events_of(log: Sequence[tuple[int, int, list[list[Any]]]], plan: Plan) -> Iterable[Event]:
    """Records as the events that pages and programs see."""
    for first, base, segment in log:
        for offset, record in enumerate(segment):
            yield _EVENT[record[0]](record, base, plan, first + offset)


def _path(plan: Plan, index: int, path: list[int]) -> str:
    return path_text(plan.nodes[index].scope, tuple(path))


def _start(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    return Event(type="node_done", seq=seq, node=plan.nodes[record[1]].id, port="main", at=base)


def _done(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, port, _value, at, took, attempt = record
    return Event(
        type="node_done", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), port=port,
        at=base + at, ms=took / 1000, attempt=attempt,
    )  # fmt: skip


def _attempt(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, attempt, at = record
    node = plan.nodes[index].id
    return Event(
        type="attempt", seq=seq, node=node, path=_path(plan, index, path), at=base + at, attempt=attempt
    )


def _retry(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, attempt, at, error, next_at = record
    return Event(
        type="retry", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at,
        attempt=attempt, until=next_at, error=msgspec.convert(error, NodeError),
    )  # fmt: skip


def _failed(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, attempt, at, error, port, _value = record
    return Event(
        type="node_failed", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at,
        attempt=attempt, port=port or "", error=msgspec.convert(error, NodeError),
    )  # fmt: skip


def _wait(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, at, until, why, _data = record
    return Event(
        type="waiting", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at,
        until=until, waiting=why,
    )  # fmt: skip


def _loop(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, at = record
    return Event(type="loop", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at)


def _round(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, number, ok, value, at = record
    return Event(
        type="round", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at,
        count=number, error=None if ok else msgspec.convert(value, NodeError),
    )  # fmt: skip


def _block(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, _first, count, _columns, _results, at, took = record
    return Event(
        type="rounds", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at,
        count=count, ms=took / 1000,
    )  # fmt: skip


def _note(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, at, kind, short, long = record
    message = long if kind == "log" and isinstance(long, str) else ""
    return Event(
        type=kind, seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at,
        message=message, state=str(short),
    )  # fmt: skip


def _state(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, state, at, reason, error = record
    return Event(
        type="state", seq=seq, state=State(state).name, at=base + at, message=reason or "",
        error=msgspec.convert(error, NodeError) if error is not None else None,
    )  # fmt: skip


def _interrupted(record: list[Any], base: int, plan: Plan, seq: int) -> Event:
    _, index, path, attempt, at = record
    return Event(
        type="interrupted", seq=seq, node=plan.nodes[index].id, path=_path(plan, index, path), at=base + at,
        attempt=attempt,
    )  # fmt: skip


_EVENT: dict[int, Any] = {
    records.START: _start,
    records.DONE: _done,
    records.ATTEMPT: _attempt,
    records.RETRY: _retry,
    records.FAILED: _failed,
    records.WAIT: _wait,
    records.LOOP: _loop,
    records.ROUND: _round,
    records.BLOCK: _block,
    records.NOTE: _note,
    records.STATE: _state,
    records.INTERRUPTED: _interrupted,
}
