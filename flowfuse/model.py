"""The nouns that cross a package border: the document, the execution, and what is read of both.

The shape of a document is said here once: from these structs come decoding, the JSON Schema and the
form fields. All but a few fields have defaults; where a field names choices, the first is the default.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from flowfuse.errors import IllegalTransition

FORMAT = 1
WORKSPACE = "main"
"""The workspace that exists from the first start."""

Value = Any
"""A JSON value: null, boolean, finite number, text, list, or object with text keys."""

WORKFLOW_ID = r"^[a-z0-9][a-z0-9_-]{0,63}$"
NODE_ID = r"^[a-z][a-z0-9_]{0,62}$"
DURATION = r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

Duration = Annotated[float, Meta(ge=0)] | Annotated[str, Meta(pattern=DURATION)]
"""Seconds, or text such as `15m` or `1h30m`."""


def seconds(duration: float | str) -> float:
    """A duration in seconds. Raises ValueError for text that is none."""
    if isinstance(duration, int | float):
        return float(duration)
    if re.fullmatch(DURATION.strip("^$"), duration) is None:
        raise ValueError(f"“{duration}” is not a duration such as 15m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(duration))


class Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A piece of the document: unknown fields are refused, defaults are not written out."""


class Retry(Part, frozen=True, kw_only=True):
    """How often, and after which pauses, a node's failed attempt is repeated."""

    attempts: Annotated[int, Meta(ge=1, le=100)] = 1
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    initial: Duration = 1.0
    max: Duration = 60.0
    jitter: bool = True


class Position(Part, frozen=True, kw_only=True):
    """Where a node's card lies on the canvas, in its units."""

    x: float
    y: float


class Node(Part, frozen=True, kw_only=True):
    """A node as it is placed in one workflow (its kind is a `NodeType` of the catalogue)."""

    id: Annotated[str, Meta(pattern=NODE_ID)]
    type: str
    version: Annotated[int, Meta(ge=1)] | None = None
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    credential: str | None = None
    join: Literal["all", "any"] = "all"
    retry: Retry | None = None
    timeout: Duration | None = None
    on_error: Literal["fail", "continue", "route"] = "fail"
    on_interrupted: Literal["retry", "fail", "ask"] = "retry"
    disabled: bool = False
    pinned: Any | UnsetType = UNSET
    notes: str = ""
    position: Position | None = None


class Edge(Part, frozen=True, kw_only=True):
    """A connection: `from` is `node` or `node.port`, `to` is a node."""

    source: str = field(name="from")
    target: str = field(name="to")

    @property
    def node(self) -> str:
        """The id of the node that the edge leaves."""
        return self.source.partition(".")[0]

    @property
    def port(self) -> str:
        """The port that it leaves by."""
        return self.source.partition(".")[2] or "main"


class StickyNote(Part, frozen=True, kw_only=True):
    """A remark that lies on the canvas."""

    text: str = ""
    x: float = 0.0
    y: float = 0.0
    width: Annotated[float, Meta(ge=80)] = 240.0
    height: Annotated[float, Meta(ge=40)] = 96.0


class Group(Part, frozen=True, kw_only=True):
    """A frame with a name around nodes. It changes nothing of what they do."""

    name: str = ""
    nodes: list[str] = field(default_factory=list)


class Settings(Part, frozen=True, kw_only=True):
    """What holds for a workflow as a whole."""

    timezone: str = "UTC"
    checkpoint_every: Annotated[int, Meta(ge=1)] = 1
    timeout: Duration | None = None
    concurrency: Annotated[int, Meta(ge=0)] = 0
    overlap: Literal["queue", "skip", "cancel_previous"] = "queue"
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    error_workflow: str | None = None
    keep: Duration | None = None
    minutes_saved_per_run: Annotated[float, Meta(ge=0)] = 0.0
    hourly_rate: Annotated[float, Meta(ge=0)] = 0.0
    variables: dict[str, Any] = field(default_factory=dict)
    sensitive: list[str] = field(default_factory=list)


class Workflow(Part, frozen=True, kw_only=True):
    """The whole document."""

    format: Literal[1] = 1
    id: Annotated[str, Meta(pattern=WORKFLOW_ID)] | None = None
    name: str = ""
    description: str = ""
    folder: str = ""
    tags: list[str] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    nodes: list[Node]
    edges: list[Edge]
    notes: dict[str, StickyNote] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)


class Problem(Struct, frozen=True):
    """One thing that is wrong with a document, and where."""

    path: str
    code: str
    message: str
    severity: Literal["error", "warning"] = "error"


class State(IntEnum):
    """The states of an execution. The numbers are what the database holds."""

    pending = 0
    running = 1
    paused = 2
    completed = 3
    failed = 4
    cancelled = 5


TRANSITIONS: dict[State, frozenset[State]] = {
    State.pending: frozenset({State.running, State.cancelled}),
    State.running: frozenset({State.paused, State.completed, State.failed, State.cancelled}),
    State.paused: frozenset({State.running, State.failed, State.cancelled}),
    State.completed: frozenset(),
    State.failed: frozenset(),
    State.cancelled: frozenset(),
}
"""The one transition table: the seed's arrows, and the three that `semantics` adds."""

# Looking a member up on its class is a Python call in CPython 3.11; the walk asks several times a node.
RUNNING = State.running

TERMINAL = frozenset(state for state, targets in TRANSITIONS.items() if not targets)


def check_transition(state: State, target: State) -> None:
    """Raise IllegalTransition unless the table has the arrow."""
    if target not in TRANSITIONS[state]:
        raise IllegalTransition(state=state.name, target=target.name)


class NodeError(Struct, frozen=True):
    """An error as it is recorded on a run and shown to people."""

    code: str
    message: str
    node: str = ""
    attempt: int = 1
    hint: str = ""
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET
    excerpt: str | UnsetType = UNSET


class Answer(Struct, frozen=True):
    """What a webhook's caller is answered."""

    status: int
    headers: dict[str, str]
    body: Value


class Execution(Struct, frozen=True, kw_only=True):
    """One execution as the lists show it. Times are UTC microseconds."""

    id: str
    workflow: str
    number: int
    state: str
    waiting: str | None
    trigger: str
    mode: str
    root: str
    created: int
    started: int | None
    finished: int | None
    wake_at: int | None
    priority: int
    deaths: int
    reason: str | None
    error: NodeError | None


class StatisticsPart(Struct, frozen=True, kw_only=True):
    """The runs accepted in one part of a span, by state. `begin` is UTC microseconds."""

    begin: int
    states: dict[str, int]


class Statistics(Struct, frozen=True, kw_only=True):
    """The runs of a span: how many, in which states, and how long they took (microseconds, percentiles)."""

    total: int
    states: dict[str, int]
    duration: dict[str, float]
    parts: list[StatisticsPart]


class Attempt(Struct, frozen=True, omit_defaults=True):
    """One try of a node. `ended` and `error` are empty while it is under way."""

    number: int
    outcome: str
    started: int
    ended: int | None = None
    error: NodeError | None = None


class LogLine(Struct, frozen=True):
    """What a node has left in the run's log: `action.log`'s message, or all that a code node has printed."""

    at: int
    level: str
    message: str


class NodeRun(Struct, frozen=True, kw_only=True):
    """What one node did in one execution (in one round, where it stands in a loop's body).

    While its run goes on, a node is `running`, `retrying`, `waiting`, `calling`, `asking` or `approving`. It
    ends as `done`, `failed`, `skipped` (nothing reached it), `stopped` (the run ended before it did) or
    `interrupted` (ended from outside, so that it may have had its effect).
    """

    node: str
    path: str
    state: str
    port: str | None = None
    input: Value = None
    output: Value = None
    error: NodeError | None = None
    started: int | None = None
    ended: int | None = None
    attempts: list[Attempt] = []
    waits_for: Value = None
    """What a waiting node was told of what it waits for: the question, the id of the run that it called."""
    log: list[LogLine] = []


class ExecutionDetail(Struct, frozen=True, kw_only=True):
    """An execution with everything that is known of its nodes."""

    execution: Execution
    input: Value
    result: Value
    answer: Answer | None
    seq: int
    nodes: list[NodeRun]
    truncated: bool = False


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One numbered thing that happened in an execution (unnumbered: `seq` is 0)."""

    type: str
    seq: int = 0
    node: str = ""
    path: str = ""
    port: str = ""
    at: int = 0
    ms: float = 0.0
    attempt: int = 0
    count: int = 0
    state: str = ""
    waiting: str = ""
    until: int = 0
    message: str = ""
    error: NodeError | None = None


class WorkflowSummary(Struct, frozen=True, kw_only=True):
    """A workflow as the list shows it."""

    id: str
    name: str
    description: str
    folder: str
    tags: list[str]
    seq: int
    published: int | None
    active: bool
    created: int
    updated: int
    last_number: int


class Schedule(Struct, frozen=True, kw_only=True):
    """A published schedule trigger. `recurrence` is the JSON of the engine's `Recurrence`."""

    workspace: str
    workflow: str
    node: str
    recurrence: str
    catch_up: str
    paused: bool
    next_due: int | None


class Fire(Struct, frozen=True, kw_only=True):
    """What became of a due time: `fired`, or not; `count` of them, where several were skipped at once."""

    due: int
    outcome: str
    count: int
    execution: str | None
    at: int


class Version(Struct, frozen=True, kw_only=True):
    """An immutable state of a workflow. `author` is empty where it was made before that was noted."""

    number: int
    hash: str
    created: int
    note: str
    author: str = ""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """The seed's numbered cut of a run."""

    execution_id: str
    checkpoint_index: int
    timestamp: str
    state: dict[str, Value]


class Credential(Struct, frozen=True, kw_only=True):
    """What may be shown of a credential: never its secret."""

    id: str
    name: str
    kind: str
    hosts: list[str]
    created: int
    updated: int


def json_bytes(value: Value) -> bytes:
    """Compact JSON of a value or struct."""
    return msgspec.json.encode(value)
