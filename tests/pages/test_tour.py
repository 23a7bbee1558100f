"""The tour of the first run: kept per person, from an empty folder on, to a run that went through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import signed_in
from tests.support.local import LocalServer
from tests.support.people import member, owner

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def shot(page: object, name: str) -> None:
    if folder := os.environ.get("FLOWFUSE_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [1440, 390])
def test_it_begins_in_an_empty_folder_and_ends_when_a_run_went_through(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    server = LocalServer(tmp_path / "data").start()
    try:
        with signed_in(browser, server, viewport={"width": width, "height": 900}) as page:
            page.goto("/")
            page.get_by_role("button", name="Show me").click()
            note = page.locator(".tour-note")
            expect(note).to_contain_text("Each card is a node")
            expect(note).to_be_focused()
            shot(page, f"tour-1-{width}")
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            expect(note).to_contain_text("Run it with this button")
            shot(page, f"tour-2-{width}")
            page.locator("#run").click()
            expect(note).to_contain_text("Done: your first run went through.")
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            shot(page, f"tour-3-{width}")
            with page.expect_response(lambda answer: "/tour/end" in answer.url):
                note.get_by_role("button", name="Done").click()
            expect(note).to_have_count(0)
            page.goto("/")
            expect(page.get_by_text("Your first run, in a minute")).to_have_count(0)
    finally:
        server.stop()


def test_each_person_has_it_until_they_want_none_whatever_ran(server: LocalServer) -> None:
    server.publish({"id": "by-hand", "nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    server.api("POST", "/workflows/by-hand/run", {})
    ada, bob, viewer = member(server, "editor"), member(server, "operator"), member(server, "viewer")
    assert 'href="/workflows/by-hand?tour=1"' in ada.page("/")
    assert ada.send("/tour/end").status == 303
    assert "Your first run" not in ada.page("/")
    assert "Your first run" in bob.page("/")
    assert "Your first run" not in viewer.page("/")
    assert "Your first run" in owner(server).page("/")
