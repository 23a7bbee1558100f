"""What the engine and the expression language know of each other.

The engine hands in `Env` (the running node) and `Names` (what names mean at one place of the
document); it gets `Compiled` back, and may see `Unfired`, `Heavy` and `ExpressionFailed` at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from flowfuse.errors import ExpressionFailed

if TYPE_CHECKING:
    from flowfuse.expression.budget import Meter

Value: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
Reference: TypeAlias = tuple[Literal["node", "name", "loop"], str]


class Env(Protocol):
    """What an evaluation may ask of the running node."""

    now_us: int
    timezone: str
    inline: bool
    meter: Meter | None

    def seed(self) -> bytes:
        """Root, node and loop path with round, as bytes; `uuid()` and `random_int()` derive from it."""
        ...


class Names(Protocol):
    """What names mean at one place of the document. Each method raises `UnknownName`."""

    def name(self, name: str) -> Callable[[Env], Value]:
        """The getter of `trigger`, `input`, `item` and so on."""
        ...

    def node(self, id: str) -> Callable[[Env], Value]:
        """The getter of `nodes.<id>`; it raises `Unfired` where that node gave no value."""
        ...

    def loop(self, id: str) -> tuple[Callable[[Env], Value], Callable[[Env], Value]]:
        """The getters of `loops.<id>.item` and `loops.<id>.index`."""
        ...


class UnknownName(Exception):
    """A name that means nothing at this place. Its text is the sentence that the user reads."""


class Missing(ExpressionFailed):
    """A key, index or object that an expression walks through is not there; `get()` takes its default."""


class Unfired(ExpressionFailed):
    """`nodes.<id>` of a node that has not fired; `get()` takes its default."""


class Heavy(BaseException):
    """An inline evaluation is too large for the event loop: evaluate again on a worker thread.

    A BaseException, since nothing inside the language may take it for a failure of the expression.
    """


class Compiled(NamedTuple):
    """A config value or expression, ready to be evaluated any number of times and on any thread."""

    evaluate: Callable[[Env], Any]
    constant: bool
    references: list[Reference]
    literal_prefix: str = ""
