"""Every state of the editor, light and dark, wide and narrow: no violation, nothing that axe calls serious.

With FLOWFUSE_SHOTS=folder the visits leave pictures there (`make shots`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import open_editor, signed_in
from tests.support.local import LocalServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHOP: dict[str, Any] = {
    "id": "shop",
    "name": "Open orders to labels",
    "folder": "Warehouse",
    "nodes": [
        {"id": "morning", "type": "trigger.schedule", "name": "Weekdays, 07:30",
         "config": {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"}, "position": {"x": 0, "y": 106}},
        {"id": "hand", "type": "trigger.manual", "position": {"x": 0, "y": 0}},
        {"id": "orders", "type": "transform.set", "name": "List open orders", "join": "any",
         "config": {"fields": {"list": "{{ [{'id': n, 'total': n * 9.5} for n in range(8)] }}"}},
         "position": {"x": 216, "y": 52}},
        {"id": "each", "type": "loop.for_each", "name": "For each order",
         "config": {"items": "{{ input.list }}", "concurrency": 4, "on_item_error": "collect"},
         "position": {"x": 440, "y": 0}},
        {"id": "large", "type": "condition.if", "name": "Over 30?", "config": {"condition": "{{ item.total > 30 }}"},
         "position": {"x": 480, "y": 58}},
        {"id": "label", "type": "action.code", "name": "Create label",
         "config": {"source": "return {'label': f'{order[\"id\"]:04d}'}", "inputs": {"order": "{{ item }}"}},
         "position": {"x": 696, "y": 58}},
        {"id": "stop", "type": "action.fail", "name": "Refuse it", "config": {"message": "Too small: {{ item.total }}"},
         "position": {"x": 696, "y": 164}},
        {"id": "tell", "type": "action.log", "name": "Tell the warehouse",
         "config": {"message": "{{ len(input.results) }} labels"}, "position": {"x": 960, "y": 58}},
        {"id": "call", "type": "action.http_request", "name": "Tell the shop", "position": {"x": 1180, "y": 58}},
    ],
    "edges": [
        {"from": "morning", "to": "orders"}, {"from": "hand", "to": "orders"}, {"from": "orders", "to": "each"},
        {"from": "each.item", "to": "large"}, {"from": "large.true", "to": "label"},
        {"from": "large.false", "to": "stop"}, {"from": "each.done", "to": "tell"}, {"from": "tell", "to": "call"},
    ],
    "notes": {"n1": {"text": "Labels must be out by 08:00.", "x": 0, "y": 220}},
    "groups": {"g1": {"name": "At the end", "nodes": ["tell", "call"]}},
}  # fmt: skip


def _ran(page: Page) -> None:
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("to mend first")


STATES: dict[str, tuple[str, Callable[[Page], None] | None]] = {
    "editor": ("/workflows/shop", None),
    "schedule": ("/workflows/shop?node=morning", None),
    "loop": ("/workflows/shop?node=each", None),
    "code": ("/workflows/shop?node=label", lambda page: _code(page)),
    "http": ("/workflows/shop?node=call", None),
    "problems": ("/workflows/shop?tab=problems", _ran),
    "add": ("/workflows/shop?node=tell", lambda page: page.keyboard.press("/")),
    "keys": ("/workflows/shop", lambda page: page.keyboard.press("?")),
    "find": ("/workflows/shop", lambda page: page.keyboard.press("Control+k")),
    "selected": ("/workflows/shop", lambda page: page.keyboard.press("Control+a")),
    "ran": ("/workflows/done?run=1&node=large", None),
    "timeline": ("/workflows/done?run=1&tab=timeline", None),
    "outline": ("/workflows/shop", lambda page: page.keyboard.press("o")),
    "versions": ("/workflows/shop/versions", None),
    "of-workflow": ("/workflows/done/runs", None),
    "compare": ("/workflows/done/runs/2/compare", None),
    "empty": ("/workflows/nothing", None),
}


def _code(page: Page) -> None:
    if (page.viewport_size or {"width": 0})["width"] > 860:
        expect(page.locator(".monaco .view-line").first).to_be_visible()


@pytest.fixture(scope="module")
def shop(server: LocalServer) -> LocalServer:
    done = [node for node in SHOP["nodes"] if node["id"] != "call"]
    edges = [edge for edge in SHOP["edges"] if edge["to"] != "call"]
    assert server.api("POST", "/workflows", SHOP).status == 201
    assert (
        server.api("POST", "/workflows", {**SHOP, "id": "done", "nodes": done, "edges": edges}).status == 201
    )
    assert server.api("POST", "/workflows", {"id": "nothing", "nodes": [], "edges": []}).status == 201
    assert (
        server.api("POST", "/workflows/done/run", {"trigger": "hand", "wait": 30}).json["state"]
        == "completed"
    )
    again = server.api("POST", "/workflows/done/run", {"trigger": "hand", "input": 1, "wait": 30})
    assert again.json["state"] == "completed"
    note = {"id": "n", "kind": "set", "node": "tell", "path": "name", "value": "Tell them"}
    token = (server.data / "token").read_text().strip()
    from tests.support.server import request

    kept = request(
        "POST",
        f"{server.base}/workflows/shop/versions",
        {"note": "before"},
        {"authorization": f"Bearer {token}"},
    )
    assert kept.status == 201
    server.api("POST", "/workflows/shop/operations", {"operations": [note]})
    return server


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", STATES)
def test_every_state_is_sound(browser: Browser, shop: LocalServer, name: str, width: int) -> None:
    address, act = STATES[name]
    size = {"width": width, "height": 900 if width == 1440 else 844}
    with signed_in(browser, shop, viewport=size, reduced_motion="reduce") as page:
        path, _, query = address.removeprefix("/workflows/").partition("?")
        if "/" in path:
            page.goto(address)
        else:
            open_editor(page, path, f"?{query}" if query else "")
            expect(page.locator("#panel-node .bench")).to_be_attached()
        if act is not None and not (width == 390 and name in ("selected", "outline")):
            act(page)
        page.wait_for_timeout(250)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.evaluate(AXE.read_text())
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_timeout(100)
            if folder := os.environ.get("FLOWFUSE_SHOTS"):
                page.screenshot(path=Path(folder) / f"editor-{name}-{width}-{scheme}.png")
            assert _serious(page) == []


def _serious(page: Page) -> list[tuple[str, str]]:
    # What Monaco draws is Monaco's; its text is there for screen readers in a box of its own.
    found = page.evaluate(
        "axe.run({exclude: [['.monaco']]}, {resultTypes: ['violations']}).then((r) => r.violations)"
    )
    return [(v["id"], v["nodes"][0]["html"][:300]) for v in found if v["impact"] in ("serious", "critical")]
