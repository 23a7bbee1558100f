"""What the visits of all parts of an expression share: scopes, problems, and who finds the meter where."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from flowfuse.errors import ExpressionFailed, ExpressionInvalid
from flowfuse.expression import comprehension
from flowfuse.expression.access import Closure
from flowfuse.expression.budget import SMALL
from flowfuse.expression.interface import Names, Reference
from flowfuse.expression.site import Site, shorten
from flowfuse.expression.source import Parsed

MAX_DEPTH = 150
NO_CONSTANT = object()
LITERALS = {"true": True, "false": False, "null": None}
REFUSED: dict[type[ast.AST], str] = {
    ast.Lambda: "lambda is not in the language; a comprehension does that work: [f(x) for x in list].",
    ast.NamedExpr: "An expression cannot set names (:=).",
    ast.Starred: "* cannot spread values here; write lists together with +.",
    ast.Await: "await is not in the language.",
    ast.Yield: "yield is not in the language.",
    ast.YieldFrom: "yield is not in the language.",
    ast.Set: "A set {…} is not in the language; write a list […], and unique(list) for what is in it once.",
    ast.SetComp: "A set {…} is not in the language; write unique([…]).",
    ast.GeneratorExp: "Put the comprehension in brackets: [… for … in …].",
    ast.Slice: "A slice stands only in x[a:b].",
}


class Context:
    """One expression while it is compiled. Problems are collected, so that all are seen at once."""

    visits: dict[type[ast.AST], Callable[[Any, Any], Closure]]

    def __init__(self, source: str, names: Names, path: str) -> None:
        self.parsed = Parsed(source)
        self.names = names
        self.site = Site(source.strip(), path)
        self.problems: list[ExpressionInvalid] = []
        self.references: list[Reference] = []
        self._scopes: list[dict[str, int]] = []
        self._slots = 0
        self._depth = 0
        self._in_text = 0
        self._charges = 0

    @property
    def _looping(self) -> bool:
        return bool(self._scopes)

    @property
    def _small(self) -> int:
        """Up to which size an operation here goes uncharged: inside a loop none does."""
        return -1 if self._looping else SMALL

    def _meter_of(self) -> Closure:
        """How a closure at this place finds the meter; asking for it counts as an operation that charges."""
        self._charges += 2 if self._looping else 1
        return comprehension.meter_of if self._looping else self.site.meter

    def _text(self, node: ast.expr) -> str:
        # Python 3.11 does not know where in an f-string something stands.
        if not self._in_text:
            return self.parsed.text(node)
        try:
            return shorten(ast.unparse(node))
        except ValueError:
            return self.site.label

    def _problem(self, node: ast.expr, reason: str, kind: str = "expression_syntax") -> Closure:
        offset = 0 if self._in_text else self.parsed.span(node)[0]
        error = ExpressionInvalid(reason, offset=offset, kind=kind)
        self.problems.append(error)
        return raising(error)

    def _visit(self, node: ast.expr) -> Closure:
        visit = self.visits.get(type(node))
        if visit is None:
            reason = REFUSED.get(type(node), f"“{self._text(node)}” is not in the language.")
            return self._problem(node, reason)
        if self._depth >= MAX_DEPTH:
            raise ExpressionInvalid("The expression is nested too deep.")
        self._depth += 1
        closure = visit(self, node)
        self._depth -= 1
        return closure

    def _visit_all(self, nodes: Sequence[ast.expr]) -> list[Closure]:
        return [self._visit(node) for node in nodes]

    def _find(self, name: str) -> int | None:
        """The slot of a comprehension's variable."""
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def _constant(self, node: ast.expr) -> Any:
        """The value of a literal, else NO_CONSTANT."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and node.id in LITERALS and self._find(node.id) is None:
            return LITERALS[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self._constant(node.operand)
            return -value if type(value) in (int, float) else NO_CONSTANT
        return NO_CONSTANT


def giving(value: Any) -> Closure:
    return lambda at: value


def raising(error: ExpressionInvalid) -> Closure:
    def refuse(at: Any) -> NoReturn:
        raise ExpressionFailed(reason=error.message)

    return refuse
