"""loop.for_each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.nodes.conftest import Chain, chain


def document(
    *body: dict[str, Any], inner: list[tuple[str, str]] | None = None, **config: Any
) -> dict[str, Any]:
    loop = {"id": "each", "type": "loop.for_each", "config": {"items": "{{ input.items }}", **config}}
    first = [("each.item", body[0]["id"])] if body else []
    return chain(loop, *body, edges=[("start", "each"), *first, *(inner or [])])


def double(**more: Any) -> dict[str, Any]:
    return {"id": "double", "type": "transform.set", "config": {"fields": {"v": "{{ item * 2 }}"}}, **more}


def risky() -> list[dict[str, Any]]:
    bad = {"id": "bad", "type": "condition.if", "config": {"condition": "{{ item < 0 }}"}}
    stop = {"id": "stop", "type": "action.fail", "config": {"message": "item {{ item }}", "code": "negative"}}
    return [bad, stop, double()]


RISKY_EDGES = [("bad.true", "stop"), ("bad.false", "double")]


async def test_results_in_input_order(run: Chain) -> None:
    for concurrency in (1, 3):
        ended = await run(document(double(), concurrency=concurrency), {"items": [3, 1, 2]})
        assert ended["result"] == [{"v": 6}, {"v": 2}, {"v": 4}]


async def test_result_index_and_outer_values(run: Chain) -> None:
    config = {"result": "{{ [index, item, nodes.double.v, trigger.add] }}"}
    ended = await run(document(double(), **config), {"items": [5, 6], "add": 1})
    assert ended["result"] == [[0, 5, 10, 1], [1, 6, 12, 1]]


async def test_no_items_and_no_body(run: Chain) -> None:
    assert (await run(document(double()), {"items": []}))["result"] == []
    assert (await run(document(), {"items": [1, 2]}))["result"] == [None, None]


async def test_batches(run: Chain) -> None:
    node = {"id": "n", "type": "transform.set", "config": {"fields": {"n": "{{ len(item) }}"}}}
    ended = await run(document(node, batch_size=2, result="{{ item }}"), {"items": [1, 2, 3]})
    assert ended["result"] == [[1, 2], [3]]


async def test_an_item_that_fails(run: Chain) -> None:
    items = {"items": [1, -1, 2, -2]}
    failed = await run(document(*risky(), inner=RISKY_EDGES), items)
    assert (failed["state"], failed["error"]["code"], failed["error"]["message"]) == (
        "failed",
        "negative",
        "item -1",
    )
    skipped = await run(document(*risky(), inner=RISKY_EDGES, on_item_error="skip"), items)
    assert skipped["result"] == [{"v": 2}, {"v": 4}]
    collected = (await run(document(*risky(), inner=RISKY_EDGES, on_item_error="collect"), items))["result"]
    assert collected["results"] == [{"v": 2}, {"v": 4}]
    assert [(e["index"], e["error"]["code"]) for e in collected["errors"]] == [
        (1, "negative"),
        (3, "negative"),
    ]


async def test_several_ends_of_a_round(run: Chain) -> None:
    fork, _, doubled = risky()
    ended = await run(document(fork, doubled, inner=[("bad.false", "double")]), {"items": [1, -1]})
    assert ended["result"] == [{"v": 2}, None]
    other = {"id": "other", "type": "transform.set", "config": {"fields": {"w": 1}}}
    both = document(double(), other, inner=[("each.item", "other")])
    ended = await run(both, {"items": [1]})
    assert ended["result"] == [{"double": {"v": 2}, "other": {"w": 1}}]


async def test_a_loop_in_a_loop(run: Chain) -> None:
    inner = {
        "id": "inner",
        "type": "loop.for_each",
        "config": {"items": "{{ item }}", "result": "{{ [loops.each.index, index, item] }}"},
    }
    leaf = {"id": "leaf", "type": "transform.set", "config": {"fields": {"x": "{{ item }}"}}}
    ended = await run(document(inner, leaf, inner=[("inner.item", "leaf")]), {"items": [["a"], ["b", "c"]]})
    assert ended["result"] == [[[0, 0, "a"]], [[1, 0, "b"], [1, 1, "c"]]]


async def test_many_items(run: Chain) -> None:
    ended = await run(document(double(), result="{{ nodes.double.v }}"), {"items": list(range(20_000))})
    assert ended["result"] == [2 * n for n in range(20_000)]


async def test_an_item_in_the_middle_that_fails_in_a_straight_body(run: Chain) -> None:
    items: list[Any] = [1, 2, None, 4]
    ended = await run(document(double(), on_item_error="skip"), {"items": items})
    assert ended["result"] == [{"v": 2}, {"v": 4}, {"v": 8}]


@pytest.mark.parametrize("items", [None, "abc", {"a": 1}, 3])
async def test_no_list(run: Chain, items: Any) -> None:
    assert (await run(document(double()), {"items": items}))["error"]["node"] == "each"


def test_a_leak_and_a_repeated_loop(problems: Callable[[dict[str, Any]], list[tuple[str, str]]]) -> None:
    after = {"id": "after", "type": "transform.set", "config": {"fields": {}}}
    leaking = document(double(), inner=[("each.done", "after"), ("double", "after")])
    leaking["nodes"].append(after)
    assert ("edges[3]", "leak") in problems(leaking)
    repeated = document(double())
    repeated["nodes"][1]["retry"] = {"attempts": 2}
    assert ("nodes.each.retry", "retry_on_loop") in problems(repeated)
