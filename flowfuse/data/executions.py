"""ExecutionRepository: executions, their segments, blobs and deliveries.

What a run commits at once is one `ExecutionWrite`. A batch of them is a handful of statements, however
many runs it holds.
"""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from flowfuse.clock import id_bytes, id_text
from flowfuse.data.database import Database, Write, insert_many
from flowfuse.data.files import let_go, share_references
from flowfuse.errors import DatabaseUnavailable, Duplicate, NotFound
from flowfuse.model import TERMINAL, Execution, NodeError, State, Statistics, StatisticsPart

DELIVERY_US = 72 * 3600 * 1_000_000
PAGE = 50

_INSERT = """INSERT INTO executions (id, workspace_id, workflow_id, number, content_id, state, waiting,
 wake_at, trigger, mode, root, priority, owner, epoch, seq, died_at, deaths, created, started,
 finished, ran_us, reason, error, parent)"""
_WIDTH = 24
_NUMBER = 3
_SEGMENT = "INSERT INTO segments (execution_id, first_seq, workspace_id, data)"
_BLOB = "INSERT OR IGNORE INTO blobs (workspace_id, hash, size, data) VALUES (?, ?, ?, ?)"
_DELIVERY = "INSERT INTO deliveries (workspace_id, trigger, delivery, execution_id, expires)"
_UPDATE = """UPDATE executions SET state = ?, waiting = ?, wake_at = ?, epoch = ?, seq = ?,
 started = ?, finished = ?, ran_us = ?, reason = ?, error = ? WHERE id = ?"""

LISTED = """id, workflow_id, number, state, waiting, wake_at, trigger, mode, root, priority, deaths, created,
 started, finished, reason, error"""

_ERROR = msgspec.json.Decoder(NodeError)

Insert = tuple[Any, ...]
Parameters = list[str | int | bytes]


class Token(Protocol):
    """A run in memory. After a commit of it failed, none of its later ones may stand."""

    broken: bool


class ExecutionWrite(Write):
    """What one run commits at once: its row or the change of it, a segment, blobs, a delivery id."""

    __slots__ = (
        "also", "blobs", "callback", "delivery", "insert", "repository", "segment", "token", "update",
        "workspace",
    )  # fmt: skip
    bulk = True

    def __init__(
        self,
        repository: ExecutionRepository,
        workspace: str,
        callback: Callable[[int | None, BaseException | None], None],
        *,
        token: Token,
        insert: Insert | None = None,
        segment: tuple[bytes, int, str, bytes] | None = None,
        update: tuple[Any, ...] | None = None,
        delivery: tuple[str, str, int] | None = None,
        blobs: Sequence[tuple[bytes, bytes]] = (),
        also: Sequence[Callable[[sqlite3.Connection], None]] = (),
    ) -> None:
        self.repository, self.workspace, self.callback = repository, workspace, callback
        self.token = token
        self.insert, self.segment, self.update = insert, segment, update
        self.delivery, self.blobs, self.also = delivery, blobs, also

    def apply(self, connection: sqlite3.Connection) -> int | None:
        return self.apply_all(connection, [self])[0]

    @classmethod
    def apply_all(cls, connection: sqlite3.Connection, writes: Sequence[Any]) -> list[int | None]:
        """The whole batch: deliveries, rows, segments, then changes of rows. The runs' numbers."""
        repository: ExecutionRepository = writes[0].repository
        numbers: list[int | None] = [None] * len(writes)
        rows, segments = [], []
        for index, write in enumerate(writes):
            if write.token.broken:
                raise DatabaseUnavailable(reason="an earlier commit of this run failed")
            if write.delivery is not None:
                _insert_delivery(connection, write)
            if write.blobs:
                _insert_blobs(connection, write)
            if write.insert is not None:
                row = write.insert
                numbers[index] = repository.next_number(connection, row[1], row[2])
                rows.append((*row[:_NUMBER], numbers[index], *row[_NUMBER + 1 :]))
            for change in write.also:
                change(connection)
            if write.segment is not None:
                segments.append(write.segment)
        if rows:
            insert_many(connection, _INSERT, _WIDTH, rows)
            repository.save_numbers(connection)
        if segments:
            insert_many(connection, _SEGMENT, 4, segments)
        updates = [write.update for write in writes if write.update is not None]
        if updates:
            connection.executemany(_UPDATE, updates)
        return numbers

    def refused(self) -> None:
        self.token.broken = True

    def settled(self, result: Any, error: BaseException | None) -> None:
        self.callback(result, error)


def _insert_blobs(connection: sqlite3.Connection, write: ExecutionWrite) -> None:
    """Large values, each kept once by its content, and that this execution holds them."""
    assert write.segment is not None
    connection.executemany(
        _BLOB, [(write.workspace, digest, len(data), data) for digest, data in write.blobs]
    )
    connection.executemany(
        "INSERT OR IGNORE INTO blob_references (workspace_id, hash, execution_id) VALUES (?, ?, ?)",
        [(write.workspace, digest, write.segment[0]) for digest, _ in write.blobs],
    )


def forget_executions(connection: sqlite3.Connection, ids: Sequence[bytes]) -> int:
    """Remove executions that have ended, with all that only they hold; how many there were.

    One whose end is still to be followed up stays: its caller, or its error workflow, is told of it.
    """
    gone = 0
    needed = {bytes(row[0]) for row in connection.execute("SELECT execution_id FROM follow_ups")}
    for raw in ids:
        if raw in needed:
            continue
        count = connection.execute(
            "DELETE FROM executions WHERE id = ? AND finished IS NOT NULL", (raw,)
        ).rowcount
        if not count:
            continue
        gone += count
        connection.execute("DELETE FROM segments WHERE execution_id = ?", (raw,))
        connection.execute("DELETE FROM dead_letters WHERE execution_id = ?", (raw,))
        held = connection.execute(
            "DELETE FROM blob_references WHERE execution_id = ? RETURNING workspace_id, hash", (raw,)
        ).fetchall()
        connection.executemany(
            "DELETE FROM blobs WHERE workspace_id = ?1 AND hash = ?2 AND NOT EXISTS "
            "(SELECT 1 FROM blob_references WHERE workspace_id = ?1 AND hash = ?2)",
            [tuple(row) for row in held],
        )
        let_go(connection, raw)
    return gone


def _insert_delivery(connection: sqlite3.Connection, write: ExecutionWrite) -> None:
    """Claim a delivery id for this run. Raises Duplicate with the run that has it."""
    assert write.delivery is not None
    assert write.insert is not None
    trigger, delivery, now_us = write.delivery
    key = (write.workspace, trigger, delivery)
    found = connection.execute(
        "SELECT execution_id, expires FROM deliveries "
        "WHERE workspace_id = ? AND trigger = ? AND delivery = ?",
        key,
    ).fetchone()
    if found is not None and found["expires"] > now_us:
        raise Duplicate(delivery=delivery, execution=found["execution_id"])
    if found is not None:
        connection.execute(
            "DELETE FROM deliveries WHERE workspace_id = ? AND trigger = ? AND delivery = ?", key
        )
    connection.execute(f"{_DELIVERY} VALUES (?, ?, ?, ?, ?)", (*key, write.insert[0], now_us + DELIVERY_US))


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed by, beside workflow and state. Times are UTC microseconds."""

    states: tuple[State, ...] = ()
    trigger: str = ""
    mode: str = ""
    since: int | None = None
    until: int | None = None
    text: str = ""

    def conditions(self) -> Iterator[tuple[str, str | int | bytes]]:
        """SQL conditions, each with its one parameter. Ids begin with their time."""
        if self.states:
            yield "instr(?, ',' || state || ',')", "," + ",".join(str(int(s)) for s in self.states) + ","
        if self.trigger:
            yield "trigger = ?", self.trigger
        if self.mode:
            yield "mode = ?", self.mode
        if self.since is not None:
            yield "id >= ?", (self.since // 1000).to_bytes(6, "big") + bytes(10)
        if self.until is not None:
            yield "id < ?", (self.until // 1000).to_bytes(6, "big") + bytes(10)


NO_FILTER = Filter()
SEARCHED = 100_000
"""The newest so many are looked through for a text."""


class ExecutionRepository:
    """Reads and changes of executions. Every method's first argument is the workspace."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._numbers: dict[tuple[str, str], int] = {}
        self._changed: set[tuple[str, str]] = set()
        database.on_rollback.append(self._forget_numbers)

    def next_number(self, connection: sqlite3.Connection, workspace: str, workflow: str) -> int:
        """The next number of a workflow's executions; in the writer's thread, saved with the batch."""
        key = (workspace, workflow)
        number = self._numbers.get(key)
        if number is None:
            found = connection.execute(
                "SELECT last_number FROM counters WHERE workspace_id = ? AND workflow_id = ?", key
            ).fetchone()
            number = int(found[0]) if found is not None else 0
        self._numbers[key] = number + 1
        self._changed.add(key)
        return number + 1

    def save_numbers(self, connection: sqlite3.Connection) -> None:
        """Write the counters that this batch moved."""
        connection.executemany(
            "INSERT INTO counters (workspace_id, workflow_id, last_number) VALUES (?, ?, ?) "
            "ON CONFLICT (workspace_id, workflow_id) DO UPDATE SET last_number = excluded.last_number",
            [(*key, self._numbers[key]) for key in self._changed],
        )
        self._changed.clear()

    def _forget_numbers(self) -> None:
        self._numbers.clear()
        self._changed.clear()

    async def get(self, workspace: str, execution: str) -> Execution:
        """One execution by its id. Raises NotFound."""
        return as_execution(await self._row(workspace, execution, LISTED))

    async def workspace_of(self, execution: bytes) -> str:
        """The workspace of an execution, for whoever proves by a signature that they know it."""
        row = await self.database.row("SELECT workspace_id FROM executions WHERE id = ?", (execution,))
        if row is None:
            raise NotFound(what="execution", id=id_text(execution))
        return str(row["workspace_id"])

    async def by_number(self, workspace: str, workflow: str, number: int) -> Execution:
        """One execution by its number within its workflow. Raises NotFound."""
        row = await self.database.row(
            f"SELECT {LISTED} FROM executions WHERE workspace_id = ? AND workflow_id = ? AND number = ?",
            (workspace, workflow, number),
        )
        if row is None:
            raise NotFound(what="run", id=f"{workflow} {number}")
        return as_execution(row)

    async def content_of(self, workspace: str, execution: str) -> int:
        """The frozen content that an execution is pinned to. Raises NotFound."""
        return int((await self._row(workspace, execution, "content_id"))["content_id"])

    async def parent_of(self, workspace: str, execution: str) -> str | None:
        """Who called an execution, as JSON; None where nobody did. Raises NotFound."""
        parent: str | None = (await self._row(workspace, execution, "parent"))["parent"]
        return parent

    async def list(
        self,
        workspace: str,
        *,
        workflow: str | None = None,
        state: State | None = None,
        before: str | None = None,
        limit: int = PAGE,
        more: Filter = NO_FILTER,
    ) -> list[Execution]:
        """Newest first. `before` is the id that the last page ended with."""
        # The plus keeps the planner from an index that would have to be sorted: ids are in the order of
        # time, so the newest are read off the primary key, and the limit ends the reading.
        where = ["+workspace_id = ?"]
        parameters: Parameters = [workspace]
        source = "executions"
        if workflow is not None:
            source = "executions INDEXED BY executions_by_number"
            where = ["workspace_id = ?", "workflow_id = ?"]
            parameters.append(workflow)
        if state is not None:
            where.append("state = ?")
            parameters.append(state)
            if state is not State.completed and workflow is None:
                source = "executions INDEXED BY executions_not_completed"
                where = ["workspace_id = ?", "state = ?", "state <> 3"]
        order = "number DESC" if workflow is not None else "id DESC"
        if before is not None:
            raw = id_bytes(before)
            if raw is None:
                raise NotFound(what="execution", id=before)
            if workflow is not None:
                where.append("number < (SELECT number FROM executions WHERE id = ?)")
            else:
                where.append("id < ?")
            parameters.append(raw)
        for condition, value in more.conditions():
            where.append(condition)
            parameters.append(value)
        sql = f"SELECT {LISTED} FROM {source} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"
        if more.text:
            # No index knows what is in a text, so not all of a long history is looked through.
            sql = f"SELECT * FROM ({sql}) WHERE instr(lower(error), ?) OR instr(hex(id), ?) LIMIT ?"
            parameters += [SEARCHED, more.text.lower(), more.text.replace("-", "").upper()]
        rows = await self.database.rows(sql, (*parameters, limit))
        return [as_execution(row) for row in rows]

    async def waiting_for_people(self, workspace: str, limit: int) -> Sequence[Execution]:
        """Executions that wait for a decision or an answer, the oldest first."""
        rows = await self.database.rows(
            f"SELECT {LISTED} FROM executions INDEXED BY executions_for_people WHERE workspace_id = ? "
            "AND state = 1 AND waiting IN ('approval', 'ask') ORDER BY id LIMIT ?",
            (workspace, limit),
        )
        return [as_execution(row) for row in rows]

    async def recent(
        self, workspace: str, workflows: Sequence[str], each: int
    ) -> Mapping[str, Sequence[Execution]]:
        """The last runs of several workflows, newest first."""
        rows = await self.database.rows(
            f"WITH asked (name) AS (SELECT value FROM json_each(?2)) SELECT {LISTED} FROM asked "
            "JOIN executions ON id IN (SELECT id FROM executions INDEXED BY executions_by_number "
            "WHERE workspace_id = ?1 AND workflow_id = name ORDER BY number DESC LIMIT ?3) "
            "ORDER BY number DESC",
            (workspace, msgspec.json.encode(workflows).decode(), each),
        )
        found: dict[str, list[Execution]] = {name: [] for name in workflows}
        for row in rows:
            found[row["workflow_id"]].append(as_execution(row))
        return found

    async def count_since(self, workspace: str, since_us: int) -> dict[str, int]:
        """How many runs were accepted since then, by state. Ids begin with their time, which is the index."""
        low = (since_us // 1000).to_bytes(6, "big") + bytes(10)
        rows = await self.database.rows(
            "SELECT state, count(*) AS n FROM executions WHERE id >= ? AND +workspace_id = ? GROUP BY state",
            (low, workspace),
        )
        return {State(row["state"]).name: int(row["n"]) for row in rows}

    async def statistics(
        self, workspace: str, *, since: int, until: int, workflow: str | None, bucket: int
    ) -> Statistics:
        """Numbers, states and durations of what was accepted in a span, by parts of it (microseconds)."""
        low, high = ((moment // 1000).to_bytes(6, "big") + bytes(10) for moment in (since, until))
        rows = await self.database.rows(
            "SELECT (created - ?) / ? AS part, state, count(*) AS n, sum(finished - started) AS took "
            "FROM executions WHERE id >= ? AND id < ? AND +workspace_id = ? "
            "AND (? IS NULL OR workflow_id = ?) GROUP BY part, state",
            (since, bucket, low, high, workspace, workflow, workflow),
        )
        durations = await self.database.rows(
            "SELECT finished - started AS took FROM executions WHERE id >= ? AND id < ? "
            "AND +workspace_id = ? AND (? IS NULL OR workflow_id = ?) AND finished IS NOT NULL "
            "AND started IS NOT NULL ORDER BY id DESC LIMIT ?",
            (low, high, workspace, workflow, workflow, SEARCHED),
        )
        return _statistics(rows, [row["took"] for row in durations], since, bucket)

    async def histogram(
        self, workspace: str, *, since: int, until: int, bucket: int
    ) -> Sequence[StatisticsPart]:
        """How many runs were accepted in each part of a span, by state (microseconds)."""
        low, high = ((moment // 1000).to_bytes(6, "big") + bytes(10) for moment in (since, until))
        rows = await self.database.rows(
            "SELECT (created - ?) / ? AS part, state, count(*) AS n, 0 AS took FROM executions "
            "WHERE id >= ? AND id < ? AND +workspace_id = ? GROUP BY part, state",
            (since, bucket, low, high, workspace),
        )
        return _statistics(rows, [], since, bucket).parts

    async def segments(
        self, workspace: str, execution: str, after: int = 0, most: int = -1
    ) -> Sequence[tuple[int, bytes]]:
        """(first sequence number, data) of the stored segments that hold what came after `after`; at most
        so many of them."""
        raw = id_bytes(execution)
        rows = await self.database.rows(
            "SELECT first_seq, data FROM segments WHERE execution_id = ? AND workspace_id = ? "
            "AND first_seq >= "
            "ifnull((SELECT max(first_seq) FROM segments WHERE execution_id = ? AND first_seq <= ?), 0) "
            "ORDER BY first_seq LIMIT ?",
            (raw, workspace, raw, after + 1, most),
        )
        return [(int(row["first_seq"]), bytes(row["data"])) for row in rows]

    async def blob(self, workspace: str, digest: bytes) -> bytes | None:
        """A stored value's bytes as they were written; None where it is not there."""
        row = await self.database.row(
            "SELECT data FROM blobs WHERE workspace_id = ? AND hash = ?", (workspace, digest)
        )
        return None if row is None else bytes(row["data"])

    async def copy(
        self,
        workspace: str,
        execution: str,
        fresh: bytes,
        segments: Sequence[tuple[int, bytes]],
        *,
        seq: int,
        mode: str,
        waiting: str | None,
        epoch: int,
        now_us: int,
        root: bytes | None = None,
        also: Sequence[Callable[[sqlite3.Connection], None]] = (),
    ) -> None:
        """Keep a new pending execution with the same content (and root), and this beginning of its log.

        `seq` is how many records the log holds.
        """
        old = id_bytes(execution)

        def insert(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                "SELECT workflow_id FROM executions WHERE id = ? AND workspace_id = ?", (old, workspace)
            ).fetchone()
            number = self.next_number(connection, workspace, row["workflow_id"])
            connection.execute(
                f"{_INSERT} SELECT ?, workspace_id, workflow_id, ?, content_id, 0, ?, NULL, trigger, ?, "
                "ifnull(?, ifnull(root, id)), priority, owner, ?, ?, 0, 0, ?, NULL, NULL, 0, NULL, NULL, "
                "NULL FROM executions WHERE id = ? AND workspace_id = ?",
                (fresh, number, waiting, mode, root, epoch, seq, now_us, old, workspace),
            )
            insert_many(
                connection, _SEGMENT, 4, [(fresh, first, workspace, data) for first, data in segments]
            )
            connection.execute(
                "INSERT OR IGNORE INTO blob_references (workspace_id, hash, execution_id) "
                "SELECT workspace_id, hash, ? FROM blob_references WHERE execution_id = ?",
                (fresh, old),
            )
            share_references(connection, old, fresh)
            for change in also:
                change(connection)
            self.save_numbers(connection)

        await self.database.write(insert)

    async def raw(self, workspace: str, execution: bytes) -> sqlite3.Row | None:
        """The whole row, for the controller that continues the run."""
        return await self.database.row(
            "SELECT * FROM executions WHERE id = ? AND workspace_id = ?", (execution, workspace)
        )

    async def _row(self, workspace: str, execution: str, columns: str) -> sqlite3.Row:
        raw = id_bytes(execution)
        row = None
        if raw is not None:
            row = await self.database.row(
                f"SELECT {columns} FROM executions WHERE id = ? AND workspace_id = ?", (raw, workspace)
            )
        if row is None:
            raise NotFound(what="execution", id=execution)
        return row


def _statistics(rows: Sequence[sqlite3.Row], took: list[int], since: int, bucket: int) -> Statistics:
    states: dict[str, int] = {}
    parts: dict[int, dict[str, int]] = {}
    for row in rows:
        name = State(row["state"]).name
        states[name] = states.get(name, 0) + row["n"]
        parts.setdefault(row["part"], {})[name] = row["n"]
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [float(took[0])] * 99 if took else []
    return Statistics(
        total=sum(states.values()),
        states=states,
        duration={} if not cuts else {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]},
        parts=[StatisticsPart(begin=since + part * bucket, states=parts[part]) for part in sorted(parts)],
    )


def as_execution(row: sqlite3.Row) -> Execution:
    """The one place where an execution's row (LISTED, in its order) becomes its struct."""
    (raw, workflow, number, at, waiting, wake_at, trigger, mode, root, priority, deaths,
     created, started, finished, reason, error) = row  # fmt: skip
    state = State(at)
    id = id_text(raw)
    return Execution(
        id=id,
        workflow=workflow,
        number=number,
        state=state.name,
        waiting=waiting if state not in TERMINAL else None,
        trigger=trigger,
        mode=mode,
        root=id if root is None else id_text(root),
        created=created,
        started=started,
        finished=finished,
        wake_at=wake_at,
        priority=priority,
        deaths=deaths,
        reason=reason,
        error=None if error is None else _ERROR.decode(error),
    )
