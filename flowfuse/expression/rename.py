"""A node gets another id: the expressions that name it follow."""

from __future__ import annotations

import ast
import re
from typing import Any

from flowfuse.errors import ExpressionInvalid
from flowfuse.expression.source import Parsed
from flowfuse.expression.template import split

ROOTS = ("nodes", "loops")


def rename_in(value: Any, old: str, new: str) -> Any:
    """A config value in which `nodes.old` and `loops.old` are `nodes.new` and `loops.new`.

    Text that is no expression, or cannot be read as one, stays as it is.
    """
    if isinstance(value, str):
        return _in_text(value, old, new) if old in value and "{{" in value else value
    if isinstance(value, dict):
        return {key: rename_in(part, old, new) for key, part in value.items()}
    if isinstance(value, list):
        return [rename_in(part, old, new) for part in value]
    return value


def _in_text(text: str, old: str, new: str) -> str:
    try:
        literals, sources = split(text)
    except ExpressionInvalid:
        return text
    out = [literals[0]]
    for source, literal in zip(sources, literals[1:], strict=True):
        out += "{{", _in_source(source, old, new), "}}", literal
    return "".join(out)


def _in_source(source: str, old: str, new: str) -> str:
    try:
        parsed = Parsed(source)
    except ExpressionInvalid:
        return source
    finder = _Finder(old)
    finder.visit(parsed.tree)
    for node, inside in sorted(finder.found, key=lambda pair: -parsed.span(pair[0])[0]):
        start, end = parsed.span(node)
        text = source[start:end]
        if inside:
            written = re.sub(rf"\b({'|'.join(ROOTS)})\s*\.\s*{re.escape(old)}\b", rf"\1.{new}", text)
        else:
            written = f"{re.split(r'[^a-z]', text, maxsplit=1)[0]}.{new}"
        source = source[:start] + written + source[end:]
    return source


class _Finder(ast.NodeVisitor):
    """Collects where a node is named; of an f-string, the whole of it (it does not know places inside)."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.found: list[tuple[ast.expr, bool]] = []

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.found.append((node, True))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == self.id and _is_root(node.value):
            self.found.append((node, False))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if key == self.id and _is_root(node.value):
            self.found.append((node, False))
        self.generic_visit(node)


def _is_root(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ROOTS
