"""Two browsers on one workflow, lost connections, killed browsers and servers: nothing that was done is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.browser import FLAGS, WATCH, chromium, open_editor, signed_in
from tests.support.local import LocalServer
from tests.support.server import Server, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = float(os.environ.get("FLOWFUSE_TOGETHER_SECONDS", "12"))
FLOW: dict[str, Any] = {
    "id": "shared",
    "nodes": [
        {"id": "go", "type": "trigger.manual", "position": {"x": 0, "y": 0}},
        {"id": "log", "type": "action.log", "config": {"message": "hello"}, "position": {"x": 240, "y": 0}},
    ],
    "edges": [{"from": "go", "to": "log"}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path / "data").start()
    assert server.api("POST", "/workflows", FLOW).status == 201
    yield server
    server.stop()


def eventually(holds: Callable[[], bool], patience: float = 15) -> bool:
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def drawn(page: Page) -> dict[str, Any]:
    """What a page shows: cards with their titles and places, edges."""
    shown: dict[str, Any] = page.evaluate(
        """() => ({
          cards: Object.fromEntries([...document.querySelectorAll('#cards [data-node], #trays [data-node]')].map((card) =>
            [card.dataset.node, card.querySelector('.node-title, .loop-title').textContent + ' ' + card.style.transform])),
          edges: [...document.querySelectorAll('#lines .edge')].map(({dataset}) => `${dataset.from}.${dataset.port}>${dataset.to}`).sort(),
        })"""
    )
    return shown


class Hand:
    """Does something at random in one browser, as a person would, and remembers what must not get lost."""

    def __init__(self, page: Page, name: str, chance: random.Random) -> None:
        self.page, self.name, self.chance = page, name, chance
        self.made: list[str] = []

    def act(self) -> None:
        self.chance.choice(
            (self.add, self.add, self.nudge, self.nudge, self.duplicate, self.toggle, self.offline)
        )()

    def choose(self) -> None:
        cards = self.page.locator("#cards .node-card")
        card = cards.nth(self.chance.randrange(cards.count()))
        card.focus()
        card.press("Home")
        for _ in range(self.chance.randrange(6)):
            self.page.keyboard.press(self.chance.choice(("ArrowRight", "ArrowDown", "ArrowUp")))

    def add(self) -> None:
        self.choose()
        before = set(drawn(self.page)["cards"])
        self.page.keyboard.press("/")
        self.page.locator("#add-text").fill("log")
        self.page.keyboard.press("Enter")
        self.page.locator("#canvas").focus()
        fresh = set(drawn(self.page)["cards"]) - before
        self.made += [id for id in fresh if id.startswith("log")][:1]

    def nudge(self) -> None:
        self.choose()
        for _ in range(self.chance.randrange(1, 4)):
            self.page.keyboard.press(
                self.chance.choice(("Alt+ArrowRight", "Alt+Shift+ArrowDown", "Alt+ArrowUp"))
            )

    def duplicate(self) -> None:
        self.choose()
        self.page.keyboard.press("Control+d")

    def toggle(self) -> None:
        self.choose()
        self.page.keyboard.press("d")

    def offline(self) -> None:
        """A lost connection, with work going on in it."""
        self.page.context.set_offline(True)
        self.nudge()
        self.toggle()
        self.page.context.set_offline(False)


def test_random_edits_of_two_browsers_end_equal(server: LocalServer) -> None:
    with chromium() as browser, signed_in(browser, server) as one, signed_in(browser, server) as other:
        for page in (one, other):
            open_editor(page, "shared")
        chance = random.Random(7)
        hands = [Hand(one, "one", chance), Hand(other, "other", chance)]
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            chance.choice(hands).act()

        def settled() -> bool:
            quiet = all(
                page.locator("#saved").get_attribute("data-state") == "saved" for page in (one, other)
            )
            return quiet and drawn(one) == drawn(other)

        assert eventually(settled), (drawn(one), drawn(other))
        document = server.api("GET", "/workflows/shared").json["document"]
        ids = {node["id"] for node in document["nodes"]}
        assert set(drawn(one)["cards"]) == ids
        assert {made for hand in hands for made in hand.made} <= ids
        assert len(drawn(one)["edges"]) == len(document["edges"])


def test_the_same_field_is_asked_about(server: LocalServer) -> None:
    with chromium() as browser, signed_in(browser, server) as one, signed_in(browser, server) as other:
        for page in (one, other):
            open_editor(page, "shared", "?node=log")
            expect(page.locator("#form")).to_have_attribute("data-node", "log")
            page.locator("#form").get_by_label("Message").click()
            expect(page.locator("#form .cm-content")).to_be_focused()
        other.context.set_offline(True)
        for page, text in ((other, "from the other"), (one, "from the one")):
            page.keyboard.press("Control+a")
            page.keyboard.insert_text(text)
        assert eventually(lambda: _message(server) == "from the one")
        other.context.set_offline(False)
        expect(other.locator("#toasts")).to_contain_text("from the one")
        other.get_by_role("button", name="Keep mine").click()
        assert eventually(lambda: _message(server) == "from the other")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Server]:
    """A server in a process of its own, that can be killed."""
    running = Server(tmp_path / "data", FLOWFUSE_DEMOS="false").start()
    yield running
    running.kill()


def test_edits_survive_a_killed_server(process: Server) -> None:
    assert process.api("POST", "/workflows", FLOW).status == 201
    with chromium() as browser, signed_in(browser, process) as page:
        open_editor(page, "shared", "?node=log")
        page.locator("#cards [data-open=log]").focus()
        page.keyboard.press("Control+d")
        expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
        expect(page.locator("#saved")).to_contain_text(":")
        process.kill()
        page.locator("#cards [data-open=log]").focus()
        page.keyboard.press("Control+d")
        expect(page.locator("#saved")).to_contain_text("kept here")
        process.start()
        expect(page.locator("#saved")).to_have_attribute("data-state", "saved", timeout=20_000)
    ids = {node["id"] for node in process.api("GET", "/workflows/shared").json["document"]["nodes"]}
    assert len(ids) == 4


def test_edits_survive_a_killed_browser(server: LocalServer, tmp_path: Path) -> None:
    """Made while the server could not be reached, in a browser that was then killed with SIGKILL."""
    profile = tmp_path / "profile"
    with sync_playwright() as playwright:
        for life in range(2):
            port = free_port()
            command = [
                str(shutil.which("chromium")), "--headless=new", *FLAGS, f"--user-data-dir={profile}", "--window-size=1440,900",
                f"--remote-debugging-port={port}", "about:blank",
            ]  # fmt: skip
            process = subprocess.Popen(
                command, stdout=sys.stderr, stderr=subprocess.DEVNULL, start_new_session=True
            )
            try:
                browser = _connected(playwright, port)
                context = browser.contexts[0]
                context.add_init_script(WATCH)
                page = context.pages[0] if context.pages else context.new_page()
                page.goto(server.base + server.api("POST", "/links", {}).json["path"])
                page.goto(f"{server.base}/workflows/shared")
                page.wait_for_selector("html[data-ready]", state="attached")
                if life:
                    assert eventually(lambda: len(_nodes(server)) == 3)
                else:
                    page.route("**/operations*", lambda route: route.abort())
                    page.locator("#cards [data-open=log]").click()
                    page.keyboard.press("Control+d")
                    expect(page.locator("#saved")).to_contain_text("kept here")
                    page.wait_for_timeout(300)  # what IndexedDB was given is on its way to the disk
                    assert len(_nodes(server)) == 2
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _message(server: LocalServer) -> Any:
    return _nodes(server)[1]["config"]["message"]


def _nodes(server: LocalServer) -> list[Any]:
    found: list[Any] = server.api("GET", "/workflows/shared").json["document"]["nodes"]
    return found


def _connected(playwright: Any, port: int) -> Any:
    for _ in range(100):
        try:
            return playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        except Exception:
            time.sleep(0.1)
    raise AssertionError("the browser did not start")


def test_a_run_is_followed_over_a_restart_of_the_server(process: Server) -> None:
    document = {
        "id": "long",
        "nodes": [
            {"id": "go", "type": "trigger.manual"},
            {"id": "each", "type": "loop.for_each", "config": {"items": "{{ range(12) }}"}},
            {"id": "pause", "type": "action.wait", "config": {"seconds": 0.4}},
            {"id": "log", "type": "action.log", "config": {"message": "{{ item }}"}},
        ],
        "edges": [{"from": "go", "to": "each"}, {"from": "each.item", "to": "pause"}, {"from": "pause", "to": "log"}],
    }  # fmt: skip
    assert process.api("POST", "/workflows", document).status == 201
    with chromium() as browser, signed_in(browser, process) as page:
        open_editor(page, "long")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#trays [data-node=each] [data-cap]").first).to_contain_text("rounds")
        process.kill()
        process.start()
        expect(page.locator("#run-bar")).to_contain_text("Done", timeout=30_000)
        expect(page.locator("#cards [data-node=log] [data-cap]")).to_have_text("12 done")


def message_of(server: LocalServer) -> Any:
    document = server.api("GET", "/workflows/shared").json["document"]
    return next(node for node in document["nodes"] if node["id"] == "log")["config"]


def into_the_message(page: Page) -> None:
    """Open the Log node, and put the caret at the end of its message."""
    open_editor(page, "shared")
    page.locator("#cards [data-node=log] > .node-card").click()
    page.locator("#form [data-path='config.message']").click()
    expect(page.locator("#form .cm-content")).to_be_focused()
    page.keyboard.press("End")


def test_two_people_in_one_field_see_what_the_other_wrote(server: LocalServer) -> None:
    with chromium() as browser, signed_in(browser, server) as one, signed_in(browser, server) as other:
        into_the_message(one)
        into_the_message(other)
        one.keyboard.type(" AAA")
        field = other.locator("#form [data-field='config.message'] .cm-content")
        expect(field).to_have_text("hello AAA")
        # The caret is still in it, behind what it was behind.
        other.keyboard.type("!")
        assert eventually(lambda: message_of(server) == {"message": "hello! AAA"})
        expect(one.locator("#form [data-field='config.message'] .cm-content")).to_have_text("hello! AAA")


def test_what_was_typed_before_the_others_change_came_is_asked_about(server: LocalServer) -> None:
    with chromium() as browser, signed_in(browser, server) as one, signed_in(browser, server) as other:
        into_the_message(one)
        into_the_message(other)
        other.context.set_offline(True)
        other.keyboard.type(" of mine")
        one.keyboard.type(" of theirs")
        assert eventually(lambda: message_of(server) == {"message": "hello of theirs"})
        other.context.set_offline(False)
        toast = other.locator(".toast", has_text="Theirs stands")
        expect(toast).to_be_visible(timeout=15_000)
        field = other.locator("#form [data-field='config.message']")
        expect(field.locator(".cm-content")).to_have_text("hello of theirs")
        toast.get_by_role("button", name="Keep mine").click()
        assert eventually(lambda: message_of(server) == {"message": "hello of mine"})
        expect(one.locator("#form [data-field='config.message']")).to_contain_text("hello of mine")


def test_two_people_change_two_entries_of_one_object(server: LocalServer) -> None:
    fields = {"id": "log", "type": "transform.set", "config": {"fields": {"a": "1", "b": "2"}}}
    document = {**FLOW, "id": "entries", "nodes": [FLOW["nodes"][0], {**FLOW["nodes"][1], **fields}]}
    assert server.api("POST", "/workflows", document).status == 201
    with chromium() as browser, signed_in(browser, server) as one, signed_in(browser, server) as other:
        for page in (one, other):
            open_editor(page, "entries")
            page.locator("#cards [data-node=log] > .node-card").click()
        for page, row in ((one, 0), (other, 1)):
            page.context.set_offline(True)
            page.locator("#form [data-field='config.fields'] [data-row] [data-value]").nth(row).click()
            page.keyboard.type("7")
        for page in (one, other):
            page.context.set_offline(False)

        def stored() -> Any:
            return server.api("GET", "/workflows/entries").json["document"]["nodes"][1]["config"]["fields"]

        assert eventually(lambda: stored() == {"a": 17, "b": 27}), stored()


def test_a_note_that_two_people_write_is_asked_about(server: LocalServer) -> None:
    notes = {"n1": {"text": "first", "x": 0, "y": 200}}
    assert server.api("POST", "/workflows", {**FLOW, "id": "noted", "notes": notes}).status == 201
    with chromium() as browser, signed_in(browser, server) as one, signed_in(browser, server) as other:
        for page in (one, other):
            open_editor(page, "noted")
            page.locator("[data-note=n1]").dblclick()
            expect(page.locator("[data-note=n1] textarea")).to_be_focused()
        other.keyboard.type(" of mine")
        one.keyboard.type(" of theirs")
        with other.expect_response("**/delta?*") as told:
            one.keyboard.press("Escape")
        told.value.finished()

        def text() -> Any:
            return server.api("GET", "/workflows/noted").json["document"]["notes"]["n1"]["text"]

        assert eventually(lambda: text() == "first of theirs")
        other.evaluate("new Promise(requestAnimationFrame)")
        other.keyboard.press("Escape")
        expect(other.locator(".toast", has_text="Theirs stands")).to_be_visible()
        assert text() == "first of theirs"


def test_without_the_live_channel_the_editor_asks_and_says_so(server: LocalServer) -> None:
    with chromium() as browser, signed_in(browser, server) as page:
        page.route_web_socket("**/live/**", lambda socket: socket.close())
        open_editor(page, "shared")
        expect(page.locator("#wire")).to_have_text("Slow connection, asking every 2 s", timeout=15_000)
        node = {"id": "more", "type": "action.log", "position": {"x": 480, "y": 0}}
        change = {"id": "a-1", "kind": "add_node", "value": node}
        assert server.api("POST", "/workflows/shared/operations", {"operations": [change]}).status == 200
        expect(page.locator("#cards [data-node=more]")).to_be_visible(timeout=8000)


def test_a_server_that_is_away_is_said_everywhere(process: Server) -> None:
    assert process.api("POST", "/workflows", FLOW).status == 201
    with chromium() as browser, signed_in(browser, process) as page, signed_in(browser, process) as home:
        open_editor(page, "shared")
        home.goto("/")
        dot = home.locator(".live-dot")
        expect(dot).to_have_attribute("title", "Connected")
        process.kill()
        expect(page.locator("#wire")).to_have_text("No connection, trying again", timeout=15_000)
        expect(dot).to_have_attribute("title", "No connection, trying again", timeout=20_000)
        process.start()
        expect(page.locator("#wire")).to_be_hidden(timeout=15_000)
        expect(dot).to_have_attribute("title", "Connected", timeout=10_000)
