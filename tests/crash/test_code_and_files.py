"""kill -9 while code runs, a file comes in, or one was just accepted: nothing is lost, nothing is left."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from contextlib import closing

import psutil
import pytest

from tests.support.server import Server, Witness, request

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]


def test_code_that_was_running_runs_again_and_no_worker_stays(
    server: Callable[..., Server], witness: Witness
) -> None:
    first = server().start()
    call = {"url": f"{witness.base}/mark", "query": {"v": "{{ input }}"}}
    first.publish(
        {
            "id": "slow",
            "nodes": [
                {"id": "hook", "type": "trigger.webhook", "config": {"path": "slow"}},
                {"id": "before", "type": "action.http_request", "config": {"url": f"{witness.base}/before"}},
                {"id": "work", "type": "action.code", "timeout": 30, "config": {"source": "import time\ntime.sleep(1)\nreturn 7"}},
                {"id": "after", "type": "action.http_request", "config": call},
            ],
            "edges": [{"from": a, "to": b} for a, b in (("hook", "before"), ("before", "work"), ("work", "after"))],
        }
    )  # fmt: skip
    execution = request("POST", f"{first.base}/hook/slow", {}).json["id"]
    _wait_for_node(first, execution, "before")
    assert first.process is not None
    workers = psutil.Process(first.process.pid).children(recursive=True)
    assert workers
    # Only the server itself: what ends its workers is the kernel, or their pipes.
    first.process.kill()
    first.process.wait()
    assert psutil.wait_procs(workers, timeout=5)[1] == []
    (ended,) = first.start().wait_until_idle()
    assert ended["state"] == "completed"
    assert [mark["path"] for mark in witness.marks] == ["/before", "/mark"]
    assert witness.marks[-1]["v"] == "7"


def _wait_for_node(server: Server, execution: str, node: str) -> None:
    """Until the node's end is committed."""
    for _ in range(500):
        nodes = server.api("GET", f"/executions/{execution}").json["nodes"]
        if any(each["node"] == node and each["state"] == "done" for each in nodes):
            return
    raise AssertionError(f"{node} has not ended")


def test_a_download_under_way_begins_anew_and_leaves_no_rest(server: Callable[..., Server]) -> None:
    data = os.urandom(4_000_000)
    half, calls = threading.Event(), []

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                calls.append(peer)
                peer.recv(10_000)
                head = f"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {len(data)}\r\n\r\n"
                peer.sendall(head.encode() + data[:3_000_000])
                if len(calls) == 1:
                    half.set()
                    continue
                peer.sendall(data[3_000_000:])

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        first = server().start()
        fetch = {
            "id": "fetch",
            "type": "action.http_request",
            "config": {"url": f"http://127.0.0.1:{port}/a"},
        }
        first.publish(
            {
                "id": "fetch",
                "nodes": [{"id": "hook", "type": "trigger.webhook", "config": {"path": "fetch"}}, fetch],
                "edges": [{"from": "hook", "to": "fetch"}],
            }
        )
        execution = request("POST", f"{first.base}/hook/fetch", {}).json["id"]
        assert half.wait(30)
        first.kill()
        first.start().wait_until_idle()
        detail = first.api("GET", f"/executions/{execution}").json
        sha = hashlib.sha256(data).hexdigest()
        assert detail["result"]["body"]["$file"] == sha
        assert first.api("GET", f"/files/{sha}").raw == data
        assert list((first.data / "files" / "tmp").iterdir()) == []
        for peer in calls:
            peer.close()
        # Closed alone, the socket would go on listening below the thread that waits in accept().
        listener.shutdown(socket.SHUT_RDWR)


def test_an_upload_that_was_accepted_is_there_after_a_kill(server: Callable[..., Server]) -> None:
    first = server().start()
    first.publish(
        {
            "id": "keep",
            "nodes": [
                {"id": "hook", "type": "trigger.webhook", "config": {"path": "keep"}},
                {"id": "rest", "type": "action.wait", "config": {"seconds": 1}},
                {"id": "read", "type": "action.read_file", "config": {"file": "{{ trigger.body }}", "format": "base64"}},
            ],
            "edges": [{"from": "hook", "to": "rest"}, {"from": "rest", "to": "read"}],
        }
    )  # fmt: skip
    for number in range(8):
        data = f"upload {number}".encode() * 1000
        answer = request("POST", f"{first.base}/hook/keep", data, {"content-type": "application/zip"})
        assert answer.status == 202
        first.kill()
        first.start()
    ended = first.wait_until_idle()
    assert [each["state"] for each in ended] == ["completed"] * 8
