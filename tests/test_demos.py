"""The demos run offline as they are, on the first start, and do what their words say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.local import LocalServer
from tests.support.server import request

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "data", demos=True).start()
    yield running
    running.stop()


def run(server: LocalServer, name: str, version: str = "published", trigger: str | None = "by_hand") -> Any:
    body = {"version": version, "wait": 30, "trigger": trigger}
    ended = server.api("POST", f"/workflows/{name}/run", body).json
    assert ended["state"] == "completed", ended
    return ended["result"]


def test_all_are_there_and_published(server: LocalServer) -> None:
    found = server.api("GET", "/workflows").json["items"]
    assert len(found) == 5
    assert all(each["published"] == 1 and "It shows:" in each["description"] for each in found)
    for each in found:
        problems = server.api("POST", f"/workflows/{each['id']}/validate", {}).json["problems"]
        assert problems == []


def test_a_webhook_that_answers_by_size(server: LocalServer) -> None:
    lines = [{"sku": "tea", "price": 2, "count": 3}]
    answer = request("POST", f"{server.base}/hook/demo/orders", {"customer": "Bo", "lines": lines})
    assert answer.json == {"customer": "Bo", "lines": 1, "total": 10.9, "shipping": 4.9}
    assert run(server, "orders-by-size")["shipping"] == 0


def test_only_what_is_new(server: LocalServer) -> None:
    assert len(run(server, "only-what-is-new")) == 10
    assert len(run(server, "only-what-is-new")) <= 1
    # A run of the draft shows what there is, and uses nothing up.
    assert len(run(server, "only-what-is-new", "draft")) == 10
    (schedule,) = server.api("GET", "/schedules").json["items"]
    assert schedule["words"] == "Every 5 minutes"


def test_labels_with_an_error_route(server: LocalServer) -> None:
    report = run(server, "labels-for-orders")
    assert report["labelled"] == 7
    (refused,) = report["refused"]
    assert (refused["order"], "44 characters" in refused["why"]) == (4, True)


def test_files(server: LocalServer) -> None:
    file = run(server, "a-file-of-orders")
    assert file["name"] == "towns.csv"
    content = request(
        "GET",
        f"{server.base}/files/{file['$file']}?name=towns.csv",
        headers={"Authorization": f"Bearer {(server.data / 'token').read_text().strip()}"},
    )
    assert content.raw.decode().splitlines()[0] == "town,orders,total"


def test_code(server: LocalServer) -> None:
    boxes = run(server, "a-little-code")
    assert sorted(number for box in boxes for number in box) == list(range(1, 9))


def test_nothing_else_of_the_server_may_be_called(server: LocalServer) -> None:
    def call(url: str) -> Any:
        document = {
            "nodes": [
                {"id": "go", "type": "trigger.manual"},
                {"id": "ask", "type": "action.http_request", "config": {"url": url}},
            ],
            "edges": [{"from": "go", "to": "ask"}],
        }
        return server.api("POST", "/run", {"document": document, "input": {"path": "/demo/orders"}}).json

    assert call("/demo/orders")["state"] == "completed"
    assert "problems" in call("/api/v1/health")
    assert call(f"http://127.0.0.1:{server.port}/health")["error"]["code"] == "address_denied"
    # What data names is not FlowFuse's own address.
    assert call("{{ trigger.path }}")["state"] == "failed"
