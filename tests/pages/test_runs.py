"""The page of a run, as the server gives it."""

from __future__ import annotations

import re
from typing import Any

from tests.support.local import LocalServer
from tests.support.server import request

DOCUMENT: dict[str, Any] = {
    "id": "versioned",
    "nodes": [
        {"id": "hook", "type": "trigger.webhook", "config": {"path": "versioned"}},
        {"id": "out", "type": "transform.set", "config": {"fields": {"n": 1}}},
    ],
    "edges": [{"from": "hook", "to": "out"}],
}


def ran_on(server: LocalServer, number: int) -> str:
    """What the bar on top says of the version."""
    token = (server.data / "token").read_text().strip()
    answer = request(
        "GET", f"{server.base}/workflows/versioned/runs/{number}", None, {"authorization": f"Bearer {token}"}
    )
    found = re.search(r'data-version="[0-9]*">([^<]*)<', answer.raw.decode())
    assert found is not None
    return found[1]


def test_a_run_says_which_version_it_ran(server: LocalServer) -> None:
    server.publish(DOCUMENT)
    assert request("POST", f"{server.base}/hook/versioned", {}).status == 202
    change = {"id": "1", "kind": "set", "node": "out", "path": "config", "value": {"fields": {"n": 2}}}
    assert server.api("POST", "/workflows/versioned/operations", {"operations": [change]}).status == 200
    assert request("POST", f"{server.base}/hook-draft/versioned", {}).status == 202
    assert (ran_on(server, 1), ran_on(server, 2)) == ("Version 1", "Draft")
    assert server.api("POST", "/workflows/versioned/publish", {}).status == 200
    assert request("POST", f"{server.base}/hook/versioned", {}).status == 202
    assert (ran_on(server, 1), ran_on(server, 3)) == ("Version 1", "Version 2")
