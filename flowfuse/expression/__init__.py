"""The language of `{{ … }}`: a subset of Python's expressions over JSON values, with budgets.

`compile_value` turns a config value into a closure once; the closure gives the value for a running
node. `docs/expressions.md` describes the language and every function of its library.
"""

from flowfuse.expression.budget import INLINE_UNITS, Meter
from flowfuse.expression.interface import (
    Compiled,
    Env,
    Heavy,
    Names,
    Reference,
    Unfired,
    UnknownName,
    Value,
)
from flowfuse.expression.library import Function, library
from flowfuse.expression.template import compile_expression, compile_value, has_expression

__all__ = [
    "INLINE_UNITS",
    "Compiled",
    "Env",
    "Function",
    "Heavy",
    "Meter",
    "Names",
    "Reference",
    "Unfired",
    "UnknownName",
    "Value",
    "compile_expression",
    "compile_value",
    "has_expression",
    "library",
]
