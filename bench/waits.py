"""How long a hand waits: the first page over the wire, and the editor's answer to a key or a click.

Real events in headless Chromium; the time runs from the event's own stamp to the frame that shows the answer.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from typing import Any

FLAGS = ["--no-sandbox", "--disable-gpu"]
TIMES = 7
LARGE = "x" * 5_000_000
FLOW = {
    "id": "waits", "name": "Waits",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "rows", "type": "transform.set", "config": {"fields": {"all": "{{ trigger }}"}}},
        {"id": "tell", "type": "action.log", "config": {"message": "{{ 1 }}"}},
    ],
    "edges": [{"from": "go", "to": "rows"}, {"from": "rows", "to": "tell"}],
}  # fmt: skip
ARM = """({ event, seen }) => {
  const shows = new Function(`return Boolean(${seen})`)
  window.took = new Promise((done) => addEventListener(event, ({ timeStamp }) => {
    const look = () => shows() ? done(performance.now() - timeStamp) : requestAnimationFrame(look)
    requestAnimationFrame(look)
  }, { capture: true, once: true }))
}"""
Emit = Callable[[str, float, str, float | None], None]
Api = Callable[[str, str, Any], Any]


def measure(emit: Emit, base: str, api: Api) -> None:
    """Print all figures, of a server that answers at `base`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            page = _signed_in(browser, base, api)
            _first_page(emit, page, base)
            _editor(emit, page, base, api)
        finally:
            browser.close()


def _signed_in(browser: Any, base: str, api: Api) -> Any:
    # The policy of the pages forbids scripts made of text; the measuring one is no part of them.
    context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page = context.new_page()
    page.goto(base + api("POST", "/links", {})["path"])
    return page


def _first_page(emit: Emit, page: Any, base: str) -> None:
    """What comes over the wire with nothing kept, and when the page answers to a hand."""
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    ready = []
    for _ in range(TIMES):
        sizes.clear()
        wire.send("Network.clearBrowserCache")
        page.goto(f"{base}/", wait_until="networkidle")
        timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        ready.append(page.evaluate(timing))
    emit("waits.first_page", sum(sizes) / 1000, "KB", 300)
    emit("waits.interactive", statistics.median(ready), "ms", 1000)


def _editor(emit: Emit, page: Any, base: str, api: Api) -> None:
    api("POST", "/workflows", FLOW)
    api("POST", "/workflows/waits/run", {"input": LARGE, "wait": 30})
    page.goto(f"{base}/workflows/waits")
    page.wait_for_selector("html[data-ready]", state="attached")
    keys = page.keyboard

    def away() -> None:
        keys.press("Escape")
        page.locator("#canvas").click(position={"x": 700, "y": 40})

    def open_list() -> None:
        away()
        keys.press("/")
        page.wait_for_selector("#add-list [data-row]")

    def card(id: str) -> None:
        page.locator(f"#cards [data-open={id}]").click()

    listed = "document.querySelector('#add:not([hidden]) #add-list [data-row]')"
    opened = [(away(), _took(page, "keydown", lambda: keys.press("/"), listed))[1] for _ in range(TIMES)]
    emit("waits.list_open", statistics.median(opened), "ms", 100)
    found = "document.getElementById('add-count').innerText.includes('found')"
    searched = [
        (open_list(), _took(page, "keydown", lambda: keys.press("h"), found))[1] for _ in range(TIMES)
    ]
    emit("waits.list_key", statistics.median(searched), "ms", 50)
    away()
    shown = "document.querySelector('#bench-who .dh-id')?.textContent === 'rows'"
    shown += " && document.querySelector('#panel-node [data-output] [data-view]')"
    benches = [(card("go"), _took(page, "pointerdown", lambda: card("rows"), shown))[1] for _ in range(TIMES)]
    emit("waits.bench", statistics.median(benches), "ms", 100)
    card("tell")
    page.locator("#bench-who .dh-id", has_text="tell").wait_for()
    emit("waits.preview", _preview(page), "ms", 150)
    emit("waits.durable", _durable(page, api), "ms", 1000)


def _took(page: Any, event: str, act: Callable[[], None], seen: str) -> float:
    """Milliseconds from the event to the frame in which the JavaScript expression `seen` is true."""
    page.evaluate(ARM, {"event": event, "seen": seen})
    act()
    took: float = page.evaluate("took")
    return took


def _preview(page: Any) -> float:
    """From a digit to the expression's new value under the field."""
    _begin_field(page)
    page.keyboard.type("{{ 1")
    value, took = "1", []
    for number in range(TIMES):
        page.wait_for_timeout(600)
        value += str(number)
        seen = f"document.querySelector('#form .prev:not([hidden])')?.textContent.startsWith('{value}')"
        took.append(_took(page, "keydown", lambda number=number: page.keyboard.press(str(number)), seen))
    return statistics.median(took)


def _durable(page: Any, api: Api) -> float:
    """From a field's edit to the draft that the server has kept."""
    took = []
    for number in range(TIMES):
        _begin_field(page)
        begun = time.perf_counter()
        page.keyboard.type(f"edit {number}")
        while f"edit {number}" not in str(api("GET", "/workflows/waits", None)):
            time.sleep(0.01)
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def _begin_field(page: Any) -> None:
    """Stand in the emptied expression field of the open form."""
    page.locator("#form :is(textarea[data-expression], .cm-content):visible").first.click()
    page.wait_for_selector("#form .cm-focused")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
