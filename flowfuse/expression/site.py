"""One expression as its closures see it at run time: its text, its field, its budget, its failures."""

from __future__ import annotations

from typing import Any

from flowfuse.errors import ExpressionFailed
from flowfuse.expression.budget import Meter
from flowfuse.expression.interface import Env

LABEL_LENGTH = 120

KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def kind_of(value: Any) -> str:
    """What a value is, as a sentence says it."""
    return KINDS.get(type(value), "a value of an unknown kind")


def shorten(text: str, limit: int = LABEL_LENGTH) -> str:
    """The text on one line and no longer than a sentence can bear."""
    line = " ".join(text[: limit * 4].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class Misuse(Exception):
    """Says in a sentence why an operation or function cannot work on its values.

    The closure that called it adds the expression's text and makes an `ExpressionFailed` of it.
    """


FAULTS = (
    Misuse,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What an operation on JSON values can raise: nothing of it may leave the language as it is."""


class Site:
    """Where an expression stands. Shared by all threads that evaluate it, so nothing here changes
    once it is compiled."""

    __slots__ = ("label", "path", "slots", "solo")

    def __init__(self, source: str, path: str) -> None:
        self.label = shorten(source)
        self.path = path
        self.solo = False
        self.slots = 0

    def meter(self, env: Env) -> Meter:
        """The meter of the evaluation under way, made when something is charged for the first time.

        An expression with a single operation that may charge (`solo`) takes a new one each time, and so
        needs nobody to clear the slot before it starts.
        """
        meter = env.meter
        if meter is None or self.solo:
            meter = env.meter = Meter(env, self)
        return meter

    def fault(self, text: str, error: BaseException) -> ExpressionFailed:
        """The failure that the user reads for what went wrong in the part `text`."""
        return ExpressionFailed(reason=f"`{text}`: {_sentence(error)}")


def _sentence(error: BaseException) -> str:
    if isinstance(error, Misuse):
        return str(error)
    if isinstance(error, ZeroDivisionError):
        return "division by zero."
    if isinstance(error, OverflowError):
        return "the number is too large."
    if isinstance(error, RecursionError):
        return "the value is nested too deep."
    if isinstance(error, MemoryError):
        return "there is not enough memory for this."
    if isinstance(error, UnicodeError):
        return "the text holds characters that cannot be encoded."
    return "this does not work with these values."
