"""loop.while."""

from __future__ import annotations

from typing import Any

from tests.nodes.conftest import Chain, chain


def document(**config: Any) -> dict[str, Any]:
    loop = {"id": "loop", "type": "loop.while", "config": config}
    body = {"id": "next", "type": "transform.set", "config": {"fields": {"n": "{{ item.n + 1 }}"}}}
    return chain(loop, body, edges=[("start", "loop"), ("loop.item", "next")])


async def test_a_rounds_result_is_the_next_state(run: Chain) -> None:
    ended = await run(document(condition="{{ item.n < trigger.to }}", initial={"n": 0}), {"to": 4})
    assert ended["result"] == {"n": 4}


async def test_a_condition_that_never_held(run: Chain) -> None:
    ended = await run(document(condition="{{ false }}", initial={"n": 7}))
    assert ended["result"] == {"n": 7}


async def test_index_and_result(run: Chain) -> None:
    config = {"condition": "{{ index < 3 }}", "initial": {"n": 1}, "result": "{{ {'n': nodes.next.n * 10} }}"}
    assert (await run(document(**config)))["result"] == {"n": 2110}


async def test_the_end_of_patience(run: Chain) -> None:
    ended = await run(document(condition="{{ true }}", initial={"n": 0}, max_rounds=5))
    assert (ended["error"]["code"], ended["error"]["node"]) == ("loop_limit", "loop")
    ended = await run(document(condition="{{ item.n < 5 }}", initial={"n": 0}, max_rounds=5))
    assert ended["result"] == {"n": 5}
