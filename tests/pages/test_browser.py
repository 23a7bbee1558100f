"""The pages in a real browser, on a stand-in for the server: policy, access, live events, gestures.

With FLOWFUSE_SHOTS=folder the visits leave pictures there (`make shots`).
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect, sync_playwright

from flowfuse.model import Execution, ExecutionDetail, Workflow, WorkflowSummary
from flowfuse.node import Catalogue
from flowfuse.pages.graph import graph_view
from flowfuse.pages.render import POLICY, Templates
from flowfuse.pages.run_view import run_view
from flowfuse.resources import asset_root

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOW = 1_790_000_000_000_000
WEB = Path(__file__).resolve().parents[2] / "web"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
RUN = "/workflows/orders/runs/3"
PAGES = {
    "error": "/error",
    "run": RUN,
    "failed": f"{RUN}?state=failed", "timeline": f"{RUN}?state=failed&tab=timeline",
    "result": f"{RUN}?state=completed&tab=run",
}  # fmt: skip


class Site:
    """Answers each page's address as the real handlers would, from example runs."""

    def __init__(self, workflow: Workflow, catalogue: Catalogue, summary: Any, execution: Any, detail: Any):
        self.templates = Templates(lambda: NOW)
        self.workflow, self.catalogue = workflow, catalogue
        self.summary, self.execution, self.detail = summary, execution, detail
        self.asked: list[tuple[str, bytes]] = []

    def page(self, path: str, query: dict[str, str]) -> str:
        if path.startswith(RUN):
            return self._run("run/_part.html" if path.endswith("/part") else "run.html", query)
        if path.endswith("/runs"):
            older = None if query.get("before") else "/workflows/orders/runs?before=x"
            states = ("completed", "failed", "running")
            runs = [self.execution(state, number=n) for n, state in enumerate(states, 1)]
            return self.templates.render(
                "workflow_runs.html", workflow=self.summary(), runs=runs, next_page=older
            )
        return self.templates.render("error.html", status=404, detail="There is no run.")

    def _run(self, template: str, query: dict[str, str]) -> str:
        execution = self.execution(query.get("state", "running"))
        graph = graph_view(self.workflow, self.catalogue)
        detail: ExecutionDetail = self.detail(execution)
        view = run_view(detail, graph, NOW, query.get("node", ""), query.get("path", ""))
        return self.templates.render(
            template, workflow=self.workflow, execution=execution, detail=detail, graph=graph, view=view,
            version=None, tab=query.get("tab", "node"), has_sheet="tab" in query,
        )  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """One request to the stand-in."""

    def __init__(self, site: Site, *args: Any) -> None:
        self.site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path.startswith("/static/"):
            file = asset_root("web") / "dist" / address.path.removeprefix("/static/")
            self._answer(200, file.read_bytes(), guess_type(file.name)[0] or "font/woff2")
            return
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        self._answer(200, self.site.page(address.path, query).encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        self.site.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(409, b'{"title": "Conflict", "detail": "Not now."}', "application/problem+json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site(
    workflow: Workflow, catalogue: Catalogue, make_summary: Callable[..., WorkflowSummary],
    make_execution: Callable[..., Execution], make_detail: Callable[[Execution], ExecutionDetail],
) -> Site:  # fmt: skip
    return Site(workflow, catalogue, make_summary, make_execution, make_detail)


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, site))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that must end without a policy violation, an error or a dialog."""
    yield from _page(browser, address)


def _page(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    size = options.pop("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(base_url=address, viewport=size, **options)
    context.add_init_script(
        "window.violations = []; document.addEventListener('securitypolicyviolation', "
        "(event) => violations.push(event.violatedDirective + ' ' + event.blockedURI))"
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    yield page
    assert page.evaluate("violations") == []
    assert wrong == []
    context.close()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_sound(browser: Browser, address: str, name: str, width: int) -> None:
    """No violation, no sideways scrolling, nothing that axe calls serious or critical."""
    size = {"width": width, "height": 900 if width == 1440 else 844}
    for page in _page(browser, address, viewport=size):
        page.route_web_socket("**/live*", lambda socket: None)
        page.goto(PAGES[name])
        if page.locator("#canvas").count():
            expect(page.locator("#world.is-laid")).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.evaluate(AXE.read_text())
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert _serious(page) == []
            if folder := os.environ.get("FLOWFUSE_SHOTS"):
                page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png")


def _serious(page: Page) -> list[tuple[str, str]]:
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then((r) => r.violations)")
    return [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]


def _caption(page: Page, node: str) -> Any:
    return page.locator(f".world [data-node={node}] [data-cap]").first


def _connected(page: Page, where: str = RUN) -> list[WebSocketRoute]:
    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/live*", lambda socket: sockets.append(socket))
    page.goto(where)
    expect(page.locator("#world.is-laid")).to_be_attached()
    page.wait_for_timeout(200)
    return sockets


def test_events_are_counted_once_and_go_on_after_a_break(page: Page) -> None:
    sockets = _connected(page)
    assert sockets[0].url.endswith("after=9")
    expect(_caption(page, "label")).to_have_text("2 done · 1 failed")
    for event in (
        {"seq": 10, "type": "node_done", "node": "label", "path": "each:3", "ms": 2},
        {"seq": 10, "type": "node_done", "node": "label", "path": "each:3", "ms": 2},
        {"type": "started", "node": "end"},
    ):
        sockets[0].send(json.dumps(event))
    expect(_caption(page, "label")).to_have_text("3 done · 1 failed")
    expect(_caption(page, "end")).to_have_text("at work")
    sockets[0].close()
    expect(page.locator("#wire")).to_have_text("No connection, trying again")
    expect(page.locator("#wire")).to_be_hidden(timeout=5000)
    assert sockets[-1].url.endswith("after=10")


def test_with_the_run_its_nodes_stop(page: Page) -> None:
    """What was at work or waiting is not so for ever; the counts of the server come later."""
    page.route("**/part?*", lambda route: route.abort())
    sockets = _connected(page)
    for event in (
        {"type": "started", "node": "end"},
        {"seq": 10, "type": "waiting", "node": "other"},
        {"type": "started", "node": "check", "path": "each:3"},
    ):
        sockets[0].send(json.dumps(event))
    expect(_caption(page, "end")).to_have_text("at work")
    expect(_caption(page, "other")).to_have_text("waiting")
    sockets[0].send(json.dumps({"seq": 11, "type": "state", "state": "failed"}))
    expect(_caption(page, "end")).to_have_text("stopped")
    expect(_caption(page, "other")).to_have_text("stopped")
    expect(_caption(page, "check")).to_have_text("3 done · 1 stopped")
    expect(page.locator(".edge.is-live, .node.is-run, .node.is-wait")).to_have_count(0)


def test_without_a_socket_events_are_polled(page: Page) -> None:
    page.route_web_socket("**/live*", lambda socket: socket.close())
    events = [{"seq": 10, "type": "node_skipped", "node": "end"}]
    page.route("**/events?after=9", lambda route: route.fulfill(json={"items": events}))
    page.route("**/events?after=10", lambda route: route.fulfill(json={"items": []}))
    page.goto(RUN)
    expect(_caption(page, "end")).to_have_text("skipped", timeout=15_000)
    expect(page.locator("#wire")).to_be_visible()


def test_a_node_is_opened_without_losing_the_canvas(page: Page) -> None:
    _connected(page)
    page.mouse.move(700, 250)
    page.mouse.wheel(0, -200)
    before = page.evaluate("document.getElementById('world').style.transform")
    page.locator(".world [data-open=hook]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#bench .dh-id")).to_have_text("hook")
    assert page.url.endswith("?node=hook") or "node=hook" in page.url
    assert page.evaluate("document.getElementById('world').style.transform") == before


def test_rounds_are_stepped_through(page: Page) -> None:
    _connected(page)
    expect(page.locator(".stepper-v")).to_have_text("2 of 3")
    page.get_by_role("link", name="Next round").click()
    expect(page.locator(".stepper-v")).to_have_text("3 of 3")
    assert "path=each%3A2" in page.url
    page.locator(".stepper-f").click()
    expect(page.locator(".stepper-v")).to_have_text("2 of 3")


def test_a_drag_pans_and_opens_nothing(page: Page) -> None:
    _connected(page)
    expect(page.locator("#world.is-laid")).to_be_attached()
    before = page.evaluate("document.getElementById('world').style.transform")
    box = page.locator(".world [data-open=hook]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 90, steps=6)
    page.mouse.up()
    assert page.evaluate("document.getElementById('world').style.transform") != before
    assert page.url.endswith(RUN)


def test_arrows_follow_the_connections(page: Page) -> None:
    _connected(page)
    expect(page.locator("#world.is-laid")).to_be_attached()
    page.locator(".world [data-open=hook]").focus()
    way = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Home"):
        page.keyboard.press(key)
        way.append(page.evaluate("document.activeElement.dataset.open"))
    assert way == ["each", "end", "each", "hook"]


def test_a_refused_order_says_why(page: Page, site: Site) -> None:
    _connected(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#bar-error")).to_have_text("Not now.")
    assert site.asked == [("/api/v1/executions/0190/pause", b"{}")]


def test_older_runs_are_added_below(page: Page) -> None:
    page.goto("/workflows/orders/runs")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#run-rows tr")).to_have_count(6)
    expect(page.locator("#older")).to_have_text("These are all.")


def test_without_script_the_outline_is_there(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{RUN}?node=label")
    expect(page.locator(".outline .orow").first).to_be_visible()
    expect(page.locator("#panel-node")).to_contain_text("What happened")
    context.close()
