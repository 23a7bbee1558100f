"""transform.aggregate."""

from __future__ import annotations

from tests.nodes.conftest import Chain, chain

OPERATIONS = ("count", "sum", "min", "max", "avg", "first", "last", "list", "unique")


def aggregate(of: str = "v") -> dict[str, object]:
    operations = {op: {"op": op, "of": of} if of else {"op": op} for op in OPERATIONS}
    return {
        "id": "all",
        "type": "transform.aggregate",
        "config": {"items": "{{ input }}", "operations": operations},
    }


async def test_every_operation(run: Chain) -> None:
    ended = await run(chain(aggregate()), [{"v": 3}, {"v": 1}, {"x": 9}, {"v": 3}, {"v": 5}])
    assert ended["result"] == {
        "count": 4, "sum": 12, "min": 1, "max": 5, "avg": 3.0, "first": 3, "last": 5, "list": [3, 1, 3, 5],
        "unique": [3, 1, 5],
    }  # fmt: skip


async def test_of_nothing(run: Chain) -> None:
    ended = await run(chain(aggregate("")), [])
    assert ended["result"] == {
        "count": 0, "sum": 0, "min": None, "max": None, "avg": None, "first": None, "last": None, "list": [],
        "unique": [],
    }  # fmt: skip


async def test_a_key_path(run: Chain) -> None:
    node = {
        "id": "all",
        "type": "transform.aggregate",
        "config": {"items": "{{ input }}", "operations": {"s": {"op": "sum", "of": "a.0.b"}}},
    }
    ended = await run(chain(node), [{"a": [{"b": 2}]}, {"a": []}, {"a": [{"b": 5}]}])
    assert ended["result"] == {"s": 7}


async def test_what_cannot_be_summed_is_said(run: Chain) -> None:
    ended = await run(chain(aggregate()), [{"v": "x"}])
    assert ended["error"]["code"] == "expression_failed"
    assert "not a number" in ended["error"]["message"]


async def test_true_is_no_number_and_not_one(run: Chain) -> None:
    node = {
        "id": "all",
        "type": "transform.aggregate",
        "config": {"items": "{{ input }}", "operations": {"u": {"op": "unique"}}},
    }
    ended = await run(chain(node), [1, True, 1])
    assert ended["result"] == {"u": [1, True]}
