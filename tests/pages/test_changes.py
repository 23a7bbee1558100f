"""What differs between two states, in words."""

from typing import Any

import msgspec

from flowfuse.model import Workflow
from flowfuse.node import Catalogue
from flowfuse.pages.changes import Change, changes

BASE: dict[str, Any] = {
    "id": "w",
    "name": "W",
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "log", "type": "action.log", "name": "Note it", "config": {"message": "a"}},
        {"id": "end", "type": "action.fail", "config": {"message": "x"}},
    ],
    "edges": [{"from": "go", "to": "log"}, {"from": "log", "to": "end"}],
}


def compare(catalogue: Catalogue, **new: Any) -> list[Change]:
    return changes(msgspec.convert(BASE, Workflow), msgspec.convert({**BASE, **new}, Workflow), catalogue)


def test_nothing_differs_where_only_cards_were_moved(catalogue: Catalogue) -> None:
    moved = [{**node, "position": {"x": 1, "y": 2}} for node in BASE["nodes"]]
    assert compare(catalogue, nodes=moved) == []


def test_notes_and_groups_of_the_canvas_are_a_field_each(catalogue: Catalogue) -> None:
    note = {"text": "Mind the tax", "x": 0, "y": 0}
    group = {"name": "Ships", "nodes": ["log"]}
    (change,) = compare(catalogue, notes={"n": note}, groups={"g": group})
    assert [(f.path, f.label, f.before, f.after) for f in change.fields] == [
        ("notes", "Notes", None, "Mind the tax"),
        ("groups", "Groups", None, "Ships"),
    ]


def test_a_note_that_was_only_moved_differs_too(catalogue: Catalogue) -> None:
    old, new = (
        msgspec.convert({**BASE, "notes": {"n": {"text": "a", "x": x, "y": 0}}}, Workflow) for x in (0, 40)
    )
    ((field,),) = (change.fields for change in changes(old, new, catalogue))
    assert field.label == "Notes"
    assert field.before != field.after


def test_a_changed_field_is_named_by_its_title_with_both_values(catalogue: Catalogue) -> None:
    nodes = [BASE["nodes"][0], {**BASE["nodes"][1], "config": {"message": "b"}}, BASE["nodes"][2]]
    (change,) = compare(catalogue, nodes=nodes)
    assert (change.node, change.kind, change.title) == ("log", "chg", "Note it")
    assert change.words() == "has another message: “b”, was “a”"


def test_what_is_new_and_what_is_gone_count_once_with_their_edges(catalogue: Catalogue) -> None:
    nodes = [*BASE["nodes"][:2], {"id": "wait", "type": "action.wait", "config": {"seconds": 1}}]
    edges = [{"from": "go", "to": "log"}, {"from": "log", "to": "wait"}]
    found = compare(catalogue, nodes=nodes, edges=edges)
    assert [(c.node, c.kind, c.words()) for c in found] == [
        ("wait", "add", "is new"),
        ("end", "del", "is gone"),
    ]


def test_another_way_in_is_a_change_of_the_node(catalogue: Catalogue) -> None:
    (change,) = compare(catalogue, edges=[{"from": "go", "to": "log"}, {"from": "go", "to": "end"}])
    assert (change.node, change.words()) == ("end", "comes after “go”, was after “log”")


def test_the_workflow_itself_may_differ(catalogue: Catalogue) -> None:
    (change,) = compare(catalogue, name="Other", settings={"timezone": "Europe/Berlin"})
    assert [(f.label, f.before, f.after) for f in change.fields] == [
        ("Name", "W", "Other"),
        ("Time zone", None, "Europe/Berlin"),
    ]
