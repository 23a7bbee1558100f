"""A real Chromium against a server of one's own: pages that must end without a violation, an error, a dialog."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.support.server import Server

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
WATCH = (
    "window.violations = []; document.addEventListener('securitypolicyviolation', "
    "(event) => violations.push(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber + ':' + event.columnNumber))"
)


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, without a window."""
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser for as long as it is needed."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@contextmanager
def signed_in(browser: Browser, server: Server, **options: Any) -> Iterator[Page]:
    """A page of its own context, signed in by a link."""
    size = options.pop("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(base_url=server.base, viewport=size, **options)
    context.add_init_script(WATCH)
    context.set_default_timeout(8000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"{error} {error.stack}"))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(server.api("POST", "/links", {}).json["path"])
    try:
        yield page
        violations = page.evaluate("window.violations ?? []")
        assert violations == [], violations
        assert wrong == [], wrong
    finally:
        context.close()


def open_editor(page: Page, workflow: str, query: str = "") -> None:
    """Go to a workflow's editor, and wait till it works."""
    page.goto(f"/workflows/{workflow}{query}")
    page.wait_for_selector("html[data-ready]", state="attached")
