"""A histogram that remembers gives what counting anew gives, whatever happened in between."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path

from flowfuse.data.database import Database
from flowfuse.data.executions import ExecutionRepository
from flowfuse.data.histogram import Histogram
from flowfuse.model import StatisticsPart
from flowfuse.resources import asset_root

NOW, MINUTE = 1_790_000_000_000_000, 60_000_000
STATES = (0, 1, 3, 4, 5)


def insert(connection: sqlite3.Connection, number: int, at: int, state: int, workspace: str) -> None:
    raw = (at // 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    connection.execute(
        "INSERT INTO executions (id, workspace_id, workflow_id, number, content_id, state, trigger, mode, "
        "priority, epoch, seq, died_at, deaths, created, ran_us) "
        "VALUES (?, ?, 'w', ?, 1, ?, 'hook', 'production', 0, 0, 0, 0, 0, ?, 0)",
        (raw, workspace, number, state, at),
    )


def plain(parts: list[StatisticsPart]) -> list[tuple[int, dict[str, int]]]:
    return [(part.begin, part.states) for part in parts]


def test_it_counts_as_if_it_remembered_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        database = Database(tmp_path / "flowfuse.db", asset_root("migrations"))
        await database.open()
        executions, chance, number = ExecutionRepository(database), random.Random(7), 0
        kept, now = Histogram(executions), NOW
        for _ in range(25):
            rows = []
            for _ in range(20):
                number += 1
                # Only what is new is accepted; what was accepted before goes on or ends.
                workspace = chance.choice(["main", "other"])
                rows.append((number, now - chance.randrange(MINUTE), chance.choice(STATES), workspace))

            def change(connection: sqlite3.Connection, rows: list[tuple[int, int, int, str]] = rows) -> None:
                for row in rows:
                    insert(connection, *row)
                connection.execute("UPDATE executions SET state = 3 WHERE state < 3 AND number % 3 = 0")

            await database.write(change)
            asked = {"since": now - 20 * MINUTE, "until": now + 5 * MINUTE, "bucket": 2 * MINUTE, "now": now}
            for workspace in ("main", "other"):
                remembered = await kept.parts(workspace, **asked)
                anew = await Histogram(executions).parts(workspace, **asked)
                assert plain(remembered) == plain(anew)
            now += chance.randrange(3 * MINUTE)
        assert kept._settled
        await database.close()

    asyncio.run(go())
