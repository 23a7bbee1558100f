"""Server time of every page beside 100,000 stored executions of 40 workflows, spread over three days."""

from __future__ import annotations

import http.client
import json
import random
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlsplit

WORKFLOWS, EXECUTIONS, DAYS = 40, 100_000, 3
PAGES = (
    "/", "/workflows", "/workflows?q=order", "/runs", "/runs?state=failed", "/runs?q=refused",
    "/workflows/flow-1/runs", "/inbox", "/schedules", "/webhooks", "/webhooks/flow-1/hook", "/connections",
    "/templates", "/audit", "/settings", "/settings/history", "/settings/members", "/settings/account",
    "/counts", "/find?q=flow",
)  # fmt: skip


def document(number: int) -> dict[str, object]:
    """A workflow with a webhook and a schedule."""
    return {
        "id": f"flow-{number}", "name": f"Flow {number}", "folder": f"Folder {number % 5}",
        "nodes": [
            {"id": "hook", "type": "trigger.webhook", "config": {"path": f"flow-{number}"}},
            {"id": "at", "type": "trigger.schedule", "config": {"every": "6h"}},
            {"id": "set", "type": "transform.set", "config": {"fields": {"n": 1}}},
        ],
        "edges": [{"from": "hook", "to": "set"}, {"from": "at", "to": "set"}],
    }  # fmt: skip


def fetch(method: str, url: str, headers: dict[str, str]) -> None:
    """A page, read whole. Raises AssertionError where there is none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(method, path, headers={**headers, "Accept": "text/html"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 200, (url, answer.status, content[:300])


def fill(database: Path) -> None:
    """Rows as finished runs leave them; one in fifty has failed, of ten causes."""
    connection = sqlite3.connect(database)
    found = connection.execute("SELECT * FROM executions LIMIT 1")
    names = [column[0] for column in found.description]
    row = dict(zip(names, found.fetchone(), strict=True))
    segment = connection.execute("SELECT data FROM segments LIMIT 1").fetchone()[0]
    now, chance = int(time.time() * 1e6), random.Random(1)
    for number in range(EXECUTIONS):
        created = now - (EXECUTIONS - number) * DAYS * 86_400_000_000 // EXECUTIONS
        failed = number % 50 == 0
        message = f"Parcel {number} was refused by depot {number // 50 % 10 * 'x'}"
        error = json.dumps({"code": "stopped", "message": message, "node": "set", "attempt": 1})
        raw = (created // 1000).to_bytes(6, "big") + b"\x70\x00" + number.to_bytes(8, "big")
        row.update(
            id=raw, workflow_id=f"flow-{number % WORKFLOWS}", number=number + 10, created=created,
            started=created, finished=created + chance.randrange(1000, 900_000), mode="production",
            state=4 if failed else 3, error=error.encode() if failed else None, root=None, trigger="hook",
        )  # fmt: skip
        connection.execute(
            f"INSERT INTO executions ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            list(row.values()),
        )
        connection.execute(
            "INSERT INTO segments (execution_id, first_seq, workspace_id, data) VALUES (?, 1, 'main', ?)",
            (raw, segment),
        )
    connection.execute("UPDATE counters SET last_number = ?", (EXECUTIONS + 10,))
    connection.commit()
    connection.close()
