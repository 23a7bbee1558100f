"""Config values with `{{ … }}` in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse.errors import ExpressionFailed
from flowfuse.expression import compile_value, has_expression

VALUES = [None, True, 5, 2.5, "text", [1, "é"], {"a": {"b": 1}}]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("field", ["{{ input }}", "{{input}}", "  {{ input }}\n"])
def test_one_expression_keeps_the_type(fill: Any, field: str, value: Any) -> None:
    given = fill(field, input=value)
    assert given == value
    assert type(given) is type(value)


@pytest.mark.parametrize("value", VALUES)
def test_in_text_strings_go_in_as_they_are_and_all_else_as_compact_json(fill: Any, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert fill("a {{ input }} b", input=value) == f"a {text} b"
    assert fill("{{ input }}{{ input }}", input=value) == text + text


def test_values_at_any_depth(fill: Any) -> None:
    value = {"a": ["{{ input }}", {"b": "x{{ input }}"}], "{{ input }}": 1, "c": None}
    assert fill(value, input=7) == {"a": [7, {"b": "x7"}], "{{ input }}": 1, "c": None}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('{{ {"a": {"b": 1}} }}', {"a": {"b": 1}}),
        ('{{ {"a": {"b": 1}}}}', {"a": {"b": 1}}),
        ('{{{"a": 1}}}', {"a": 1}),
        ('{{ "}}" }}', "}}"),
        ("{{ '{{' }} and {{ '}}' }}", "{{ and }}"),
        ('{{ "a\\"}}" }}', 'a"}}'),
        ("{{ f'{input}}}' }}", "1}"),
        ("{{ [x for x in [1, 2]\n   if x > input] }}", [2]),
        ("a }} b", "a }} b"),
        ("{ {{ 1 }} }", "{ 1 }"),
    ],
)
def test_an_expression_ends_at_the_first_braces_outside_brackets_and_quotes(
    fill: Any, field: str, expected: Any
) -> None:
    assert fill(field, input=1) == expected


def test_what_an_expression_gives_is_never_evaluated_again(fill: Any) -> None:
    assert fill("{{ input }}", input="{{ 1 + 1 }}") == "{{ 1 + 1 }}"
    assert fill("x{{ input }}", input="{{ 1 + 1 }}") == "x{{ 1 + 1 }}"


@pytest.mark.parametrize("field", ["{{ 1", "{{ (1 }", "{{ 'a }}", "a {{ [ "])
def test_braces_that_are_not_closed_are_a_problem(place: Any, field: str) -> None:
    _, problems = compile_value(field, place, "p")
    assert [(path, error.kind) for path, error in problems] == [("p", "expression_syntax")]
    assert "no matching" in problems[0][1].message


def test_all_problems_are_reported_with_the_path_of_their_field(place: Any, node: Any) -> None:
    value = {
        "a": "{{ foo }} {{ nope() }}",
        "b": [1, "{{ 1 + }}", {"c": "{{ bar + baz }}"}],
        "d": "{{ input }}",
    }
    compiled, problems = compile_value(value, place, "nodes.n.config")
    assert [(path, error.kind) for path, error in problems] == [
        ("nodes.n.config.a", "unknown_reference"),
        ("nodes.n.config.a", "unknown_function"),
        ("nodes.n.config.b[1]", "expression_syntax"),
        ("nodes.n.config.b[2].c", "unknown_reference"),
        ("nodes.n.config.b[2].c", "unknown_reference"),
    ]
    with pytest.raises(ExpressionFailed):
        compiled.evaluate(node({"input": 1}))


def test_what_a_value_refers_to(place: Any) -> None:
    value = ["{{ trigger.a + nodes.fetch.b }}", "{{ [loops.each.item for x in nodes['fetch']] }}"]
    compiled, _ = compile_value(value, place, "p")
    assert sorted(set(compiled.references)) == [("loop", "each"), ("name", "trigger"), ("node", "fetch")]


@pytest.mark.parametrize(
    ("value", "constant", "prefix"),
    [
        ("http://a/", True, "http://a/"),
        ("http://a/{{ input }}/b", False, "http://a/"),
        ("{{ input }}/b", False, ""),
        (" {{ input }} ", False, ""),
        ({"a": [1]}, True, ""),
        (5, True, ""),
        ("{{ 1 }}", False, ""),
    ],
)
def test_constants_and_literal_prefixes(place: Any, value: Any, constant: bool, prefix: str) -> None:
    compiled, problems = compile_value(value, place, "p")
    assert (problems, compiled.constant, compiled.literal_prefix) == ([], constant, prefix)


def test_a_value_nested_without_end_is_a_problem(place: Any) -> None:
    value: Any = "{{ 1 }}"
    for _ in range(5000):
        value = [value]
    _, problems = compile_value(value, place, "p")
    assert "nested too deep" in problems[0][1].message


def test_has_expression() -> None:
    assert has_expression("a {{ b }}")
    assert not has_expression("a { b }")


LITERAL = st.text().filter(lambda text: "{" not in text)


@given(st.lists(st.tuples(LITERAL, st.text()), min_size=1), LITERAL)
def test_a_text_template_puts_its_parts_together(fill: Any, parts: list[tuple[str, str]], last: str) -> None:
    field = "".join(f"{literal}{{{{ input[{n}] }}}}" for n, (literal, _) in enumerate(parts)) + last
    expected = "".join(literal + text for literal, text in parts) + last
    only = len(parts) == 1 and not (parts[0][0] + last).strip()
    assert fill(field, input=[text for _, text in parts]) == (parts[0][1] if only else expected)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_a_value_without_braces_stays_as_it_is(place: Any, node: Any, value: Any) -> None:
    compiled, problems = compile_value(value, place, "p")
    if "{{" not in json.dumps(value):
        assert problems == []
        assert compiled.constant
        assert compiled.evaluate(node({})) == value
