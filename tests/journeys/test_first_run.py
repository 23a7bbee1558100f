"""A person's first minutes: sign in by link, look at a workflow, run it, watch it, fix and run again."""

import asyncio
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page, expect, sync_playwright

from flowfuse.app import create_app
from flowfuse.config import Config
from flowfuse.data.folder import DataFolder

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
DOCUMENT = {
    "id": "squares",
    "name": "Squares",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "each", "type": "loop.for_each", "config": {"items": "{{ range(8) }}"}},
        {"id": "square", "type": "transform.set", "config": {"fields": {"n": "{{ item * item }}"}}},
        {"id": "pause", "type": "action.wait", "name": "A pause", "config": {"seconds": 0.2}},
        {"id": "stop", "type": "action.fail", "name": "Enough", "config": {"message": "That is enough."}},
    ],
    "edges": [
        {"from": "go", "to": "each"},
        {"from": "each.item", "to": "square"},
        {"from": "square", "to": "pause"},
        {"from": "each.done", "to": "stop"},
    ],
}


class Server:
    """The application on a port of its own, in a thread."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        data = DataFolder(folder)
        data.make()
        app = create_app(Config(data=folder, port=self.port), data)
        self._server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="warning"))
        self._thread = Thread(target=lambda: asyncio.run(self._server.serve()))
        self.address = f"http://127.0.0.1:{self.port}"
        self._headers = {"Authorization": f"Bearer {data.token()}"}

    def __enter__(self) -> "Server":
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def post(self, path: str, body: Any = None) -> Any:
        answer = httpx.post(self.address + path, json=body, headers=self._headers)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as server:
        yield server


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    """A browser that must see no policy violation and no error of a script."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(base_url=server.address, viewport={"width": 1440, "height": 900})
        context.add_init_script(
            "window.violations = []; document.addEventListener('securitypolicyviolation', "
            "(event) => violations.push(event.violatedDirective + ' ' + event.blockedURI))"
        )
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        assert page.evaluate("violations") == []
        assert wrong == []
        browser.close()


def _caption(page: Page, node: str) -> Any:
    return page.locator(f".world [data-node={node}] [data-cap]").first


def test_from_the_link_to_a_failure_understood(server: Server, page: Page) -> None:
    server.post("/api/v1/workflows", DOCUMENT)
    page.goto("/workflows/squares")
    expect(page.get_by_role("heading", name="Sign in with a link")).to_be_visible()

    page.goto(server.post("/api/v1/links")["path"])
    page.get_by_role("link", name="Squares").click()
    expect(page.locator("#world.is-laid")).to_be_attached()  # the page's scripts are there
    page.keyboard.press("Control+Enter")
    expect(_caption(page, "each")).to_contain_text("rounds")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#run-bar")).to_contain_text("Paused")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#run-bar")).to_contain_text("Failed", timeout=10_000)
    expect(_caption(page, "square")).to_have_text("8 done")
    expect(page.locator("#bench .dh-id")).to_have_text("stop")
    expect(page.locator("#panel-node")).to_contain_text("That is enough.")

    page.get_by_role("link", name="Run 1").click()
    page.wait_for_url(re.compile(r"/workflows/squares/runs/1"))
    expect(page.locator("#run-state")).to_have_text("Failed")
    expect(_caption(page, "square")).to_have_text("8 done")
    expect(page.locator("#panel-node")).to_contain_text("That is enough.")
    page.get_by_role("link", name="Run again").click()
    expect(page.locator("#input")).to_be_visible()
    page.goto("/runs?state=failed")
    expect(page.locator("#run-rows")).to_contain_text("That is enough.")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 run today.")
    expect(page.locator("header .sub")).to_contain_text("1 failed.")


def test_what_is_not_there_is_said_in_words(server: Server, page: Page) -> None:
    page.goto(server.post("/api/v1/links")["path"])
    for address in (
        "/workflows/nope",
        "/workflows/nope/runs/1",
        "/runs/nope",
        "/static/nope.css",
    ):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 404, address


def test_a_failed_run_is_retried_and_compared(server: Server, page: Page) -> None:
    server.post("/api/v1/workflows", {**DOCUMENT, "id": "twice"})
    page.goto(server.post("/api/v1/links")["path"])
    server.post("/api/v1/workflows/twice/run", {"wait": 20})
    page.goto("/workflows/twice/runs/1")
    page.get_by_role("button", name="Retry").click()
    page.wait_for_url(re.compile(r"/workflows/twice/runs/2"))
    expect(page.locator("#run-state")).to_have_text("Failed", timeout=10_000)
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Run 2 and run 1")
    page.goto("/workflows/twice/runs/2?node=stop")
    page.get_by_role("button", name="Run from here again").click()
    page.wait_for_url(re.compile(r"/workflows/twice/runs/3"))


def test_home_offers_the_first_run_and_shows_it(server: Server, page: Page) -> None:
    """A form that the browser itself sends: its `Origin` has to name this server."""
    page.goto(server.post("/api/v1/links")["path"])
    page.get_by_role("button", name="Run it").click()
    page.wait_for_url(re.compile(r"/workflows/[a-z-]+/runs/1"))
    expect(page.locator("#run-state")).to_have_text("Done")


def test_a_form_of_the_settings_is_kept(server: Server, page: Page) -> None:
    page.goto(server.post("/api/v1/links")["path"])
    page.goto("/settings/account")
    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_role("button", name="Save", exact=True).first.click()
    page.wait_for_url(re.compile(r"/settings/account"))
    expect(page.locator(".nav-me")).to_have_text("Ada")
