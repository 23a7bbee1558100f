"""A backup is brought back from the settings' page or by the API: the process starts anew from it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.local import LocalServer
from tests.support.server import Server, Witness

pytestmark = [pytest.mark.slow, pytest.mark.browser]
EMPTY: dict[str, Any] = {"nodes": [{"id": "start", "type": "trigger.manual"}], "edges": []}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Server]:
    """A process of its own, which can start anew."""
    running = Server(tmp_path / "data").start()
    yield running
    running.kill()


def _keep(server: Any, name: str) -> None:
    assert server.api("POST", "/workflows", {"id": name, "name": name, **EMPTY}).status == 201


def _names(server: Any) -> set[str]:
    return {each["id"] for each in server.api("GET", "/workflows").json["items"]} & {"before", "after"}


def _sign_in(page: Any, server: Server) -> None:
    page.goto(server.base + server.api("POST", "/links", {}).json["path"])


def test_a_backup_is_brought_back_by_the_page(alone: Server, browser: Browser) -> None:
    _keep(alone, "before")
    name = alone.api("POST", "/backups").json["name"]
    _keep(alone, "after")
    assert alone.process is not None
    process = alone.process.pid
    page = browser.new_page()
    _sign_in(page, alone)
    page.goto(f"{alone.base}/settings/backup")
    page.locator("details.ask summary").click()
    page.locator(".ask-box button").click()
    # The same person goes on, though the copy is older than their session.
    expect(page.get_by_text(f"has started from the backup {name}")).to_be_visible(timeout=60_000)
    assert _names(alone) == {"before"}
    assert alone.process.poll() is None
    assert alone.process.pid == process
    assert [each for each in alone.data.iterdir() if each.name.startswith("flowfuse.db.before-restore")]
    page.goto(f"{alone.base}/audit")
    expect(page.locator("main")).to_contain_text(f"brought back the backup {name}")
    page.close()
    assert alone.stop() == 0


def test_a_backup_is_brought_back_by_the_api_with_what_runs(alone: Server) -> None:
    _keep(alone, "before")
    waits = {
        "id": "waits",
        "nodes": [
            {"id": "start", "type": "trigger.manual"},
            {"id": "wait", "type": "action.wait", "config": {"seconds": 3600}},
        ],
        "edges": [{"from": "start", "to": "wait"}],
    }
    alone.publish(waits)
    run = alone.api("POST", "/workflows/waits/run", {}).json["id"]
    name = alone.api("POST", "/backups").json["name"]
    assert alone.api("POST", f"/executions/{run}/cancel", {}).status < 300
    for each in ("after", "again"):
        _keep(alone, each)
    answer = alone.api("POST", f"/backups/{name}/restore")
    assert answer.status == 202, answer.raw
    alone.wait_ready()
    assert _names(alone) == {"before"}
    # As it was then: it waits.
    assert alone.api("GET", f"/executions/{run}").json["execution"]["state"] == "running"
    assert alone.stop() == 0


def test_an_open_editor_goes_on_from_what_came_back(alone: Server, browser: Browser) -> None:
    _keep(alone, "before")
    page = browser.new_page()
    _sign_in(page, alone)
    name = alone.api("POST", "/backups").json["name"]
    page.goto(f"{alone.base}/workflows/before")
    page.wait_for_selector("html[data-ready]", state="attached")
    for _ in range(3):
        page.keyboard.press("n")
        page.keyboard.press("Escape")
        page.locator(".sticky").last.wait_for()
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
    expect(page.locator(".sticky")).to_have_count(3)
    assert alone.api("POST", f"/backups/{name}/restore").status == 202
    alone.wait_ready()
    expect(page.locator(".sticky")).to_have_count(0, timeout=30_000)
    page.wait_for_selector("html[data-ready]", state="attached")
    page.keyboard.press("n")
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
    assert len(alone.api("GET", "/workflows/before").json["document"]["notes"]) == 1
    page.close()


def test_a_signal_while_it_drains_ends_it_without(alone: Server, witness: Witness) -> None:
    _keep(alone, "before")
    name = alone.api("POST", "/backups").json["name"]
    _keep(alone, "after")
    witness.hold = arrived, answered = threading.Event(), threading.Event()
    call = {"id": "call", "type": "action.http_request", "config": {"url": f"{witness.base}/?node=call"}}
    steps = [*EMPTY["nodes"], call]
    alone.publish({"id": "calls", "nodes": steps, "edges": [{"from": "start", "to": "call"}]})
    alone.api("POST", "/workflows/calls/run", {})
    assert arrived.wait(20)
    assert alone.api("POST", f"/backups/{name}/restore").status == 202
    again = alone.api("POST", f"/backups/{name}/restore")
    assert (again.status, "stopping already" in again.json["detail"]) == (409, True)
    assert alone.process is not None
    alone.process.terminate()
    assert alone.process.wait(30) == 0
    answered.set()
    alone.start()
    assert _names(alone) == {"before", "after"}


def test_what_cannot_be_brought_back_is_refused(alone: Server, browser: Browser) -> None:
    _keep(alone, "before")
    made = alone.api("POST", "/backups").json
    assert alone.api("POST", "/backups/2020-01-01T00-00-00Z/restore").status == 404
    for bad in ("..%2F..", "%2E%2E", "x" * 5000):
        assert alone.api("POST", f"/backups/{bad}/restore").status in (404, 400), bad
    database = Path(made["path"]) / "flowfuse.db"
    data = bytearray(database.read_bytes())
    data[len(data) // 2] ^= 1
    database.write_bytes(data)
    refused = alone.api("POST", f"/backups/{made['name']}/restore")
    assert (refused.status, "checksum" in refused.json["detail"]) == (409, True)
    page = browser.new_page()
    _sign_in(page, alone)
    page.goto(f"{alone.base}/settings/backup")
    page.locator("details.ask summary").click()
    page.locator(".ask-box button").click()
    expect(page.locator(".ask-box [role=alert]")).to_contain_text("the checksum is wrong")
    shutil.rmtree(made["path"])
    page.locator(".ask-box button").click()
    expect(page.locator(".ask-box [role=alert]")).to_contain_text("no backup")
    page.close()
    assert _names(alone) == {"before"}


def test_only_an_owner_brings_one_back(server: LocalServer) -> None:
    name = server.api("POST", "/backups").json["name"]
    # A server that others embed has nobody to start it anew.
    refused = server.api("POST", f"/backups/{name}/restore")
    assert (refused.status, "flowfuse restore" in refused.json["detail"]) == (409, True)
    key = server.api("POST", "/keys", {"name": "k", "scopes": ["administer"]}).json
    said = server.api("POST", f"/backups/{name}/restore", None, authorization=f"Bearer {key['key']}")
    assert said.status == 403
