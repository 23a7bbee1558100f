"""Documents: YAML and JSON without loss, an export that keeps still, old files that go on loading."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse import document
from flowfuse.errors import WorkflowInvalid
from flowfuse.model import FORMAT, Workflow

KEPT = Path(__file__).parent / "documents"

NASTY = [
    "", " ", "on", "off", "y", "n", "yes", "no", "true", "True", "null", "~", "12:30", "1:2:3", "2026-11-23",
    "2026-11-23T10:00:00Z", "1e3", "0x1F", "0o17", "0b1", "1_000", ".5", "5.", "+1", "-", "--- x", "...", "? x", ": x",
    "a: b", "a #b", "#", "<<", "=", "!tag", "&a", "*a", "|", ">", "%x", "@x", "`x", "{{ x }}", "[x", "'", '"', "\\n",
    "a\n", "a\n\n", "\na", " a\nb", "a \nb", "a\tb", "\t", "a\r\nb", "\r", "\x00", "\x07", "\x1b", "\x7f", "\x85",
    "\xa0", "\u2028a", "a\u2029b\nc", "\ufeff", "\ufffe", "é", "日本", "😀", "a\n😀", "\ue000", "x" * 300, "a\n\n\nb",
    "key: |\n  text\n", "Infinity", "NaN", ".inf", ".nan",
]  # fmt: skip

texts = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
ids = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
durations = st.sampled_from([0.5, 3, "15m", "1h30m", "2d"])


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    names = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    nodes = [draw(node(name)) for name in names]
    edges = draw(
        st.lists(
            st.builds(lambda a, b: {"from": a, "to": b}, st.sampled_from(names), st.sampled_from(names)),
            max_size=4,
        )
    )
    settings = draw(
        st.fixed_dictionaries(
            {}, optional={"variables": st.dictionaries(texts, values, max_size=3), "timeout": durations,
                          "sensitive": st.lists(texts, max_size=2), "priority": st.integers(-100, 100)},
        )
    )  # fmt: skip
    plain = {"name": draw(texts), "description": draw(texts), "tags": draw(st.lists(texts, max_size=3))}
    return document.from_raw({"nodes": nodes, "edges": edges, "settings": settings, **plain})


@st.composite
def node(draw: st.DrawFn, name: str) -> dict[str, Any]:
    optional = {
        "name": texts,
        "notes": texts,
        "config": st.dictionaries(texts, values, max_size=4),
        "pinned": values,
        "timeout": durations,
        "credential": texts,
        "disabled": st.booleans(),
        "position": st.fixed_dictionaries({"x": numbers.map(float), "y": numbers.map(float)}),
        "retry": st.fixed_dictionaries({}, optional={"attempts": st.integers(1, 100), "max": durations}),
    }
    return {"id": name, "type": draw(texts), **draw(st.fixed_dictionaries({}, optional=optional))}


@pytest.mark.slow
@given(workflows())
def test_nothing_is_lost_between_yaml_and_json(workflow: Workflow) -> None:
    text = document.to_yaml(workflow)
    again = document.read(text, yaml=True)
    plain = document.to_json(workflow)
    assert document.to_json(again) == plain
    assert document.to_json(document.read(plain)) == plain
    assert document.to_json(document.read(text)) == plain
    assert document.to_yaml(again) == text


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_as_value_and_key(text: str) -> None:
    raw = {"nodes": [{"id": "a", "type": "t", "config": {text: text, "in": [text]}}], "edges": []}
    workflow = document.from_raw(raw)
    assert document.read(document.to_yaml(workflow), yaml=True) == workflow


@pytest.mark.parametrize("text", [t for t in NASTY if t.isprintable() and t.strip() == t and t])
def test_the_core_schema_reads_as_it_says(text: str) -> None:
    """A plain scalar is a number, a truth or null by YAML 1.2's core schema, and text in all other cases."""
    core: dict[str, Any] = {
        "true": True, "True": True, "null": None, "~": None, "1e3": 1000.0, "0x1F": 31, "0o17": 15,
        ".5": 0.5, "5.": 5.0, "+1": 1,
    }  # fmt: skip
    refused = (".inf", ".nan")
    source = f"nodes:\n- {{id: a, type: t}}\nedges: []\nsettings:\n  variables:\n    v: {text}\n"
    try:
        value = document.read(source, yaml=True).settings.variables["v"]
    except WorkflowInvalid as error:
        indicators = (
            "!",
            "&",
            "*",
            "|",
            ">",
            "%",
            "@",
            "`",
            "[",
            "'",
            '"',
            "{{",
            "? ",
            ": ",
            "- ",
            "a: b",
            "-",
        )
        assert text in refused or text.startswith(indicators), error.problems
        return
    if text in core:
        assert (value, type(value)) == (core[text], type(core[text]))
    elif not text.startswith(("|", ">", "#", "a #b", "!", "-", "&")):
        assert value == text


def test_an_export_keeps_still() -> None:
    """The same text twice; the structs' order of keys; defaults and times left out."""
    text = document.to_yaml(document.read((KEPT / "format-1" / "every-field.yaml").read_text()))
    assert document.to_yaml(document.read(text)) == text
    lines = [line.partition(":")[0] for line in text.splitlines() if line and line[0].isalpha()]
    assert lines == ["id", "name", "description", "folder", "tags", "settings", "nodes", "edges"]
    plain = {
        "edges": [],
        "nodes": [{"type": "trigger.manual", "disabled": False, "id": "go", "config": {}}],
        "name": "",
    }
    assert (
        document.to_yaml(document.from_raw(plain)) == "nodes:\n- id: go\n  type: trigger.manual\nedges: []\n"
    )


@pytest.mark.parametrize(
    "file", sorted(KEPT.glob("format-*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}"
)
def test_old_documents_go_on_loading(file: Path) -> None:
    workflow = document.read(file.read_text(encoding="utf-8"))
    assert workflow.format == FORMAT
    assert document.read(document.to_yaml(workflow)) == workflow


def test_every_field_is_read_as_it_was_meant() -> None:
    workflow = document.read((KEPT / "format-1" / "every-field.yaml").read_text())
    assert workflow.name == "on"
    assert workflow.tags == ["2026-11-23", "12:30", "~", "plain"]
    assert workflow.settings.variables["no"] == "no"
    ask = workflow.nodes[1]
    assert ask.retry is not None
    assert (ask.retry.attempts, ask.retry.max, ask.on_interrupted) == (3, "10s", "ask")
    assert workflow.nodes[2].pinned is None
    assert json.loads(document.to_json(workflow))["nodes"][2]["pinned"] is None


def problems(text: str | bytes, yaml: bool | None = None) -> list[str]:
    with pytest.raises(WorkflowInvalid) as caught:
        document.read(text, yaml=yaml)
    return [problem.path for problem in caught.value.problems]


def test_aliases_are_limited() -> None:
    few = "nodes: &n [{id: a, type: t, config: {v: &v [1]}}]\nedges: []\nsettings: {variables: {a: *v, b: *v}}\n"
    assert document.read(few, yaml=True).settings.variables == {"a": [1], "b": [1]}
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    started = time.perf_counter()
    problems("\n".join(lines), yaml=True)
    many = "a: &a [1]\nb: [" + ", ".join(["*a"] * 101) + "]"
    problems(many, yaml=True)
    problems("a: &a [*a]", yaml=True)
    problems("a: &a {<<: *a}", yaml=True)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "", "5", "[]", "{", "{a", "a: b: c", "\t- x", "a: !!python/name:os.system", "a: !mine x", "? [a]\n: b",
        "{1: 2}", "{null: 2}", "{true: 2}", "a: 1\na: 2", "--- 1\n--- 2", "{" * 5000, "- " * 5000, "[" * 100_000,
        "nodes: [{id: a, type: t, config: {n: 9223372036854775808}}]\nedges: []",
        "nodes: [{id: a, type: t, config: {n: .inf}}]\nedges: []",
        "nodes: [{id: a, type: t, config: {n: !!binary aGk=}}]\nedges: []\ncolour: 1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("yaml", [True, None])
def test_what_is_no_document_is_refused(text: str, yaml: bool | None) -> None:
    assert problems(text, yaml)


def test_what_is_not_utf8_or_too_large_is_refused() -> None:
    assert problems(b"\xff\xfe\x00", yaml=True) == [""]
    assert problems(b"\xff", yaml=False) == [""]
    assert problems(b'"' + b"x" * 5_000_001 + b'"') == [""]
    assert problems("\ud800", yaml=True) == [""]


def test_all_problems_of_the_shape_come_at_once() -> None:
    raw = {
        "colour": 1,
        "name": 5,
        "nodes": [
            {"id": "a", "type": "t", "retry": {"attempts": 0, "pause": 1}},
            {"id": "a"},
            {"id": "B"},
            5,
        ],
        "edges": [{"from": "a"}, {"from": "a", "to": "a", "via": 1}],
    }
    with pytest.raises(WorkflowInvalid) as caught:
        document.from_raw(raw)
    paths = {problem.path for problem in caught.value.problems}
    assert paths >= {
        "colour", "name", "nodes.a.retry.attempts", "nodes.a.retry.pause", "nodes.a.type", "nodes[1].id", "nodes[2].id",
        "nodes[2].type", "nodes[3]", "edges[0].to", "edges[1].via",
    }, paths  # fmt: skip


def test_merge_keys_are_no_magic() -> None:
    text = "nodes: [{id: a, type: t, config: {'<<': {x: 1}, y: 2}}]\nedges: []"
    assert document.read(text, yaml=True).nodes[0].config == {"<<": {"x": 1}, "y": 2}
