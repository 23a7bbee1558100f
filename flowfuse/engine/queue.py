"""QueueManager: the persistent core of the queue.

Executions that wait are rows: for a free place (pending), for a time (waiting), or for being continued
after a restart. Claiming is committed before the work begins, so that a run that ends the process is
known to have been under way.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from flowfuse.data.database import Database, FunctionWrite
from flowfuse.data.follow_ups import note
from flowfuse.engine import records
from flowfuse.model import NodeError, State, json_bytes
from flowfuse.node import pack

CLAIM_BATCH = 64
"""How many runs are claimed, and then continued, at once."""
POISON_DEATHS = 3
"""A run that was under way at this many process deaths in a row, with nothing new committed, is failed."""
SUSPECT_DEATHS = 2


class Recovered:
    """What a start found: runs to continue, those that must run alone, those that are given up."""

    def __init__(self) -> None:
        self.resume: deque[tuple[str, bytes]] = deque()
        self.suspects: deque[tuple[str, bytes]] = deque()
        self.poisoned: list[tuple[str, bytes]] = []


class Held(msgspec.Struct, frozen=True):
    """A run that waits for a place under its workflow's concurrency limit."""

    workspace: str
    workflow: str
    id: bytes
    content_id: int


class _Claim(FunctionWrite):
    """A claim that is counted as soon as its commit is told.

    Counted by whoever awaits it, it would miss what is accepted and told in between.
    """

    __slots__ = ("_count",)

    def __init__(
        self,
        function: Callable[[sqlite3.Connection], Any],
        future: asyncio.Future[Any],
        count: Callable[[Any], None],
    ) -> None:
        super().__init__(function, future)
        self._count = count

    def settled(self, result: Any, error: BaseException | None) -> None:
        if error is None:
            self._count(result)
        super().settled(result, error)


class QueueManager:
    """Pending, waiting and interrupted executions, as rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.epoch = 0
        self.pending = 0
        """How many executions wait for a free place; kept beside the rows, so that nobody counts them."""
        self.unsaved = 0
        """How many of them have their acceptance still to be committed."""
        self.barred = 0
        """How many of them wait behind a breaker, as far as the last claim saw: no claim would get one."""
        self.own_only = False
        """Whether only what this process has accepted is taken, and all else left as it is: it is no server,
        but serves whoever called it."""
        self._clean = True

    async def open(self) -> bool:
        """Begin a new epoch of ownership; whether the last one ended without a shutdown."""

        def begin(connection: sqlite3.Connection) -> tuple[int, bool, int]:
            epoch = int(_meta(connection, "epoch") or 0) + 1
            clean = epoch == 1 or _meta(connection, "clean_shutdown") == 1
            _set_meta(connection, "epoch", epoch)
            _set_meta(connection, "clean_shutdown", 0)
            found = connection.execute(
                "SELECT count(*) FROM executions WHERE state = 0 AND waiting IS NULL"
            ).fetchone()
            return epoch, clean, int(found[0])

        self.epoch, self._clean, pending = await self._database.write(begin)
        self.pending = 0 if self.own_only else pending
        return not self._clean

    @property
    def _ours(self) -> str:
        """The condition on rows that may be taken."""
        return f"AND epoch = {self.epoch} " if self.own_only else ""

    async def close_cleanly(self) -> None:
        """Note that everything was drained: the next start counts no process death."""
        if self.own_only and not self._clean:
            # What the process before has left under way is still to be counted.
            return
        await self._database.write(lambda connection: _set_meta(connection, "clean_shutdown", 1))

    async def recover(self, *, died: bool) -> Recovered:
        """Running executions to continue. After a death, those under way are counted against it.

        `died_at` is how far the run had come at the last death: further now, and the count begins anew.
        """
        last = self.epoch - 1
        if self.own_only:
            return Recovered()

        def count(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            if died:
                connection.execute(
                    "UPDATE executions SET died_at = seq, "
                    "deaths = CASE WHEN deaths > 0 AND died_at = seq THEN deaths + 1 ELSE 1 END "
                    "WHERE state = 1 AND waiting IS NULL AND epoch = ?",
                    (last,),
                )
            else:
                connection.execute("UPDATE executions SET deaths = 0 WHERE state = 1 AND deaths > 0")
            return connection.execute(
                "SELECT workspace_id, id, deaths FROM executions INDEXED BY executions_running "
                "WHERE state = 1 AND waiting IS NULL ORDER BY id"
            ).fetchall()

        recovered = Recovered()
        for row in await self._database.write(count):
            place = (row["workspace_id"], bytes(row["id"]))
            if row["deaths"] >= POISON_DEATHS:
                recovered.poisoned.append(place)
            elif row["deaths"] >= SUSPECT_DEATHS:
                recovered.suspects.append(place)
            else:
                recovered.resume.append(place)
        return recovered

    async def claim_pending(
        self, limit: int, now_us: int, blocked: Sequence[str] = ()
    ) -> list[tuple[str, bytes]]:
        """Take the pending executions that are next by priority and age, but of no blocked workspace."""
        others = f"AND workspace_id NOT IN ({', '.join('?' * len(blocked))}) " if blocked else ""

        def claim(connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
            # The state is written out: a partial index serves only what is known without parameters.
            rows = connection.execute(
                "SELECT workspace_id, id FROM executions INDEXED BY executions_pending WHERE state = 0 "
                f"AND waiting IS NULL {self._ours}{others}ORDER BY priority DESC, id LIMIT ?",
                (*blocked, limit),
            ).fetchall()
            connection.executemany(
                "UPDATE executions SET state = ?, epoch = ?, started = ? WHERE id = ? AND state = ?",
                [(State.running, self.epoch, now_us, row["id"], State.pending) for row in rows],
            )
            return [(row["workspace_id"], bytes(row["id"])) for row in rows]

        def count(claimed: list[tuple[str, bytes]]) -> None:
            if blocked or len(claimed) == limit:
                # Those that are left out are still pending.
                self.pending = max(0, self.pending - len(claimed))
            else:
                # Fewer than asked for were all there are, but for those that are just being accepted.
                self.pending = self.unsaved
            self.barred = self.pending - self.unsaved if len(claimed) < limit else 0

        future: asyncio.Future[list[tuple[str, bytes]]] = asyncio.get_running_loop().create_future()
        self._database.submit(_Claim(claim, future, count))
        return await future

    @property
    def claimable(self) -> bool:
        """Whether a claim may get a run."""
        return self.pending > self.barred

    @contextmanager
    def accepting(self, waiting: str | None) -> Iterator[None]:
        """A pending row is committed within; it counts where it waits for a free place alone."""
        count = 1 if waiting is None else 0
        self.pending += count
        self.unsaved += count
        try:
            yield
        except BaseException:
            self.pending = max(0, self.pending - count)
            raise
        finally:
            self.unsaved -= count

    async def cancel_row(self, workspace: str, raw: bytes, state: State, now_us: int) -> sqlite3.Row | None:
        """Cancel a run that is in that state, as a row; None where it is not. Its row as it was."""

        def cancel(connection: sqlite3.Connection) -> sqlite3.Row | None:
            return _end_row(connection, workspace, raw, (state,), State.cancelled, "cancelled", None, now_us)

        row: sqlite3.Row | None = await self._database.write(cancel)
        if row is not None and State(row["state"]) is State.pending and row["waiting"] is None:
            self.pending = max(0, self.pending - 1)
            self.barred = 0
        return row

    async def held_workflows(self) -> list[tuple[str, str]]:
        """The workflows that have held runs."""
        rows = await self._database.rows(
            "SELECT DISTINCT workspace_id, workflow_id FROM executions INDEXED BY executions_held "
            f"WHERE state = 0 AND waiting IS NOT NULL {self._ours}"
        )
        return [(row["workspace_id"], row["workflow_id"]) for row in rows]

    async def next_held(self, workspace: str, workflow: str) -> Held | None:
        """The held run that is next by priority and age."""
        row = await self._database.row(
            "SELECT id, content_id FROM executions INDEXED BY executions_held WHERE state = 0 "
            f"AND waiting IS NOT NULL AND workspace_id = ? AND workflow_id = ? {self._ours}"
            "ORDER BY priority DESC, id LIMIT 1",
            (workspace, workflow),
        )
        return None if row is None else Held(workspace, workflow, bytes(row["id"]), row["content_id"])

    async def admit(self, held: Held, limit: int, now_us: int) -> bool:
        """Take a held run, if fewer than `limit` (0: any number) of its workflow run; whether it was."""

        def admit(connection: sqlite3.Connection) -> bool:
            active = connection.execute(
                "SELECT count(*) FROM executions INDEXED BY executions_active "
                f"WHERE state = 1 AND workspace_id = ? AND workflow_id = ? {self._ours}",
                (held.workspace, held.workflow),
            ).fetchone()
            if limit and active[0] >= limit:
                return False
            connection.execute(
                "UPDATE executions SET state = ?, waiting = NULL, epoch = ?, started = ? "
                "WHERE id = ? AND state = ?",
                (State.running, self.epoch, now_us, held.id, State.pending),
            )
            return True

        return bool(await self._database.write(admit))

    async def oldest_active(self, workspace: str, workflow: str) -> bytes | None:
        """The run of a workflow that has been running for longest."""
        row = await self._database.row(
            "SELECT id FROM executions INDEXED BY executions_active WHERE state = 1 "
            f"AND workspace_id = ? AND workflow_id = ? {self._ours}ORDER BY id LIMIT 1",
            (workspace, workflow),
        )
        return None if row is None else bytes(row["id"])

    async def end_held(self, held: Held, state: State, reason: str, now_us: int) -> sqlite3.Row | None:
        """End a run that has not begun; None where it is not pending any more. Its row as it was."""

        def end(connection: sqlite3.Connection) -> sqlite3.Row | None:
            return _end_row(
                connection, held.workspace, held.id, (State.pending,), state, reason, None, now_us
            )

        row: sqlite3.Row | None = await self._database.write(end)
        return row

    async def give_up(self, workspace: str, raw: bytes, error: NodeError, now_us: int) -> sqlite3.Row | None:
        """End a run that must not be touched again, without loading it. Its row as it was."""

        def end(connection: sqlite3.Connection) -> sqlite3.Row | None:
            return _end_row(
                connection, workspace, raw, (State.running,), State.failed, error.code, error, now_us
            )

        row: sqlite3.Row | None = await self._database.write(end)
        return row

    async def pause_row(
        self, workspace: str, raw: bytes, reason: str, error: NodeError | None = None
    ) -> sqlite3.Row | None:
        """Pause a run that cannot be loaded, visibly; None where it does not run. Whose run it is."""
        plain = None if error is None else json_bytes(error)

        def pause(connection: sqlite3.Connection) -> sqlite3.Row | None:
            row: sqlite3.Row | None = connection.execute(
                "UPDATE executions SET state = ?, reason = ?, error = ? "
                "WHERE id = ? AND workspace_id = ? AND state = ? RETURNING id, workspace_id, workflow_id",
                (State.paused, reason, plain, raw, workspace, State.running),
            ).fetchone()
            return row

        paused: sqlite3.Row | None = await self._database.write(pause)
        return paused

    async def claim(self, places: list[tuple[str, bytes]]) -> None:
        """Own runs that are continued, before they are."""

        def own(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE executions SET epoch = ? WHERE id = ?", [(self.epoch, raw) for _, raw in places]
            )

        await self._database.write(own)

    async def due(self, now_us: int, limit: int) -> list[tuple[str, bytes]]:
        """Waiting executions whose time has come, the earliest first."""
        rows = await self._database.rows(
            "SELECT workspace_id, id FROM executions INDEXED BY executions_wake "
            f"WHERE wake_at IS NOT NULL AND wake_at <= ? AND state = 1 {self._ours}ORDER BY wake_at LIMIT ?",
            (now_us, limit),
        )
        return [(row["workspace_id"], bytes(row["id"])) for row in rows]

    async def next_wake(self) -> int | None:
        """When the next waiting execution is due."""
        row = await self._database.row(
            "SELECT wake_at FROM executions INDEXED BY executions_wake "
            f"WHERE wake_at IS NOT NULL AND state = 1 {self._ours}ORDER BY wake_at LIMIT 1"
        )
        return None if row is None else int(row["wake_at"])

    async def probe(self) -> None:
        """Commit something small. Raises DatabaseUnavailable."""
        await self._database.write(lambda connection: _set_meta(connection, "probe", self.epoch))

    async def forget_deliveries(self, now_us: int) -> None:
        """Delivery ids are kept for 72 hours."""
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM deliveries WHERE expires < ?", (now_us,))
        )


def _end_row(
    connection: sqlite3.Connection,
    workspace: str,
    raw: bytes,
    states: tuple[State, ...],
    target: State,
    reason: str,
    error: NodeError | None,
    now_us: int,
) -> sqlite3.Row | None:
    """A terminal state and its record for a run that is not in memory, where it is in one of `states`."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM executions WHERE id = ? AND workspace_id = ?", (raw, workspace)
    ).fetchone()
    if row is None or State(row["state"]) not in states:
        return None
    plain = None if error is None else msgspec.to_builtins(error)
    record = pack((records.STATE, int(target), 0, reason, plain))
    connection.execute(
        "INSERT INTO segments (execution_id, first_seq, workspace_id, data) VALUES (?, ?, ?, ?)",
        (raw, row["seq"] + 1, workspace, records.segment(now_us, 1, record)),
    )
    connection.execute(
        "UPDATE executions SET state = ?, waiting = NULL, wake_at = NULL, seq = seq + 1, finished = ?, "
        "reason = ?, error = ? WHERE id = ?",
        (target, now_us, reason, None if error is None else json_bytes(error), raw),
    )
    if row["parent"] is not None:
        note(workspace, "ended", raw)(connection)
    if target is State.failed:
        note(workspace, "failed", raw)(connection)
    return row


def _meta(connection: sqlite3.Connection, key: str) -> Any:
    row = connection.execute("SELECT value FROM meta WHERE workspace_id = '' AND key = ?", (key,)).fetchone()
    return None if row is None else row["value"]


def _set_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    connection.execute(
        "INSERT INTO meta (workspace_id, key, value) VALUES ('', ?, ?) "
        "ON CONFLICT (workspace_id, key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
