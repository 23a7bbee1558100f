"""transform.merge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.nodes.conftest import Chain, chain


def branches(mode: str, a: Any, b: Any, **config: Any) -> dict[str, Any]:
    def value(name: str, given: Any) -> dict[str, Any]:
        return {"id": name, "type": "transform.split_out" if isinstance(given, list) else "transform.set",
                "config": {"items": given} if isinstance(given, list) else {"fields": given}}  # fmt: skip

    merge = {"id": "both", "type": "transform.merge", "config": {"mode": mode, **config}}
    edges = [("start", "a"), ("start", "b"), ("a", "both"), ("b", "both")]
    return chain(value("a", a), value("b", b), merge, edges=edges)


@pytest.mark.parametrize(
    ("mode", "a", "b", "result"),
    [
        ("object", {"x": 1}, {"y": 2}, {"a": {"x": 1}, "b": {"y": 2}}),
        ("combine", {"x": 1, "z": 1}, {"y": 2, "z": 2}, {"x": 1, "y": 2, "z": 2}),
        ("append", [1, 2], {"y": 2}, [1, 2, {"y": 2}]),
    ],
)
async def test_modes(run: Chain, mode: str, a: Any, b: Any, result: Any) -> None:
    assert (await run(branches(mode, a, b)))["result"] == result


async def test_join_by_key(run: Chain) -> None:
    a = [{"id": 1, "x": "a"}, {"id": 2, "x": "b"}, {"x": "none"}]
    b = [{"id": 2, "y": "B"}, {"id": 3, "y": "C"}]
    ended = await run(branches("join", a, b, key="id"))
    assert ended["result"] == [
        {"id": 1, "x": "a"},
        {"id": 2, "x": "b", "y": "B"},
        {"x": "none"},
        {"id": 3, "y": "C"},
    ]


async def test_only_what_fired(run: Chain) -> None:
    choose = {"id": "if", "type": "condition.if", "config": {"condition": "{{ input.yes }}"}}
    yes = {"id": "a", "type": "transform.set", "config": {"fields": {"x": 1}}}
    no = {"id": "b", "type": "transform.set", "config": {"fields": {"y": 2}}}
    merge = {"id": "both", "type": "transform.merge", "config": {}}
    edges = [("start", "if"), ("if.true", "a"), ("if.false", "b"), ("a", "both"), ("b", "both")]
    ended = await run(chain(choose, yes, no, merge, edges=edges), {"yes": True})
    assert ended["result"] == {"a": {"x": 1}}


def test_join_needs_its_key(problems: Callable[[dict[str, Any]], list[tuple[str, str]]]) -> None:
    assert ("nodes.both.config.key", "config") in problems(branches("join", [1], [2]))
