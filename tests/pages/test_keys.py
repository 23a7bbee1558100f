"""Single keys on the pages and in the editor, struck in a real browser; a person can switch them off."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import open_editor
from tests.support.local import LocalServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """Single keys are switched on again."""
    yield page
    page.goto("/settings/account")
    page.locator("#single_keys").select_option("on")
    page.locator("form.stack .btn-solid").first.click()


@pytest.mark.parametrize("path", ["/", "/workflows", "/runs", "/settings/account", "/connections"])
def test_a_question_mark_shows_the_keys(page: Page, path: str) -> None:
    page.goto(path)
    page.keyboard.press("Shift+?")
    expect(page).to_have_url(re.compile("/help#keys$"))
    expect(page.get_by_role("heading", name="Keys on the pages")).to_be_in_viewport()


@pytest.mark.parametrize("way", ["press", "type"])
def test_it_does_so_beside_a_canvas_that_is_only_looked_at(page: Page, server: LocalServer, way: str) -> None:
    server.api("POST", "/workflows", {"id": "looked-at", "nodes": [], "edges": []})
    page.goto("/workflows/looked-at/versions")
    getattr(page.keyboard, way)("?")
    expect(page).to_have_url(re.compile("/help#keys$"))


def test_single_letters_are_switched_off_for_a_person(page: Page, server: LocalServer) -> None:
    server.api("POST", "/workflows", {"id": "keyed", "nodes": [], "edges": []})
    page.goto("/settings/account")
    page.locator("#single_keys").select_option("off")
    page.locator("form.stack .btn-solid").first.click()
    expect(page.locator(".notice-ok")).to_be_visible()
    page.goto("/workflows")
    page.keyboard.press("Shift+?")
    page.keyboard.press("/")
    expect(page.locator("[data-search]")).not_to_be_focused()
    expect(page).to_have_url(re.compile("/workflows$"))
    open_editor(page, "keyed")
    page.keyboard.press("n")
    page.keyboard.press("/")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert server.api("GET", "/workflows/keyed").json["document"].get("notes", {}) == {}
    page.keyboard.press("Control+k")
    expect(page.locator("dialog[open]")).to_have_count(1)
