"""transform.set."""

from __future__ import annotations

from tests.nodes.conftest import Chain, chain


def fields(keep: str = "none", **values: object) -> dict[str, object]:
    return {"id": "set", "type": "transform.set", "config": {"fields": values, "keep": keep}}


async def test_one_expression_keeps_its_type_and_text_takes_values_in(run: Chain) -> None:
    node = fields(n="{{ input.n }}", text="n is {{ input.n }}, {{ input.list }} {{ input.none }}", plain=7)
    ended = await run(chain(node), {"n": 3, "list": [1, "a"], "none": None})
    assert ended["result"] == {"n": 3, "text": 'n is 3, [1,"a"] null', "plain": 7}


async def test_fields_at_any_depth(run: Chain) -> None:
    ended = await run(chain(fields(a={"b": ["{{ input.x }}", {"c": "{{ input.x + 1 }}"}]})), {"x": 1})
    assert ended["result"] == {"a": {"b": [1, {"c": 2}]}}


async def test_keep_all_overwrites_by_name(run: Chain) -> None:
    ended = await run(chain(fields("all", a=1, c=3)), {"a": 0, "b": 2})
    assert ended["result"] == {"a": 1, "b": 2, "c": 3}


async def test_keep_all_of_something_that_is_no_object(run: Chain) -> None:
    ended = await run(chain(fields("all", a=1)), [1])
    assert (ended["state"], ended["error"]["code"], ended["error"]["node"]) == (
        "failed",
        "expression_failed",
        "set",
    )


async def test_what_data_holds_is_never_evaluated(run: Chain) -> None:
    ended = await run(chain(fields(a="{{ input.text }}", b="x {{ input.text }}")), {"text": "{{ 1 + 1 }}"})
    assert ended["result"] == {"a": "{{ 1 + 1 }}", "b": "x {{ 1 + 1 }}"}


async def test_a_missing_key_names_the_expression_the_node_and_the_keys(run: Chain) -> None:
    ended = await run(chain(fields(a="{{ input.nam }}")), {"name": 1, "city": 2})
    error = ended["error"]
    assert error["node"] == "set"
    assert "input.nam" in error["message"]
    assert "name" in error["message"]
    assert "city" in error["message"]


async def test_values_that_json_has_not_fail_the_node(run: Chain) -> None:
    for source in ("{{ 1e308 * 10 }}", "{{ 2 ** 63 }}", "{{ 0 - 2 ** 63 - 1 }}"):
        ended = await run(chain(fields(a=source)))
        assert ended["error"]["code"] == "output_invalid", source
    ended = await run(chain(fields(a="{{ 2 ** 63 - 1 }}", b="{{ 0 - 2 ** 63 }}")))
    assert ended["result"] == {"a": 2**63 - 1, "b": -(2**63)}
