"""From nothing to a workflow that ran: by mouse in five clicks, and by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import chromium, open_editor, signed_in
from tests.support.local import LocalServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path / "data").start()
    yield server
    server.stop()


@pytest.fixture
def page(server: LocalServer) -> Iterator[Page]:
    with chromium() as browser, signed_in(browser, server) as page:
        yield page


def test_from_an_empty_folder_to_the_first_run_in_five_clicks(page: Page) -> None:
    clicks = [
        page.get_by_role("button", name="New workflow"),
        page.get_by_role("button", name=re.compile("Run by hand")).first,
        page.get_by_role("toolbar", name="Run").get_by_role("button", name=re.compile("^Run")),
    ]
    for target in clicks:
        target.click()
    expect(page.locator("#run-bar")).to_contain_text("Done")
    assert len(clicks) <= 5


def test_the_keyboard_alone_builds_runs_and_reads_three_nodes(page: Page, server: LocalServer) -> None:
    page.get_by_role("button", name="New workflow").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-ready]", state="attached")
    strokes = 1
    for typed in ("run by hand", "set fields"):
        for key in ("/", typed, "Enter"):
            page.keyboard.type(key) if len(key) > 5 and key != "Enter" else page.keyboard.press(key)
        strokes += 2
        expect(page.locator("#form")).to_be_visible()
        if typed == "run by hand":
            expect(page.locator("#form")).to_have_attribute("data-node", "manual")
            page.keyboard.press("Escape")
            expect(page.locator("#cards [data-open=manual]")).to_be_focused()
            strokes += 1
    expect(page.locator("#form")).to_have_attribute("data-node", "set")
    expect(page.get_by_role("button", name="Add a field")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("answer")
    page.keyboard.press("Tab")
    page.keyboard.type("42")
    page.keyboard.press("Escape")
    expect(page.locator("#cards [data-open=set]")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("log")
    page.keyboard.press("Enter")
    expect(page.locator("#form .cm-content")).to_be_focused()
    page.keyboard.type("The answer is {{input.answer")
    page.keyboard.press("Control+Enter")
    strokes += 7
    expect(page.locator("#run-bar")).to_contain_text("Done")
    assert strokes <= 30
    (workflow,) = server.api("GET", "/workflows").json["items"]
    (run,) = server.executions(workflow=workflow["id"])
    detail = server.api("GET", f"/executions/{run['id']}").json
    assert {node["node"]: node["output"] for node in detail["nodes"]}["set"] == {"answer": 42}
    # Reading: the focus goes back to the card, and an arrow to the one before, whose output lies in the bench.
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-output]")).to_contain_text("42")


def test_hostile_names_and_data_are_text_in_the_editor(page: Page, server: LocalServer) -> None:
    evil = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>{{ 7 * 7 }}"
    document = {
        "id": "evil", "name": evil, "description": evil, "tags": [evil], "folder": evil,
        "nodes": [
            {"id": "go", "type": "trigger.manual", "name": evil},
            {"id": "log", "type": "action.log", "name": evil, "notes": evil, "config": {"message": evil}},
            {"id": "code", "type": "transform.set", "config": {"fields": {evil: evil}}, "pinned": {evil: evil}},
        ],
        "edges": [{"from": "go", "to": "log"}, {"from": "log", "to": "code"}],
        "notes": {"n": {"text": evil}}, "groups": {"g": {"name": evil, "nodes": ["go"]}},
    }  # fmt: skip
    assert server.api("POST", "/workflows", document).status == 201
    server.api("POST", "/workflows/evil/run", {"input": {evil: evil}, "wait": 10})
    for query in ("", "?node=go", "?node=log", "?node=code", "?tab=input", "?tab=problems"):
        open_editor(page, "evil", query)
        page.wait_for_timeout(150)
    page.locator("[data-show=table]").first.click() if page.locator("[data-show=table]").count() else None
    page.keyboard.press("Control+k")
    page.goto("/workflows/evil/versions")
    page.goto("/workflows/evil/runs")
    page.goto("/")
    expect(page.get_by_role("link", name=re.compile("onerror")).first).to_be_visible()
