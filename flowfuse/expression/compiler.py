"""From the syntax tree of one expression to a closure over plain JSON values.

Only what stands in `_VISITS` is in the language. Nothing is ever looked up on a Python object: a dot
reads a key of a dict, a call finds its function in the library's table.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from flowfuse.errors import ExpressionInvalid
from flowfuse.expression import arithmetic, comprehension
from flowfuse.expression.access import Closure, nearest
from flowfuse.expression.calls import Misfit, call, carefully, fit, lazily
from flowfuse.expression.context import LITERALS, NO_CONSTANT, giving, raising
from flowfuse.expression.display import joined, keyed_object, list_of, object_of, spec_text, text_of
from flowfuse.expression.library import LIBRARY
from flowfuse.expression.operators import PLAIN, WORD, negate, posit
from flowfuse.expression.paths import Paths, slot_value
from flowfuse.expression.site import FAULTS, Site, shorten

SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}


class Compiler(Paths):
    """Compiles one expression: `compile()` gives the closure, `problems` what is wrong with it."""

    def compile(self, *, as_text: bool = False) -> Closure:
        """The closure of the whole expression; with `as_text` it gives the value's text."""
        try:
            closure = self._visit(self.parsed.tree)
        except RecursionError:
            raise ExpressionInvalid("The expression is nested too deep.") from None
        if as_text:
            closure = text_of(closure, self._meter_of(), self.site, self.site.label)
        if self.problems:
            return raising(self.problems[0])
        self.site.solo = self._charges == 1
        self.site.slots = self._slots
        return closure if self._charges < 2 else _metered(closure, self.site)

    def visit_binary(self, node: ast.BinOp) -> Closure:
        sign = SIGNS.get(type(node.op))
        if sign is None:
            return self._problem(node, "Operations on bits (& | ^ ~ << >>, @) are not in the language.")
        left, text = self._visit(node.left), self._text(node)
        b = self._constant(node.right)
        if type(b) in (int, float) and b != 0 and -WORD < b < WORD:
            return arithmetic.binary_constant(sign, left, b, self._meter_of(), self.site, text)
        right = self._visit(node.right)
        return arithmetic.binary(sign, left, right, self._meter_of(), self.site, text)

    def visit_unary(self, node: ast.UnaryOp) -> Closure:
        value = self._constant(node)
        if value is not NO_CONSTANT and type(value) in (int, float):
            return giving(value)
        operand = self._visit(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda at: not operand(at)
        if isinstance(node.op, ast.Invert):
            return self._problem(node, "Operations on bits (& | ^ ~ << >>) are not in the language.")
        operate = negate if isinstance(node.op, ast.USub) else posit
        return _applied(operate, operand, self.site, self._text(node))

    def visit_boolean(self, node: ast.BoolOp) -> Closure:
        parts = self._visit_all(node.values)
        return (
            arithmetic.conjunction(parts) if isinstance(node.op, ast.And) else arithmetic.disjunction(parts)
        )

    def visit_compare(self, node: ast.Compare) -> Closure:
        signs = [SIGNS.get(type(op), "") for op in node.ops]
        if "" in signs:
            return self._problem(node, "is and is not are not in the language: write == null or != null.")
        text = self._text(node)
        left = self._visit(node.left)
        if len(signs) > 1:
            operands = [left, *self._visit_all(node.comparators)]
            return arithmetic.chain(operands, signs, self._meter_of(), self.site, text)
        b = self._constant(node.comparators[0])
        right = self._visit(node.comparators[0])
        if signs[0] in ("==", "!=") and type(b) in (bool, int, float, str, type(None)):
            return arithmetic.equality_constant(signs[0], left, b)
        if signs[0] in PLAIN and type(b) in (int, float):
            return arithmetic.order_constant(signs[0], left, b, self._meter_of(), self.site, text)
        return arithmetic.comparison(signs[0], left, right, self._meter_of(), self.site, text)

    def visit_conditional(self, node: ast.IfExp) -> Closure:
        test, then, other = self._visit(node.test), self._visit(node.body), self._visit(node.orelse)
        return lambda at: then(at) if test(at) else other(at)

    # Lists, objects, texts

    def visit_list(self, node: ast.List | ast.Tuple) -> Closure:
        return list_of(self._visit_all(node.elts))

    def visit_dict(self, node: ast.Dict) -> Closure:
        if None in node.keys:
            return self._problem(node, "** cannot spread an object here; write merge_dicts(a, b).")
        keys = [key for key in node.keys if key is not None]
        values = self._visit_all(node.values)
        constants = [self._constant(key) for key in keys]
        if all(type(key) is str for key in constants):
            return object_of(constants, values)
        return keyed_object(self._visit_all(keys), values, self.site, self._text(node))

    def visit_text(self, node: ast.JoinedStr) -> Closure:
        parts: list[str | Closure] = []
        self._in_text += 1
        for value in node.values:
            if isinstance(value, ast.Constant):
                parts.append(str(value.value))
            else:
                parts.append(self._visit(value))
        self._in_text -= 1
        return joined(parts, self._meter_of(), self.site, self._text(node), self._small)

    def visit_field(self, node: ast.FormattedValue) -> Closure:
        if node.conversion != -1:
            return self._problem(
                node, "!r, !s, !a and = are not in the language; json_encode(x) shows a value."
            )
        value, text = self._visit(node.value), self._text(node.value)
        if node.format_spec is None:
            return text_of(value, self._meter_of(), self.site, text)
        return spec_text(value, self._visit(node.format_spec), self._meter_of(), self.site, text)

    # Comprehensions

    def visit_list_comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Closure:
        first = self._first_values(node.generators)
        self._scopes.append({})
        loops = self._loops(node.generators, [node.elt], first)
        element = None if _is_variable(node.elt, node.generators) else self._visit(node.elt)
        emit = comprehension.list_emit(element or slot_value(loops[-1].slot))
        run = comprehension.run_filter(loops[0], element, self.site) if len(loops) == 1 else None
        run = run or comprehension.nest(loops, emit, comprehension.size_of(node.elt), self.site)
        self._scopes.pop()
        return self._comprehension(first, run, list)

    def visit_dict_comprehension(self, node: ast.DictComp) -> Closure:
        first = self._first_values(node.generators)
        self._scopes.append({})
        loops = self._loops(node.generators, [node.key, node.value], first)
        emit = comprehension.dict_emit(
            self._visit(node.key), self._visit(node.value), self._text(node.key), self.site
        )
        size = comprehension.ENTRY_BYTES + comprehension.size_of(node.value)
        run = comprehension.nest(loops, emit, size, self.site)
        self._scopes.pop()
        return self._comprehension(first, run, dict)

    def _comprehension(self, first: Closure, run: Any, make: Callable[[], Any]) -> Closure:
        if self._looping:
            return comprehension.inner(first, run, make)
        self._charges += 2
        return comprehension.outermost(first, run, make, self.site)

    def _first_values(self, generators: Sequence[ast.comprehension]) -> Closure:
        """What the first `for` goes over, which does not see the comprehension's variables."""
        return self._visit(generators[0].iter)

    def _loops(
        self, generators: Sequence[ast.comprehension], body: list[ast.expr], first: Closure
    ) -> list[comprehension.Loop]:
        loops = []
        for number, generator in enumerate(generators):
            if generator.is_async:
                self._problem(generator.iter, "async is not in the language.")
            values = self._visit(generator.iter) if number else first
            text = self._text(generator.iter)
            target = self._target(generator.target)
            bind = None if isinstance(target, int) else comprehension.binder(target, text, self.site)
            slot = target if isinstance(target, int) else 0
            conditions = self._visit_all(generator.ifs)
            weight = comprehension.weight_of(*generator.ifs, *(body if number == len(generators) - 1 else []))
            loops.append(comprehension.Loop(values, slot, bind, conditions, weight, text))
        return loops

    def _target(self, node: ast.expr) -> Any:
        """The slot of a loop variable, or a list of such for `for k, v in …`."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return [self._target(part) for part in node.elts]
        if not isinstance(node, ast.Name) or node.id in LITERALS:
            self._problem(node, f"“{self._text(node)}” cannot be a variable of a comprehension.")
            return comprehension.FIRST_SLOT
        slot = comprehension.FIRST_SLOT + self._slots
        self._slots += 1
        self._scopes[-1][node.id] = slot
        return slot

    # Calls

    def visit_call(self, node: ast.Call) -> Closure:
        if isinstance(node.func, ast.Attribute):
            name, subjects = node.func.attr, [node.func.value]
        elif isinstance(node.func, ast.Name):
            name, subjects = node.func.id, []
        else:
            return self._problem(node, "Only functions of the library can be called, by their name.")
        function = LIBRARY.get(name)
        if function is None:
            near = nearest(name, list(LIBRARY))
            hint = f" Did you mean {near}()?" if near else ""
            return self._problem(node, f"There is no function {shorten(name)}().{hint}", "unknown_function")
        given = [self._argument(argument) for argument in [*subjects, *node.args]]
        named = {keyword.arg: self._visit(keyword.value) for keyword in node.keywords if keyword.arg}
        if len(named) < len(node.keywords):
            return self._problem(node, "** cannot spread arguments.")
        try:
            arguments = fit(function, given, named)
        except Misfit as error:
            return self._problem(node, str(error))
        text = self._text(node)
        if name == "get":
            get = carefully(function, arguments[1:], self._meter_of(), self.site, text)
            return lazily(arguments[0], arguments[2], get)
        return call(function, arguments, self._meter_of(), self.site, text, self._looping)

    def _argument(self, node: ast.expr) -> Closure:
        if isinstance(node, ast.GeneratorExp):
            return self.visit_list_comprehension(node)
        return self._visit(node)


def _is_variable(element: ast.expr, generators: Sequence[ast.comprehension]) -> bool:
    """Whether the element is the last `for`'s own variable."""
    target = generators[-1].target
    return isinstance(element, ast.Name) and isinstance(target, ast.Name) and element.id == target.id


def _applied(operate: Callable[[Any], Any], operand: Closure, site: Site, text: str) -> Closure:
    def apply(at: Any) -> Any:
        value = operand(at)
        try:
            return operate(value)
        except FAULTS as error:
            raise site.fault(text, error) from None

    return apply


def _metered(closure: Closure, site: Site) -> Closure:
    """Begins with a fresh budget, and catches what deep nesting does to the interpreter."""

    def evaluate(env: Any) -> Any:
        env.meter = None
        try:
            return closure(env)
        except (RecursionError, MemoryError) as error:
            raise site.fault(site.label, error) from None

    return evaluate


_VISITS: dict[type[ast.AST], Callable[[Compiler, Any], Closure]] = {
    ast.Constant: Compiler.visit_constant,
    ast.Name: Compiler.visit_name,
    ast.Attribute: Compiler.visit_attribute,
    ast.Subscript: Compiler.visit_subscript,
    ast.BinOp: Compiler.visit_binary,
    ast.UnaryOp: Compiler.visit_unary,
    ast.BoolOp: Compiler.visit_boolean,
    ast.Compare: Compiler.visit_compare,
    ast.IfExp: Compiler.visit_conditional,
    ast.List: Compiler.visit_list,
    ast.Tuple: Compiler.visit_list,
    ast.Dict: Compiler.visit_dict,
    ast.JoinedStr: Compiler.visit_text,
    ast.FormattedValue: Compiler.visit_field,
    ast.ListComp: Compiler.visit_list_comprehension,
    ast.DictComp: Compiler.visit_dict_comprehension,
    ast.Call: Compiler.visit_call,
}

Compiler.visits = _VISITS
