"""A Run: one execution in memory, what it has recorded since its last commit, and who waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from flowfuse.clock import id_text
from flowfuse.data.files import references
from flowfuse.data.follow_ups import Kind, note
from flowfuse.engine import records
from flowfuse.engine.disposal import free_later
from flowfuse.engine.frame import Frame
from flowfuse.engine.plan import NodePlan, Plan
from flowfuse.engine.sensitive import sensitive_texts, without
from flowfuse.model import RUNNING, TERMINAL, Answer, NodeError, State, Value, check_transition, json_bytes
from flowfuse.node import LogNote, RespondNote

# Segments after this many bytes, or this long after their oldest record, are not held back any more.
FLUSH_BYTES = 256 * 1024
FLUSH_SECONDS = 0.1
LARGE_KEPT = 4
"""So many large values are known with their blobs: a loop may give one with each round."""


class Waiting(msgspec.Struct, frozen=True):
    """A node of this run that is done at a time, or when a person answers."""

    frame: Frame
    node: NodePlan
    until_us: int
    why: str
    attempt: int
    first_us: int
    data: Value = None

    @property
    def repeats(self) -> bool:
        """Whether the attempt itself is made behind it: calls are possible, runs are accepted again."""
        return self.why in ("breaker", "room")

    @property
    def behind(self) -> tuple[int, str]:
        """Which attempt is made, and to which connector; the first versions kept no connector."""
        data: Any = self.data
        return (data, "") if isinstance(data, int) else (data[0], data[1])


class Work:
    """A task of a run: an effect's attempt, or (attempt 0) an expression too large for the event loop."""

    __slots__ = ("attempt", "frame", "node", "task")

    def __init__(self, frame: Frame, node: NodePlan, attempt: int) -> None:
        self.frame, self.node, self.attempt = frame, node, attempt
        self.task: asyncio.Task[None]

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start the task; the run knows it by its place."""
        self.task = asyncio.get_running_loop().create_task(coroutine)
        self.frame.run.tasks[(self.node.index, self.frame.path)] = self

    def end(self) -> bool:
        """The task is done; whether somebody still waits for it: it was not interrupted, its run stands."""
        run, key = self.frame.run, (self.node.index, self.frame.path)
        if run.tasks.get(key) is not self:
            return False
        del run.tasks[key]
        return run.state not in TERMINAL and not run.broken


class Repeat:
    """A failed attempt's node until its next attempt."""

    __slots__ = ("frame", "timer")

    def __init__(self, frame: Frame, timer: Any) -> None:
        self.frame, self.timer = frame, timer

    def cancel(self) -> None:
        self.timer.cancel()


class Run:
    """One execution that is being worked on. All changes go through the methods below."""

    __slots__ = (
        "accepted",
        "also",
        "answer",
        "base_us",
        "blobs",
        "broken",
        "buffer",
        "buffer_bytes",
        "committing",
        "content_id",
        "created",
        "deaths",
        "delivery",
        "draining",
        "dropped",
        "epoch",
        "error",
        "execution_view_",
        "failures",
        "gathering",
        "held",
        "hurry",
        "id",
        "inserted",
        "kept",
        "large",
        "launches",
        "leaving",
        "loops",
        "mode",
        "noted",
        "now_us",
        "oldest",
        "operator",
        "owner",
        "parent",
        "plan",
        "priority",
        "ran_us",
        "ready",
        "reason",
        "replaying",
        "result",
        "resume_url",
        "retries",
        "root",
        "root_frame",
        "scheduled",
        "seq",
        "since",
        "started",
        "state",
        "tasks",
        "timer",
        "timezone",
        "told",
        "trigger",
        "trigger_value",
        "variables",
        "waiting",
        "waits",
        "walking",
        "workflow_id",
        "workflow_timer",
        "workspace",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: bytes,
        workspace: str,
        workflow_id: str,
        content_id: int,
        plan: Plan,
        trigger: NodePlan,
        trigger_value: Value,
        mode: str,
        now_us: int,
        epoch: int,
        root: bytes | None = None,
        owner: str = "server",
        parent: str | None = None,
    ) -> None:
        settings = plan.workflow.settings
        self.id, self.workspace, self.workflow_id = id, workspace, workflow_id
        self.content_id, self.plan, self.trigger = content_id, plan, trigger
        self.trigger_value = trigger_value
        self.mode, self.epoch, self.owner = mode, epoch, owner
        self.root = root if root is not None else id
        self.parent = parent  # who called this run, as JSON
        self.resume_url: Callable[[bytes], str] = lambda raw: ""
        self.noted = False  # whether the next commit notes something to follow
        self.state = State.running
        self.created = self.now_us = self.base_us = now_us
        self.started: int | None = now_us
        self.since: int | None = now_us
        self.priority = settings.priority
        self.timezone = settings.timezone
        self.variables: dict[str, Value] = settings.variables
        self.operator = False
        """Whether it runs for whoever called `flowfuse run`, who may call any address."""
        self.seq = 0
        self.deaths = 0
        self.ran_us = 0
        self.reason: str | None = None
        self.error: NodeError | None = None
        self.result: Value = None
        self.answer: Answer | None = None
        self.inserted = False
        self.delivery: tuple[str, str, int] | None = None
        self.also: list[Callable[[Any], None]] = []  # changes of other tables, within the next commit
        self.buffer: list[bytes] = []
        self.buffer_bytes = 0
        self.blobs: list[tuple[bytes, bytes]] = []
        self.kept: set[bytes] = set()  # digests of the blobs that went into a commit
        self.large: dict[int, tuple[Value, records.Blob]] = {}  # by id(): the latest, with their blobs
        self.oldest = 0.0
        self.hurry = True  # whether what is recorded is to be committed at once
        self.gathering: asyncio.TimerHandle | None = None
        self.ready: deque[tuple[Any, NodePlan | None]] = deque()
        self.tasks: dict[tuple[int, tuple[int, ...]], Work] = {}
        self.launches: list[Callable[[], None]] = []
        self.loops: dict[tuple[int, tuple[int, ...]], Any] = {}
        self.waits: dict[tuple[int, tuple[int, ...]], Waiting] = {}
        self.retries: dict[tuple[int, tuple[int, ...]], Any] = {}
        self.failures = 0
        self.walking = self.scheduled = self.draining = self.replaying = self.broken = self.dropped = False
        self.waiting: str | None = None
        self.workflow_timer: Any = None
        self.committing = 0
        self.leaving = 0
        self.held = 0
        self.told = False
        self.timer: Any = None
        self.accepted: asyncio.Future[None] | None = None
        self.execution_view_: dict[str, Value] | None = None
        self.root_frame = Frame(plan.root, self, None, ())

    @property
    def execution_view(self) -> dict[str, Value]:
        """What expressions see as `execution`."""
        if self.execution_view_ is None:
            self.execution_view_ = {
                "id": id_text(self.id),
                "root": id_text(self.root),
                "mode": self.mode,
                "trigger": self.trigger.id,
                "started": self.created,
                "resume_url": self.resume_url(self.id),
            }
        return self.execution_view_

    @property
    def workflow_view(self) -> dict[str, Value]:
        """What expressions see as `workflow`."""
        workflow = self.plan.workflow
        return {"id": self.workflow_id, "name": workflow.name, "timezone": self.timezone}

    def may_gather(self) -> bool:
        """Whether what is recorded may wait for more: it holds no effect, and only what has none runs."""
        if self.hurry or self.launches or self.waits or self.draining or self.state is not RUNNING:
            return False
        if self.buffer_bytes > FLUSH_BYTES or (self.answer is not None and not self.told):
            return False
        return bool(self.tasks) and not any(work.attempt for work in self.tasks.values())

    def ran(self) -> int:
        """Running time so far, in microseconds: without the queue, pauses and waits."""
        if self.since is None:
            return self.ran_us
        return self.ran_us + max(0, self.now_us - self.since)

    def wake_at(self) -> int | None:
        """When a run that waits is to be continued: a wait is over, or a loop's timeout."""
        times = [each.until_us for each in self.waits.values() if each.until_us]
        times += [loop.deadline_us for loop in self.loops.values() if loop.deadline_us is not None]
        return min(times, default=None)

    def note_follow_up(self, kind: Kind, execution: bytes) -> None:
        """Note, within the next commit, what is to be done because of this run."""
        self.also.append(note(self.workspace, kind, execution))
        self.noted = True

    def note_what_follows(self) -> None:
        """Within the commit that ends it: its caller goes on, its error workflow starts."""
        if self.parent is not None:
            self.note_follow_up("ended", self.id)
        if self.state is State.failed and self.plan.workflow.settings.error_workflow is not None:
            self.note_follow_up("failed", self.id)

    def move(self, target: State, reason: str | None = None) -> None:
        """Change the state by the transition table and record it. Raises IllegalTransition."""
        check_transition(self.state, target)
        self.state = target
        self.reason = reason
        error = msgspec.to_builtins(self.error) if self.error is not None else None
        self.write((records.STATE, int(target), self.now_us - self.base_us, reason, error))

    def write(self, record: tuple[Any, ...], value_at: int = 0) -> None:
        """Add a record to the segment. Raises OutputInvalid where a value in it is not JSON."""
        self.keep(*self.encoded(record, value_at))

    def encoded(self, record: tuple[Any, ...], value_at: int) -> tuple[bytes, records.Blob | None]:
        """A record's bytes, and the blob that is to be kept with it. Raises OutputInvalid."""
        # What is sealed is not kept by its content, where others would find it.
        if not value_at or self.plan.sensitive:
            return records.encode(record, 0)
        value = record[value_at]
        if self.large and (known := self.large.get(id(value))) is not None:
            return records.with_blob(record, value_at, known[1]), known[1]
        packed, blob = records.encode(record, value_at)
        if blob is not None:
            self.remember(value, blob)
        return packed, blob

    def remember(self, value: Value, blob: records.Blob) -> None:
        """A large value's blob is made: a node that passes the value on needs none of its own."""
        if len(self.large) >= LARGE_KEPT:
            del self.large[next(iter(self.large))]
        self.large[id(value)] = value, blob

    def keep(self, packed: bytes, blob: records.Blob | None) -> None:
        """Add an encoded record to the segment."""
        if blob is not None:
            if blob.files:
                self.also.append(references(self.workspace, self.id, blob.files))
            if blob.digest not in self.kept:
                self.kept.add(blob.digest)
                self.blobs.append((blob.digest, blob.data))
                self.buffer_bytes += blob.size
        self.buffer.append(packed)
        self.buffer_bytes += len(packed)
        self.seq += 1

    def take_note(self, frame: Frame, node: NodePlan, note: Any) -> None:
        """Record what a node leaves beside its output; the first answer of a run counts."""
        at = self.now_us - self.base_us
        if isinstance(note, RespondNote):
            if self.answer is not None:
                return
            self.write((records.NOTE, node.index, frame.path, at, "respond", note.status, note.headers))
            self.answer = Answer(note.status, note.headers, UNANSWERED)
        elif isinstance(note, LogNote):
            message = note.message
            if self.plan.sensitive:
                message = without(message, sensitive_texts(self.root_frame))
            self.write((records.NOTE, node.index, frame.path, at, "log", note.level, message), 6)

    def let_go(self) -> None:
        """It has ended. Its frame points back at it: without that, both are freed with the last use."""
        if self.tasks or self.held:
            return
        if self.large:
            free_later([*self.root_frame.values, self.trigger_value])
        del self.root_frame

    def take_segment(self) -> tuple[bytes, int, str, bytes] | None:
        """The records since the last commit as one row, and begin the next segment."""
        if not self.buffer:
            return None
        first = self.seq - len(self.buffer) + 1
        together = b"".join(self.buffer)
        if records.FILE_MARK in together:
            self.also.append(references(self.workspace, self.id, records.files_in(together)))
        data = records.segment(self.base_us, len(self.buffer), together)
        self.buffer = []
        self.buffer_bytes = 0
        self.base_us = self.now_us
        return (self.id, first, self.workspace, data)


def row_of(run: Run) -> tuple[Any, ...]:
    """The columns of a new row; the writer fills in the number."""
    return (
        run.id, run.workspace, run.workflow_id, 0, run.content_id, int(run.state), run.waiting, _wake_at(run),
        run.trigger.id, run.mode, None if run.root == run.id else run.root, run.priority, run.owner,
        run.epoch, run.seq, 0, run.deaths, run.created, run.started, _finished(run),
        run.ran(), run.reason, None if run.error is None else json_bytes(run.error), run.parent,
    )  # fmt: skip


def change_of(run: Run) -> tuple[Any, ...]:
    """The columns that change with a run."""
    return (
        int(run.state), run.waiting, _wake_at(run), run.epoch, run.seq,
        run.started, _finished(run), run.ran(), run.reason,
        None if run.error is None else json_bytes(run.error), run.id,
    )  # fmt: skip


def _wake_at(run: Run) -> int | None:
    return run.wake_at() if run.waiting is not None and run.state is State.running else None


def _finished(run: Run) -> int | None:
    return run.now_us if run.state in TERMINAL else None


UNANSWERED: Any = object()
"""Stands as an answer's body between a respond node's note and its output."""
