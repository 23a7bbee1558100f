"""Operators do what Python's do on JSON values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowfuse.errors import ExpressionFailed
from flowfuse.expression import compile_expression

pytestmark = pytest.mark.slow

NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
SCALARS = st.none() | NUMBERS | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)
NAMES = {"trigger": "a", "input": "b", "item": "c"}

LEAVES = st.sampled_from(["trigger", "input", "item", "1", "-2", "3.5", "0", "true", "10", "2"])
ARITHMETIC = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("(-{})".format, inner),
    ),
    max_leaves=15,
)


def python(source: str, **values: Any) -> Any:
    """What Python makes of it; an error is the value `ExpressionFailed`."""
    try:
        return eval(source, {"true": True, "false": False, "null": None}, values)
    except (TypeError, ArithmeticError, ValueError):
        return ExpressionFailed


def ours(place: Any, node: Any, source: str, **values: Any) -> Any:
    try:
        return compile_expression(source, place, "p").evaluate(node(values))
    except ExpressionFailed:
        return ExpressionFailed


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or (a != a and b != b))


@settings(deadline=None, max_examples=300)
@given(ARITHMETIC, NUMBERS, NUMBERS, NUMBERS)
def test_arithmetic_is_pythons(place: Any, node: Any, source: str, a: Any, b: Any, c: Any) -> None:
    values = {"trigger": a, "input": b, "item": c}
    assert same(ours(place, node, source, **values), python(source, **values))
    inside = ours(place, node, f"[{source} for x in [1]]", **values)
    assert inside is ExpressionFailed or same(inside[0], python(source, **values))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["+", "<", "<=", ">", ">=", "==", "!=", "and", "or"]), JSON, JSON)
def test_operators_on_any_values_are_pythons(place: Any, node: Any, sign: str, a: Any, b: Any) -> None:
    source = f"trigger {sign} input"
    assert same(ours(place, node, source, trigger=a, input=b), python(source, trigger=a, input=b))


@settings(deadline=None)
@given(JSON, st.lists(JSON) | st.text())
def test_membership_is_pythons(place: Any, node: Any, a: Any, b: Any) -> None:
    for source in ("trigger in input", "trigger not in input"):
        assert same(ours(place, node, source, trigger=a, input=b), python(source, trigger=a, input=b))


@settings(deadline=None)
@given(SCALARS, JSON)
def test_a_constant_compares_as_a_value_does(place: Any, node: Any, a: Any, b: Any) -> None:
    for sign in ("==", "!=", "<", ">=", "in"):
        source = f"input {sign} {a!r}"
        assert same(
            ours(place, node, source, input=b), ours(place, node, f"input {sign} trigger", trigger=a, input=b)
        )


@settings(deadline=None)
@given(JSON, st.lists(st.sampled_from(["a", "b", 0, -1, 1]), max_size=3))
def test_reading_gives_what_is_there(place: Any, node: Any, value: Any, keys: list[Any]) -> None:
    source = "trigger" + "".join(f"[{key!r}]" for key in keys)
    expected = value
    for key in keys:
        try:
            expected = expected[key]
        except (KeyError, IndexError, TypeError):
            expected = ExpressionFailed
            break
    assert same(ours(place, node, source, trigger=value), expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("2**14000 > 0", True),
        ("2**-1", 0.5),
        ("0**0", 1),
        ("(-1)**100000000001", -1),
        ("True + True", 2),
        ("'a' * -1", ""),
        ("[] * 5", []),
        ("trigger * 3", "ababab"),
        ("3 * trigger", "ababab"),
        ("{} == {}", True),
        ("[1, [2]] == [1, [2]]", True),
        ("{'a': [1]} in [{'a': [1]}]", True),
        ("'b' in trigger and not 'c' in trigger", True),
        ("'x' in {'x': 1}", True),
    ],
)
def test_operators(evaluate: Any, source: str, expected: Any) -> None:
    value = evaluate(source, trigger="ab")
    assert value == expected
    assert type(value) is type(expected)
