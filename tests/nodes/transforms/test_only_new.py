"""transform.only_new: each item once, over runs; by a key; as many as it is to remember; a repeat sees the same."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.app import Engine
from flowfuse.data.seen import SeenItems
from flowfuse.model import WORKSPACE
from tests.nodes.conftest import Chain, chain


def fresh(**config: Any) -> dict[str, Any]:
    """A document that has an id, so that its runs share what was seen."""
    node = {"id": "fresh", "type": "transform.only_new", "config": {"items": "{{ input }}", **config}}
    return {**chain(node), "id": "poll"}


async def new(run: Chain, document: dict[str, Any], items: list[Any], **more: Any) -> Any:
    return (await run(document, items, **more))["result"]


async def test_an_item_passes_once(run: Chain) -> None:
    assert await new(run, fresh(), [1, "1", {"a": 1, "b": 2}, 1]) == [1, "1", {"a": 1, "b": 2}]
    assert await new(run, fresh(), [{"b": 2, "a": 1}, 2, "1"]) == [2]


async def test_told_apart_by_a_key(run: Chain) -> None:
    document = fresh(key="meta.id")
    first, changed = {"meta": {"id": 7}, "n": 1}, {"meta": {"id": 7}, "n": 2}
    assert await new(run, document, [first, changed]) == [first]
    assert await new(run, document, [changed, {"meta": {"id": 8}}]) == [{"meta": {"id": 8}}]


async def test_a_key_path_leads_into_lists_as_everywhere(run: Chain) -> None:
    document = fresh(key="ids.0")
    assert await new(run, document, [{"ids": [7, 8]}, {"ids": [7, 9]}]) == [{"ids": [7, 8]}]


@pytest.mark.parametrize("item", [{"meta": {}}, {"meta": 3}, "text"])
async def test_an_item_without_the_key(run: Chain, item: Any) -> None:
    ended = await run(fresh(key="meta.id"), [item])
    assert "an item has no" in ended["error"]["message"]


async def test_a_test_uses_nothing_up(run: Chain) -> None:
    assert await new(run, fresh(), [1], mode="test") == [1]
    assert await new(run, fresh(), [1]) == [1]
    assert await new(run, fresh(), [1], mode="test") == [1]


async def test_each_workflow_and_node_for_itself(run: Chain) -> None:
    assert await new(run, fresh(), [1]) == [1]
    assert await new(run, {**fresh(), "id": "other"}, [1]) == [1]


async def test_it_remembers_the_newest_and_what_still_comes(run: Chain) -> None:
    """What is in every answer of a service stays known, however many others come and go."""
    document = fresh(keep=3)
    for n in range(10):
        assert await new(run, document, ["pinned", n]) == (["pinned", 0] if n == 0 else [n])
    assert await new(run, document, [0]) == [0]


async def test_a_long_answer_is_remembered_whole(run: Chain) -> None:
    document = fresh(keep=3)
    assert len(await new(run, document, list(range(50)))) == 50
    assert await new(run, document, list(range(50))) == []


async def test_a_repeated_effect_sees_the_same(engine: Engine) -> None:
    seen = SeenItems(engine.database, engine.clock)

    async def look(effect: str, *keys: Any) -> list[bool]:
        return await seen.new_of(WORKSPACE, "poll", "fresh", keys, effect, 100)

    assert await look("one", 1, 2, 1) == [True, True, False]
    assert await look("one", 1, 2, 1) == [True, True, False]
    assert await look("two", 1, 2, 3) == [False, False, True]
