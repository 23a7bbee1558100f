"""The bench shows large values in parts, and what is taken from it is whole."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.pages.test_api_editor import ask
from tests.pages.test_editor import _eventually as eventually
from tests.pages.test_editor import card, draft, make, node, saved
from tests.support.browser import open_editor
from tests.support.local import LocalServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROWS = [{"sku": f"item {n}", "parts": [{"n": n}]} for n in range(3_000)]
NODES = [
    {"id": "go", "type": "trigger.manual"},
    {"id": "all", "type": "transform.set", "config": {"fields": {"rows": "{{ trigger.rows }}"}}},
    {"id": "tell", "type": "action.log", "config": {"message": "{{ 1 }}"}},
]
EDGES = [{"from": "go", "to": "all"}, {"from": "all", "to": "tell"}]


def ran(server: LocalServer, name: str, given: Any) -> str:
    flow = make(server, name, {"name": name, "nodes": NODES, "edges": EDGES})
    assert (
        server.api("POST", f"/workflows/{flow}/run", {"input": given, "wait": 30}).json["state"]
        == "completed"
    )
    return flow


def side(page: Page, name: str) -> Locator:
    return page.locator("#panel-node").get_by_role("region", name=name)


def branch(part: Locator, at: str) -> Locator:
    return part.locator(f"details[data-at='{at}']")


def test_what_is_closed_comes_when_it_is_opened_and_is_open_again_after_a_run(
    page: Page, server: LocalServer
) -> None:
    flow = ran(server, "large-in-parts", {"rows": ROWS})
    open_editor(page, flow, "?node=tell")
    given = branch(side(page, "Input"), "nodes.all")
    for at in ("nodes.all", "nodes.all.rows", "nodes.all.rows[7]", "nodes.all.rows[7].parts"):
        branch(side(page, "Input"), at).locator(":scope > summary").click()
    leaf = given.locator("[data-reach='nodes.all.rows[7].sku']")
    expect(leaf).to_contain_text("item 7")
    expect(given).to_contain_text("and 2,800 more")
    branch(side(page, "Input"), "input").locator(":scope > summary").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#panel-node .bench")).to_have_attribute("data-run", "2")
    expect(leaf).to_contain_text("item 7")
    expect(branch(side(page, "Input"), "input")).not_to_have_attribute("open", "")
    card(page, "all").click()
    expect(page.locator("#form")).to_have_attribute("data-node", "all")
    expect(side(page, "Input").locator("[data-at='nodes.all']")).to_have_count(0)
    output = side(page, "Output")
    branch(output, "output.rows").locator(":scope > summary").click()
    expect(branch(output, "output.rows[199]")).to_be_visible()
    branch(output, "output.rows[199]").locator(":scope > summary").click()
    expect(branch(output, "output.rows[199]")).to_contain_text("item 199")
    expect(output.locator("[data-reach]")).to_have_count(0)


def test_another_view_keeps_what_is_open(page: Page, server: LocalServer) -> None:
    flow = ran(server, "views-in-turn", {"rows": ROWS})
    open_editor(page, flow, "?node=tell")
    branch(side(page, "Input"), "nodes.all").locator(":scope > summary").click()
    page.locator("#form details > summary", has_text="How it runs").click()
    rows = branch(side(page, "Input"), "nodes.all.rows")
    expect(rows).to_be_visible()
    for view in ("json", "table", "tree"):
        side(page, "Input").locator(f"[data-show={view}]").focus()
        page.keyboard.press("Enter")
        expect(side(page, "Input").locator(f"[data-view={view}]")).to_be_visible()
        expect(side(page, "Input").locator("[data-view]")).to_have_count(1)
        expect(side(page, "Input").locator(f"[data-show={view}]")).to_have_attribute("aria-pressed", "true")
        expect(side(page, "Input").locator(f"[data-show={view}]")).to_be_focused()
    expect(rows).to_be_visible()
    expect(page.locator("#form details", has_text="How it runs")).to_have_attribute("open", "")


def test_the_address_has_the_view(page: Page, server: LocalServer) -> None:
    flow = ran(server, "view-in-address", {"rows": ROWS[:3]})
    open_editor(page, flow, "?node=tell")
    side(page, "Input").locator("[data-show=json]").click()
    expect(page).to_have_url(re.compile("view=json"))
    for address in (page.url, f"/workflows/{flow}/runs/1?node=tell&view=json"):
        page.goto(address)
        expect(side(page, "Input").locator("[data-view=json]")).to_contain_text("item 2")
    side(page, "Input").locator("[data-show=tree]").click()
    expect(page).not_to_have_url(re.compile("view="))
    page.goto(f"/workflows/{flow}?node=tell&view=nothing")
    expect(side(page, "Input").locator("[data-view=tree]")).to_be_visible()


def test_a_branch_that_does_not_come_is_closed_again(page: Page, server: LocalServer) -> None:
    flow = ran(server, "no-rows", {"rows": ROWS})
    open_editor(page, flow, "?node=tell")
    root = branch(side(page, "Input"), "nodes.all")
    page.route("**/rows?*", lambda route: route.abort())
    root.locator(":scope > summary").click()
    expect(page.locator(".toast").first).to_be_visible()
    expect(root).not_to_have_attribute("open", "")
    page.unroute("**/rows?*")
    root.locator(":scope > summary").click()
    expect(branch(side(page, "Input"), "nodes.all.rows")).to_be_visible()


def test_a_large_output_is_pinned_whole(page: Page, server: LocalServer) -> None:
    rows = ROWS
    flow = ran(server, "pinned-whole", {"rows": rows})
    open_editor(page, flow, "?node=all")
    expect(branch(side(page, "Output"), "output.rows")).to_be_visible()
    card(page, "all").focus()
    page.keyboard.press("p")
    expect(side(page, "Output")).to_contain_text("pinned")
    saved(page)
    assert node(server, flow, "all")["pinned"] == {"rows": rows}


def test_a_pin_is_edited_from_the_whole_value_and_outlives_a_run(page: Page, server: LocalServer) -> None:
    flow = ran(server, "pin-edited", {"rows": ROWS[:2]})
    open_editor(page, flow, "?node=all")
    side(page, "Output").get_by_role("button", name="Edit").click()
    text = page.locator("#pin-text")
    expect(text).to_have_value(re.compile("item 1"))
    text.fill('{"rows": 12345678901234567890}')
    with page.expect_response(re.compile("/bench")):
        page.locator("#run").click()
    expect(page.locator("#panel-node .bench")).to_have_attribute("data-run", "2")
    expect(text).to_have_value('{"rows": 12345678901234567890}')
    page.get_by_role("button", name="Pin this").click()
    expect(page.locator("#pin-error")).to_contain_text("12345678901234567890 exactly")
    text.fill('{"rows": "12345678901234567890"}')
    page.get_by_role("button", name="Pin this").click()
    expect(side(page, "Output")).to_contain_text("pinned")
    saved(page)
    assert node(server, flow, "all")["pinned"] == {"rows": "12345678901234567890"}


def test_a_large_input_is_used_again_whole(page: Page, server: LocalServer) -> None:
    given = {"rows": ["word " * 60_000, 2**60 + 1]}
    flow = ran(server, "input-again", given)
    open_editor(page, flow, "?node=tell")
    expect(page.locator("#input")).to_have_value("")
    page.locator("#run").click()
    expect(page.locator("#panel-node .bench")).to_have_attribute("data-run", "2")
    server.wait_until_idle()
    last = server.executions(workflow=flow)[0]
    assert server.api("GET", f"/executions/{last['id']}").json["input"] == given
    open_editor(page, flow, "?node=tell&tab=input")
    page.locator("#input").click()
    expect(page.locator("#input")).to_have_value(re.compile("1152921504606846977"))
    page.locator("#input").fill('{"rows": []}')
    page.locator("#run").click()
    expect(page.locator("#panel-node .bench")).to_have_attribute("data-run", "3")


def test_a_number_that_a_browser_cannot_hold_stays_as_it_was_typed(page: Page, server: LocalServer) -> None:
    flow = make(server, "snowflakes", {"name": "Snowflakes", "nodes": NODES, "edges": EDGES})
    open_editor(page, flow, "?node=all")
    value = page.locator("#form [data-field='config.fields'] [data-value]").first
    for typed, kept in (("9007199254740993", "9007199254740993"), ("9007199254740991", 2**53 - 1)):

        def is_kept(kept: Any = kept) -> bool:
            return bool(node(server, flow, "all")["config"]["fields"]["rows"] == kept)

        page.locator(
            "#form [data-field='config.fields'] .cm-content, #form [data-value]:visible"
        ).first.click()
        page.keyboard.press("Control+a")
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
        expect(value).to_have_value(typed)
        assert eventually(is_kept)


def test_what_is_not_there_is_told(server: LocalServer) -> None:
    flow = ran(server, "not-there", {"rows": [{"a": 1}]})
    there = f"/workflows/{flow}"
    assert ask(server, "GET", f"{there}/rows?node=tell&at=nodes.all.rows[0]").status == 200
    for at in (
        "",
        "nodes",
        "nodes.al",
        "nodes.all.rows[1]",
        "nodes.all.rows.x",
        "output.x",
        "secrets",
        'input["\\x"]',
        'input["\\ud800"]',
        "input[" + "1" * 5000 + "]",
    ):
        query = urlencode({"node": "tell", "at": at})
        assert ask(server, "GET", f"{there}/rows?{query}").status == 404
    assert ask(server, "GET", f"{there}/output?node=none").status == 404
    long = 'a long key with "quotes" ' * 20
    odd = {"": {"x": [1] * 30}, "z" * 1500: {"w": [5] * 30}, long: {"y": [2] * 30}, "ü\n'": {"z": [3] * 30}}
    flow = ran(server, "odd-keys", {"rows": odd})
    shown = ask(server, "GET", f"/workflows/{flow}/bench?node=tell").json["bench"]
    for at in re.findall('data-at="(input[^"]+)" data-later', shown):
        query = urlencode({"node": "tell", "at": html.unescape(at)})
        assert ask(server, "GET", f"/workflows/{flow}/rows?{query}").status == 200, at
    assert len(re.findall('data-at="(input[^"]+)" data-later', shown)) == 3
    made = make(server, "never-ran", {"name": "Never", "nodes": NODES, "edges": EDGES})
    assert ask(server, "GET", f"/workflows/{made}/output?node=all").status == 404
    assert ask(server, "GET", f"{there}/output?node=all").json == {"rows": [{"a": 1}]}


@pytest.mark.parametrize(
    ("title", "type", "config"),
    [
        ("For each", "loop.for_each", {"items": "{{ nodes.all.rows }}"}),
        ("If", "condition.if", {"condition": "{{ nodes.all.rows }}"}),
        ("Set fields", "transform.set", {"fields": {"rows": "{{ nodes.all.rows }}"}}),
    ],
)
def test_on_a_value_that_is_dropped_on_the_canvas_there_is_offered_what_can_be_done_with_it(
    page: Page, server: LocalServer, title: str, type: str, config: Any
) -> None:
    flow = ran(server, f"dropped-{title}", {"rows": ROWS[:3]})
    open_editor(page, flow, "?node=tell")
    row = side(page, "Input").locator("summary[data-reach='input.rows']")
    row.drag_to(page.locator("#canvas"), target_position={"x": 700, "y": 320})
    expect(page.locator("#add-list [data-row]")).to_have_count(3)
    page.locator("#add-list [data-row]", has_text=title).first.click()
    expect(page.locator("#form")).not_to_have_attribute("data-node", "tell")
    saved(page)
    assert eventually(lambda: len(draft(server, flow)["nodes"]) == 4)
    added = draft(server, flow)["nodes"][-1]
    assert (added["type"], added["config"]) == (type, config)
    assert draft(server, flow)["edges"][-1] == {"from": "tell", "to": added["id"]}
    page.keyboard.press("Escape")
    page.locator("#canvas").click(position={"x": 700, "y": 40})
    page.keyboard.press("Control+z")
    assert eventually(lambda: len(draft(server, flow)["nodes"]) == 3)


def test_what_comes_in_at_a_join_is_dropped_by_the_name_of_the_node_that_gave_it(
    page: Page, server: LocalServer
) -> None:
    two = {"id": "two", "type": "transform.set", "config": {"fields": {"b": 2}}}
    edges = [*EDGES, {"from": "go", "to": "two"}, {"from": "two", "to": "tell"}]
    flow = make(server, "joined", {"name": "joined", "nodes": [*NODES, two], "edges": edges})
    given = {"input": {"rows": [1]}, "wait": 30}
    assert server.api("POST", f"/workflows/{flow}/run", given).json["state"] == "completed"
    open_editor(page, flow, "?node=tell")
    target = {"x": 700, "y": 320}
    side(page, "Input").locator("summary[data-reach='input']").drag_to(
        page.locator("#canvas"), target_position=target
    )
    expect(page.locator("#add")).to_be_hidden()
    side(page, "Input").locator("[data-reach='input.two.b']").drag_to(
        page.locator("#canvas"), target_position=target
    )
    page.locator("#add-list [data-row]", has_text="Set fields").first.click()
    assert eventually(
        lambda: draft(server, flow)["nodes"][-1].get("config") == {"fields": {"b": "{{ nodes.two.b }}"}}
    )


def test_one_nodes_output_is_not_pinned_to_another(page: Page, server: LocalServer) -> None:
    flow = ran(server, "pin-in-time", {"rows": [1]})
    open_editor(page, flow, "?node=all")
    expect(branch(side(page, "Output"), "output.rows")).to_be_visible()
    held: list[Route] = []
    page.route("**/bench?node=go*", lambda route: held.append(route))
    with page.expect_request("**/bench?node=go*"):
        card(page, "go").click()
    page.keyboard.press("p")
    with page.expect_response("**/bench?node=go*"):
        held[0].continue_()
    page.unroute("**/bench?node=go*")
    expect(page.locator("#form")).to_have_attribute("data-node", "go")
    card(page, "go").focus()
    page.keyboard.press("p")
    expect(side(page, "Output")).to_contain_text("pinned")
    assert eventually(lambda: "pinned" in node(server, flow, "go"))
    assert node(server, flow, "go")["pinned"] == {"rows": [1]}


def test_what_is_written_into_a_pin_stays_until_it_is_pinned(page: Page, server: LocalServer) -> None:
    flow = ran(server, "pin-stays", {"rows": [1]})
    open_editor(page, flow, "?node=all")
    edit = side(page, "Output").get_by_role("button", name="Edit")
    edit.click()
    page.locator("#pin-text").fill("[1, 2]")
    edit.click()
    expect(page.locator("#pin-text")).to_have_value("[1, 2]")
    page.get_by_role("button", name="Pin this").click()
    expect(side(page, "Output")).to_contain_text("pinned")
    expect(page.locator("#pin-form")).to_be_hidden()


def test_one_entry_beside_a_number_that_is_too_large_is_changed_alone(
    page: Page, server: LocalServer
) -> None:
    fields = {"a": "x", "id": 1234567890123456789}
    nodes = [NODES[0], {"id": "all", "type": "transform.set", "config": {"fields": fields}}]
    flow = make(server, "big-beside", {"name": "Big", "nodes": nodes, "edges": [EDGES[0]]})
    open_editor(page, flow, "?node=all")
    values = page.locator("#form [data-field='config.fields'] [data-value]")
    expect(values).to_have_count(2)
    values.first.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("y")
    page.keyboard.press("Tab")
    assert eventually(lambda: node(server, flow, "all")["config"]["fields"]["a"] == "y")
    assert node(server, flow, "all")["config"]["fields"] == {"a": "y", "id": 1234567890123456789}
    page.locator("#form [data-field='config.fields'] [data-key]").first.fill("b")
    page.keyboard.press("Tab")
    expect(page.locator("#form [data-field='config.fields']")).to_contain_text("too large for a browser")
    assert node(server, flow, "all")["config"]["fields"]["id"] == 1234567890123456789


def test_an_input_that_does_not_come_leaves_what_was_typed(page: Page, server: LocalServer) -> None:
    flow = ran(server, "input-stays", {"rows": [1]})
    open_editor(page, flow, "?node=all&tab=input")
    page.locator("#input").fill('{"rows": [5]}')
    page.route("**/input?from=1*", lambda route: route.abort())
    page.locator("#run-with summary").click()
    page.locator("#run-inputs [data-input-of]").first.click()
    expect(page.locator(".toast").first).to_be_visible()
    page.locator("#run").click()
    expect(page.locator("#panel-node .bench")).to_have_attribute("data-run", "2")
    server.wait_until_idle()
    last = server.executions(workflow=flow)[0]
    assert server.api("GET", f"/executions/{last['id']}").json["input"] == {"rows": [5]}
