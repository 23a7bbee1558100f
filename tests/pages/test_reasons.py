"""What a checker finds is said in the reader's language, with the names that it is about."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.engine.drafts import all_problems
from flowfuse.engine.validation import ValidationEngine
from flowfuse.node import Catalogue
from flowfuse.pages.reasons import PARTS, REASONS, reason


def node(id: str, type: str, **config: Any) -> dict[str, Any]:
    return {"id": id, "type": type, "config": config}


GO = {"id": "go", "type": "trigger.manual"}
WRONG: dict[str, dict[str, Any]] = {
    "types": {"nodes": [GO, node("a", "action.logg"), {"id": "b", "type": "action.log", "version": 99}]},
    "edges": {
        "nodes": [GO, node("a", "action.log", message="x"), node("b", "action.log", message="x")],
        "edges": [
            {"from": "go", "to": "a"}, {"from": "go", "to": "a"}, {"from": "a", "to": "go"},
            {"from": "a.other", "to": "b"}, {"from": "zz", "to": "b"}, {"from": "a.error", "to": "yy"},
        ],
    },
    "circle": {
        "nodes": [GO, node("a", "action.log", message="x"), node("b", "action.log", message="x")],
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}],
    },
    "leak": {
        "nodes": [GO, node("each", "loop.for_each", items=[]), node("a", "action.log", message="x"),
                  node("b", "action.log", message="x")],
        "edges": [{"from": "go", "to": "each"}, {"from": "each.item", "to": "a"}, {"from": "a", "to": "b"},
                  {"from": "each.done", "to": "b"}],
    },
    "no trigger": {"nodes": [node("a", "action.log", message="x")]},
    "all off": {"nodes": [{**GO, "disabled": True}, node("a", "action.log", message="x")]},
    "config": {
        "nodes": [GO, node("a", "action.log", massage="x"), node("b", "action.http_request", method=1, url=2),
                  node("c", "loop.for_each", items=[], concurrency=-4), node("d", "action.log")],
    },
    "settings": {
        "nodes": [{**GO, "timeout": 0}],
        "settings": {"timezone": "Mars/Base", "sensitive": ["nowhere.x"], "priority": 1000, "overlap": "no"},
    },
    "expressions": {
        "nodes": [
            GO, node("a", "action.log", message="{{ a }}"), node("b", "action.log", message="{{ nodes.a }}"),
            node("c", "action.log", message="{{ item }}"), node("d", "action.log", message="{{ upperr(1) }}"),
            node("e", "action.log", message="{{ 1 + }}"), node("f", "action.log", message="{{ loops.x.item }}"),
            node("g", "action.log", message="{{ nodes.zzz }}"), node("h", "action.log", message="{{ nodes.h }}"),
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_every_problem_of_a_draft_is_said_in_german(name: str, catalogue: Catalogue) -> None:
    found = all_problems({"edges": [], **WRONG[name]}, ValidationEngine(catalogue))
    assert found
    said = {problem.message: reason("de", problem.message) for problem in found}
    assert [english for english, german in said.items() if english == german] == []
    assert all(reason("en", english) == english for english in said)


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("There is no node “a {b} “c””", "Es gibt keinen Knoten „a {b} “c”“"),
        ("Expected a whole number from 1 to 9, got a list",
         "Erwartet wird eine ganze Zahl von 1 bis 9, hier steht eine Liste"),
        ("`input.x`: there is no key “x”; the keys there are y, z.",
         "`input.x`: es gibt keinen Schlüssel „x“; es gibt y, z."),
        ("`input`: `input` is a text, so it has no key “a”.",
         "`input`: `input` ist ein Text, hat also nichts namens Schlüssel „a“."),
        ("something that nobody has foreseen", "something that nobody has foreseen"),
        ("", ""),
    ],
)  # fmt: skip
def test_names_and_values_stay_as_they_are(english: str, german: str) -> None:
    assert reason("de", english) == german


def test_a_narrower_sentence_stands_before_the_wider_one() -> None:
    """Else the wider one would take it, with half a sentence as a name."""
    for sentence in (*REASONS, *PARTS):
        assert reason("de", sentence) != sentence or sentence in ("null", "`{code}`: {_why}"), sentence
