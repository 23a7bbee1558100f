"""action.fail, action.log, action.wait, action.respond."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from flowfuse.app import Engine
from flowfuse.model import WORKSPACE
from tests.nodes.conftest import Chain, chain


async def test_fail_has_its_own_code_and_message(run: Chain) -> None:
    node = {
        "id": "no",
        "type": "action.fail",
        "config": {"message": "No {{ input.what }}", "code": "no_stock"},
    }
    error = (await run(chain(node), {"what": "tea"}))["error"]
    assert error == {"code": "no_stock", "message": "No tea", "node": "no", "attempt": 1, "hint": ""}


async def test_log_passes_its_input_on(run: Chain, engine: Engine) -> None:
    node = {"id": "note", "type": "action.log", "config": {"message": "got {{ input }}", "level": "warning"}}
    ended = await run(chain(node), {"a": 1})
    assert ended["result"] == {"a": 1}
    plan = await engine.history.plan(WORKSPACE, ended["id"])
    events = await engine.state.events(WORKSPACE, ended["id"], 0, plan)
    assert [(e.message, e.state) for e in events if e.type == "log"] == [('got {"a":1}', "warning")]


@pytest.mark.parametrize(
    "config", [{"seconds": 0.2}, {"seconds": "200ms"}, {"until": "{{ add_time(now(), seconds=1) }}"}]
)
async def test_wait_takes_its_time_and_no_memory(run: Chain, engine: Engine, config: dict[str, Any]) -> None:
    begun = time.monotonic()
    ended = await run(chain({"id": "wait", "type": "action.wait", "config": config}), {"a": 1})
    assert (ended["state"], ended["result"]) == ("completed", {"a": 1})
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize(
    "config", [{"seconds": "soon"}, {"seconds": -1}, {"until": "never"}, {"seconds": True}]
)
async def test_a_wait_for_nonsense(run: Chain, config: dict[str, Any]) -> None:
    raw = chain(
        {"id": "wait", "type": "action.wait", "config": {k: f"{{{{ {v!r} }}}}" for k, v in config.items()}}
    )
    assert (await run(raw))["error"]["code"] == "expression_failed"


def test_wait_needs_one_of_two(problems: Callable[[dict[str, Any]], list[tuple[str, str]]]) -> None:
    for config in ({}, {"seconds": 1, "until": "2030-01-01"}):
        raw = chain({"id": "wait", "type": "action.wait", "config": config})
        assert ("nodes.wait.config.seconds", "config") in problems(raw)


async def test_the_first_respond_is_the_result_and_the_run_goes_on(run: Chain) -> None:
    first = {"id": "one", "type": "action.respond", "config": {"body": {"n": 1}, "status": 201}}
    second = {"id": "two", "type": "action.respond", "config": {"body": {"n": 2}}}
    last = {"id": "end", "type": "transform.set", "config": {"fields": {"n": 3}}}
    ended = await run(chain(first, second, last))
    assert (ended["state"], ended["result"]) == ("completed", {"n": 1})


@pytest.mark.parametrize(
    "config", [{"status": "{{ 99 }}"}, {"headers": "{{ {'a b': 'c'} }}"}, {"headers": {"a": "x\ny{{ 1 }}"}}]
)
async def test_an_answer_that_http_has_not(run: Chain, config: dict[str, Any]) -> None:
    raw = chain({"id": "answer", "type": "action.respond", "config": config})
    assert (await run(raw))["error"]["code"] == "expression_failed"
