"""Parts of a page that come anew while somebody reads them: what was opened, chosen or loaded stays."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.local import LocalServer
from tests.support.server import request

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REFRESH = 3_100
HOOK = {
    "id": "calls",
    "name": "Calls",
    "nodes": [{"id": "hook", "type": "trigger.webhook", "config": {"path": "calls"}}],
    "edges": [],
}


@pytest.fixture
def page(page: Page) -> Page:
    """Its timers are moved by the test."""
    page.clock.install()
    return page


def call(server: LocalServer, number: int) -> None:
    body = {"number": number, "deep": {"a": {"b": {"c": number}}}}
    assert request("POST", f"{server.base}/hook/calls", body).status < 300


@pytest.fixture(scope="module")
def calls(server: LocalServer) -> None:
    server.publish(HOOK)
    call(server, 1)


def refreshed(page: Page, path: str) -> None:
    with page.expect_response(f"**{path}"):
        page.clock.run_for(REFRESH)


@pytest.mark.usefixtures("calls")
def test_an_opened_call_stays_open_and_keeps_the_caret(page: Page, server: LocalServer) -> None:
    page.goto("/webhooks/calls/hook")
    shown = page.locator(".call")
    before = shown.count()
    mine = page.locator(f"#{shown.first.get_attribute('id')}")
    mine.locator("summary").first.click()
    inner = mine.locator("details:not([open]) > summary").first
    inner.click()
    opened = mine.locator("details[open]").count()
    call(server, 2)
    refreshed(page, "/webhooks/calls/hook")
    expect(shown).to_have_count(before + 1)
    expect(mine).to_have_attribute("open", "")
    expect(mine.locator("details[open]")).to_have_count(opened)
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


@pytest.mark.usefixtures("calls")
def test_older_runs_that_were_asked_for_stay(page: Page, server: LocalServer) -> None:
    for number in range(55):
        call(server, number)
    page.goto("/runs")
    rows = page.locator("#run-rows > tr")
    first = rows.count()
    page.get_by_role("link", name="Older").click()
    expect(rows).not_to_have_count(first)
    more = rows.count()
    page.clock.run_for(3 * REFRESH)
    page.evaluate("fetch('/palette').then((answer) => answer.text())")
    assert rows.count() == more
