"""Operations on a draft: what merges, what is handed back, undo, and that sending again is harmless."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowfuse import document
from flowfuse.engine.operations import Editor, Operation, Refusal
from tests.support.local import LocalServer

Document = dict[str, Any]

DOCUMENT: Document = {
    "id": "draft",
    "name": "Draft",
    "tags": ["a", "b"],
    "nodes": [
        {"id": "go", "type": "trigger.manual"},
        {"id": "x", "type": "transform.set", "config": {"fields": {"n": 1, "list": [1, 2]}}, "name": "X"},
        {"id": "y", "type": "transform.set", "config": {"fields": {"m": 1}}},
    ],
    "edges": [{"from": "go", "to": "x"}, {"from": "x", "to": "y"}, {"from": "go", "to": "y"}],
}


class Draft:
    """A draft on the server."""

    def __init__(self, server: LocalServer, name: str) -> None:
        self.server, self.path = server, f"/workflows/{name}"
        made = server.api("POST", "/workflows", {**DOCUMENT, "id": name})
        assert made.status == 201, made.raw

    @property
    def document(self) -> Document:
        found: Document = self.server.api("GET", self.path).json["document"]
        return found

    @property
    def seq(self) -> int:
        return int(self.server.api("GET", self.path).json["workflow"]["seq"])

    def send(self, *operations: Document) -> Any:
        answer = self.server.api("POST", f"{self.path}/operations", {"operations": list(operations)})
        assert answer.status == 200, answer.raw
        assert answer.headers["etag"] == f'"{answer.json["seq"]}"'
        return answer.json


def put(id: str, path: str, value: Any, **more: Any) -> Document:
    return {"id": id, "kind": "set", "node": "x", "path": path, "value": value, **more}


def test_operations_change_the_draft_and_its_number(server: LocalServer) -> None:
    draft = Draft(server, "changed")
    answer = draft.send(
        put("1", "config.fields.n", 2), {"id": "2", "kind": "unset", "node": "x", "path": "name"}
    )
    assert (answer["seq"], answer["accepted"], answer["refused"]) == (2, ["1", "2"], [])
    node = draft.document["nodes"][1]
    assert node["config"]["fields"]["n"] == 2
    assert "name" not in node


def test_other_fields_merge_and_the_same_field_is_handed_back(server: LocalServer) -> None:
    draft = Draft(server, "merged")
    draft.send(put("a", "config.fields.n", 2, base=1))
    answer = draft.send(put("b", "name", "Mine", base=1), put("c", "config.fields.n", 3, base=1))
    assert answer["accepted"] == ["b"]
    assert answer["refused"] == [{"id": "c", "value": 2, "by": "somebody else, since"}]
    # The same value is no contradiction; with the new base it is a change as any other.
    assert draft.send(put("d", "config.fields.n", 2, base=1))["accepted"] == ["d"]
    assert draft.send(put("e", "config.fields.n", 3, base=answer["seq"]))["accepted"] == ["e"]
    # What lies inside a changed field, or around it, is the same field.
    assert draft.send(put("f", "config.fields", {}, base=1))["refused"][0]["id"] == "f"


def test_a_batch_does_not_contradict_itself(server: LocalServer) -> None:
    draft = Draft(server, "batch")
    answer = draft.send(put("1", "name", "A", base=1), put("2", "name", "B", base=1))
    assert answer["accepted"] == ["1", "2"]
    assert draft.document["nodes"][1]["name"] == "B"


def test_positions_are_the_last_writers(server: LocalServer) -> None:
    draft = Draft(server, "moved")
    draft.send(put("1", "position", {"x": 1, "y": 1}, base=1))
    assert draft.send(put("2", "position", {"x": 2, "y": 2}, base=1))["accepted"] == ["2"]


@pytest.mark.parametrize(
    "operation",
    [
        {"kind": "set", "node": "gone", "path": "name", "value": "x"},
        {"kind": "set", "node": "x", "path": "id", "value": "z"},
        {"kind": "set", "node": "x", "path": "colour", "value": "red"},
        {"kind": "set", "node": "x", "path": "name", "value": 5},
        {"kind": "set", "node": "x", "path": "name.first", "value": 5},
        {"kind": "set", "node": "x", "path": "", "value": 5},
        {"kind": "set", "node": "x", "path": "config..n", "value": 5},
        {"kind": "set", "node": "x", "path": "config.fields.list.9", "value": 5},
        {"kind": "set", "node": "x", "path": "config.fields.list.²", "value": 5},
        {"kind": "set", "node": "x", "path": "config.n", "value": 2**63},
        {"kind": "set", "path": "nodes", "value": []},
        {"kind": "set", "path": "id", "value": "other"},
        {"kind": "set", "path": "format", "value": 2},
        {"kind": "unset", "node": "x", "path": "type"},
        {"kind": "unset", "node": "x", "path": "config.fields.list.0"},
        {"kind": "unset", "path": "edges"},
        {"kind": "add_node", "value": {"id": "x", "type": "a.b"}},
        {"kind": "add_node", "value": {"id": "Bad", "type": "a.b"}},
        {"kind": "add_node", "value": {"id": "nl\n", "type": "a.b"}},
        {"kind": "add_node", "value": {"id": "no_type"}},
        {"kind": "add_node", "value": 5},
        {"kind": "add_edge", "value": {"from": "x", "to": "gone"}},
        {"kind": "add_edge", "value": {"from": "x"}},
        {"kind": "add_edge", "value": {"from": "x", "to": "y", "colour": "red"}},
    ],
)
def test_what_cannot_be_is_handed_back_and_changes_nothing(server: LocalServer, operation: Document) -> None:
    name = f"refused-{abs(hash(str(operation)))}"
    draft = Draft(server, name)
    answer = draft.send({"id": "1", **operation})
    assert (answer["seq"], answer["accepted"]) == (1, [])
    assert answer["refused"][0]["id"] == "1"
    assert answer["refused"][0]["by"]
    assert draft.document == {**DOCUMENT, "id": name}


def test_what_is_no_operation_is_400(server: LocalServer) -> None:
    draft = Draft(server, "malformed")
    for operations in ([{"id": "1", "kind": "explode"}], [{"kind": "set"}], "x", [5]):
        answer = server.api("POST", f"{draft.path}/operations", {"operations": operations})
        assert answer.status == 400, answer.raw
    assert draft.send()["seq"] == 1


def test_sending_again_gives_the_same_answer(server: LocalServer) -> None:
    draft = Draft(server, "resent")
    batch = [
        put("1", "config.fields.n", 2),
        put("2", "nope", 1),
        {"id": "3", "kind": "remove_node", "node": "y"},
    ]
    first = draft.send(*batch)
    assert first["refused"][0]["id"] == "2"
    draft.send(put("later", "config.fields.n", 9))
    assert draft.send(*batch) == first
    assert draft.document["nodes"][1]["config"]["fields"]["n"] == 9


def test_a_batch_of_which_a_part_came_before(server: LocalServer) -> None:
    draft = Draft(server, "partly")
    draft.send(put("1", "config.fields.n", 2))
    draft.send(put("other", "config.fields.n", 3))
    answer = draft.send(put("0", "name", "new"), put("1", "config.fields.n", 2), put("2", "notes", "newer"))
    assert answer["accepted"] == ["0", "1", "2"]
    assert answer["seq"] == draft.seq == 4
    node = draft.document["nodes"][1]
    assert (node["name"], node["notes"], node["config"]["fields"]["n"]) == ("new", "newer", 3)
    assert {each["id"] for each in answer["inverse"]} == {"undo-0", "undo-1", "undo-2"}


def test_an_id_that_comes_twice_in_a_batch_is_one_operation(server: LocalServer) -> None:
    draft = Draft(server, "twice")
    answer = draft.send(put("1", "name", "first"), put("1", "name", "second"))
    assert answer["accepted"] == ["1"]
    assert draft.document["nodes"][1]["name"] == "first"


def test_undo_puts_a_node_and_its_edges_back(server: LocalServer) -> None:
    draft = Draft(server, "undone")
    before = draft.document
    answer = draft.send({"id": "1", "kind": "remove_node", "node": "x"})
    assert [edge["from"] for edge in draft.document["edges"]] == ["go"]
    again = draft.send(*answer["inverse"])
    assert again["refused"] == []
    assert draft.document == before
    draft.send(*again["inverse"])
    assert [node["id"] for node in draft.document["nodes"]] == ["go", "y"]


def test_undo_is_refused_where_somebody_else_went_on(server: LocalServer) -> None:
    draft = Draft(server, "contested")
    answer = draft.send(put("1", "name", "mine"))
    draft.send(put("2", "name", "theirs"))
    refused = draft.send(*answer["inverse"])["refused"]
    assert (refused[0]["value"], refused[0]["by"]) == ("theirs", "somebody else, since")


def test_true_is_not_one(server: LocalServer) -> None:
    draft = Draft(server, "exact")
    draft.send(put("1", "config.fields.n", True))
    assert draft.document["nodes"][1]["config"]["fields"]["n"] is True


def test_a_webhook_that_is_added_gets_its_path(server: LocalServer) -> None:
    draft = Draft(server, "hooked")
    draft.send({"id": "1", "kind": "add_node", "value": {"id": "hook", "type": "trigger.webhook"}})
    path = draft.document["nodes"][-1]["config"]["path"]
    assert len(path) == 26
    draft.send({"id": "2", "kind": "unset", "node": "hook", "path": "config.path"})
    assert len(draft.document["nodes"][-1]["config"]["path"]) == 26
    assert server.api("POST", f"{draft.path}/publish", {}).status == 200


def test_a_put_counts_as_a_change_of_its_fields_alone(server: LocalServer) -> None:
    draft = Draft(server, "replaced")
    changed = copy.deepcopy({**DOCUMENT, "id": "replaced"})
    changed["nodes"][1]["config"]["fields"] = {"n": 5}
    assert server.api("PUT", draft.path, changed, if_match='"1"').status == 200
    answer = draft.send(put("1", "name", "fine", base=1), put("2", "config.fields.n", 6, base=1))
    assert answer["accepted"] == ["1"]
    assert answer["refused"][0]["value"] == 5


# -- properties

names = st.sampled_from(["go", "x", "y", "z"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
paths = st.sampled_from(
    ["name", "notes", "config", "config.a", "config.a.b", "config.fields.list.0", "config.fields.n",
     "settings.variables.v", "settings", "tags", "tags.0", "description", "retry.attempts", "position"]
)  # fmt: skip
edges = st.builds(lambda a, b: {"from": a, "to": b}, names, names)
operations = st.lists(
    st.one_of(
        st.builds(dict, kind=st.just("set"), node=names | st.just(""), path=paths, value=values),
        st.builds(dict, kind=st.just("unset"), node=names | st.just(""), path=paths),
        st.builds(dict, kind=st.just("remove_node"), node=names),
        st.builds(dict, kind=st.just("add_node"), value=st.builds(lambda n: {"id": n, "type": "a.b"}, names)),
        st.builds(dict, kind=st.just("add_edge"), value=edges),
        st.builds(dict, kind=st.just("remove_edge"), value=edges),
    ),
    min_size=1,
    max_size=6,
)


def apply_all(
    plain: Document, given_operations: list[Document], seq: int
) -> tuple[Document, list[Operation]]:
    editor = Editor(plain, {}, seq)
    inverse: list[Operation] = []
    for number, operation in enumerate(given_operations):
        try:
            inverse = editor.apply(Operation(str(number), **operation)) + inverse
        except Refusal:
            continue
    return editor.document, inverse


@pytest.mark.slow
@given(operations)
def test_the_inverse_undoes_whatever_was_done(given_operations: list[Document]) -> None:
    before = copy.deepcopy(DOCUMENT)
    changed, inverse = apply_all(before, given_operations, 2)
    assert document.shape_problems(changed) == []
    editor = Editor(changed, {}, 3)
    for operation in inverse:
        editor.apply(operation)
    assert editor.document == DOCUMENT


@pytest.mark.slow
@given(operations)
def test_a_refused_operation_leaves_everything_as_it_was(given_operations: list[Document]) -> None:
    editor = Editor(copy.deepcopy(DOCUMENT), {}, 2)
    for number, operation in enumerate(given_operations):
        before, versions = copy.deepcopy(editor.document), dict(editor.versions)
        try:
            editor.apply(Operation(str(number), **operation))
        except Refusal:
            assert (editor.document, editor.versions) == (before, versions)
