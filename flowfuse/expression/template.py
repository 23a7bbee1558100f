"""Config values with `{{ … }}` in them, at any depth, as one closure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowfuse.errors import ExpressionFailed, ExpressionInvalid
from flowfuse.expression.compiler import Compiler
from flowfuse.expression.display import object_of
from flowfuse.expression.interface import Compiled, Env, Names, Reference, Value
from flowfuse.expression.source import expression_end

Problems = list[tuple[str, ExpressionInvalid]]
MAX_DEPTH = 200


def has_expression(text: str) -> bool:
    """Whether a text is more than a literal."""
    return "{{" in text


def compile_expression(source: str, names: Names, path: str) -> Compiled:
    """A bare expression, without braces. Raises the first of its problems."""
    compiler = Compiler(source, names, path)
    evaluate = compiler.compile()
    if compiler.problems:
        raise compiler.problems[0]
    return Compiled(evaluate, False, compiler.references)


def compile_value(value: Value, names: Names, path: str) -> tuple[Compiled, Problems]:
    """A config value of any shape, and all problems in it, each with the path of its field."""
    compiler = _Values(names)
    try:
        evaluate = compiler.compile(value, path, 0)
    except ExpressionInvalid as error:
        compiler.problems.append((path, error))
        evaluate = None
    if compiler.problems:
        evaluate = _refusing(compiler.problems[0][1])
    constant = evaluate is None
    prefix = compiler.prefix if isinstance(value, str) else ""
    return Compiled(evaluate or _giving(value), constant, compiler.references, prefix), compiler.problems


def split(text: str) -> tuple[list[str], list[str]]:
    """The literal parts of a template and the expressions between them (one part more than those)."""
    parts, sources, position = [], [], 0
    while (start := text.find("{{", position)) >= 0:
        end = expression_end(text, start + 2)
        if end < 0:
            reason = "A “{{” has no matching “}}”; look for a bracket or quote that is left open."
            raise ExpressionInvalid(reason, offset=start)
        parts.append(text[position:start])
        sources.append(text[start + 2 : end])
        position = end + 2
    parts.append(text[position:])
    return parts, sources


class _Values:
    """Compiles the strings inside one config value. A None for an evaluate means: nothing to evaluate."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.problems: Problems = []
        self.references: list[Reference] = []
        self.prefix = ""

    def compile(self, value: Any, path: str, depth: int) -> Callable[[Any], Any] | None:
        if isinstance(value, str):
            return self._text(value, path)
        if not isinstance(value, (dict, list)):
            return None
        if depth >= MAX_DEPTH:
            raise ExpressionInvalid("The value is nested too deep.")
        if isinstance(value, dict):
            parts = {key: self.compile(part, f"{path}.{key}", depth + 1) for key, part in value.items()}
            if not any(parts.values()):
                return None
            return object_of(list(parts), [part or _giving(value[key]) for key, part in parts.items()])
        elements = [self.compile(part, f"{path}[{index}]", depth + 1) for index, part in enumerate(value)]
        if not any(elements):
            return None
        return _list_of([part or _giving(value[index]) for index, part in enumerate(elements)])

    def _text(self, text: str, path: str) -> Callable[[Any], Any] | None:
        try:
            parts, sources = split(text)
        except ExpressionInvalid as error:
            self.problems.append((path, error))
            return None
        self.prefix = parts[0]
        if not sources:
            return None
        if len(sources) == 1 and not "".join(parts).strip():
            self.prefix = ""
            return self._expression(sources[0], path, path, as_text=False)
        pieces: list[Any] = [parts[0]] if parts[0] else []
        for number, (source, literal) in enumerate(zip(sources, parts[1:], strict=True)):
            pieces.append(self._expression(source, path, f"{path}#{number}", as_text=True))
            if literal:
                pieces.append(literal)
        return _joined(pieces)

    def _expression(self, source: str, path: str, seed: str, *, as_text: bool) -> Callable[[Any], Any]:
        """One `{{ … }}`; `seed` tells it apart from the others in its field, for `uuid()`."""
        try:
            compiler = Compiler(source, self.names, seed)
            closure = compiler.compile(as_text=as_text)
        except ExpressionInvalid as error:
            self.problems.append((path, error))
            return _refusing(error)
        self.problems += [(path, problem) for problem in compiler.problems]
        self.references += compiler.references
        return closure


def _joined(pieces: list[Any]) -> Callable[[Any], str]:
    if len(pieces) == 2 and isinstance(pieces[0], str):
        prefix, only = pieces
        return lambda env: prefix + only(env)
    return lambda env: "".join([piece if type(piece) is str else piece(env) for piece in pieces])


def _list_of(parts: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    return lambda env: [part(env) for part in parts]


def _giving(value: Value) -> Callable[[Env], Value]:
    return lambda env: value


def _refusing(error: ExpressionInvalid) -> Callable[[Env], Value]:
    def refuse(env: Env) -> Value:
        raise ExpressionFailed(reason=error.message)

    return refuse
