"""Bars of the design (§6): an address is all of a view, and what a script adds to a run moves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.pages.test_editor_sound import SHOP
from tests.pages.test_every_page import SIZES
from tests.support.browser import signed_in
from tests.support.house import fill
from tests.support.local import LocalServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) shifts.push([entry.value, ...entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 120))]);
  }
}).observe({ type: 'layout-shift', buffered: true });
"""
PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))"
SHOWN = """() => ({
  chosen: [...document.querySelectorAll('.is-selected[data-node]')].map(({ dataset }) => dataset.node),
  open: [...document.querySelectorAll('[role=tab][aria-selected=true]')].map(({ id }) => id),
  current: [...document.querySelectorAll('main [aria-current]')].map((each) => each.getAttribute('href')),
  typed: [...document.querySelectorAll('main form[method=get] :is(input, select)')].map(({ value }) => value),
  heads: [...document.querySelectorAll('h1, h2, h3')].filter((each) => each.checkVisibility()).map(({ textContent }) => textContent),
})"""


def _pick(page: Page, id: str) -> None:
    page.locator(f"#canvas .world [data-node={id}] > [data-open]").click()
    page.locator(f".is-selected[data-node={id}]").first.wait_for()


def _editor(page: Page) -> None:
    _pick(page, "tell")
    page.wait_for_url("**node=tell*")


def _tab(page: Page) -> None:
    _editor(page)
    page.get_by_role("tab", name="Timeline").click()


def _run(page: Page) -> None:
    _pick(page, "tell")
    page.wait_for_url("**node=tell*")


def _versions(page: Page) -> None:
    page.locator(".vrow", has_text="v1").click()
    page.wait_for_url("**b=1*")


def _searched(page: Page) -> None:
    page.locator("main [data-search]").fill("labels")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=labels*")


WAYS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "editor": ("/workflows/shop", _editor),
    "editor-tab": ("/workflows/shop", _tab),
    "run": ("/workflows/done/runs/2", _run),
    "versions": ("/workflows/shop/versions", _versions),
    "compare": ("/workflows/done/runs/2/compare", lambda page: _pick(page, "tell")),
    "workflows": ("/workflows", _searched),
    "runs": ("/runs", _searched),
    "audit": ("/audit", _searched),
}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path_factory.mktemp("bars") / "data").start()
    fill(server)
    done: dict[str, Any] = {
        **SHOP,
        "id": "done",
        "nodes": [node for node in SHOP["nodes"] if node["id"] != "call"],
        "edges": [edge for edge in SHOP["edges"] if edge["to"] != "call"],
    }
    assert server.api("POST", "/workflows", SHOP).status == 201
    server.publish(done)
    for _ in range(2):
        ran = server.api("POST", "/workflows/done/run", {"trigger": "hand", "wait": 30})
        assert ran.json["state"] == "completed"
    assert server.api("POST", "/workflows/shop/versions", {"note": "before"}).status == 201
    yield server
    server.stop()


@pytest.mark.parametrize("query", ["", "?tab=timeline"])
def test_a_run_does_not_jump_on_a_phone(browser: Browser, full: LocalServer, query: str) -> None:
    with signed_in(browser, full, viewport={"width": 390, "height": SIZES[390]}) as page:
        page.add_init_script(SHIFTS)
        page.goto(f"/workflows/done/runs/1{query}")
        page.evaluate("document.fonts.ready.then(() => new Promise(requestIdleCallback))")
        moved = str(page.evaluate("shifts"))
        assert "orow" not in moved


def test_the_open_place_of_the_settings_is_in_sight_on_a_phone(browser: Browser, full: LocalServer) -> None:
    with signed_in(browser, full, viewport={"width": 390, "height": SIZES[390]}) as page:
        page.goto("/settings")
        page.locator(".views .view").last.click()
        page.wait_for_url("**/settings/about")
        here = page.locator(".views .view[aria-current]")
        page.wait_for_load_state()
        seen = here.bounding_box()
        assert seen is not None
        assert seen["x"] >= 0
        assert seen["x"] + seen["width"] < 391


def _held(page: Page, addresses: str) -> list[Route]:
    """What is asked for there, for as long as it is not let go on."""
    held: list[Route] = []
    page.route(addresses, lambda route: held.append(route))
    return held


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_moves_because_a_font_comes_late(browser: Browser, full: LocalServer, width: int) -> None:
    addresses = ("/", "/workflows", "/runs", "/settings/account", "/workflows/shop", "/workflows/done/runs/1")
    for address in addresses:
        with signed_in(browser, full, viewport={"width": width, "height": SIZES[width]}) as page:
            late = _held(page, "**/*.woff2")
            page.add_init_script(SHIFTS)
            page.goto(address, wait_until="domcontentloaded")
            page.locator("main").wait_for()
            page.evaluate(PAINTED)
            assert late, "the fonts are asked for"
            for route in late:
                route.continue_()
            page.evaluate("document.fonts.ready.then(() => new Promise(requestIdleCallback))")
            moved = page.evaluate("shifts")
            assert sum(each[0] for each in moved) < 0.005, (address, moved)


@pytest.mark.parametrize("name", WAYS)
def test_an_address_is_all_of_a_view(browser: Browser, full: LocalServer, name: str) -> None:
    path, go = WAYS[name]
    with signed_in(browser, full) as page, signed_in(browser, full) as other:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        go(page)
        page.wait_for_load_state("networkidle")
        other.goto(page.url)
        other.wait_for_load_state("networkidle")
        assert other.evaluate(SHOWN) == page.evaluate(SHOWN)
