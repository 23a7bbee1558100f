"""How a function enters the library: its signature is read from the Python function that does the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Run = Callable[..., Any]
F = TypeVar("F", bound=Run)

VARIADIC = 0x04
"""The flag of a code object that takes `*args`."""


class Function(NamedTuple):
    """One function of the library, for the compiler, the docs and completion."""

    name: str
    group: str
    signature: str
    summary: str
    example: str
    result: Any
    run: Run
    parameters: tuple[str, ...]
    defaults: tuple[Any, ...]
    variadic: bool
    quick: dict[type, Callable[[Any], Any]] | None
    quick_text: Callable[[str], Any] | None


class Group:
    """The functions of one subject; `@group.function(example, result)` adds one.

    A function's first argument is the meter of the running expression, the others are the user's. Its
    name is the Python function's, without a last underscore that keeps a builtin from being hidden.
    `quick` does the work without a meter, by the type of the only argument, where it costs no more for a
    large one; `quick_text` does it for a short text.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.functions: list[Function] = []

    def function(
        self,
        example: str,
        result: Any,
        *,
        quick: dict[type, Callable[[Any], Any]] | None = None,
        quick_text: Callable[[str], Any] | None = None,
    ) -> Callable[[F], F]:
        def add(run: F) -> F:
            name = run.__name__.rstrip("_")
            code = run.__code__
            variadic = bool(code.co_flags & VARIADIC)
            parameters = code.co_varnames[1 : code.co_argcount]
            defaults = run.__defaults__ or ()
            rest = code.co_varnames[code.co_argcount] if variadic else None
            self.functions.append(
                Function(
                    name=name,
                    group=self.name,
                    signature=_signature(name, parameters, defaults, rest),
                    summary=" ".join((run.__doc__ or "").split()),
                    example=example,
                    result=result,
                    run=run,
                    parameters=parameters,
                    defaults=defaults,
                    variadic=variadic,
                    quick=quick,
                    quick_text=quick_text,
                )
            )
            return run

        return add


def _signature(name: str, parameters: tuple[str, ...], defaults: tuple[Any, ...], rest: str | None) -> str:
    required = len(parameters) - len(defaults)
    parts = [
        parameter if index < required else f"{parameter}={json.dumps(defaults[index - required])}"
        for index, parameter in enumerate(parameters)
    ]
    if rest:
        parts.append(f"{rest}…")
    return f"{name}({', '.join(parts)})"
