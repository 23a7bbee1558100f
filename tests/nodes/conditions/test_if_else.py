"""condition.if."""

from __future__ import annotations

from typing import Any

import pytest

from tests.nodes.conftest import Chain, chain


def document(condition: Any) -> dict[str, Any]:
    choose = {"id": "if", "type": "condition.if", "config": {"condition": condition}}
    yes = {"id": "yes", "type": "transform.set", "config": {"fields": {"way": "yes", "got": "{{ input.v }}"}}}
    no = {"id": "no", "type": "transform.set", "config": {"fields": {"way": "no", "got": "{{ input.v }}"}}}
    return chain(choose, yes, no, edges=[("start", "if"), ("if.true", "yes"), ("if.false", "no")])


@pytest.mark.parametrize("value", [1, "a", [0], {"a": 0}, True, 0.1])
async def test_truth(run: Chain, value: Any) -> None:
    assert (await run(document("{{ input.v }}"), {"v": value}))["result"] == {"way": "yes", "got": value}


@pytest.mark.parametrize("value", [0, "", [], {}, False, None])
async def test_falsehood(run: Chain, value: Any) -> None:
    assert (await run(document("{{ input.v }}"), {"v": value}))["result"] == {"way": "no", "got": value}


async def test_a_constant(run: Chain) -> None:
    assert (await run(document(False), {"v": 1}))["result"] == {"way": "no", "got": 1}
