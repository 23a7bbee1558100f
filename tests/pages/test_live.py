"""The live channel: every numbered event once and in order, across a restart; and who may listen."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.local import LocalServer
from tests.support.server import Witness, request

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "data").start()
    yield running
    running.stop()


def document(witness: Witness, calls: int) -> dict[str, Any]:
    nodes = [{"id": "go", "type": "trigger.manual"}] + [
        {"id": f"c{n}", "type": "action.http_request", "config": {"url": f"{witness.base}/{n}"}}
        for n in range(calls)
    ]
    edges = [{"from": a["id"], "to": b["id"]} for a, b in itertools.pairwise(nodes)]
    return {"nodes": nodes, "edges": edges}


def listen(server: LocalServer, execution: str, after: int = 0, **headers: str) -> ClientConnection:
    token = (server.data / "token").read_text()
    return connect(
        f"ws://127.0.0.1:{server.port}/live?execution={execution}&after={after}",
        additional_headers={"Authorization": f"Bearer {token}", **headers},
        close_timeout=1,
    )


def events_to_the_end(socket: ClientConnection) -> list[dict[str, Any]]:
    """The numbered events until the run is completed."""
    found: list[dict[str, Any]] = []
    while not found or found[-1].get("state") != "completed":
        event = json.loads(socket.recv(timeout=20))
        if event.get("seq"):
            found.append(event)
    return found


def stored(server: LocalServer, execution: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = server.api("GET", f"/executions/{execution}/events").json["items"]
    return items


def start(server: LocalServer, flow: dict[str, Any]) -> str:
    id: str = server.api("POST", "/run", {"document": flow, "wait": 0}).json["id"]
    return id


def test_every_event_once_and_in_order(server: LocalServer, witness: Witness) -> None:
    witness.delay = 0.01
    execution = start(server, document(witness, 8))
    with listen(server, execution) as early, listen(server, execution, after=3) as later:
        live = events_to_the_end(early)
        assert live == stored(server, execution)
        assert events_to_the_end(later) == live[3:]
    with listen(server, execution) as after_the_end:
        assert events_to_the_end(after_the_end) == live


def test_it_goes_on_by_number_over_a_restart(server: LocalServer, witness: Witness) -> None:
    reached, go_on = threading.Event(), threading.Event()
    witness.hold = (reached, go_on)
    execution = start(server, document(witness, 4))
    assert reached.wait(10)
    seen: list[dict[str, Any]] = []
    with listen(server, execution) as socket:
        seen.append(json.loads(socket.recv(timeout=10)))
        witness.hold = None
        go_on.set()
        server.stop()
        with pytest.raises(ConnectionClosed):
            while True:
                event = json.loads(socket.recv(timeout=10))
                if event.get("seq"):
                    seen.append(event)
    server.start()
    with listen(server, execution, after=seen[-1]["seq"]) as socket:
        seen += events_to_the_end(socket)
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen == stored(server, execution)


def test_a_run_that_nobody_knows_is_told_by_the_close_code(server: LocalServer) -> None:
    for execution, after, code in (
        ("00000000-0000-0000-0000-000000000000", "0", 4404),
        ("nonsense", "0", 4400),
        ("00000000-0000-0000-0000-000000000000", "%C2%B2", 4400),
        ("00000000-0000-0000-0000-000000000000", "9" * 5000, 4400),
        ("00000000-0000-0000-0000-000000000000", "-1", 4400),
    ):
        with listen(server, execution, after) as socket, pytest.raises(ConnectionClosed):  # type: ignore[arg-type]
            socket.recv(timeout=10)
        assert socket.close_code == code, (execution, after)


def test_what_a_listener_says_is_of_no_account(server: LocalServer, witness: Witness) -> None:
    execution = start(server, document(witness, 1))
    with listen(server, execution) as socket:
        socket.send("text")
        socket.send(b"\xff\x00")
        assert events_to_the_end(socket)[0]["seq"] == 1


def test_strangers_and_other_origins_are_refused(server: LocalServer, witness: Witness) -> None:
    execution = start(server, document(witness, 1))
    for headers in (
        {"Authorization": "Bearer wrong"},
        {"Authorization": "", "Cookie": "ff_session=stolen"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
    ):
        with pytest.raises((InvalidStatus, ConnectionClosed)), listen(server, execution, **headers) as socket:
            socket.recv(timeout=10)


def test_a_browser_listens_by_its_cookie(server: LocalServer, witness: Witness) -> None:
    execution = start(server, document(witness, 1))
    path = server.api("POST", "/links").json["path"]
    cookie = request("GET", server.base + path).headers["set-cookie"].partition(";")[0]
    with connect(
        f"ws://127.0.0.1:{server.port}/live?execution={execution}&after=0",
        additional_headers={"Cookie": cookie, "Origin": server.base},
    ) as socket:
        assert events_to_the_end(socket)


def test_a_server_with_listeners_ends(server: LocalServer, witness: Witness) -> None:
    execution = start(server, document(witness, 1))
    with listen(server, execution) as one, listen(server, execution) as other:
        for socket in (one, other):
            events_to_the_end(socket)
        server.stop(10)
        for socket in (one, other):
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=5)
