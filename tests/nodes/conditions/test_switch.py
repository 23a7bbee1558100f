"""condition.switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.nodes.conftest import Chain, chain

CASES = [
    {"port": "one", "equals": 1},
    {"port": "text", "equals": "a"},
    {"port": "same", "equals": "{{ input.other }}"},
    {"port": "big", "when": "{{ input.v > 100 }}"},
]


def document(cases: list[dict[str, Any]]) -> dict[str, Any]:
    switch = {"id": "way", "type": "condition.switch", "config": {"value": "{{ input.v }}", "cases": cases}}
    ports = list(dict.fromkeys([*(case["port"] for case in cases), "default"]))
    ends = [{"id": f"to_{p}", "type": "transform.set", "config": {"fields": {"way": p}}} for p in ports]
    edges = [("start", "way"), *((f"way.{p}", f"to_{p}") for p in ports)]
    return chain(switch, *ends, edges=edges)


@pytest.mark.parametrize(
    ("value", "way"), [(1, "one"), ("a", "text"), ([7], "same"), (101, "big"), (5, "default")]
)
async def test_the_first_case_that_fits(run: Chain, value: Any, way: str) -> None:
    ended = await run(document(CASES), {"v": value, "other": [7]})
    if isinstance(value, str):
        ended = await run(document(CASES[:3]), {"v": value, "other": [7]})
    assert ended["result"] == {"way": way}


async def test_true_is_not_one(run: Chain) -> None:
    assert (await run(document(CASES[:1]), {"v": True}))["result"] == {"way": "default"}


def test_cases_are_checked(problems: Callable[[dict[str, Any]], list[tuple[str, str]]]) -> None:
    cases = [{"port": "a", "equals": 1}, {"port": "a", "when": True}, {"port": "b"}]
    paths = [path for path, _ in problems(document(cases))]
    assert "nodes.way.config.cases[1].port" in paths
    assert "nodes.way.config.cases[2]" in paths
    assert problems(document([{"port": "default", "equals": 1}]))
