"""Operations: how a draft changes, one small change at a time, in the order that the server gives them.

Each names the field version it is based on. A change of a field that somebody else has changed since
is handed back with the other's value; everything else merges. Every accepted operation has an inverse,
which is what undo sends.
"""

from __future__ import annotations

import copy
import re
from typing import Any, Literal

import msgspec

from flowfuse.document import shape_problems
from flowfuse.expression.rename import rename_in
from flowfuse.model import NODE_ID, Value

NOWHERE = 10**9

Kind = Literal["set", "unset", "add_node", "remove_node", "rename_node", "add_edge", "remove_edge"]


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One change. `node` empty: of the workflow itself. `path` is dotted, `base` a sequence number.

    Of what is added to the nodes or the edges, `path` is its place among them; at the end without one.
    `rename_node` gives the node the id `value`; edges and expressions follow.
    """

    id: str
    kind: Kind
    node: str = ""
    path: str = ""
    value: Any = None
    base: int | None = None


class Refused(msgspec.Struct, frozen=True):
    """A change that was handed back: what stands there, and who or what put it there."""

    id: str
    value: Any
    by: str


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one operation. It is kept, so that sending it again is harmless."""

    seq: int
    inverse: list[Operation] = []
    refused: Refused | None = None


class Applied(msgspec.Struct, frozen=True):
    """What became of a batch."""

    seq: int
    accepted: list[str]
    refused: list[Refused]
    inverse: list[Operation]


class Refusal(Exception):
    """Why an operation cannot be applied."""

    def __init__(self, value: Value, by: str) -> None:
        super().__init__(by)
        self.value, self.by = value, by


class Editor:
    """Applies operations to a draft's plain document."""

    def __init__(self, document: dict[str, Any], versions: dict[str, int], seq: int) -> None:
        self.document = document
        self.versions = versions
        self.seq = seq

    def apply(self, operation: Operation) -> list[Operation]:
        """Apply one operation; what undoes it, in the order to be sent.

        Raises Refusal, and changes nothing, where it cannot be or would spoil the document's shape.
        """
        before, versions = self.document, self.versions
        # A draft is large and a change small: only what it touches is copied.
        self.document = {**before, "nodes": list(before["nodes"]), "edges": list(before["edges"])}
        self.versions = dict(versions)
        try:
            inverse: list[Operation] = _APPLY[operation.kind](self, operation)
            problems = shape_problems(self._touched(operation))
            if problems:
                raise Refusal(None, f"{problems[0].path}: {problems[0].message}")
        except Refusal:
            self.document, self.versions = before, versions
            raise
        if not inverse:
            self.document = before
        return inverse

    def _touched(self, operation: Operation) -> dict[str, Any]:
        """As much of the document as the operation can have spoiled."""
        part: dict[str, Any] = {"nodes": [], "edges": []}
        if operation.kind == "add_edge":
            part["edges"] = [operation.value]
        elif operation.kind == "add_node":
            part["nodes"] = [operation.value]
        elif operation.kind in ("set", "unset") and operation.node:
            part["nodes"] = [self._node(operation.node)]
        elif operation.kind in ("set", "unset"):
            part |= _of_itself(self.document)
        return part

    def replace(self, document: dict[str, Any]) -> None:
        """Put another document in this one's place; the fields in which they differ count as changed."""
        before, after = _by_id(self.document), _by_id(document)
        for name in before.keys() - after.keys():
            self._forget(name)
        for name, node in after.items():
            paths = [f".{path}" for path in _changed(before[name], node)] if name in before else [""]
            self.versions.update({f"nodes.{name}{path}": self.seq for path in paths})
        paths = _changed(_of_itself(self.document), _of_itself(document))
        self.versions.update({f"workflow.{path}": self.seq for path in paths})
        self.document = document

    def _set(self, operation: Operation) -> list[Operation]:
        target, keys = self._target(operation)
        before = _get(target, keys)
        self._check_base(operation, before)
        if _same(before, operation.value):
            return []
        made = _first_missing(target, keys)
        _put(target, keys, copy.deepcopy(operation.value), operation.path)
        self._touch(operation)
        if before is _MISSING:
            path = ".".join(keys[: made + 1])
            return [Operation(_back(operation), "unset", node=operation.node, path=path, base=self.seq)]
        return [Operation(_back(operation), "set", operation.node, operation.path, before, self.seq)]

    def _unset(self, operation: Operation) -> list[Operation]:
        target, keys = self._target(operation)
        before = _get(target, keys)
        if before is _MISSING:
            return []
        self._check_base(operation, before)
        parent = _get(target, keys[:-1])
        if not isinstance(parent, dict):
            raise Refusal(parent, "an item of a list is not taken out by itself; set the list")
        del parent[keys[-1]]
        self._touch(operation)
        return [Operation(_back(operation), "set", operation.node, operation.path, before, self.seq)]

    def _add_node(self, operation: Operation) -> list[Operation]:
        node = operation.value
        name = node.get("id") if isinstance(node, dict) else None
        if not isinstance(name, str) or re.fullmatch(NODE_ID, name) is None:
            raise Refusal(None, "a node needs an id such as “fetch”")
        if self._node(name) is not None:
            raise Refusal(self._node(name), f"there is a node “{name}” already")
        _insert(self.document["nodes"], copy.deepcopy(node), operation)
        self.versions[f"nodes.{name}"] = self.seq
        return [Operation(_back(operation), "remove_node", node=name)]

    def _remove_node(self, operation: Operation) -> list[Operation]:
        node = self._node(operation.node)
        if node is None:
            return []
        self._check_base(operation, node)
        nodes, edges = self.document["nodes"], self.document["edges"]
        place = nodes.index(node)
        del nodes[place]
        gone = [i for i, edge in enumerate(edges) if operation.node in (_source(edge), edge["to"])]
        self.document["edges"] = [edge for i, edge in enumerate(edges) if i not in gone]
        self._forget(operation.node)
        back = [Operation(_back(operation), "add_node", path=str(place), value=node)]
        return back + [
            Operation(f"{_back(operation)}-{i}", "add_edge", path=str(i), value=edges[i]) for i in gone
        ]

    def _rename_node(self, operation: Operation) -> list[Operation]:
        old, new = operation.node, operation.value
        node = self._node(old)
        if node is None:
            raise Refusal(None, f"the node “{old}” is gone")
        if not isinstance(new, str) or re.fullmatch(NODE_ID, new) is None:
            raise Refusal(old, "a node needs an id such as “fetch”")
        if new == old:
            return []
        if self._node(new) is not None:
            raise Refusal(old, f"there is a node “{new}” already")
        self._put_back(node, {**node, "id": new})
        for each in list(self.document["nodes"]):
            self._follow(each, old, new)
        self.document["edges"] = [_renamed(edge, old, new) for edge in self.document["edges"]]
        self._rename_in_groups(old, new)
        moved = {_moved(key, old, new): seq for key, seq in self.versions.items()}
        self.versions = moved
        return [Operation(_back(operation), "rename_node", node=new, value=old)]

    def _follow(self, node: dict[str, Any], old: str, new: str) -> None:
        """The expressions of a node name the renamed one by its new id."""
        config = node.get("config", {})
        changed = rename_in(config, old, new)
        if changed == config:
            return
        self._put_back(node, {**node, "config": changed})
        paths = _changed(config, changed)
        self.versions.update({f"nodes.{node['id']}.config.{path}": self.seq for path in paths})

    def _rename_in_groups(self, old: str, new: str) -> None:
        groups = self.document.get("groups")
        if groups:
            self.document["groups"] = {
                name: {**group, "nodes": [new if id == old else id for id in group.get("nodes", [])]}
                for name, group in groups.items()
            }

    def _add_edge(self, operation: Operation) -> list[Operation]:
        edge = operation.value
        if (
            not isinstance(edge, dict)
            or not isinstance(edge.get("from"), str)
            or not isinstance(edge.get("to"), str)
        ):
            raise Refusal(None, "an edge has “from” and “to”")
        for name in (_source(edge), edge["to"]):
            if self._node(name) is None:
                raise Refusal(None, f"the node “{name}” is gone")
        if edge in self.document["edges"]:
            return []
        _insert(self.document["edges"], copy.deepcopy(edge), operation)
        return [Operation(_back(operation), "remove_edge", value=edge)]

    def _remove_edge(self, operation: Operation) -> list[Operation]:
        if operation.value not in self.document["edges"]:
            return []
        place = self.document["edges"].index(operation.value)
        del self.document["edges"][place]
        return [Operation(_back(operation), "add_edge", path=str(place), value=operation.value)]

    def _target(self, operation: Operation) -> tuple[dict[str, Any], list[str]]:
        keys = operation.path.split(".")
        if not operation.path or "" in keys:
            raise Refusal(None, "the operation names no field")
        if not operation.node:
            if keys[0] in ("nodes", "edges", "id", "format"):
                raise Refusal(None, f"“{keys[0]}” is not changed by setting it")
            if keys[0] in self.document:
                self.document[keys[0]] = copy.deepcopy(self.document[keys[0]])
            return self.document, keys
        node = self._node(operation.node)
        if node is None:
            raise Refusal(None, f"the node “{operation.node}” is gone")
        if keys[0] == "id":
            raise Refusal(node["id"], "a node's id is changed by renaming it")
        return self._put_back(node, copy.deepcopy(node)), keys

    def _put_back(self, old: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
        nodes = self.document["nodes"]
        nodes[nodes.index(old)] = node
        return node

    def _node(self, name: str) -> dict[str, Any] | None:
        return next((n for n in self.document["nodes"] if n["id"] == name), None)

    def _check_base(self, operation: Operation, current: Value) -> None:
        """Handed back: a field that was changed after the state that the operation is based on.

        What the same batch changed before is the sender's own.
        """
        if operation.base is None or operation.path.split(".")[0] == "position":
            return
        key = _key(operation)
        newer = [
            seq
            for name, seq in self.versions.items()
            if operation.base < seq < self.seq
            and (name == key or name.startswith(f"{key}.") or key.startswith(f"{name}."))
        ]
        if newer and not _same(current, operation.value):
            raise Refusal(None if current is _MISSING else current, "somebody else, since")

    def _touch(self, operation: Operation) -> None:
        self.versions[_key(operation)] = self.seq

    def _forget(self, node: str) -> None:
        """The field versions of a node that is gone."""
        self.versions = {
            key: seq
            for key, seq in self.versions.items()
            if key != f"nodes.{node}" and not key.startswith(f"nodes.{node}.")
        }


def _changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The paths of the fields in which two nodes, or two workflows, differ."""
    paths: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, _MISSING), new.get(key, _MISSING)
        if _same(before, after):
            continue
        if key in ("config", "settings") and isinstance(before, dict) and isinstance(after, dict):
            paths += [f"{key}.{path}" for path in _changed(before, after)]
        else:
            paths.append(key)
    return paths


class _Missing:
    """Stands where a field is not there."""


_MISSING: Any = _Missing()


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is not true, and not 1.0."""
    if one is _MISSING or other is _MISSING:
        return one is other
    return msgspec.json.encode(one) == msgspec.json.encode(other)


def _first_missing(target: Any, keys: list[str]) -> int:
    """The place in the path of the first key that is not there: what a set makes, its undo takes away."""
    missing = (place for place in range(len(keys)) if _get(target, keys[: place + 1]) is _MISSING)
    return next(missing, len(keys) - 1)


def _insert(rows: list[Any], row: Any, operation: Operation) -> None:
    """Put it at the place that the operation names; at the end without one."""
    rows.insert(min(_index(operation.path), len(rows)), row)


def _index(key: str) -> int:
    """A key as a place in a list; past every end where it is none."""
    return int(key) if key.isascii() and key.isdigit() and len(key) < 9 else NOWHERE


def _by_id(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {node["id"]: node for node in document["nodes"]}


def _of_itself(document: dict[str, Any]) -> dict[str, Any]:
    """A workflow's own fields."""
    return {key: value for key, value in document.items() if key not in ("nodes", "edges", "id", "format")}


def _get(target: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(target, dict) and key in target:
            target = target[key]
        elif isinstance(target, list) and (place := _index(key)) < len(target):
            target = target[place]
        else:
            return _MISSING
    return target


def _put(target: Any, keys: list[str], value: Any, path: str) -> None:
    for key in keys[:-1]:
        if isinstance(target, list) and (place := _index(key)) < len(target):
            target = target[place]
        elif isinstance(target, dict):
            target = target.setdefault(key, {})
        else:
            raise Refusal(None, f"there is no place “{path}”")
    last = keys[-1]
    if isinstance(target, dict):
        target[last] = value
    elif isinstance(target, list) and _index(last) < len(target):
        target[_index(last)] = value
    else:
        raise Refusal(None, f"there is no place “{path}”")


def _back(operation: Operation) -> str:
    return f"undo-{operation.id}"


def _key(operation: Operation) -> str:
    place = f"nodes.{operation.node}" if operation.node else "workflow"
    return f"{place}.{operation.path}" if operation.path else place


def _renamed(edge: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The edge with a node's new id at its ends."""
    source, dot, port = edge["from"].partition(".")
    return {
        **edge,
        "from": f"{new}{dot}{port}" if source == old else edge["from"],
        "to": new if edge["to"] == old else edge["to"],
    }


def _moved(key: str, old: str, new: str) -> str:
    """A field's name under the node's new id."""
    own = f"nodes.{old}"
    return f"nodes.{new}{key[len(own) :]}" if key == own or key.startswith(f"{own}.") else key


def _source(edge: dict[str, Any]) -> str:
    return str(edge.get("from", "")).partition(".")[0]


_APPLY: dict[str, Any] = {
    "set": Editor._set,
    "unset": Editor._unset,
    "add_node": Editor._add_node,
    "remove_node": Editor._remove_node,
    "rename_node": Editor._rename_node,
    "add_edge": Editor._add_edge,
    "remove_edge": Editor._remove_edge,
}
