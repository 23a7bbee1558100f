"""The language itself."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.errors import ExpressionFailed, ExpressionInvalid
from flowfuse.expression import compile_expression

DATA = {"a": 1, "name": "Ada", "list": [1, 2, 3], "deep": {"er": [{"x": 5}]}, "none": None}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("7 // 2, 7 % 2, 2 ** 3, 7 / 2", [3, 1, 8, 3.5]),
        ("-trigger.a", -1),
        ("+trigger.a", 1),
        ("'a' + 'b' * 2", "abb"),
        ("[1] + [2] * 2", [1, 2, 2]),
        ("true and null or 'x'", "x"),
        ("1 and 2 and 3", 3),
        ("0 or '' or []", []),
        ("not trigger.none", True),
        ("True == true, None == null", [True, True]),
        ("1 < 2 <= 2 < 3", True),
        ("1 < 2 < 2", False),
        ("2 in trigger.list, 'da' in trigger.name, 'a' in trigger", [True, True, True]),
        ("9 not in trigger.list", True),
        ("'x' if trigger.a > 1 else 'y'", "y"),
        ("trigger.deep.er[0].x", 5),
        ("trigger['deep']['er'][-1]['x']", 5),
        ("trigger['na' + 'me']", "Ada"),
        ("trigger.list[1:], trigger.name[::-1], trigger.list[:-1]", [[2, 3], "adA", [1, 2]]),
        ("(1, 2)", [1, 2]),
        ("{'a': 1, trigger.name: 2}", {"a": 1, "Ada": 2}),
        ("{}", {}),
        ("f'{trigger.name}: {trigger.a:>3} {trigger.list}'", "Ada:   1 [1,2,3]"),
        ("f'{1.5:.{trigger.a + 1}f}'", "1.50"),
        ("upper(trigger.name) + trigger.name.lower()", "ADAada"),
        ("trigger.list.len()", 3),
        ("sort_by([{'k': 2}, {'k': 1}], key='k', descending=true)[0].k", 2),
        ("nodes.fetch.a + nodes['fetch'].a", 4),
        ("[loops.each.item, loops.each.index, item, index]", ["i", 4, "i", 4]),
    ],
)
def test_values(evaluate: Any, source: str, expected: Any) -> None:
    value = evaluate(source, trigger=DATA, fetch={"a": 2}, item="i", index=4)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[x * 2 for x in input]", [2, 4, 6]),
        ("[x for x in input if x > 1 if x < 3]", [2]),
        ("[[x, y] for x in input if x < 3 for y in 'ab']", [[1, "a"], [1, "b"], [2, "a"], [2, "b"]]),
        ("[[y for y in input if y > x] for x in input]", [[2, 3], [3], []]),
        ("[x for x in [[x, 1] for x in input]]", [[1, 1], [2, 1], [3, 1]]),
        ("[x for x in input for x in [x, x * 10]]", [1, 10, 2, 20, 3, 30]),
        ("{k: v + 1 for k, v in items(trigger) if v}", {"a": 2}),
        ("[a + c for a, (b, c) in [[1, [2, 3]]]]", [4]),
        ("[k for k in trigger]", ["a"]),
        ("sum(x for x in input)", 6),
        ("any(x > 2 for x in input), input.all()", [True, True]),
        ("[input for input in 'ab']", ["a", "b"]),
        ("[f'{x}{trigger.a}' for x in input]", ["11", "21", "31"]),
        ("[nodes.fetch + x for x in input]", [101, 102, 103]),
        ("[x for x in []]", []),
        ("{x: [y for y in input if y < len(x)] for x in ['a', 'bcd']}", {"a": [], "bcd": [1, 2]}),
    ],
)
def test_comprehensions(evaluate: Any, source: str, expected: Any) -> None:
    assert evaluate(source, input=[1, 2, 3], trigger={"a": 1}, fetch=100) == expected


def test_a_key_is_never_a_function_and_a_call_never_a_key(evaluate: Any) -> None:
    value = {"items": [1], "upper": "x", "get": 3}
    assert evaluate("trigger.items", trigger=value) == [1]
    assert evaluate("trigger.upper.upper()", trigger=value) == "X"
    assert evaluate("trigger.keys()", trigger=value) == ["items", "upper", "get"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("get(trigger, 'a.b', 1)", 1),
        ("get(trigger.a.b, 'c', 1)", 1),
        ("get(trigger.list[9].x, 'c', 1)", 1),
        ("get(nodes.other, 'c', 1)", 1),
        ("get(nodes.other.body.x, 'c', 1)", 1),
        ("nodes.other.get('c', 1)", 1),
        ("nodes.other.get('c')", None),
        ("get(trigger.list, 'x.y', default=2)", 2),
        ("trigger.list.get('0.0', 5)", 5),
        ("trigger.list.get(0)", 7),
        ("get({'a.b': 1}, ['a.b'])", 1),
        ("[get(x, 'v', 0) for x in [{'v': 1}, {}, null]]", [1, 0, 0]),
    ],
)
def test_get_gives_its_default(evaluate: Any, source: str, expected: Any) -> None:
    assert evaluate(source, trigger={"list": [7]}) == expected


def test_only_get_takes_a_node_that_has_not_fired(evaluate: Any) -> None:
    for source in ("nodes.other", "default(nodes.other, 1)", "coalesce(nodes.other.a, 1)"):
        with pytest.raises(ExpressionFailed):
            evaluate(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("lambda x: x", "comprehension"),
        ("(x := 1)", ":="),
        ("[*input]", "spread"),
        ("{**input}", "merge_dicts"),
        ("upper(*input)", "spread"),
        ("pad(**input)", "spread"),
        ("{1, 2}", "set"),
        ("{x for x in input}", "set"),
        ("(x for x in input)", "brackets"),
        ("input is null", "== null"),
        ("input is not null", "!= null"),
        ("1 & 2", "bits"),
        ("~1", "bits"),
        ("1 << 2", "bits"),
        ("b'a'", "not in the language"),
        ("1j", "not in the language"),
        ("...", "not in the language"),
        ("1e999", "too large"),
        ("await x", ""),
        ("[x async for x in input]", ""),
        ("f'{input!r}'", "json_encode"),
        ("f'{input=}'", "json_encode"),
        ("input(1)", "no function"),
        ("input.foo.bar()", "no function"),
        ("(1)(2)", "Only functions"),
        ("upper", "is a function"),
        ("uper('a')", "Did you mean upper()?"),
        ("upper()", "needs its argument text"),
        ("upper('a', 'b', 'c')", "takes at most 1"),
        ("upper(txt='a')", "no argument named txt"),
        ("upper('a', text='b')", "twice"),
        ("[x for true in input]", "variable"),
        ("[x for x.a in input]", "variable"),
        ("x", "There is no “x” here"),
        ("nodes", "After nodes the id follows"),
        ("nodes[input].a", "cannot be computed"),
        ("nodes.nope", "There is no node “nope”"),
        ("loops.each", ".item and .index"),
        ("loops.each.foo", ".item and .index"),
        ("loops.no.item", "no loop “no”"),
        ("loops", "After loops"),
    ],
)
def test_what_is_refused_and_what_the_user_reads(place: Any, source: str, words: str) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(source, place, "p")
    assert words in caught.value.message


@pytest.mark.parametrize(
    "source", ["x", "nodes", "nodes[input]", "nodes.nope", "loops", "loops.each", "loops.no.item", "upper"]
)
def test_unknown_names_have_their_own_kind(place: Any, source: str) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(source, place, "p")
    assert caught.value.kind == "unknown_reference"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / trigger.zero", "division by zero"),
        ("1 % 0", "division by zero"),
        ("trigger.text + 1", "str("),
        ("1 + trigger.none", "between an integer and null"),
        ("'%s' % 1", 'f"'),
        ("trigger.text - 1", "between a text and an integer"),
        ("{'a': 1} + {}", "merge_dicts"),
        ("-trigger.text", "needs a number"),
        ("trigger.text < 1", "between a text and an integer"),
        ("[1] < ['a']", "different kinds"),
        ("1 in trigger.text", "only a text"),
        ("1 in 1", "nothing can be in"),
        ("10.0 ** 400", "too large"),
        ("(-8) ** 0.5", "no such root"),
        ("10 ** 5000", "too large"),
        ("f'{2 ** 14279 + 2 ** 14279}'", "4,300 digits"),
        ("{1: 2}", "keys of an object are text"),
        ("{x: 1 for x in [1]}", "keys of an object are text"),
        ("[x for x in 1]", "cannot go over"),
        ("[a for a, b in [1]]", "take apart"),
        ("trigger.text['a':]", "integers"),
        ("trigger.text[::0]", "cannot be 0"),
        ("trigger[1:]", "only a list or a text"),
        ("trigger[1]", "are text"),
        ("trigger.text[1.5]", "is an integer"),
        ("f'{trigger:>3}'", "only numbers and text"),
        ("f'{1:zz}'", "not a format"),
        ("f'{trigger.text:d}'", "does not fit"),
        ("f'{float(\"nan\")}'", "not finite"),
    ],
)
def test_failures_are_sentences_that_hold_the_expression(evaluate: Any, source: str, words: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(source, trigger={"text": "x", "none": None, "zero": 0})
    assert words in caught.value.message
    assert caught.value.message.startswith("`")


def test_a_failure_holds_the_text_of_the_part_that_failed(evaluate: Any) -> None:
    with pytest.raises(ExpressionFailed, match=r"^`trigger\.from\.amont`"):
        evaluate("1 + trigger.from.amont * 2", trigger={"from": {"amount": 1}})


def test_a_deep_value_is_a_failure_and_no_crash(evaluate: Any) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    other: Any = []
    for _ in range(100_000):
        other = [other]
    with pytest.raises(ExpressionFailed, match="nested too deep"):
        evaluate("trigger.a == trigger.b", trigger={"a": deep, "b": other})
    with pytest.raises(ExpressionFailed, match="nested too deep"):
        evaluate("json_encode(trigger)", trigger=deep)


def test_a_compiled_expression_can_be_evaluated_again_and_again(place: Any, node: Any) -> None:
    compiled = compile_expression("[x + len(input) for x in input]", place, "p")
    env = node({"input": [1]})
    assert compiled.evaluate(env) == [2]
    env.values["input"] = [1, 1]
    assert compiled.evaluate(env) == [3, 3]
    assert compiled.evaluate(node({"input": [5]})) == [6]
