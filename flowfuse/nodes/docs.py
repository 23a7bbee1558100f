"""The page of docs of all node types, made from the types themselves.

`python -m flowfuse.nodes.docs > docs/nodes.md`; a test fails when the page is stale.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from flowfuse.node import NodeType, ParamField, Params, param_fields, struct_of
from flowfuse.nodes import described

FAMILIES = {
    "trigger": "Triggers start a run.",
    "action": "Actions do something: call, answer, wait, note, stop.",
    "condition": "Conditions choose a way.",
    "loop": "Loops run their body once a round. The body is what is reachable only through `item`.",
    "transform": "Transforms make one value of another.",
}


def page() -> str:
    """The whole page as Markdown."""
    types = list(described())
    lines = [
        "# Node types",
        "",
        "Every field takes expressions (`{{ … }}`, see [expressions](expressions.md)) unless it is *plain*.",
        "A field that is *lazy* is worked out by the node itself, as often as it needs it.",
    ]
    for family, sentence in FAMILIES.items():
        lines += ["", f"## {family}", "", sentence]
        for node_type in types:
            if node_type.family == family:
                lines += _section(node_type)
    return "\n".join(lines) + "\n"


def _section(node_type: NodeType) -> list[str]:
    ports = ", ".join(f"`{port}`" for port in node_type.ports) or "none"
    kind = "has effects" if node_type.effects and not node_type.loop else "pure"
    lines = [
        "",
        f"### {node_type.type}",
        "",
        f"{node_type.summary} Ports: {ports}. Version {node_type.version}, {kind}.",
    ]
    if node_type.fields:
        lines += ["", "| field | default | what it is |", "|---|---|---|"]
        lines += [row for field in node_type.fields for row in _rows(field)]
    if node_type.output_schema:
        schema = json.dumps(node_type.output_schema, sort_keys=True)
        lines += ["", f"Gives: `{schema}`"]
    example = json.dumps(node_type.example, ensure_ascii=False)
    return [*lines, "", "```json", example, "```"]


def _rows(field: ParamField) -> list[str]:
    """A field, and those of the object that it may hold."""
    inner = struct_of(field.type)
    rows = [_row(field)]
    if inner is not None and issubclass(inner, Params):
        for each in param_fields(inner):
            rows.append(_row(msgspec.structs.replace(each, name=f"{field.name}.{each.name}")))
    return rows


def _row(field: ParamField) -> str:
    default = "required" if field.required else f"`{_json(field.default)}`"
    kind = "" if field.kind == "template" else f" *{field.kind}*."
    return f"| `{field.name}` | {default} | {field.title}. {field.description}{kind} |"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    sys.stdout.write(page())
