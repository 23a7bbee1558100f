"""action.code in a run: results, errors, log notes, loops, timeouts, problems of its source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowfuse.app import Engine
from flowfuse.model import WORKSPACE
from tests.nodes.conftest import Chain, chain

pytestmark = pytest.mark.slow

Problems = Callable[[dict[str, Any]], list[tuple[str, str]]]


def code(source: str, name: str = "code", **more: Any) -> dict[str, Any]:
    config = {"source": source, "inputs": more.pop("inputs", {"x": "{{ input }}"})}
    return {"id": name, "type": "action.code", "config": config, **more}


async def test_it_gives_what_it_returns(run: Chain) -> None:
    ended = await run(chain(code("return {'sum': sum(x), 'n': len(x)}")), [1, 2, 3])
    assert (ended["state"], ended["result"]) == ("completed", {"sum": 6, "n": 3})


async def test_an_error_names_line_column_and_text(run: Chain) -> None:
    error = (await run(chain(code("y = x\n\nreturn y['b'] + 1")), {"a": 1}))["error"]
    assert (error["code"], error["line"], error["excerpt"]) == ("code_error", 3, "return y['b'] + 1")
    assert error["column"] >= 1
    assert "KeyError" in error["message"]


async def test_source_is_never_an_expression(run: Chain) -> None:
    ended = await run(chain(code("return '{{ input }}' + f'{{x}}'")), 1)
    assert ended["result"] == "{{ input }}{x}"


async def test_print_is_in_the_log_even_of_a_failed_node(run: Chain, engine: Engine) -> None:
    for source, state in (("print('seen', x)\nreturn 1", "completed"), ("print('seen', x)\n1 / 0", "failed")):
        ended = await run(chain(code(source)), 5)
        assert ended["state"] == state
        plan = await engine.history.plan(WORKSPACE, ended["id"])
        events = await engine.state.events(WORKSPACE, ended["id"], 0, plan)
        assert [(e.node, e.message) for e in events if e.type == "log"] == [("code", "seen 5")]


async def test_its_timeout_is_the_nodes(run: Chain) -> None:
    error = (await run(chain(code("while True: pass", timeout=0.3))))["error"]
    assert (error["code"], error["attempt"]) == ("node_timeout", 1)
    again = {"attempts": 2, "initial": 0.01}
    error = (await run(chain(code("while True: pass", timeout=0.3, retry=again))))["error"]
    assert (error["code"], error["attempt"]) == ("node_timeout", 2)


async def test_errors_can_be_routed(run: Chain) -> None:
    route = code("1 / 0", on_error="route")
    after = {
        "id": "after",
        "type": "transform.set",
        "config": {"fields": {"line": "{{ input.error.line }}", "was": "{{ input.input }}"}},
    }
    ended = await run(chain(route, after, edges=[("start", "code"), ("code.error", "after")]), 7)
    assert ended["result"] == {"line": 1, "was": 7}


async def test_in_a_loop_and_on_branches(run: Chain) -> None:
    each = {"id": "each", "type": "loop.for_each", "config": {"items": "{{ input }}", "concurrency": 4}}
    raw = chain(
        each,
        code("return x * 2", inputs={"x": "{{ item }}"}),
        edges=[("start", "each"), ("each.item", "code")],
    )
    assert (await run(raw, list(range(50))))["result"] == [n * 2 for n in range(50)]


async def test_it_needs_no_commit_of_its_own(run: Chain, engine: Engine) -> None:
    """A code node has no effect, so nothing has to be safe before it starts: no attempt is recorded."""
    ended = await run(chain(code("return x")), 1)
    plan = await engine.history.plan(WORKSPACE, ended["id"])
    events = await engine.state.events(WORKSPACE, ended["id"], 0, plan)
    assert [e.type for e in events if e.node == "code"] == ["node_done"]


def test_problems_of_a_source(problems: Problems, engine: Engine) -> None:
    raw = chain(code("x = 1\nif x\n  return 2"))
    assert problems(raw) == [("nodes.code.config.source", "config")]
    raw = chain(code("return 1", inputs={"not a name": 1, "class": 2}))
    assert problems(raw) == [
        ("nodes.code.config.inputs.not a name", "config"),
        ("nodes.code.config.inputs.class", "config"),
    ]
    assert problems(chain({"id": "code", "type": "action.code", "config": {}})) == [
        ("nodes.code.config.source", "missing")
    ]
    assert problems(chain(code("return x"))) == []


@pytest.mark.parametrize("source", ["return float('nan')", "return [2 ** 70]", "return {'a': float('inf')}"])
async def test_a_result_that_is_no_value(run: Chain, source: str) -> None:
    error = (await run(chain(code(source))))["error"]
    assert error["code"] == "output_invalid"


async def test_large_values_go_in_and_come_out(run: Chain) -> None:
    items = [{"n": n, "text": "ü" * 20} for n in range(20_000)]
    ended = await run(chain(code("return [i for i in x if i['n'] % 2]", timeout=20)), items)
    assert ended["result"] == [item for item in items if item["n"] % 2]
