"""Every kind of mistake in a document, with its place and code; many at once; and none where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.engine.drafts import all_problems
from flowfuse.engine.validation import ValidationEngine
from tests.support.simulation import CATALOGUE

GO = {"id": "go", "type": "trigger.manual"}


def set_(id: str, **config: Any) -> dict[str, Any]:
    return {"id": id, "type": "transform.set", "config": {"fields": config}}


def each(id: str, **config: Any) -> dict[str, Any]:
    return {"id": id, "type": "loop.for_each", "config": {"items": "{{ [1] }}", **config}}


def document(*nodes: dict[str, Any], edges: str = "", **more: Any) -> dict[str, Any]:
    """`edges` as "a>b c.true>d"."""
    pairs = [edge.split(">") for edge in edges.split()]
    return {"nodes": list(nodes), "edges": [{"from": a, "to": b} for a, b in pairs], **more}


def found(raw: Any) -> list[tuple[str, str, str]]:
    problems = all_problems(raw, ValidationEngine(CATALOGUE))
    return sorted((problem.path, problem.code, problem.severity) for problem in problems)


def bad(node: dict[str, Any], **more: Any) -> dict[str, Any]:
    return document(GO, {**node, **more}, edges="go>" + node["id"])


CASES: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "unknown type": (bad({"id": "a", "type": "action.shout"}), [("nodes.a.type", "unknown_type")]),
    "unknown version": (bad(set_("a"), version=9), [("nodes.a.version", "unknown_version")]),
    "missing config": (bad({"id": "a", "type": "transform.set"}), [("nodes.a.config.fields", "missing")]),
    "wrong config": (
        bad({"id": "a", "type": "loop.for_each", "config": {"items": [], "concurrency": "two"}}),
        [("nodes.a.config.concurrency", "wrong_type")],
    ),
    "no span": (
        bad({"id": "a", "type": "action.wait", "config": {"seconds": "soon"}}),
        [("nodes.a.config.seconds", "config")],
    ),
    "no moment": (
        bad({"id": "a", "type": "action.wait", "config": {"until": "Tuesday"}}),
        [("nodes.a.config.until", "config")],
    ),
    "unknown config": (
        bad({"id": "a", "type": "transform.set", "config": {"fields": {}, "feilds": 1}}),
        [("nodes.a.config.feilds", "unknown_field")],
    ),
    "unknown field": (bad(set_("a"), colour="red"), [("nodes.a.colour", "unknown_field")]),
    "unknown setting": (document(GO, settings={"zone": 1}), [("settings.zone", "unknown_field")]),
    "unknown timezone": (
        document(GO, settings={"timezone": "Mars/Base"}),
        [("settings.timezone", "unknown_timezone")],
    ),
    "nothing that is sensitive": (
        document(GO, settings={"sensitive": ["nodes.gone.card"]}),
        [("settings.sensitive[0]", "unknown_path")],
    ),
    "no source": (document(GO, set_("a"), edges="go>a x>a"), [("edges[1].from", "dangling_edge")]),
    "no target": (document(GO, set_("a"), edges="go>a a>x"), [("edges[1].to", "dangling_edge")]),
    "no source, no target": (
        document(GO, edges="x>y"),
        [("edges[0].from", "dangling_edge"), ("edges[0].to", "dangling_edge")],
    ),
    "no port, no target": (
        document(GO, edges="go.out>y"),
        [("edges[0].from", "unknown_port"), ("edges[0].to", "dangling_edge")],
    ),
    "no port, into a trigger": (
        document(GO, set_("a"), edges="go>a a.out>go"),
        [("edges[1].from", "unknown_port"), ("edges[1].to", "trigger_input")],
    ),
    "an error's port that is not asked for": (
        document(GO, set_("a"), set_("b"), edges="go>a go>b a.error>b"),
        [("edges[2].from", "unknown_port")],
    ),
    "into a trigger": (document(GO, set_("a"), edges="go>a a>go"), [("edges[1].to", "trigger_input")]),
    "twice": (document(GO, set_("a"), edges="go>a go>a"), [("edges[1]", "duplicate_edge")]),
    "a circle": (document(GO, set_("a"), set_("b"), edges="go>a a>b b>a"), [("nodes.a", "cycle")]),
    "a node before itself": (document(GO, set_("a"), edges="go>a a>a"), [("nodes.a", "cycle")]),
    "out of a body": (
        document(GO, each("l"), set_("in"), set_("out"), edges="go>l l.item>in in>out l.done>out"),
        [("edges[2]", "leak")],
    ),
    "out of an inner body": (
        document(
            GO, each("l"), each("m"), set_("in"), set_("after"),
            edges="go>l l.item>m m.item>in in>after m.done>after",
        ),
        [("edges[3]", "leak")],
    ),
    "no trigger": (document(set_("a")), [("nodes", "no_trigger")]),
    "no trigger that is on": (
        document({**GO, "disabled": True}, set_("a"), edges="go>a"),
        [("nodes", "no_trigger")],
    ),
    "syntax": (bad(set_("a", x="{{ 1 + }}")), [("nodes.a.config.fields.x", "expression_syntax")]),
    "unknown function": (
        bad(set_("a", x="{{ shout(1) }}")),
        [("nodes.a.config.fields.x", "unknown_function")],
    ),
    "a node that is not there": (
        bad(set_("a", x="{{ nodes.gone }}")),
        [("nodes.a.config.fields.x", "unknown_reference")],
    ),
    "what comes later": (
        document(GO, set_("a", x="{{ nodes.b }}"), set_("b"), edges="go>a a>b"),
        [("nodes.a.config.fields.x", "unknown_reference")],
    ),
    "what goes another way": (
        document(GO, set_("a"), set_("b", x="{{ nodes.a }}"), edges="go>a go>b"),
        [("nodes.b.config.fields.x", "unknown_reference")],
    ),
    "an expression where none is taken": (
        bad({"id": "a", "type": "transform.aggregate", "config": {"items": [], "operations": {"n": {"op": "{{ 1 }}"}}}}),
        [("nodes.a.config.operations.n.op", "wrong_type")],
    ),
    "on an error, no way on": (
        bad({"id": "a", "type": "condition.if", "config": {"condition": "{{ true }}"}}, on_error="continue"),
        [("nodes.a.on_error", "no_main_port")],
    ),
    "a loop again": (bad(each("a"), retry={"attempts": 2}), [("nodes.a.retry", "retry_on_loop")]),
    "no time": (bad(set_("a"), timeout=0), [("nodes.a.timeout", "wrong_type")]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_mistake(name: str) -> None:
    raw, wanted = CASES[name]
    assert [(path, code) for path, code, severity in found(raw) if severity == "error"] == wanted


def test_all_mistakes_are_told_of_at_once() -> None:
    raw = document(
        GO, {"id": "a", "type": "action.shout"}, set_("b", x="{{ 1 + }}", y="{{ nodes.gone }}"),
        {"id": "c", "type": "transform.set", "version": 9}, {"id": "d", "type": "transform.set"},
        {**set_("e"), "colour": 1}, set_("f"),
        edges="go>a b>c c>b go.out>nowhere go>e",
        settings={"timezone": "Mars/Base"},
    )  # fmt: skip
    assert [path for path, _, severity in found(raw) if severity == "error"] == [
        "edges[3].from", "edges[3].to", "nodes.a.type", "nodes.b", "nodes.b.config.fields.x",
        "nodes.b.config.fields.y", "nodes.c.version", "nodes.d.config.fields", "nodes.e.colour",
        "settings.timezone",
    ]  # fmt: skip
    assert [path for path, _, severity in found(raw) if severity == "warning"] == [
        "nodes.b", "nodes.c", "nodes.d", "nodes.f",
    ]  # fmt: skip


def test_what_nothing_leads_to_is_a_warning() -> None:
    assert found(document(GO, set_("a"))) == [("nodes.a", "unreachable", "warning")]


def test_a_document_without_a_mistake() -> None:
    raw = document(
        GO, each("l"), each("m"), set_("in", n="{{ item }}"), set_("out", n="{{ nodes.go }}", m="{{ nodes.l }}"),
        {"id": "if", "type": "condition.if", "config": {"condition": "{{ input.n > 1 }}"}, "on_error": "route"},
        set_("yes"), set_("no"),
        edges="go>l l.item>m m.item>in l.done>out out>if if.true>yes if.false>no if.error>no",
    )  # fmt: skip
    assert found(raw) == []
