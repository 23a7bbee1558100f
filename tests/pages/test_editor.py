"""The editor in a real browser on a real server: what a hand does is in the document, and can be undone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Locator, Page, Route, expect

from tests.support.browser import open_editor, signed_in
from tests.support.local import LocalServer
from tests.support.people import member

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Document = dict[str, Any]
FLOW: Document = {
    "name": "A flow",
    "nodes": [
        {"id": "go", "type": "trigger.manual", "position": {"x": 0, "y": 0}},
        {"id": "first", "type": "transform.set", "name": "First", "config": {"fields": {"n": "{{ trigger.n }}"}},
         "position": {"x": 240, "y": 0}},
        {"id": "second", "type": "action.log", "name": "Second",
         "config": {"message": "{{ nodes.first.n }} and {{ input.n }}"}, "position": {"x": 480, "y": 0}},
    ],
    "edges": [{"from": "go", "to": "first"}, {"from": "first", "to": "second"}],
}  # fmt: skip


@pytest.fixture
def flow(server: LocalServer, request: pytest.FixtureRequest) -> str:
    """A workflow of three nodes, of this test's own."""
    return make(server, request.node.name, FLOW)


def make(server: LocalServer, name: str, document: Document) -> str:
    id = "".join(letter if letter.isalnum() else "-" for letter in name.lower())[:60].strip("-")
    made = server.api("POST", "/workflows", {**document, "id": id})
    assert made.status == 201, made.raw
    return id


def draft(server: LocalServer, flow: str) -> Document:
    found: Document = server.api("GET", f"/workflows/{flow}").json["document"]
    return found


def node(server: LocalServer, flow: str, id: str) -> Document:
    return next(each for each in draft(server, flow)["nodes"] if each["id"] == id)


def card(page: Page, id: str) -> Locator:
    return page.locator(f"#cards [data-node={id}] > .node-card, #trays [data-node={id}] > .loop-head")


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
    expect(page.locator("#saved")).to_contain_text(":")


def edges(server: LocalServer, flow: str) -> list[tuple[str, str]]:
    return [(edge["from"], edge["to"]) for edge in draft(server, flow)["edges"]]


def drag(page: Page, start: Locator, to: tuple[float, float], **options: Any) -> None:
    """Drag by the middle of an element to a place of the window."""
    box = start.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 9, box["y"] + box["height"] / 2 + 9)
    page.mouse.move(*to, steps=6)
    page.mouse.up()


def middle(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_an_empty_canvas_asks_how_it_starts_and_grows_by_typing(page: Page, server: LocalServer) -> None:
    flow = make(server, "empty", {"name": "Empty", "nodes": [], "edges": []})
    open_editor(page, flow)
    page.get_by_role("button", name=re.compile("Run by hand")).first.click()
    expect(card(page, "manual")).to_be_visible()
    page.keyboard.press("Escape")
    card(page, "manual").click()
    page.keyboard.press("/")
    page.keyboard.type("set fie")
    page.keyboard.press("Enter")
    expect(page.locator("#form")).to_have_attribute("data-node", "set")
    saved(page)
    assert edges(server, flow) == [("manual", "set")]
    assert all("position" in each for each in draft(server, flow)["nodes"])


def test_a_dragged_card_is_one_step_of_undo_that_outlives_a_reload(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    x, y = middle(card(page, "second"))
    drag(page, card(page, "second"), (x + 80, y + 120))
    saved(page)
    moved = node(server, flow, "second")["position"]
    assert moved["y"] > 60
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    page.keyboard.press("Control+z")
    saved(page)
    assert node(server, flow, "second")["position"] == {"x": 480, "y": 0}
    page.keyboard.press("Control+Shift+z")
    saved(page)
    expect(page.locator("#toasts")).to_contain_text("Done again")
    assert _eventually(lambda: node(server, flow, "second")["position"] == moved)


def write(page: Page, label: str, text: str) -> None:
    """Write into an expression field as a person does: into the editor that opens there."""
    page.locator("#form").get_by_label(label).click()
    expect(page.locator("#form .cm-content")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text) if text else page.keyboard.press("Delete")


def _eventually(holds: Callable[[], bool], patience: int = 100) -> bool:
    import time

    for _ in range(patience):
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_escape_takes_a_drag_back(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    x, y = middle(card(page, "second"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y + 100, steps=4)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert middle(card(page, "second")) == (x, y)
    assert node(server, flow, "second")["position"] == {"x": 480, "y": 0}


def test_nudges_of_one_selection_are_one_step_of_undo(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)

    def nudge(id: str, times: int) -> None:
        card(page, id).click()
        for _ in range(times):
            page.keyboard.press("Alt+ArrowDown")
        assert _eventually(lambda: node(server, flow, id)["position"]["y"] == 4 * times)

    nudge("second", 3)
    nudge("first", 2)
    page.keyboard.press("Control+z")
    assert _eventually(lambda: node(server, flow, "first")["position"]["y"] == 0)
    assert node(server, flow, "second")["position"]["y"] == 12
    page.keyboard.press("Control+z")
    assert _eventually(lambda: node(server, flow, "second")["position"]["y"] == 0)
    page.keyboard.press("Control+Shift+z")
    assert _eventually(lambda: node(server, flow, "second")["position"]["y"] == 12)


def test_the_bench_shows_the_chosen_node_however_late_another_comes(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    form = page.locator("#form")
    card(page, "first").click()
    expect(form).to_have_attribute("data-node", "first")
    held: list[Route] = []
    page.route("**/bench?node=second*", lambda route: held.append(route))
    with page.expect_request("**/bench?node=second*"):
        card(page, "second").click()
    card(page, "first").click()
    with page.expect_response("**/bench?node=second*"):
        held[0].continue_()
    # Whatever was to become of the answer has become of it once another has been read, too.
    page.evaluate("fetch('/palette').then((answer) => answer.text())")
    page.evaluate("new Promise(requestIdleCallback)")
    expect(form).to_have_attribute("data-node", "first")
    expect(page.locator("#bench-who")).to_contain_text("First")


def test_the_settings_are_shown_once_nothing_is_chosen_though_a_node_was_waited_for(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    card(page, "first").click()
    expect(page.locator("#form")).to_have_attribute("data-node", "first")
    held: list[Route] = []
    page.route("**/operations?*", lambda route: held.append(route))
    with page.expect_request("**/operations?*"):
        page.keyboard.press("Alt+ArrowDown")
    card(page, "second").click()
    page.keyboard.press("Escape")
    held[0].continue_()
    page.unroute("**/operations?*")
    expect(page.locator("#form")).to_have_attribute("data-node", "")
    expect(page.locator("#form").get_by_label("Time zone")).to_be_visible()


def test_the_bench_shows_no_other_node_for_one_that_does_not_come(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    card(page, "first").click()
    expect(page.locator("#form")).to_have_attribute("data-node", "first")
    page.route("**/bench?node=second*", lambda route: route.abort())
    card(page, "second").click()
    expect(page.locator("#form")).to_have_count(0)
    page.unroute("**/bench?node=second*")
    card(page, "second").click()
    expect(page.locator("#form")).to_have_attribute("data-node", "second")


def test_a_second_run_is_not_drawn_over_the_first(page: Page, server: LocalServer) -> None:
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {"id": "pause", "type": "action.wait", "config": {"seconds": "{{ trigger.pause }}"}},
        {"id": "each", "type": "loop.for_each", "config": {"items": "{{ trigger.items }}"}},
        {"id": "step", "type": "action.log", "config": {"message": "x"}},
        {"id": "rest", "type": "action.wait", "config": {"seconds": "{{ trigger.seconds }}"}},
    ]
    links = [("go", "pause"), ("pause", "each"), ("each.item", "step"), ("each.done", "rest")]
    edges = [{"from": start, "to": end} for start, end in links]
    flow = make(server, "two runs", {"name": "Two runs", "nodes": nodes, "edges": edges})
    open_editor(page, flow, "?tab=input")
    # Of the first run only the events come: what they counted is not yet in the server's counts.
    first = f"**/workflows/{flow}/progress/1"
    asked: list[Route] = []

    def once(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.continue_()
        else:
            route.abort()

    page.route(first, once)
    page.locator("#input").fill('{"pause": 1, "items": [1, 2, 3, 4, 5], "seconds": 600}')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#cards [data-node=rest] [data-cap]")).to_contain_text("waiting")
    page.locator("#input").fill('{"pause": 0, "items": [], "seconds": 0}')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#states")).to_have_attribute("data-state", "completed")
    expect(page.locator("#cards [data-node=rest] [data-cap]")).not_to_contain_text("waiting")
    expect(page.locator("#cards [data-node=step] [data-cap]")).not_to_contain_text("done")


def test_a_shown_run_leaves_the_reader_at_the_node_that_the_address_names(
    page: Page, server: LocalServer
) -> None:
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {"id": "chk", "type": "action.log", "config": {"message": "x"}},
        {"id": "stop", "type": "action.fail", "config": {"message": "no"}},
    ]
    edges = [{"from": "go", "to": "chk"}, {"from": "chk", "to": "stop"}]
    flow = make(server, "named", {"name": "Named", "nodes": nodes, "edges": edges})
    server.api("POST", f"/workflows/{flow}/run", {"input": None})
    open_editor(page, flow, "?run=1&node=chk")
    expect(page.locator("#states")).to_have_attribute("data-state", "failed")
    page.wait_for_timeout(500)
    expect(page.locator("#form")).to_have_attribute("data-node", "chk")
    open_editor(page, flow, "?run=1")
    expect(page.locator("#form")).to_have_attribute("data-node", "stop")


def test_a_run_that_ends_takes_its_waiting_nodes_with_it(page: Page, server: LocalServer) -> None:
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {"id": "long", "type": "action.wait", "config": {"seconds": 60}},
        {"id": "short", "type": "action.wait", "config": {"seconds": 1}},
        {"id": "stop", "type": "action.fail", "config": {"message": "no"}},
    ]
    links = [("go", "long"), ("go", "short"), ("short", "stop")]
    edges = [{"from": start, "to": end} for start, end in links]
    flow = make(server, "stopped", {"name": "Stopped", "nodes": nodes, "edges": edges})
    open_editor(page, flow)
    page.keyboard.press("Control+Enter")
    caption = page.locator("#cards [data-node=long] [data-cap]")
    expect(caption).to_have_text("waiting")
    expect(caption).to_have_text("stopped")
    expect(page.locator("#cards [data-node=long]")).to_have_class(re.compile("is-skip"))
    page.goto(f"/workflows/{flow}/runs/1?node=long")
    expect(page.locator("[data-node=long] [data-cap]").first).to_have_text("stopped")
    expect(page.locator("#panel-node")).to_contain_text("the run ended before it was done")


def test_what_a_node_prints_is_shown_beside_its_output(page: Page, server: LocalServer) -> None:
    source = "for n in range(400):\n    print(f'<b>line {n}</b>')\nreturn 1"
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {"id": "sum", "type": "action.code", "config": {"source": source}},
    ]
    flow = make(server, "prints", {"name": "Prints", "nodes": nodes, "edges": [{"from": "go", "to": "sum"}]})
    open_editor(page, flow, "?node=sum")
    page.keyboard.press("Control+Enter")
    output = page.locator("#panel-node [data-output]")
    expect(output.locator(".log li")).to_have_count(300)
    expect(output.locator(".log li").first).to_contain_text("<b>line 0</b>")
    expect(output).to_contain_text("and 100 more")
    page.goto(f"/workflows/{flow}/runs/1?node=sum")
    expect(page.locator("#panel-node .log li").nth(299)).to_contain_text("<b>line 299</b>")


def test_what_came_in_and_what_went_out_are_a_table_a_tree_json_or_a_schema(
    page: Page, server: LocalServer
) -> None:
    fields = {"rows": [{"sku": "<b>A</b>", "n": 2}, {"sku": "B", "n": 3}]}
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {"id": "first", "type": "transform.set", "config": {"fields": fields}},
        {"id": "rows", "type": "transform.split_out", "config": {"items": "{{ input.rows }}"}},
        {"id": "last", "type": "action.log", "config": {"message": "x"}},
    ]
    links = [("go", "first"), ("first", "rows"), ("rows", "last")]
    edges = [{"from": start, "to": end} for start, end in links]
    flow = make(server, "views", {"name": "Views", "nodes": nodes, "edges": edges})
    open_editor(page, flow, "?node=last")
    page.keyboard.press("Control+Enter")
    ways = {
        "Table": ("table.dtbl", "<b>A</b>"), "Tree": (".jtree", "sku"), "JSON": ("pre.json", '"sku"'),
        "Schema": ("pre.json", '"n": "number"'),
    }  # fmt: skip
    for side in ("Input", "Output"):
        column = page.locator("#panel-node").get_by_role("region", name=side)
        expect(column.get_by_role("button", name="Schema")).to_be_visible()
        for name, (part, words) in ways.items():
            column.get_by_role("button", name=name, exact=True).click()
            expect(column.locator(f"[data-view]:visible {part}").first).to_contain_text(words)
            expect(column.locator("[data-view]:visible")).to_have_count(1)
    expect(page.locator("[data-view=schema]:visible")).to_have_count(2)
    card(page, "rows").click()
    expect(page.locator("#form")).to_have_attribute("data-node", "rows")
    expect(page.locator("[data-view=schema]:visible")).to_have_count(2)
    page.goto(f"/workflows/{flow}/runs/1?node=last")
    page.locator("#panel-node [data-show=table]").last.click()
    expect(page.locator("#panel-node [data-view=table]:visible table")).to_have_count(2)
    page.locator(".world [data-open=rows]").click()
    expect(page.locator("#bench .dh-id")).to_have_text("rows")
    expect(page.locator("#panel-node [data-view=table]:visible table")).to_have_count(2)
    expect(page.locator("#panel-node [data-show=schema]")).to_have_count(0)


def test_each_attempt_is_told_by_itself(page: Page, server: LocalServer) -> None:
    retry = {"attempts": 2, "initial": 1, "backoff": "fixed", "jitter": False}
    call = {
        "id": "call", "type": "action.http_request", "config": {"url": "http://127.0.0.1:9/x"}, "retry": retry,
    }  # fmt: skip
    nodes = [{"id": "go", "type": "trigger.manual"}, call]
    flow = make(server, "attempts", {"nodes": nodes, "edges": [{"from": "go", "to": "call"}]})
    run = server.api("POST", f"/workflows/{flow}/run", {"input": None, "wait": 10})
    assert run.json["state"] == "failed"
    page.goto(f"/workflows/{flow}/runs/1")
    expect(page.locator(".topright")).to_contain_text("Draft")
    attempts = page.locator("#panel-node .attempts li")
    expect(attempts).to_have_count(2)
    expect(page.locator("#panel-node")).to_contain_text("All attempts had the same input")
    attempts.first.locator("summary").click()
    expect(attempts.first).to_contain_text("connection_lost")
    expect(attempts.first).to_contain_text(re.compile(r"Pause after it\s*1\.\d s"))
    expect(attempts.last.locator("dl")).to_be_hidden()
    page.get_by_role("tab", name="Timeline").click()
    titles = page.locator("#panel-timeline rect title").all_text_contents()
    assert any(re.fullmatch(r"HTTP request, attempt 2: .* ms", title) for title in titles), titles
    assert any(re.fullmatch(r"HTTP request: pause of 1\.\d s after attempt 1", title) for title in titles), (
        titles
    )
    # Each has an address, which is also what its bar leads to.
    expect(page).to_have_url(re.compile(r"node=call.*&attempt=1\b"))
    page.goto(f"/workflows/{flow}/runs/1?node=call&attempt=2")
    expect(attempts.last.locator("dl")).to_be_visible()
    expect(attempts.first.locator("dl")).to_be_hidden()
    page.get_by_role("tab", name="Timeline").click()
    page.locator("#panel-timeline a[href*='attempt=1']").first.click()
    expect(attempts.first.locator("dl")).to_be_visible()
    attempts.first.locator("summary").click()
    expect(page).not_to_have_url(re.compile("attempt="))
    open_editor(page, flow, "?run=1&node=call")
    page.locator("#panel-node .attempts summary").first.click()
    expect(page.locator("#panel-node .attempts li").first).to_contain_text("connection_lost")


def test_a_deleted_workflow_is_taken_back_whole_on_the_page_that_follows(
    page: Page, server: LocalServer, flow: str
) -> None:
    server.api("POST", f"/workflows/{flow}/publish", {})
    open_editor(page, flow)
    page.get_by_label("More about this workflow").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.wait_for_url("**/workflows?done=trashed*")
    assert server.api("GET", f"/workflows/{flow}").status == 404
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url("**/workflows?done=undone*")
    # It was live, and is live again.
    assert server.api("GET", f"/workflows/{flow}").json["workflow"]["active"]
    assert len(server.api("GET", f"/workflows/{flow}/versions").json["items"]) == 1


def test_connecting_by_hand_refuses_a_circle_and_offers_a_node_on_empty_canvas(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    out = page.locator("#cards [data-node=second] > .port-out")
    drag(page, out, middle(card(page, "first")))
    expect(page.locator("#toasts")).to_contain_text("circle")
    drag(page, page.locator("#cards [data-node=go] > .port-out"), middle(card(page, "second")))
    assert _eventually(lambda: ("go", "second") in edges(server, flow))
    x, y = middle(card(page, "second"))
    drag(page, out, (x + 60, y + 150))
    expect(page.locator("#add-text")).to_be_focused()
    page.keyboard.type("wait")
    page.keyboard.press("Enter")
    assert _eventually(lambda: ("second", "wait") in edges(server, flow))


def test_a_node_is_put_on_an_edge_and_its_removal_heals(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    page.locator(".edge-hit[data-from=go]").hover(force=True)
    page.get_by_role("button", name="Insert a node here").click()
    page.locator("#add-text").fill("wait")
    page.keyboard.press("Enter")
    assert _eventually(lambda: edges(server, flow)[-1] == ("wait", "first"))
    saved(page)
    assert ("go", "first") not in edges(server, flow)
    assert node(server, flow, "first")["position"]["x"] >= node(server, flow, "wait")["position"]["x"] + 200
    expect(page.locator("#form .cm-content")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    assert _eventually(lambda: ("go", "first") in edges(server, flow))
    page.get_by_role("button", name="Undo").last.click()
    assert _eventually(lambda: ("wait", "first") in edges(server, flow))


def test_copy_and_paste_between_two_workflows(
    browser: Browser, page: Page, server: LocalServer, flow: str
) -> None:
    other = make(server, "pasted-into", {"nodes": [], "edges": []})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_editor(page, flow)
    page.locator("#canvas").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")
    open_editor(page, other)
    page.locator("#canvas").focus()
    page.keyboard.press("Control+v")
    page.keyboard.press("Control+v")
    assert _eventually(lambda: len(draft(server, other)["nodes"]) == 6)
    second = node(server, other, "second_2")
    assert second["config"]["message"] == "{{ nodes.first_2.n }} and {{ input.n }}"
    assert ("first_2", "second_2") in edges(server, other)


def test_renaming_a_node_takes_its_references_along(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    card(page, "first").click()
    page.keyboard.press("r")
    page.locator(".name-in").fill("Read the number")
    page.keyboard.press("Enter")
    saved(page)
    assert _eventually(lambda: any(n["id"] == "read_the_number" for n in draft(server, flow)["nodes"]))
    assert (
        node(server, flow, "second")["config"]["message"] == "{{ nodes.read_the_number.n }} and {{ input.n }}"
    )
    page.keyboard.press("Control+z")
    assert _eventually(lambda: any(n["id"] == "first" for n in draft(server, flow)["nodes"]))


def test_the_keyboard_travels_connects_and_switches_off(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    page.locator("#canvas").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(card(page, "second")).to_be_focused()
    page.keyboard.press("d")
    assert _eventually(lambda: node(server, flow, "second").get("disabled") is True)
    page.keyboard.press("Home")
    page.keyboard.press("c")
    expect(page.locator(".letter")).to_have_count(1)  # only “second” is not connected yet
    page.keyboard.press("a")
    assert _eventually(lambda: ("go", "second") in edges(server, flow))


def test_a_field_is_saved_as_it_is_typed_and_its_error_stands_beside_it(
    page: Page, server: LocalServer, flow: str
) -> None:
    server.api("POST", f"/workflows/{flow}/run", {"input": {"n": 7}, "wait": 10})
    open_editor(page, flow)
    card(page, "second").click()
    write(page, "Message", "{{ nodes.first.n + 1 }}")
    expect(page.locator("#form .prev").first).to_contain_text("8")
    assert _eventually(lambda: node(server, flow, "second")["config"]["message"] == "{{ nodes.first.n + 1 }}")
    write(page, "Message", "{{ nodes.nowhere.n }}")
    expect(page.locator("#form .ferr:visible").first).to_contain_text("nowhere")
    expect(page.locator("#tab-problems")).to_contain_text("1")
    write(page, "Message", "fine")
    expect(page.locator("#form .ferr:visible")).to_have_count(0)


def test_texts_that_look_like_numbers_stay_texts_when_a_row_beside_them_is_edited(
    page: Page, server: LocalServer
) -> None:
    fields = {"zip": "007", "version": "1.5", "on": "true", "none": "null", "n": 1e-9, "other": "x"}
    cases = [{"port": "one", "equals": "1"}, {"port": "two", "equals": 2}, {"port": "last", "equals": "x"}]
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {"id": "set", "type": "transform.set", "config": {"fields": fields}},
        {"id": "pick", "type": "condition.switch", "config": {"value": "{{ trigger.n }}", "cases": cases}},
    ]
    flow = make(server, "texts", {"name": "Texts", "nodes": nodes, "edges": [{"from": "go", "to": "set"}]})
    for id, last, expected in (
        ("set", 5, {"fields": {**fields, "other": 42}}),
        ("pick", 7, {"value": "{{ trigger.n }}", "cases": [*cases[:2], {"port": "last", "equals": 42}]}),
    ):
        open_editor(page, flow, f"?node={id}")
        page.locator("#form .rows textarea").nth(last).click()
        expect(page.locator("#form .cm-content")).to_be_focused()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text("42")
        assert _eventually(lambda id=id, expected=expected: node(server, flow, id)["config"] == expected), (
            node(server, flow, id)
        )


def test_a_run_shows_on_the_canvas_and_its_data_in_the_bench(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    page.locator("#tab-input").click()
    page.locator("#input").fill('{"n": 41}')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#run-bar")).to_contain_text("Done")
    expect(page.locator("#cards [data-node=second]")).to_have_class(lambda_class("is-ok"))
    card(page, "second").click()
    expect(page.locator("[data-output]")).to_contain_text("41")
    page.locator("[data-reach='nodes.first']").click()
    expect(page.locator("[data-reach='nodes.first.n']")).to_contain_text("41")


def lambda_class(name: str) -> Any:
    return re.compile(rf"\b{name}\b")


def test_a_value_is_dragged_into_a_field(page: Page, server: LocalServer, flow: str) -> None:
    server.api("POST", f"/workflows/{flow}/run", {"input": {"n": 7}, "wait": 10})
    open_editor(page, flow, "?node=second")
    message = page.get_by_label("Message")
    message.click()
    expect(page.locator("#form .cm-content")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.locator(".dh-id").click()
    expect(page.locator("#form .cm-content")).to_have_count(0)
    page.locator(".jr[data-reach='input.n']").drag_to(message)
    expect(page.get_by_label("Message")).to_have_text("{{ input.n }}")
    assert _eventually(lambda: node(server, flow, "second").get("config") == {"message": "{{ input.n }}"})


def test_edits_made_offline_are_kept_and_sent_when_the_server_is_back(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    page.context.set_offline(True)
    card(page, "second").click()
    page.keyboard.press("Delete")
    expect(page.locator("#saved")).to_contain_text("Offline. 1 change is kept here")
    assert any(each["id"] == "second" for each in draft(server, flow)["nodes"])
    page.context.set_offline(False)
    assert _eventually(lambda: all(each["id"] != "second" for each in draft(server, flow)["nodes"]))
    saved(page)


def as_owner(page: Page, path: str, **body: Any) -> APIResponse:
    """A request of the page's own session."""
    base = page.url.partition("/workflows")[0]
    answer = page.request.post(path, data=body, headers={"Origin": base}, max_redirects=0)
    assert answer.status < 400, answer.text()
    return answer


def without_a_way_there(page: Page) -> Callable[[], None]:
    """Let no operation reach the server; what is given lets them through again."""
    page.route("**/operations?*", lambda route: route.abort())

    def again() -> None:
        page.unroute("**/operations?*")
        page.evaluate("dispatchEvent(new Event('online'))")

    return again


def test_edits_kept_in_the_browser_are_of_one_workspace(page: Page, server: LocalServer, flow: str) -> None:
    accounts = server.app.engine.accounts
    other = server.call(accounts.create_workspace("Other", server.call(accounts.owner())))
    open_editor(page, flow)
    again = without_a_way_there(page)
    card(page, "second").click()
    page.keyboard.press("Delete")
    expect(page.locator("#saved")).to_contain_text("1 change is kept here")
    as_owner(page, f"/settings/account/workspace/{other.id}")
    as_owner(page, "/api/v1/workflows", **{**FLOW, "id": flow})
    again()
    expect(page.locator("#saved")).to_contain_text("Signed out. 1 change is kept here")
    open_editor(page, flow)
    expect(card(page, "second")).to_be_visible()
    as_owner(page, "/settings/account/workspace/main")
    open_editor(page, flow)
    expect(card(page, "second")).to_have_count(0)
    assert _eventually(lambda: all(each["id"] != "second" for each in draft(server, flow)["nodes"]))


def test_a_page_runs_nothing_in_a_workspace_that_the_browser_went_on_to(
    page: Page, server: LocalServer, flow: str
) -> None:
    engine = server.app.engine
    other = server.call(engine.accounts.create_workspace("Else", server.call(engine.accounts.owner())))
    open_editor(page, flow)
    as_owner(page, f"/settings/account/workspace/{other.id}")
    as_owner(page, "/api/v1/workflows", **{**FLOW, "id": flow})
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("ign in")
    assert server.call(engine.executions.list(other.id)) == []
    as_owner(page, "/settings/account/workspace/main")


def test_of_a_refused_batch_only_what_was_refused_is_dropped(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    again = without_a_way_there(page)
    page.locator("#f-description").fill("what it is for")
    page.get_by_label("Variables").fill('{"deep": ' + "[" * 1500 + "]" * 1500 + "}")
    page.get_by_label("Folder").fill("Sales")
    page.get_by_label("Folder").blur()
    expect(page.locator("#saved")).to_contain_text("3 changes are kept here")
    again()
    saved(page)
    expect(page.locator("[data-field='settings.variables'] .ferr")).to_contain_text("nested too deeply")
    found = draft(server, flow)
    assert (found["description"], found["folder"]) == ("what it is for", "Sales")
    assert "variables" not in found.get("settings", {})


def test_what_is_too_large_at_once_is_sent_in_parts(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    again = without_a_way_there(page)
    texts = [letter * 4_000_000 for letter in "abc"]
    for text in texts:
        page.locator("#f-description").fill(text)
        page.locator("#f-description").blur()
    expect(page.locator("#saved")).to_contain_text("3 changes are kept here")
    again()
    saved(page)
    assert draft(server, flow)["description"] == texts[-1]


def test_two_editors_see_each_other_and_merge(browser: Browser, server: LocalServer, flow: str) -> None:
    with signed_in(browser, server) as one, signed_in(browser, server) as other:
        open_editor(one, flow)
        open_editor(other, flow)
        expect(one.locator("#faces .face")).to_have_count(1)
        card(one, "first").click()
        expect(other.locator("#cards [data-node=first] .who")).to_be_visible()
        card(other, "second").click()
        write(other, "Message", "theirs")
        write(one, "Value", "mine")
        assert _eventually(lambda: node(server, flow, "second")["config"]["message"] == "theirs")
        assert _eventually(lambda: node(server, flow, "first")["config"]["fields"]["n"] == "mine")
        expect(one.locator("#cards [data-node=second] .node-sum")).to_have_text("theirs")


def test_a_loop_is_a_tray_that_takes_its_body_along(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    card(page, "second").click()
    page.keyboard.press("/")
    page.keyboard.type("for each")
    page.keyboard.press("Enter")
    tray = page.locator("#trays [data-node=for_each]")
    expect(tray).to_be_visible()
    tray.get_by_role("button", name="What happens each round").click()
    page.keyboard.type("log")
    page.keyboard.press("Enter")
    assert _eventually(lambda: ("for_each.item", "log") in edges(server, flow))
    inner = draft(server, flow)["nodes"][-1]["id"]
    expect(page.locator(f"#cards [data-node={inner}][data-loop=for_each]")).to_be_attached()
    page.keyboard.press("Escape")
    before = middle(card(page, inner))
    x, y = middle(card(page, "for_each"))
    drag(page, card(page, "for_each"), (x - 120, y + 100))
    assert middle(card(page, inner))[1] > before[1] + 60


def test_notes_and_groups_lie_in_the_document(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    page.locator("#canvas").focus()
    page.keyboard.press("n")
    page.keyboard.type("Mind the gap")
    page.keyboard.press("Escape")
    assert _eventually(
        lambda: [n.get("text") for n in draft(server, flow).get("notes", {}).values()] == ["Mind the gap"]
    )
    page.locator("#canvas").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+g")
    page.keyboard.type("All of it")
    page.keyboard.press("Enter")
    assert _eventually(
        lambda: [g["name"] for g in draft(server, flow).get("groups", {}).values()] == ["All of it"]
    )


def test_a_file_of_json_dropped_on_the_canvas_becomes_a_node_that_gives_it(
    page: Page, server: LocalServer, flow: str, tmp_path: Path
) -> None:
    open_editor(page, flow)
    page.evaluate(
        """(text) => {
          const data = new DataTransfer()
          data.items.add(new File([text], 'orders.json', {type: 'application/json'}))
          document.getElementById('canvas').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, clientX: 400, clientY: 300}))
        }""",
        json.dumps([{"a": 1}]),
    )
    assert _eventually(lambda: any(each["id"] == "orders" for each in draft(server, flow)["nodes"]))
    assert node(server, flow, "orders")["pinned"] == [{"a": 1}]


def test_publishing_counts_the_changes(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#publish")).to_contain_text("v1")
    expect(page.get_by_role("button", name="Published")).to_be_disabled()
    card(page, "second").click()
    write(page, "Message", "other")
    page.get_by_role("button", name="Publish 1 change").click()
    expect(page.locator("#publish")).to_contain_text("v2")


def test_code_is_checked_completed_and_tried(page: Page, server: LocalServer) -> None:
    document: Document = {
        "nodes": [
            {"id": "go", "type": "trigger.manual"},
            {"id": "code", "type": "action.code",
             "config": {"source": "return len(orders)", "inputs": {"orders": "{{ trigger.orders }}"}}},
        ],
        "edges": [{"from": "go", "to": "code"}],
    }  # fmt: skip
    flow = make(server, "code-editor", document)
    orders = [{"total": 1}, {"total": 2}]
    server.api("POST", f"/workflows/{flow}/run", {"input": {"orders": orders}, "wait": 20})
    open_editor(page, flow, "?node=code")
    line = page.locator(".monaco .view-line").first
    expect(line).to_contain_text("return len(orders)")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("[data-code-out]")).to_have_text("2")
    line.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("return orders[0]['")
    expect(page.locator(".monaco-list-row").first).to_contain_text("total")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("[data-code-out]")).to_have_text("1")
    assert _eventually(lambda: "total" in node(server, flow, "code")["config"]["source"])
    line.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("from urllib.parse import urle")
    expect(page.locator(".monaco-list-row").first).to_contain_text("urlencode")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    page.keyboard.type("import datac")
    expect(page.locator(".monaco-list-row").first).to_contain_text("dataclasses")
    page.keyboard.press("Escape")
    line.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("return 1 +")
    expect(page.locator(".monaco .squiggly-error").first).to_be_visible()
    expect(page.locator("#form .ferr:visible").first).to_contain_text("Line 1")


def test_a_rectangle_chooses_and_what_is_chosen_is_aligned(
    page: Page, server: LocalServer, flow: str
) -> None:
    move = {"id": "m", "kind": "set", "node": "second", "path": "position", "value": {"x": 500, "y": 40}}
    server.api("POST", f"/workflows/{flow}/operations", {"operations": [move]})
    open_editor(page, flow)
    one, other = card(page, "first").bounding_box(), card(page, "second").bounding_box()
    assert one is not None
    assert other is not None
    page.keyboard.down("Shift")
    page.mouse.move(one["x"] - 10, one["y"] - 30)
    page.mouse.down()
    page.mouse.move(other["x"] + 40, other["y"] + 90, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.locator("#sel-n")).to_have_text("2 nodes")
    page.get_by_role("button", name="Align at the top").click()
    assert _eventually(lambda: node(server, flow, "second")["position"] == {"x": 500, "y": 0})
    page.keyboard.press("Control+z")
    assert _eventually(lambda: node(server, flow, "second")["position"] == {"x": 500, "y": 40})


def test_a_thumb_connects_by_a_list(browser: Browser, server: LocalServer, flow: str) -> None:
    with signed_in(browser, server, viewport={"width": 390, "height": 844}) as page:
        open_editor(page, flow)
        page.locator("#outline .orow[data-node=go]").click()
        page.locator("#bench-who summary").click()
        page.get_by_role("menuitem", name="Connect to").click()
        page.locator("#find-list").get_by_text("Second").click()
        assert _eventually(lambda: ("go", "second") in edges(server, flow))


def test_a_right_click_opens_the_nodes_menu_there(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    card(page, "second").click(button="right")
    item = page.get_by_role("menuitem", name="Duplicate")
    expect(item).to_be_visible()
    x, _ = middle(card(page, "second"))
    box = page.locator("#bench-who .menu-list").bounding_box()
    assert box is not None
    assert abs(box["x"] - x) < 20
    item.click()
    assert _eventually(lambda: len(draft(server, flow)["nodes"]) == 4)
    expect(page.locator(".menu[open]")).to_have_count(0)


def test_who_may_only_look_is_offered_nothing_to_change(
    browser: Browser, server: LocalServer, flow: str
) -> None:
    viewer = member(server, "viewer")
    context = browser.new_context(base_url=server.base, viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "ff_session", "value": viewer.secret, "url": server.base}])
    page = context.new_page()
    open_editor(page, flow)
    expect(page.locator("#tools")).to_be_hidden()
    card(page, "second").click()
    expect(page.locator("#form")).to_have_attribute("data-node", "second")
    page.keyboard.press("Delete")
    expect(page.locator("#toasts")).to_contain_text("to look, not to change")
    assert any(each["id"] == "second" for each in draft(server, flow)["nodes"])
    expect(page.locator("#form textarea, #form input").first).to_be_disabled()
    expect(page.locator("#run")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#add")).to_be_hidden()
    context.close()


def test_the_editor_speaks_the_readers_language(browser: Browser, server: LocalServer) -> None:
    flow = make(server, "sprache", FLOW)
    check = {"id": "check", "type": "condition.if", "config": {"condition": "{{ input.n > 1 }}"}}
    edges = [*FLOW["edges"], {"from": "second", "to": "check"}, {"from": "check.true", "to": "done"}]
    done = {"id": "done", "type": "action.wait", "config": {"seconds": 1}}
    many = make(server, "sprache-2", {**FLOW, "nodes": [*FLOW["nodes"], check, done], "edges": edges})
    with signed_in(browser, server, locale="de-DE") as page:
        open_editor(page, many)
        expect(page.locator("#lines text").first).to_have_text("ja")
        expect(page.locator("#cards [data-node=check] .node-title")).to_have_text("Wenn")
        expect(page.locator("#cards [data-node=go] .node-sum")).to_contain_text("Startet, wenn")
        open_editor(page, flow)
        card(page, "first").click()
        page.keyboard.press("Delete")
        expect(page.locator(".toast")).to_have_text("„First“ gelöscht.Rückgängig")
        # What comes after an edit is said in the same language as the page.
        expect(page.locator("#publish")).to_contain_text("Veröffentlichen")
        page.keyboard.press("/")
        expect(page.locator("#add-list .qa-h").first).to_have_text("Startet einen Lauf")
        expect(page.locator("#add-count")).to_contain_text("Knoten zu durchsuchen")
    with signed_in(browser, server) as page:
        open_editor(page, many)
        expect(page.locator("#lines text").first).to_have_text("yes")
        expect(page.locator("#cards [data-node=check] .node-title")).to_have_text("If")


def test_find_or_do_also_adds_nodes_and_finds_other_workflows(
    page: Page, server: LocalServer, flow: str
) -> None:
    make(server, "another-one", {**FLOW, "name": "Invoices of the month"})
    open_editor(page, flow)
    card(page, "second").click()
    page.keyboard.press("Escape")
    card(page, "second").click()
    page.keyboard.press("Control+k")
    page.keyboard.type("aggre")
    expect(page.locator("#find-list [role=option]").first).to_contain_text("Aggregate")
    page.keyboard.press("Enter")
    saved(page)
    assert ("second", "aggregate") in edges(server, flow)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("invoices of")
    expect(page.locator("#find-list [role=option]").first).to_contain_text("Invoices of the month")
    page.keyboard.type(" nowhere")
    expect(page.locator("#find-list")).to_have_text("Nothing fits “invoices of nowhere”.")
    page.keyboard.press("Escape")
    expect(page.locator("#finder")).to_be_hidden()


def test_a_node_is_dragged_out_of_the_palette(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    page.keyboard.press("/")
    row = page.locator("#add-list [role=option]", has_text="Merge").first
    row.scroll_into_view_if_needed()
    drag(page, row, (700, 420))
    expect(page.locator("#add")).to_be_hidden()
    expect(card(page, "merge")).to_be_visible()
    saved(page)
    x, y = middle(card(page, "merge"))
    assert abs(x - 700) < 12
    assert abs(y - 420) < 12
    # Let go on a connection, it goes in between.
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("wait")
    line = page.locator("#lines .edge-hit[data-from=first]").bounding_box()
    assert line is not None
    drag(
        page,
        page.locator("#add-list [role=option]").first,
        (line["x"] + line["width"] / 2, line["y"] + line["height"] / 2),
    )
    saved(page)
    assert ("first", "wait") in edges(server, flow)
    assert ("wait", "second") in edges(server, flow)
    assert ("first", "second") not in edges(server, flow)
    # Let go beside the canvas, it is not put in.
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    drag(page, page.locator("#add-list [role=option]").first, (700, 20))
    assert len(draft(server, flow)["nodes"]) == 5


def test_what_the_server_does_not_take_is_said_at_its_field(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    card(page, "second").click()
    page.locator("details[data-keep=how] > summary").click()
    field = page.locator("#form [data-field=timeout]")
    field.locator("input").fill("banana")
    expect(field.locator(".ferr")).to_have_text('Expected a time such as 30, 15m or 1h30m, got "banana"')
    expect(page.locator(".toast")).to_have_count(0)
    # What somebody else changes of the node meanwhile leaves it as it is.
    with page.expect_response("**/bench?node=second*"):
        name = {"id": "x-1", "kind": "set", "node": "second", "path": "name", "value": "Renamed"}
        assert server.api("POST", f"/workflows/{flow}/operations", {"operations": [name]}).status == 200
    expect(page.locator("#bench-who")).to_contain_text("Renamed")
    expect(field.locator(".ferr")).to_be_visible()
    expect(field.locator("input")).to_have_value("banana")
    with page.expect_response("**/operations*"):
        field.locator("input").fill("15m")
    expect(field.locator(".ferr")).to_be_hidden()
    assert node(server, flow, "second")["timeout"] == "15m"
    # The workflow's own settings say it the same way.
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    own = page.locator("#panel-node [data-field='settings.priority']")
    own.locator("input").fill("9999")
    expect(own.locator(".ferr")).to_have_text("Expected a whole number from -100 to 100, got 9999")


def test_a_field_that_the_type_does_not_have_is_mended_in_the_form(page: Page, server: LocalServer) -> None:
    hook = {
        "id": "hook",
        "type": "trigger.webhook",
        "config": {"path": "mend-me", "method": ["PUT"], "zz": {"a": 1}},
    }
    flow = make(server, "unknown-field", {"name": "Unknown", "nodes": [hook], "edges": []})
    open_editor(page, flow)
    page.get_by_role("tab", name="Problems").click()
    expect(page.locator("#problems")).to_contain_text(
        "There is no such field “method”. Did you mean “methods”?"
    )
    page.locator("#problems [data-mend]").first.click()
    field = page.locator("#form [data-field='config.method']")
    expect(field.locator("button").first).to_be_focused()
    field.get_by_role("button", name="Put it into “methods”").click()
    expect(page.locator("#form [data-field='config.method']")).to_have_count(0)
    page.locator("#form [data-field='config.zz']").get_by_role("button", name="Take it out").click()
    expect(page.locator("#form [data-field='config.zz']")).to_have_count(0)
    saved(page)
    assert node(server, flow, "hook")["config"] == {"path": "mend-me", "methods": ["PUT"]}


def test_notes_and_groups_go_along_into_another_window(
    browser: Browser, page: Page, server: LocalServer, flow: str
) -> None:
    own = {
        "notes": {"n1": {"text": "why", "x": 250, "y": 80}},
        "groups": {"g1": {"name": "Both", "nodes": ["first", "second"]}},
    }
    source = make(server, "with-notes", {**FLOW, **own})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_editor(page, source)
    page.locator("#canvas").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")
    empty = make(server, "paste-here", {"name": "Empty", "nodes": [], "edges": []})
    open_editor(page, empty)
    page.locator("#canvas").focus()
    with page.expect_response("**/operations*"):
        page.keyboard.press("Control+v")
    pasted = draft(server, empty)
    assert [note["text"] for note in pasted["notes"].values()] == ["why"]
    assert [group["nodes"] for group in pasted["groups"].values()] == [["first", "second"]]
    # Near the chosen cards a note is theirs, and elsewhere it stays.
    open_editor(page, source)
    card(page, "go").click()
    card(page, "go").focus()
    page.keyboard.press("Control+c")
    assert "why" not in page.evaluate("navigator.clipboard.readText()")


def test_a_table_that_is_dropped_becomes_a_node_that_gives_its_rows(
    page: Page, server: LocalServer, flow: str, tmp_path: Path
) -> None:
    open_editor(page, flow)
    with page.expect_response("**/operations*"):
        page.evaluate(
            """() => {
              const data = new DataTransfer()
              data.items.add(new File(["name;town\\nAda;Graz\\n\\"B; C\\";Turku\\n"], "people.csv", {type: "text/csv"}))
              document.getElementById("canvas").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, clientX: 600, clientY: 500}))
            }"""
        )
    assert node(server, flow, "people")["pinned"] == [
        {"name": "Ada", "town": "Graz"},
        {"name": "B; C", "town": "Turku"},
    ]


def test_a_workflow_is_pasted_on_a_page_of_lists_and_taken_as_a_copy(page: Page, server: LocalServer) -> None:
    hook = {"id": "hook", "type": "trigger.webhook", "config": {"path": "pasted-once"}}
    make(server, "pasted-once", {"name": "Pasted", "nodes": [hook], "edges": []})
    text = page.request.get("/workflows/pasted-once/export").text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/workflows")
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+v")
    expect(page.locator("#new-error")).to_contain_text("pasted-once")
    page.get_by_role("button", name="Import as a copy").click()
    page.wait_for_url(re.compile(r"/workflows/(?!pasted-once$)[^/?]+$"))
    copied = draft(server, page.url.rsplit("/", 1)[1])
    assert copied["name"] == "Pasted"
    assert copied["nodes"][0]["config"]["path"] != "pasted-once"


def test_a_card_that_is_dropped_on_a_connection_gets_room_there(page: Page, server: LocalServer) -> None:
    near = [dict(each) for each in FLOW["nodes"]]
    loose = {"id": "loose", "type": "action.log", "position": {"x": 240, "y": 240}}
    flow = make(server, "room", {**FLOW, "nodes": [*near, loose]})
    open_editor(page, flow)
    line = page.locator("#lines .edge-hit[data-from=first]").bounding_box()
    assert line is not None
    x, y = line["x"] + line["width"] / 2, line["y"] + line["height"] / 2
    # The card's middle is on the line, the pointer holds it beside that.
    box = card(page, "loose").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    with page.expect_response("**/operations*"):
        page.mouse.move(x - box["width"] / 2 + 20, y - box["height"] / 2 + 12, steps=6)
        page.mouse.up()
    assert ("first", "loose") in edges(server, flow)
    assert ("loose", "second") in edges(server, flow)
    places = {each["id"]: each["position"]["x"] for each in draft(server, flow)["nodes"]}
    assert places["first"] + 184 < places["loose"]
    assert places["loose"] + 184 < places["second"]
    expect(page.locator("#form")).to_have_attribute("data-node", "loose")


def test_connections_are_taken_away_and_filled_by_keyboard(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    card(page, "second").click()
    card(page, "second").focus()
    page.keyboard.press("Control+k")
    page.keyboard.type("insert a node on")
    page.keyboard.press("Enter")
    expect(page.locator("#find-list [role=option]")).to_have_text(["First → Second"])
    page.keyboard.press("Enter")
    page.keyboard.type("merge")
    with page.expect_response("**/operations*"):
        page.keyboard.press("Enter")
    assert ("first", "merge") in edges(server, flow)
    card(page, "second").click()
    card(page, "second").focus()
    page.keyboard.press("Control+k")
    page.keyboard.type("take a conn")
    page.keyboard.press("Enter")
    with page.expect_response("**/operations*"):
        page.keyboard.press("Enter")
    assert ("merge", "second") not in edges(server, flow)
