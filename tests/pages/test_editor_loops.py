"""Nodes go into loops and out of them: by the hand, and by name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.pages.test_editor import card, draft, drag, edges, make, middle, saved
from tests.support.browser import open_editor
from tests.support.local import LocalServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def at(x: int, y: int) -> dict[str, dict[str, int]]:
    return {"position": {"x": x, "y": y}}


LOOP: dict[str, Any] = {
    "nodes": [
        {"id": "go", "type": "trigger.manual", **at(0, 60)},
        {"id": "each", "type": "loop.for_each", "config": {"items": "{{ [1, 2] }}"}, **at(232, 0)},
        {"id": "a", "type": "action.log", "config": {"message": "a"}, **at(272, 58)},
        {"id": "b", "type": "action.log", "config": {"message": "b"}, **at(488, 58)},
        {"id": "end", "type": "action.log", "config": {"message": "end"}, **at(780, 58)},
        {"id": "last", "type": "action.log", "config": {"message": "last"}, **at(996, 58)},
    ],
    "edges": [
        {"from": "go", "to": "each"},
        {"from": "each.item", "to": "a"},
        {"from": "a", "to": "b"},
        {"from": "each.done", "to": "end"},
        {"from": "end", "to": "last"},
    ],
}


@pytest.fixture
def flow(server: LocalServer, request: pytest.FixtureRequest) -> str:
    return make(server, request.node.name, LOOP)


def inside(page: Page) -> set[str]:
    """What the page draws in the tray."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#cards [data-loop=each]')].map((card) => card.dataset.node)"
    )
    return set(found)


def problems(server: LocalServer, flow: str) -> list[Any]:
    found: list[Any] = server.api("POST", f"/workflows/{flow}/validate").json["problems"]
    return found


def test_a_node_is_dragged_out_of_a_loop_and_back(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    x, y = middle(card(page, "a"))
    drag(page, card(page, "a"), (x, y + 160))
    saved(page)
    assert sorted(edges(server, flow)) == sorted(
        [("go", "each"), ("each.item", "b"), ("each.done", "end"), ("end", "last")]
    )
    expect(page.locator("#cards [data-loop=each]")).to_have_count(1)
    assert inside(page) == {"b"}
    # The tray has let it go: it does not reach down to it.
    tray, node = (page.locator(f"[data-node={each}]").first.bounding_box() for each in ("each", "a"))
    assert tray is not None
    assert node is not None
    assert tray["y"] + tray["height"] <= node["y"]
    drag(page, card(page, "a"), middle(card(page, "b")))
    saved(page)
    expect(page.locator("#cards [data-loop=each]")).to_have_count(2)
    assert ("b", "a") in edges(server, flow)
    for _ in range(2):
        page.keyboard.press("Control+z")
    saved(page)
    assert sorted(edges(server, flow)) == sorted((e["from"], e["to"]) for e in LOOP["edges"])
    assert inside(page) == {"a", "b"}
    assert problems(server, flow) == []


def test_a_connected_node_that_is_dropped_on_a_loop_joins_it(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    drag(page, card(page, "end"), middle(page.locator("[data-node=each] .loop-head")))
    saved(page)
    assert sorted(edges(server, flow)) == sorted(
        [("go", "each"), ("each.item", "a"), ("a", "b"), ("b", "end"), ("each.done", "last")]
    )
    expect(page.locator("#cards [data-loop=each]")).to_have_count(3)
    assert problems(server, flow) == []


def test_behind_a_node_that_leads_nowhere_nothing_is_put(
    page: Page, server: LocalServer, request: pytest.FixtureRequest
) -> None:
    nodes = [each for each in LOOP["nodes"] if each["id"] not in ("a", "b", "last")]
    stop = {"id": "stop", "type": "action.fail", "config": {"message": "no"}, **at(272, 58)}
    pairs = [("go", "each"), ("each.item", "stop"), ("each.done", "end")]
    made = {"nodes": [*nodes, stop], "edges": [{"from": one, "to": other} for one, other in pairs]}
    flow = make(server, request.node.name, made)
    open_editor(page, flow)
    drag(page, card(page, "end"), middle(page.locator("[data-node=each] .loop-head")))
    saved(page)
    assert sorted(edges(server, flow)) == [("each.item", "end"), ("each.item", "stop"), ("go", "each")]
    assert problems(server, flow) == []


def test_a_card_that_stays_near_only_makes_its_tray_larger(
    page: Page, server: LocalServer, flow: str
) -> None:
    open_editor(page, flow)
    x, y = middle(card(page, "b"))
    drag(page, card(page, "b"), (x, y + 70))
    saved(page)
    assert sorted(edges(server, flow)) == sorted((e["from"], e["to"]) for e in LOOP["edges"])
    assert inside(page) == {"a", "b"}


def test_escape_leaves_a_card_in_its_loop(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)
    tray = page.locator("#trays [data-node=each]")
    before = tray.get_attribute("style")
    x, y = middle(card(page, "b"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 260, steps=5)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert tray.get_attribute("style") == before
    assert draft(server, flow)["edges"] == LOOP["edges"]


def test_by_name_into_a_loop_and_out_of_it(page: Page, server: LocalServer, flow: str) -> None:
    open_editor(page, flow)

    def do(words: str) -> None:
        page.keyboard.press("Control+k")
        page.keyboard.type(words)
        page.keyboard.press("Enter")

    card(page, "b").click()
    do("Take out of its loop")
    saved(page)
    assert ("a", "b") not in edges(server, flow)
    expect(page.locator("#cards [data-loop=each]")).to_have_count(1)
    do("Take out of its loop")
    expect(page.locator("#toasts")).to_contain_text("It is in no loop")
    do("Move into a loop")
    page.keyboard.press("Enter")
    saved(page)
    expect(page.locator("#cards [data-loop=each]")).to_have_count(2)
    assert ("a", "b") in edges(server, flow)


def test_a_loop_is_put_around_a_selection(
    page: Page, server: LocalServer, request: pytest.FixtureRequest
) -> None:
    log = {"type": "action.log", "config": {"message": "x"}}
    chain = ["go", "a", "b", "c"]
    nodes = [{"id": "go", "type": "trigger.manual", **at(0, 0)}]
    nodes += [{"id": id, **log, **at(216 * place, 0)} for place, id in enumerate(chain[1:], 1)]
    pairs = [{"from": one, "to": other} for one, other in itertools.pairwise(chain)]
    flow = make(server, request.node.name, {"nodes": nodes, "edges": pairs})
    open_editor(page, flow)

    def wrap() -> None:
        page.keyboard.press("Control+k")
        page.keyboard.type("Put a loop around")
        page.keyboard.press("Enter")

    card(page, "go").click()
    wrap()
    expect(page.locator("#toasts")).to_contain_text("no trigger")
    card(page, "a").click()
    card(page, "b").click(modifiers=["Shift"])
    wrap()
    saved(page)
    assert sorted(edges(server, flow)) == sorted(
        [("go", "for_each"), ("for_each.item", "a"), ("a", "b"), ("for_each.done", "c")]
    )
    expect(page.locator("#cards [data-loop=for_each]")).to_have_count(2)
    expect(page.locator("#form")).to_have_attribute("data-node", "for_each")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    saved(page)
    assert sorted(edges(server, flow)) == sorted(itertools.pairwise(chain))


def test_a_failure_runs_what_is_chosen_among_the_workflows(
    page: Page, server: LocalServer, flow: str
) -> None:
    other = make(server, "handles-failures", {**LOOP, "name": "Handles failures"})
    open_editor(page, flow)
    choice = page.locator("#form ~ section, #form").get_by_label("On failure run")
    choice.select_option(label="Handles failures, not published")
    saved(page)
    assert draft(server, flow)["settings"]["error_workflow"] == other
    server.api("POST", f"/workflows/{other}/publish", {})
    page.reload()
    expect(choice.locator("option:checked")).to_have_text("Handles failures")
    server.api("DELETE", f"/workflows/{other}")
    page.reload()
    expect(choice.locator("option:checked")).to_have_text(f"{other}, which is not there")
    choice.select_option(label="nothing")
    saved(page)
    assert "error_workflow" not in draft(server, flow).get("settings", {})
