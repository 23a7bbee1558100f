"""What differs between two states of a workflow, node by node and field by field, for people to read."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from flowfuse import document
from flowfuse.model import Node, Value, Workflow
from flowfuse.node import Catalogue, NodeType
from flowfuse.pages.language import say
from flowfuse.pages.summary import FAMILIES, glyph, title

Kind = Literal["add", "chg", "del"]
WORKFLOW = ""
"""Stands as a change's node where the workflow's own fields differ."""

_PLACES = ("position",)
"""Where cards lie is no change."""
_CANVAS = ("notes", "groups")
"""Of the canvas as a whole: each is one field."""
_OWN_WORDS = {
    "name": "Name", "description": "Description", "folder": "Folder", "tags": "Tags",
    "notes": "Notes", "groups": "Groups",
    "settings.timezone": "Time zone", "settings.variables": "Variables", "settings.timeout": "Time limit",
}  # fmt: skip
_NODE_WORDS = {
    "name": "Name", "type": "Type", "version": "Version of its type", "credential": "Credential",
    "join": "Starts", "retry": "Tries", "timeout": "Time limit", "on_error": "When it fails",
    "on_interrupted": "When interrupted", "disabled": "Switched off", "pinned": "Pinned output",
    "notes": "Notes",
}  # fmt: skip


Difference = tuple[str, str | None, str | None]
"""A path with what was there and what is."""


class FieldChange(Struct, frozen=True):
    """One field that differs. `before` or `after` is None where the field is not there."""

    path: str
    label: str
    before: str | None
    after: str | None


class Change(Struct, frozen=True):
    """One node that is new, gone or different (or the workflow itself)."""

    node: str
    kind: Kind
    title: str
    tile: str
    glyph: str
    fields: list[FieldChange]

    def words(self, language: str = "en") -> str:
        """What happened, behind the title."""
        if self.kind == "add":
            return say(language, "is new")
        if self.kind == "del":
            return say(language, "is gone")
        if len(self.fields) == 1:
            return _one(self.fields[0], language)
        names = ", ".join(say(language, field.label) for field in self.fields[:3])
        return say(language, "has {number} other fields: {names}", number=len(self.fields), names=names)


def changes(old: Workflow, new: Workflow, catalogue: Catalogue, language: str = "en") -> list[Change]:
    """From the old state to the new one, in the order of the nodes; what is gone comes last."""
    found: list[Change] = []
    own = _own_fields(old, new)
    if own:
        found.append(Change(WORKFLOW, "chg", say(language, "Workflow"), "action", "gear", own))
    before, after = {n.id: n for n in old.nodes}, {n.id: n for n in new.nodes}
    for node in new.nodes:
        node_type = catalogue.find(node.type, node.version)
        if node.id not in before:
            found.append(_change(node, "add", node_type, [], language))
            continue
        fields = _node_fields(before[node.id], node, node_type) + _incoming(old, new, node.id)
        if fields:
            found.append(_change(node, "chg", node_type, fields, language))
    for node in old.nodes:
        if node.id not in after:
            found.append(_change(node, "del", catalogue.find(node.type, node.version), [], language))
    return found


def _change(
    node: Node, kind: Kind, node_type: NodeType | None, fields: list[FieldChange], language: str
) -> Change:
    family = node.type.partition(".")[0]
    tile = family if family in FAMILIES else "action"
    return Change(node.id, kind, title(node, node_type, language), tile, glyph(node, node_type), fields)


def _own_fields(old: Workflow, new: Workflow) -> list[FieldChange]:
    before, after = _plain(old), _plain(new)
    fields = [
        pair
        for pair in _differences(_flat(before), _flat(after))
        if pair[0].partition(".")[0] not in ("nodes", "edges", "id", "format", *_CANVAS)
    ]
    return [
        FieldChange(path, _OWN_WORDS.get(path, path.rpartition(".")[2]), was, now)
        for path, was, now in [*fields, *_on_canvas(before, after)]
    ]


def _on_canvas(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """Notes and groups by what is written on them; where that is the same, by all that is kept of them."""
    pairs: list[Difference] = []
    for key in _CANVAS:
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        said = _written(before), _written(after)
        if said[0] == said[1]:
            said = _text(before) if before else None, _text(after) if after else None
        pairs.append((key, *said))
    return pairs


def _written(kept: dict[str, dict[str, Any]] | None) -> str | None:
    texts = [str(each.get("text") or each.get("name") or "") for each in (kept or {}).values()]
    return "\n".join(texts) or None


def _node_fields(old: Node, new: Node, node_type: NodeType | None) -> list[FieldChange]:
    titles = {field.name: field.title for field in node_type.fields} if node_type is not None else {}
    pairs = _differences(_flat(msgspec.to_builtins(old)), _flat(msgspec.to_builtins(new)))
    return [
        FieldChange(path, _label(path, titles), before, after)
        for path, before, after in pairs
        if path not in ("id", "version") and path.partition(".")[0] not in _PLACES
    ]


def _label(path: str, titles: dict[str, str]) -> str:
    head, _, rest = path.partition(".")
    return titles.get(rest, rest) if head == "config" else _NODE_WORDS.get(head, head)


def _incoming(old: Workflow, new: Workflow, node: str) -> list[FieldChange]:
    before = ", ".join(edge.source for edge in old.edges if edge.target == node)
    after = ", ".join(edge.source for edge in new.edges if edge.target == node)
    return [] if before == after else [FieldChange("edges", "Comes after", before or None, after or None)]


def _flat(plain: dict[str, Any]) -> dict[str, Any]:
    """Fields by path; config and settings are opened one level."""
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        if key in ("config", "settings") and isinstance(value, dict):
            flat.update({f"{key}.{name}": part for name, part in value.items()})
        else:
            flat[key] = value
    return flat


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    pairs = []
    for key in [*new, *(key for key in old if key not in new)]:
        before = _text(old[key]) if key in old else None
        after = _text(new[key]) if key in new else None
        if before != after:
            pairs.append((key, before, after))
    return pairs


def _plain(workflow: Workflow) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(document.to_json(workflow))
    return plain


def _text(value: Value) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _one(field: FieldChange, language: str) -> str:
    before, after = _short(field.before), _short(field.after)
    if field.path == "edges":
        return say(language, "comes after {after}, was after {before}", before=before, after=after)
    label = say(language, field.label)
    if language == "en":
        label = label[:1].lower() + label[1:]
    if field.before is None:
        text = "has a {label}: {after}"
    elif field.after is None:
        text = "has no {label} any more, was {before}"
    else:
        text = "has another {label}: {after}, was {before}"
    return say(language, text, label=label, before=before, after=after)


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return f"“{line}”" if len(line) <= 40 else f"“{line[:39]}…”"
