"""transform.split_out."""

from __future__ import annotations

from tests.nodes.conftest import Chain, chain


def split(**config: object) -> dict[str, object]:
    return {"id": "lines", "type": "transform.split_out", "config": {"items": "{{ input.lines }}", **config}}


async def test_each_item_with_the_chosen_fields_beside_it(run: Chain) -> None:
    node = split(fields={"order": "{{ input.id }}", "sku": "other"})
    ended = await run(chain(node), {"id": 7, "lines": [{"sku": "a"}, {"n": 1}, 5]})
    assert ended["result"] == [
        {"order": 7, "sku": "a"},
        {"order": 7, "sku": "other", "n": 1},
        {"order": 7, "sku": "other", "value": 5},
    ]


async def test_without_fields_it_is_the_list(run: Chain) -> None:
    ended = await run(chain(split()), {"lines": [1, {"a": 2}]})
    assert ended["result"] == [1, {"a": 2}]


async def test_no_list(run: Chain) -> None:
    ended = await run(chain(split()), {"lines": {"a": 1}})
    assert "items" in ended["error"]["message"]
