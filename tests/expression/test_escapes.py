"""Nothing of Python is reachable, and nothing but the language's own errors comes out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowfuse.errors import ExpressionFailed, ExpressionInvalid
from flowfuse.expression import Heavy, compile_expression, compile_value, library

ESCAPES = [
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1]",
    "[].__class__",
    "{}.__class__.__base__",
    "(1).__class__",
    "upper.__globals__",
    "upper.__code__.co_code",
    "trigger.__class__",
    "trigger.__init__.__globals__",
    "trigger['__class__']",
    "trigger.get('__class__').x",
    "get(trigger, '__class__.__mro__').x",
    "'{0.__class__}'.format(trigger)",
    "format('{0.__class__}', trigger)",
    "format(trigger, '{0.__class__}')",
    "'{x.__class__}'.format(x=trigger)",
    "'%(x)s' % {'x': 1}",
    "f'{trigger!r:{input}}'",
    "f'{trigger.__class__}'",
    "f'{().__class__}'",
    "__import__('os').system('id')",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd')",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "getattr(trigger, 'x')",
    "setattr(trigger, 'x', 1)",
    "type(trigger).__subclasses__()",
    "type('X', [], {})",
    "input('x')",
    "breakpoint()",
    "exit()",
    "print(1)",
    "[x.gi_frame for x in (y for y in [1])]",
    "(lambda: 1).__globals__",
    "[].append(1)",
    "trigger.update({'a': 1})",
    "trigger.pop('a')",
    "input.sort()",
    "'a'.encode()",
    "'a'.format_map({})",
    "'a'.join.__self__",
    "(1).real",
    "(1).to_bytes(2, 'big')",
    "1.5.hex()",
    "__builtins__",
    "__name__",
    "env",
    "self",
    "meter",
    "nodes.__class__",
    "nodes['__class__']",
    "loops.__class__.item",
    "map(upper, input)",
    "sort_by(input, upper)",
    "ｏｐｅｎ('x')",
    "trigger.＿＿class＿＿",
    "sorted(input, key=upper)",
    "match('a', '(?{code})')",
    "json_decode('NaN')",
    "date('__class__')",
    "to_timezone(now(), '../../../etc/passwd')",
    "to_timezone(now(), '/etc/passwd')",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_escapes_are_refused(evaluate: Any, source: str) -> None:
    with pytest.raises((ExpressionInvalid, ExpressionFailed)):
        evaluate(source, trigger={"a": 1}, input=[2, 1])


def test_a_key_that_looks_like_an_attribute_is_a_key(evaluate: Any) -> None:
    value = {"__class__": {"__mro__": 5}}
    assert evaluate("trigger.__class__.__mro__", trigger=value) == 5
    assert evaluate("get(trigger, '__class__.__mro__')", trigger=value) == 5


def test_values_that_come_in_are_not_changed(evaluate: Any) -> None:
    value = {"b": [3, 1], "a": {"x": 1}}
    for source in (
        "sorted(trigger.b)",
        "merge_dicts(trigger, {'c': 1})",
        "reversed(trigger.b)",
        "trigger.b + [1]",
    ):
        evaluate(source, trigger=value)
    evaluate("[flatten([trigger.b]), sort_by([trigger], 'a.x'), omit(trigger, 'b')]", trigger=value)
    assert value == {"b": [3, 1], "a": {"x": 1}}


ATOMS = st.sampled_from(
    [
        *(
            "trigger",
            "input",
            "item",
            "nodes.fetch",
            "nodes.other",
            "loops.each.item",
            "trigger.a",
            "trigger.l[0]",
        ),
        *(
            "1",
            "0",
            "-1",
            "2.5",
            "1e308",
            "9**99",
            "true",
            "null",
            "'a'",
            "'é'",
            "''",
            "'%s'",
            "'a.b'",
            "'(a+)+'",
        ),
        *(
            "[]",
            "{}",
            "[1, 2]",
            "{'a': 1}",
            "x",
            "y",
            "'2026-01-01'",
            "'Europe/Berlin'",
            "'day'",
            "float('nan')",
        ),
    ]
)
OPERATORS = st.sampled_from(
    [
        *("+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", ">="),
        *(" in ", " not in ", " and ", " or ", " is "),
    ]
)
NAMES = st.sampled_from([function.name for function in library()])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arguments = st.lists(inner, max_size=3).map(", ".join)
    return st.one_of(
        st.tuples(inner, OPERATORS, inner).map("".join),
        st.builds("({}) if ({}) else ({})".format, inner, inner, inner),
        st.builds("{}({})".format, NAMES, arguments),
        st.builds("({}).{}({})".format, inner, NAMES, arguments),
        st.builds("[{} for x in {} if {}]".format, inner, inner, inner),
        st.builds("{{{}: {} for x, y in {}}}".format, inner, inner, inner),
        st.builds("({})[{}:{}]".format, inner, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("f'{{{}}}'".format, inner),
    )


VALUES = {
    "trigger": {"a": 1, "b": "text", "l": [1, "x", None]},
    "input": [1, "a", {"k": []}, None],
    "item": 3,
    "index": 0,
    "fetch": {"a": 2},
}
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)


def check_harmless(source: str, place: Any, env: Any) -> None:
    try:
        value = compile_expression(source, place, "p").evaluate(env)
    except (ExpressionInvalid, ExpressionFailed) as error:
        str(error)
    except Heavy:
        assert env.inline
    else:
        assert value is None or type(value) in (bool, int, float, str, list, dict)


@RELAXED
@given(st.recursive(ATOMS, larger, max_leaves=12), st.booleans())
def test_any_expression_gives_a_value_or_a_sentence(place: Any, node: Any, source: str, inline: bool) -> None:
    check_harmless(source, place, node(VALUES, inline=inline))


PIECES = st.sampled_from(
    [*"()[]{}'\"\\.,:;#=+-*/%<>!@ \n\tf0é\0\ud800`~^&|?$", "trigger", "for", "in", "}}", "{{"]
)


@RELAXED
@given(st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join))
def test_any_text_gives_a_value_or_a_sentence(place: Any, node: Any, source: str) -> None:
    check_harmless(source, place, node(VALUES))
    compiled, problems = compile_value(f"a {{{{ {source} }}}} b", place, "p")
    if problems:
        with pytest.raises(ExpressionFailed):
            compiled.evaluate(node(VALUES))
