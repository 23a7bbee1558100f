"""The text of an expression on its way to the parser."""

from __future__ import annotations

import keyword
from typing import Any

import pytest

from flowfuse.errors import ExpressionInvalid
from flowfuse.expression import compile_expression
from flowfuse.expression.source import expression_end


@pytest.mark.parametrize("word", keyword.kwlist)
def test_after_a_dot_every_keyword_is_a_key(evaluate: Any, word: str) -> None:
    value = {word: {word: 1}}
    assert evaluate(f"trigger.{word}.{word} + 1", trigger=value) == 2
    assert evaluate(f"trigger . {word}[{word!r}]", trigger=value) == 1
    assert evaluate(f'f"{{trigger.{word}.{word}}} .{word}"', trigger=value) == f"1 .{word}"
    assert evaluate(f"'trigger.{word}'") == f"trigger.{word}"


@pytest.mark.parametrize("word", ["true", "false", "null", "items", "upper", "nodes"])
def test_after_a_dot_names_of_the_language_are_keys(evaluate: Any, word: str) -> None:
    assert evaluate(f"trigger.{word}", trigger={word: 5}) == 5


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r"match('a1', '\d+').text", "1"),
        (r"'\d' + r'\d' + '\\d'", r"\d\d\d"),
        (r"'\x41\u00e9\n\''", "Aé\n'"),
        ("'''a'b'''", "a'b"),
        ("'{x.from}'", "{x.from}"),
        ("f'{{x.from}}'", "{x.from}"),
    ],
)
def test_strings(evaluate: Any, source: str, expected: str) -> None:
    assert evaluate(source) == expected


@pytest.mark.parametrize(
    ("source", "offset"),
    [
        ("1 + foo", 4),
        (r"'\d\d' + foo", 9),
        ("'é' + foo", 6),
        ("[1,\n 2, foo]", 8),
        ("trigger.from + foo", 15),
    ],
)
def test_a_problem_says_where_it_is(place: Any, source: str, offset: int) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(source, place, "p")
    assert caught.value.offset == offset
    assert source[offset:].startswith("foo")


@pytest.mark.parametrize(
    "source",
    [
        "(" * 10_000 + "1" + ")" * 10_000,
        "-" * 10_000 + "1",
        "not " * 3_000 + "1",
        "1" + "+1" * 5_000,
        "1" + "**1" * 4_000,
        "1 if 1 else " * 1_200 + "1",
        "f'" + "{" * 8_000,
        "[" * 190 + "]" * 190,
        "a" * 20_000,
        "upper(" * 180 + "'a'" + ")" * 180,
    ],
)
def test_depth_and_length_are_bounded(place: Any, source: str) -> None:
    with pytest.raises(ExpressionInvalid):
        compile_expression(source, place, "p")


def test_a_long_path_is_no_deep_nesting(evaluate: Any) -> None:
    value: Any = 1
    for _ in range(1000):
        value = {"a": [value]}
    assert evaluate("trigger" + ".a[0]" * 1000, trigger=value) == 1
    assert evaluate("(" * 150 + "1" + ")" * 150) == 1


@pytest.mark.parametrize(
    "source", ["", "  ", "1 +", "'a", "1 # one", "a b", "\0", "\ud800", "1;2", "x = 1", "import os"]
)
def test_what_cannot_be_read_is_invalid(place: Any, source: str) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(source, place, "p")
    assert caught.value.kind == "expression_syntax"


@pytest.mark.parametrize(
    ("text", "rest"),
    [(" a }} b", " b"), ("{'}}': 1}}} b", " b"), ("[{}]}}", ""), ('"\\"}}" }}c', "c"), ("(a }} b", " b")],
)
def test_the_end_of_an_expression(text: str, rest: str) -> None:
    end = expression_end(text, 0)
    assert text[end + 2 :] == rest
