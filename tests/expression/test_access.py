"""The sentences for what is not there."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.errors import ExpressionFailed


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "trigger.body.nmae",
            "`trigger.body.nmae`: there is no key “nmae”; the keys there are name, age. Did you mean “name”?",
        ),
        (
            "trigger['body']['zzz']",
            "`trigger['body']['zzz']`: there is no key “zzz”; the keys there are name, age.",
        ),
        ("trigger.empty.a", "`trigger.empty.a`: there is no key “a”; `trigger.empty` is an empty object."),
        ("trigger.none.a", "`trigger.none.a`: `trigger.none` is null, so it has no key “a”."),
        (
            "trigger.body.age.x",
            "`trigger.body.age.x`: `trigger.body.age` is an integer, so it has no key “x”.",
        ),
        (
            "trigger.list.x",
            "`trigger.list.x`: `trigger.list` is a list, not an object, so it has no key “x”.",
        ),
        ("trigger.list[3]", "`trigger.list[3]`: there is no index 3, since `trigger.list` has the length 2."),
        (
            "trigger.list[-3].a.b",
            "`trigger.list[-3]`: there is no index -3, since `trigger.list` has the length 2.",
        ),
        ("trigger.list[trigger.body.age]", "there is no index 36, since `trigger.list` has the length 2."),
        ("[x.b for x in [trigger.body]]", "`x.b`: there is no key “b”; the keys there are name, age."),
        ("[x.age.b for x in [trigger.body]]", "`x.age.b`: `x.age` is an integer, so it has no key “b”."),
        ("f'{trigger.body.nope}'", "`trigger.body.nope`: there is no key “nope”"),
    ],
)
def test_missing_keys_and_indexes(evaluate: Any, source: str, sentence: str) -> None:
    value = {"body": {"name": "Ada", "age": 36}, "empty": {}, "none": None, "list": [1, 2]}
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(source, trigger=value)
    assert sentence in caught.value.message


def test_at_most_twenty_keys_are_shown(evaluate: Any) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate("trigger.x", trigger={f"k{n}": n for n in range(1000)})
    assert "k19 and 980 more" in caught.value.message
    assert "k20" not in caught.value.message


def test_long_keys_and_labels_are_cut(evaluate: Any) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate("trigger['" + "a" * 5000 + "']", trigger={"b" * 10_000: 1})
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("value", [True, 1.5, None, 10**30])
def test_indexes_are_integers_within_the_length(evaluate: Any, value: Any) -> None:
    with pytest.raises(ExpressionFailed):
        evaluate("trigger[input]", trigger=[1, 2], input=value)
