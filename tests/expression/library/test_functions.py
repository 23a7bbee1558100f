"""The library's functions beyond their examples."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse.errors import ExpressionFailed
from flowfuse.expression import compile_value

ROWS = [{"n": "b", "v": 2, "in": {"x": 1}}, {"n": "a", "v": 10}, {"n": None, "v": 2}]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sort_by(input, 'n')[0].n", "a"),
        ("[x.n for x in sort_by(input, 'n', descending=true)]", ["b", "a", None]),
        ("[x.v for x in sort_by(input, 'in.x')]", [2, 10, 2]),
        ("keys(group_by(input, 'n'))", ["b", "a", "null"]),
        ("count_by(input, 'v')", {"2": 2, "10": 1}),
        ("unique(input, 'v').len()", 2),
        ("unique([1, true, 1.0, '1', [1], [1], {'a': 1}, {'a': 1}])", [1, True, "1", [1], {"a": 1}]),
        ("where(input, 'v', equals=2).len()", 2),
        ("where(input, 'n').len()", 2),
        ("sum([x.v for x in input])", 14),
        ("min(['b', 'a'])", "a"),
        ("max(1, 2.5, true)", 2.5),
        ("sorted('bca')", ["a", "b", "c"]),
        ("sorted([[2, 1], [1, 9]])", [[1, 9], [2, 1]]),
        ("reversed('abc')", "cba"),
        ("range(3), range(5, 0, -2), range(3, 3)", [[0, 1, 2], [5, 3, 1], []]),
        ("flatten([[1, [2, [3]]]], depth=2)", [1, 2, [3]]),
        ("flatten([[1, [2, [3]]]], depth=99)", [1, 2, 3]),
        ("first([]), last('', default=1), first('ab')", [None, 1, "a"]),
        ("join([1, true, null, 'x', [1]], '-')", "1-true-null-x-[1]"),
        ("zip(), zip([1]), zip([1, 2], [3])", [[], [[1]], [[1, 3]]]),
        ("any([]), all([])", [False, True]),
        ("pick({'a': 1}, ['a', 'b']), omit({'a': 1, 'b': 2}, ['a'])", [{"a": 1}, {"b": 2}]),
        ("merge_dicts()", {}),
        ("int('  7 '), int(7.9), int(true), int('ff', 16)", [7, 7, 1, 255]),
        (
            "float('1e3'), float(2), round(2.5), round(-1.25, 1), round(1234, -2)",
            [1000.0, 2.0, 2, -1.2, 1200],
        ),
        ("str('a'), str(1.50), str(true), str(null), str([1, 'é'])", ["a", "1.5", "true", "null", '[1,"é"]']),
        (
            "[type(x) for x in [null, true, 1, 1.5, '', [], {}]]",
            ["null", "boolean", "integer", "number", "text", "list", "object"],
        ),
        ("[is_empty(x) for x in [null, '', [], {}, 0, false, 'a']]", [True] * 4 + [False] * 3),
        ("default(null, 1), default(0, 1), coalesce(null, null)", [1, 0, None]),
        ("split(' a  b '), split('a,b,c', ',', limit=1)", [["a", "b"], ["a", "b,c"]]),
        ("replace('aaa', 'a', 'b', count=2)", "bba"),
        ("replace('2026-11-23', '(\\d+)-(\\d+)-(\\d+)', '\\\\3.\\\\2.\\\\1', regex=true)", "23.11.2026"),
        ("replace('a1b2', '[0-9]', '', regex=true, count=1)", "ab2"),
        ("strip('--a--', '-'), contains([1], 1), contains({'a': 1}, 'a')", ["a", True, True]),
        ("truncate('abc', 3), truncate('abcd', 3), truncate('abcd', 0)", ["abc", "ab…", ""]),
        ("pad(5, 3, '0', 'left'), pad('a', 3, side='both'), pad('abc', 1)", ["005", " a ", "abc"]),
        ("match('abc', 'x')", None),
        ("match('ab', '(a)(x)?').groups", ["a", None]),
        ("find_all('a1b2', '([a-z])([0-9])')", [["a", "1"], ["b", "2"]]),
        ("find_all('ab', '')", ["", "", ""]),
        ("format(0.256, '.1%'), format('a', '>3'), format(255, 'x')", ["25.6%", "  a", "ff"]),
        ("json_encode({'a': 1}, indent=2)", '{\n  "a": 1\n}'),
        ("json_decode('[1, {\"a\": null}]')", [1, {"a": None}]),
        ("base64_encode('a?b>', urlsafe=true), base64_decode('YT9iPg')", ["YT9iPg==", "a?b>"]),
        ("url_encode('a/b', safe='/'), url_decode('%C3%A9+')", ["a/b", "é+"]),
        ("query_encode({'a': null, 'b': true, 'c': [1, 'x y']})", "b=true&c=1&c=x+y"),
        ("hmac_sha256('a', 'b', encoding='base64').len()", 44),
        ("slug('Straße Nr. 5'), slug('Ünïcödé', '_'), slug('!')", ["strasse-nr-5", "unicode", ""]),
    ],
)
def test_functions(evaluate: Any, source: str, expected: Any) -> None:
    assert evaluate(source, input=ROWS) == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("sorted([1, 'a'])", "cannot be put in order"),
        ("min([])", "empty list has no min"),
        ("sum(['a'])", "a number is needed, not a text"),
        ("len(5)", "has no length"),
        ("upper(5)", "a text is needed, not an integer"),
        ("[upper(x) for x in [5]]", "a text is needed, not an integer"),
        ("join(', ', ['a'])", "the list comes first"),
        ("int('x')", "is not an integer"),
        ("float('x')", "is not a number"),
        ("int('9' * 5000)", "too long"),
        ("int(float('inf'))", "too large"),
        ("round(1, 10**9)", "count of digits"),
        ("range(1, 2, 0)", "cannot be 0"),
        ("chunk([1], 0)", "at least 1"),
        ("split('a', '')", "separator is empty"),
        ("match('a', '(')", "cannot be read"),
        ("match('a', '(' * 900)", "`"),
        ("match('a', 'a' * 2000)", "too long"),
        ("replace('a', 'a', '\\\\9', regex=true)", "does not have"),
        ("json_decode('{')", "not JSON"),
        ("json_decode('[Infinity]')", "not a JSON number"),
        ("json_decode('9' * 5000)", "too many digits"),
        ("json_decode('[' * 100000)", "too deep"),
        ("base64_decode('ä')", "not base64"),
        ("base64_decode('/w==')", "not text"),
        ("sha256('\\ud800')", "cannot be encoded"),
        ("sha256('a', 'utf')", "one of hex, base64"),
        ("random_int(2, 1)", "below"),
        ("random_int(0, 2**200)", "too far apart"),
        ("pick({}, 1)", "keys of an object are text"),
        ("get({}, 1.5)", "key path"),
        ("format(true, 'd')", "only numbers and text"),
        ("format(1, '10**9')", "not a format"),
        ("pad('a', 3, 'xy')", "one character"),
    ],
)
def test_what_functions_refuse(evaluate: Any, source: str, words: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(source)
    assert words in caught.value.message


def test_random_values_stay_the_same_and_differ_by_call_field_and_expression(place: Any, node: Any) -> None:
    value = {"a": "{{ [uuid(), uuid()] }}", "b": "{{ uuid() }}", "c": "{{ uuid() }} {{ uuid() }}"}
    compiled, _ = compile_value(value, place, "nodes.n.config")
    env = node({})
    given = compiled.evaluate(env)
    assert compiled.evaluate(env) == compiled.evaluate(node({})) == given
    texts = [*given["a"], given["b"], *given["c"].split()]
    assert len(set(texts)) == 5
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) for text in texts)
    assert all(text[14] == "4" and text[19] in "89ab" for text in texts)


def test_random_integers_reach_both_ends(evaluate: Any) -> None:
    drawn = evaluate("[random_int(1, 3) for x in range(200)]")
    assert set(drawn) == {1, 2, 3}
    assert evaluate("random_int(5, 5)") == 5


@given(st.text(), st.text(min_size=1), st.text())
def test_text_functions_are_pythons(evaluate: Any, text: str, part: str, put: str) -> None:
    values = {"trigger": text, "input": part, "item": put}
    assert evaluate("replace(trigger, input, item)", **values) == text.replace(part, put)
    assert evaluate("split(trigger, input)", **values) == text.split(part)
    assert evaluate("[upper(trigger), trigger.lower().strip()]", **values) == [
        text.upper(),
        text.lower().strip(),
    ]
    assert evaluate("[startswith(trigger, input), input in trigger]", **values) == [
        text.startswith(part),
        part in text,
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_comes_back(evaluate: Any, value: Any) -> None:
    assert evaluate("json_decode(json_encode(input))", input=value) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_codecs_come_back(evaluate: Any, text: str) -> None:
    assert evaluate("base64_decode(base64_encode(input))", input=text) == text
    assert evaluate("url_decode(url_encode(input))", input=text) == text
