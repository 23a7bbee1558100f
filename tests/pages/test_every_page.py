"""Every page of lists and settings in a real Chromium, with something on it, in light and dark, wide and narrow.

With FLOWFUSE_SHOTS=folder the visits leave pictures there (`make shots`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import signed_in
from tests.support.house import fill
from tests.support.local import LocalServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "home": "/", "workflows": "/workflows", "workflows-none": "/workflows?q=nothing-like-this",
    "trash": "/workflows/trash", "runs": "/runs", "runs-failed": "/runs?state=failed", "inbox": "/inbox",
    "schedules": "/schedules", "webhooks": "/webhooks", "webhook": "/webhooks/orders/hook",
    "webhook-caught": "/webhooks/waiting/hook", "connections": "/connections",
    "connection": "/connections/erp", "connection-new": "/connections/new?kind=basic",
    "connection-edit": "/connections/shop?edit", "templates": "/templates", "audit": "/audit",
    "audit-checked": "/audit?check", "settings": "/settings", "settings-found": "/settings?q=keep",
    "account": "/settings/account", "keys": "/settings/keys", "members": "/settings/members",
    "retention": "/settings/history", "backups": "/settings/backup", "network": "/settings/network",
    "about": "/settings/about", "help": "/help", "more": "/more", "missing": "/nothing-here",
}  # fmt: skip
OUTSIDE = {"sign-in": "/sign-in"}
EMPTY = {"empty-home": "/", "empty-workflows": "/workflows", "empty-runs": "/runs",
         "empty-inbox": "/inbox", "empty-schedules": "/schedules", "empty-webhooks": "/webhooks",
         "empty-connections": "/connections", "empty-trash": "/workflows/trash"}  # fmt: skip
SIZES = {1440: 900, 390: 844}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path_factory.mktemp("full") / "data").start()
    fill(server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path_factory.mktemp("bare") / "data").start()
    yield server
    server.stop()


def serious(page: Page) -> list[tuple[str, str]]:
    """What axe calls serious or critical."""
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then((r) => r.violations)")
    return [(v["id"], v["nodes"][0]["html"][:300]) for v in found if v["impact"] in ("serious", "critical")]


def look(page: Page, name: str, path: str, width: int) -> None:
    """No sideways scrolling, nothing that axe finds; pictures, where they are asked for."""
    page.goto(path)
    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert over <= 0, f"{name}: {over} px too wide"
    hidden = "[...document.querySelectorAll('main h2:not(.sr)')].filter((h) => !h.checkVisibility()).length"
    assert page.evaluate(hidden) == 0 or page.locator(".split").count(), f"{name}: a part is not shown"
    page.evaluate(AXE.read_text())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if folder := os.environ.get("FLOWFUSE_SHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png")
        assert serious(page) == [], f"{name}, {scheme}"


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_sound(browser: Browser, full: LocalServer, name: str, width: int) -> None:
    with signed_in(browser, full, viewport={"width": width, "height": SIZES[width]}) as page:
        look(page, name, PAGES[name], width)


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("name", EMPTY)
def test_empty_pages_say_what_to_do(browser: Browser, bare: LocalServer, name: str, width: int) -> None:
    with signed_in(browser, bare, viewport={"width": width, "height": SIZES[width]}) as page:
        look(page, name, EMPTY[name], width)
        assert page.locator(".empty").count() == 1


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_longer_words_fit_too(browser: Browser, full: LocalServer, width: int) -> None:
    size = {"width": width, "height": 844}
    with signed_in(browser, full, viewport=size, locale="de-DE") as page:
        wide = []
        for name, path in PAGES.items():
            page.goto(path)
            assert page.locator("html").get_attribute("lang") == "de"
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            wide += [(name, over)] if over > 0 else []
        assert wide == []


@pytest.mark.parametrize("width", SIZES)
def test_the_way_in_is_sound(browser: Browser, full: LocalServer, width: int) -> None:
    person = full.call(full.app.engine.accounts.find("ada@example.org"))
    full.call(full.app.auth.set_password(person.id, "a long password of mine"))
    size: Any = {"width": width, "height": SIZES[width]}
    context = browser.new_context(base_url=full.base, viewport=size)
    page = context.new_page()
    look(page, "sign-in", "/sign-in", width)
    context.close()
