"""Names and what is read from them: `trigger`, `nodes.<id>`, keys, indexes, slices."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from flowfuse.expression.access import Closure, Step, cut, key_path, slot_path, subscript
from flowfuse.expression.context import LITERALS, Context, giving
from flowfuse.expression.interface import UnknownName
from flowfuse.expression.library import LIBRARY
from flowfuse.expression.operators import MAX_BITS


class Paths(Context):
    """The visits of literals, names and chains of keys."""

    def visit_constant(self, node: ast.Constant) -> Closure:
        value = node.value
        if value is not None and type(value) not in (bool, int, float, str):
            return self._problem(node, f"“{self._text(node)}” is not in the language.")
        if (type(value) is float and value - value != 0) or (
            type(value) is int and value.bit_length() > MAX_BITS
        ):
            return self._problem(node, f"The number {self._text(node)} is too large.")
        return giving(value)

    def visit_name(self, node: ast.Name) -> Closure:
        slot = self._find(node.id)
        if slot is not None:
            return slot_value(slot)
        if node.id in LITERALS:
            return giving(LITERALS[node.id])
        if node.id in ("nodes", "loops"):
            return self._bare(node, node.id)
        if node.id in LIBRARY:
            reason = f"{node.id} is a function: write {LIBRARY[node.id].signature}."
            return self._problem(node, reason, "unknown_reference")
        return self._reference(node, "name", node.id)

    def _bare(self, node: ast.expr, name: str) -> Closure:
        example = "nodes.fetch" if name == "nodes" else "loops.each.item"
        reason = f"After {name} the id follows as it is written on the canvas, as in {example}"
        return self._problem(node, f'{reason} or {name}["…"]; it cannot be computed.', "unknown_reference")

    def _reference(self, node: ast.expr, kind: Any, id: str) -> Closure:
        try:
            getter = self.names.node(id) if kind == "node" else self.names.name(id)
        except UnknownName as error:
            return self._problem(node, str(error), "unknown_reference")
        self.references.append((kind, id))
        return self._outside(getter)

    def _outside(self, getter: Callable[[Any], Any]) -> Closure:
        """A getter of the Env, also where closures are called with a frame."""
        return _from_frame(getter) if self._looping else getter

    def _loop_reference(self, node: ast.expr, id: str, part: Any) -> Closure:
        if part not in ("item", "index"):
            reason = f"A loop has .item and .index: write loops.{id}.item."
            return self._problem(node, reason, "unknown_reference")
        try:
            item, index = self.names.loop(id)
        except UnknownName as error:
            return self._problem(node, str(error), "unknown_reference")
        self.references.append(("loop", id))
        return self._outside(item if part == "item" else index)

    def visit_attribute(self, node: ast.Attribute) -> Closure:
        return self._path(node)

    def visit_subscript(self, node: ast.Subscript) -> Closure:
        if isinstance(node.slice, ast.Slice):
            bounds = (node.slice.lower, node.slice.upper, node.slice.step)
            closures = [None if bound is None else self._visit(bound) for bound in bounds]
            base = self._visit(node.value)
            return cut(base, closures, self._meter_of(), self.site, self._text(node), self._small)
        if self._key(node) is not None:
            return self._path(node)
        if self._is_root(node.value):
            return self._bare(node, node.value.id)  # type: ignore[attr-defined]
        base, index = self._visit(node.value), self._visit(node.slice)
        return subscript(base, index, self.site, self._text(node.value), self._text(node))

    def _key(self, node: ast.expr) -> str | int | None:
        """The key that a link of a chain reads, where it is written in the expression."""
        if isinstance(node, ast.Attribute):
            return node.attr
        if isinstance(node, ast.Subscript):
            value = self._constant(node.slice)
            return value if type(value) in (str, int) else None
        return None

    def _is_root(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in ("nodes", "loops") and self._find(node.id) is None

    def _path(self, node: ast.expr) -> Closure:
        """A chain of keys, as one closure from its base on."""
        links: list[Any] = []
        base = node
        while self._key(base) is not None:
            links.append(base)
            base = base.value  # type: ignore[attr-defined]
        links.reverse()
        if self._is_root(base):
            closure, used = self._rooted(base, links)
            links = links[used:]
        elif isinstance(base, ast.Name) and (slot := self._find(base.id)) is not None:
            return slot_path(slot, self._steps(links))
        else:
            closure = self._visit(base)
        return key_path(closure, self._steps(links)) if links else closure

    def _steps(self, links: Sequence[Any]) -> list[Step]:
        return [(self._key(link), self._text(link.value), self._text(link)) for link in links]  # type: ignore[misc]

    def _rooted(self, base: ast.expr, links: Sequence[ast.expr]) -> tuple[Closure, int]:
        """`nodes.<id>` or `loops.<id>.item`, and how many links of the chain it takes."""
        root = base.id  # type: ignore[attr-defined]
        id = self._key(links[0]) if links else None
        if type(id) is not str:
            return self._bare(base, root), len(links)
        if root == "nodes":
            return self._reference(links[0], "node", id), 1
        part = self._key(links[1]) if len(links) > 1 else None
        return self._loop_reference(links[0], id, part), 2


def slot_value(slot: int) -> Closure:
    return lambda frame: frame[slot]


def _from_frame(getter: Callable[[Any], Any]) -> Closure:
    return lambda frame: getter(frame[0])
