"""One second and 64 MB for each expression, and what is too large for the event loop."""

from __future__ import annotations

import time
from typing import Any

import pytest

from flowfuse.errors import ExpressionFailed
from flowfuse.expression import Heavy, compile_expression, compile_value

LIMIT = 1.2
SLACK = 1.5
"""Seconds that a busy machine may add; an operation that is not stopped takes far longer than that."""

INPUT = {
    "big": list(range(1_000_000)),
    "texts": [str(number) * 10 for number in range(200_000)],
    "long": "ab" * 5_000_000,
    "objects": [{"v": number % 7, "n": f"name{number}"} for number in range(100_000)],
    "foreign": "語" * 3_000_000,
}

BOMBS = [
    "'a' * 10**10",
    "[0] * 10**9",
    "range(10**9)",
    "range(-10**30, 10**30)",
    "pad('', 10**9)",
    "9**9**8",
    "9.5**9**9",
    "[x * x for x in [10**2000] * 1000000]",
    "sum([10**2100] * 8000000)",
    "[y for x in range(10**5) for y in range(10**5)]",
    "[1 for x in range(10**5) for y in range(10**5) if y > x + 10**6]",
    "[x in input.big for x in input.big]",
    "[x for x in input.objects if x in input.objects]",
    "[a for a in input.objects for b in input.objects if a.n == b.n]",
    "'a'.replace('', input.long).replace('a', input.long)",
    "replace('a' * 1000000, 'a', input.long, regex=true)",
    "[x + x for x in [input.long] * 100]",
    "[[x] * 1000 for x in range(100000)]",
    "{str(x): [x] * 100 for x in input.big}",
    "match('a' * 40, '(a|aa)+$b')",
    "find_all('a' * 40 + 'b', '(a|aa)+$')",
    "replace('a' * 40, '(a|aa)+$b', '', regex=true)",
    "[match('a' * 25 + 'b', '(a|aa)+$') for x in range(1000)]",
    "find_all(input.long, '')",
    "f'{1:1000000000}'",
    "[f'{x:>1000}' for x in range(1000000)]",
    "format(1.5, '.999999999f')",
    "json_encode([input.texts] * 1000)",
    "json_decode('[' + '[],' * 1000000 + '0]')",
    "[input.texts] * 1000 == [input.texts + []] * 1000",
    "sorted([input.big] * 1000)",
    "sort_by([{'k': input.long}] * 100000, 'k')",
    "unique([input.big] * 1000)",
    "flatten([[input.big] * 1000] * 1000, 5)",
    "join([input.long] * 1000)",
    "split(input.long, 'a')",
    "strip(input.long, input.long)",
    "[c for c in input.foreign]",
    "slug(input.foreign)",
    "zip(input.big, input.big, input.big, input.big)",
    "chunk(input.big, 1)",
    "[now() for x in input.big]",
    "[uuid() for x in input.big]",
    "[sha256(input.long) for x in range(1000)]",
    "where([input.big] * 1000, '0', equals=input.big)",
]


@pytest.mark.slow
@pytest.mark.parametrize("source", BOMBS)
def test_bombs_end_in_time(evaluate: Any, source: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(source, input=INPUT)
    assert time.perf_counter() - start < LIMIT + SLACK
    message = caught.value.message
    assert any(word in message for word in ("time budget", "memory budget", "too large", "too many"))


@pytest.mark.slow
@pytest.mark.parametrize("source", BOMBS)
def test_bombs_leave_the_event_loop_at_once(evaluate: Any, source: str) -> None:
    start = time.perf_counter()
    with pytest.raises((ExpressionFailed, Heavy)):
        evaluate(source, inline=True, input=INPUT)
    assert time.perf_counter() - start < 0.5


def test_filtering_a_hundred_thousand_items_passes(evaluate: Any) -> None:
    items = [{"v": number % 7} for number in range(100_000)]
    assert len(evaluate("[x for x in input.items if x.v > 3]", input={"items": items})) == 42_856


@pytest.mark.parametrize(
    "source",
    [
        "[{'v': x.v * 2, 'n': x.n.upper(), 'm': f'{x.n}!'} for x in input if x.v > 3]",
        "sort_by(input, 'n')",
        "group_by(input, 'v')",
        "count_by(input, 'v')",
        "unique([x.n for x in input])",
        "sum(x.v for x in input)",
        "json_decode(json_encode([x.n for x in input]))",
        "join([x.n for x in input], ', ').split(', ')",
        "{x.n: x.v for x in input}",
        "chunk(input, 10)",
    ],
)
def test_usual_work_on_fifty_thousand_items_passes(evaluate: Any, source: str) -> None:
    assert evaluate(source, input=INPUT["objects"][:50_000])


def test_what_is_large_is_heavy_only_on_the_event_loop(evaluate: Any) -> None:
    source = "[x for x in input if x.v > 3]"
    with pytest.raises(Heavy):
        evaluate(source, inline=True, input=INPUT["objects"])
    assert evaluate(source, inline=True, input=INPUT["objects"][:1000])
    assert evaluate(source, input=INPUT["objects"])


def test_a_large_value_in_text_is_charged(place: Any, node: Any) -> None:
    compiled, _ = compile_value("all: {{ input }}", place, "p")
    with pytest.raises(Heavy):
        compiled.evaluate(node({"input": INPUT["big"]}, inline=True))


def test_the_budget_begins_anew_with_each_evaluation(place: Any, node: Any) -> None:
    compiled = compile_expression("len('a' * input) + len('b' * input)", place, "p")
    single = compile_expression("'a' * input", place, "p")
    env = node({"input": 20_000_000})
    for _ in range(5):
        assert compiled.evaluate(env) == 40_000_000
        assert len(single.evaluate(env)) == 20_000_000


def test_operations_of_one_expression_share_its_budget(evaluate: Any) -> None:
    with pytest.raises(ExpressionFailed, match="memory budget"):
        evaluate("[len('a' * input), len('b' * input), len('c' * input), len('d' * input)]", input=20_000_000)


def test_an_expression_without_charged_operations_makes_no_meter(place: Any, node: Any) -> None:
    env = node({"trigger": {"body": {"amount": 5, "name": "ada"}}})
    for source in ("trigger.body.amount * 2", "upper(trigger.body.name)", "trigger.body.amount > 3"):
        compile_expression(source, place, "p").evaluate(env)
        assert env.meter is None
