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

from flowfuse.model import NODE_ID, Value

Kind = Literal["set", "unset", "add_node", "remove_node", "add_edge", "remove_edge"]


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One change. `node` empty: of the workflow itself. `path` is dotted, `base` a sequence number."""

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
        self.inverse: list[Operation] = []

    def apply(self, operation: Operation) -> None:
        """Apply one operation, or raise Refusal and change nothing."""
        self.inverse += _APPLY[operation.kind](self, operation)

    def _set(self, operation: Operation) -> list[Operation]:
        target, keys = self._target(operation)
        before = _get(target, keys)
        self._check_base(operation, before)
        if before == operation.value and before is not _MISSING:
            return []
        _put(target, keys, copy.deepcopy(operation.value), operation.path)
        self._touch(operation)
        return [_undo_set(operation, before, self.seq)]

    def _unset(self, operation: Operation) -> list[Operation]:
        target, keys = self._target(operation)
        before = _get(target, keys)
        if before is _MISSING:
            return []
        self._check_base(operation, before)
        parent = _get(target, keys[:-1]) if len(keys) > 1 else target
        del parent[keys[-1]]
        self._touch(operation)
        return [_undo_set(operation, before, self.seq)]

    def _add_node(self, operation: Operation) -> list[Operation]:
        node = operation.value
        name = node.get("id") if isinstance(node, dict) else None
        if not isinstance(name, str) or re.match(NODE_ID, name) is None:
            raise Refusal(None, "a node needs an id such as “fetch”")
        if self._node(name) is not None:
            raise Refusal(self._node(name), f"there is a node “{name}” already")
        self.document["nodes"].append(copy.deepcopy(node))
        self.versions[f"nodes.{name}"] = self.seq
        return [Operation(_back(operation), "remove_node", node=name)]

    def _remove_node(self, operation: Operation) -> list[Operation]:
        node = self._node(operation.node)
        if node is None:
            return []
        self._check_base(operation, node)
        edges = [e for e in self.document["edges"] if operation.node in (_source(e), e.get("to"))]
        self.document["nodes"].remove(node)
        self.document["edges"] = [e for e in self.document["edges"] if e not in edges]
        self.versions = {
            key: seq
            for key, seq in self.versions.items()
            if key != f"nodes.{operation.node}" and not key.startswith(f"nodes.{operation.node}.")
        }
        back = [Operation(_back(operation), "add_node", value=node)]
        return back + [Operation(f"{_back(operation)}-{i}", "add_edge", value=e) for i, e in enumerate(edges)]

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
        self.document["edges"].append(copy.deepcopy(edge))
        return [Operation(_back(operation), "remove_edge", value=edge)]

    def _remove_edge(self, operation: Operation) -> list[Operation]:
        if operation.value not in self.document["edges"]:
            return []
        self.document["edges"].remove(operation.value)
        return [Operation(_back(operation), "add_edge", value=operation.value)]

    def _target(self, operation: Operation) -> tuple[dict[str, Any], list[str]]:
        keys = operation.path.split(".")
        if not operation.path or "" in keys:
            raise Refusal(None, "the operation names no field")
        if not operation.node:
            if keys[0] in ("nodes", "edges", "id", "format"):
                raise Refusal(None, f"“{keys[0]}” is not changed by setting it")
            return self.document, keys
        node = self._node(operation.node)
        if node is None:
            raise Refusal(None, f"the node “{operation.node}” is gone")
        if keys[0] == "id":
            raise Refusal(node["id"], "a node's id does not change")
        return node, keys

    def _node(self, name: str) -> dict[str, Any] | None:
        return next((n for n in self.document["nodes"] if n["id"] == name), None)

    def _check_base(self, operation: Operation, current: Value) -> None:
        """Handed back: a field that was changed after the state that the operation is based on."""
        if operation.base is None or operation.path.split(".")[0] == "position":
            return
        key = _key(operation)
        newer = [
            seq
            for name, seq in self.versions.items()
            if seq > operation.base
            and (name == key or name.startswith(f"{key}.") or key.startswith(f"{name}."))
        ]
        if newer and current != operation.value:
            raise Refusal(None if current is _MISSING else current, "somebody else, since")

    def _touch(self, operation: Operation) -> None:
        self.versions[_key(operation)] = self.seq


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str) -> list[Operation]:
    """The operations that make the new document of the old one."""
    found: list[Operation] = []

    def add(kind: Kind, **fields: Any) -> None:
        found.append(Operation(f"{prefix}-{len(found)}", kind, **fields))

    old_nodes = {n["id"]: n for n in old["nodes"]}
    new_nodes = {n["id"]: n for n in new["nodes"]}
    for edge in old["edges"]:
        if edge not in new["edges"]:
            add("remove_edge", value=edge)
    for name in old_nodes:
        if name not in new_nodes:
            add("remove_node", node=name)
    for name, node in new_nodes.items():
        if name not in old_nodes:
            add("add_node", value=node)
        else:
            _field_differences(old_nodes[name], node, name, add)
    for edge in new["edges"]:
        if edge not in old["edges"]:
            add("add_edge", value=edge)
    skip = ("nodes", "edges", "id", "format")
    _field_differences(
        {k: v for k, v in old.items() if k not in skip},
        {k: v for k, v in new.items() if k not in skip},
        "",
        add,
    )
    return found


def _field_differences(old: dict[str, Any], new: dict[str, Any], node: str, add: Any) -> None:
    for key in old.keys() | new.keys():
        if key not in new:
            add("unset", node=node, path=key)
        elif key in ("config", "settings") and isinstance(old.get(key), dict):
            for field in old[key].keys() | new[key].keys():
                # A dotted key cannot be named by a path, so the whole object is set.
                if "." in field:
                    add("set", node=node, path=key, value=new[key])
                elif field not in new[key]:
                    add("unset", node=node, path=f"{key}.{field}")
                elif old[key].get(field, _MISSING) != new[key][field]:
                    add("set", node=node, path=f"{key}.{field}", value=new[key][field])
        elif old.get(key, _MISSING) != new[key]:
            add("set", node=node, path=key, value=new[key])


class _Missing:
    """Stands where a field is not there."""


_MISSING: Any = _Missing()


def _get(target: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(target, dict) and key in target:
            target = target[key]
        elif isinstance(target, list) and key.isdigit() and int(key) < len(target):
            target = target[int(key)]
        else:
            return _MISSING
    return target


def _put(target: Any, keys: list[str], value: Any, path: str) -> None:
    for key in keys[:-1]:
        if isinstance(target, list) and key.isdigit() and int(key) < len(target):
            target = target[int(key)]
        elif isinstance(target, dict):
            target = target.setdefault(key, {})
        else:
            raise Refusal(None, f"there is no place “{path}”")
    last = keys[-1]
    if isinstance(target, dict):
        target[last] = value
    elif isinstance(target, list) and last.isdigit() and int(last) < len(target):
        target[int(last)] = value
    else:
        raise Refusal(None, f"there is no place “{path}”")


def _undo_set(operation: Operation, before: Any, seq: int) -> Operation:
    if before is _MISSING:
        return Operation(_back(operation), "unset", node=operation.node, path=operation.path, base=seq)
    return Operation(_back(operation), "set", operation.node, operation.path, before, seq)


def _back(operation: Operation) -> str:
    return f"undo-{operation.id}"


def _key(operation: Operation) -> str:
    place = f"nodes.{operation.node}" if operation.node else "workflow"
    return f"{place}.{operation.path}" if operation.path else place


def _source(edge: dict[str, Any]) -> str:
    return str(edge.get("from", "")).partition(".")[0]


_APPLY: dict[str, Any] = {
    "set": Editor._set,
    "unset": Editor._unset,
    "add_node": Editor._add_node,
    "remove_node": Editor._remove_node,
    "add_edge": Editor._add_edge,
    "remove_edge": Editor._remove_edge,
}
