"""The budget of one expression: one second and 64 MB, charged before the work is done.

Counting steps is not enough, since one step (`x in big_list`) can take seconds inside the
interpreter. So each operation on something of unbounded size tells the meter beforehand how much it
is about to touch (units of about 0.1 µs) and to make (bytes). Small operations outside of loops are
not charged: there can be no more of them than the source has letters.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from flowfuse.errors import ExpressionFailed
from flowfuse.expression.interface import Env, Heavy

if TYPE_CHECKING:
    from flowfuse.expression.site import Site

TIME_LIMIT = 1.0
MEMORY_LIMIT = 64 * 1024 * 1024
UNIT_SECONDS = 1e-7
INLINE_UNITS = 20_000
LOOK_EVERY = 5_000
"""Units between two looks at the clock: half a millisecond."""

PROCESSOR_SHARE = 0.85
"""Regular expressions are timed by the processor's clock, which falls behind on a busy machine."""

SMALL = 1024
"""Characters or elements up to which an operation outside of a loop is not charged."""


class Meter:
    """What one evaluation of one expression has used so far."""

    __slots__ = ("_deadline", "_look_at", "calls", "env", "site", "size", "units")

    def __init__(self, env: Env, site: Site) -> None:
        self.env = env
        self.site = site
        self.units = 0
        self.size = 0
        self.calls = 0
        self._look_at = LOOK_EVERY
        self._deadline = perf_counter() + TIME_LIMIT

    def charge(self, units: int, size: int = 0) -> None:
        """Take this much of the budget; raises before the work where it does not fit."""
        # Making something takes time as well, of the memory more than of the processor.
        self.units += units + (size >> 8)
        self.size += size
        if self.units > self._look_at or self.size > MEMORY_LIMIT:
            self._look(units)

    def _look(self, units: int) -> None:
        if self.size > MEMORY_LIMIT:
            raise self.exhausted("memory budget of 64 MB")
        if self.env.inline and self.units > INLINE_UNITS:
            raise Heavy
        if perf_counter() + units * UNIT_SECONDS > self._deadline:
            raise self.exhausted("time budget of 1 s")
        self._look_at = self.units + LOOK_EVERY

    def exhausted(self, budget: str) -> ExpressionFailed:
        return ExpressionFailed(
            reason=f"`{self.site.label}` goes beyond the {budget} that one expression has.",
            hint="Work on fewer items at a time, or move this into a loop or a code node.",
        )

    def seconds_left(self) -> float:
        """How long a call that watches the clock itself (a regular expression) may take."""
        if self.env.inline:
            return max(1e-4, (INLINE_UNITS - self.units) * UNIT_SECONDS)
        return max(1e-4, (self._deadline - perf_counter()) * PROCESSOR_SHARE)

    def spent(self, since: float) -> None:
        """Charge the time that such a call took: only the clock knows it."""
        self.charge(int((perf_counter() - since) / UNIT_SECONDS))

    def overran(self) -> BaseException:
        """What to raise when such a call ran into its time limit."""
        if self.env.inline:
            return Heavy()
        return self.exhausted("time budget of 1 s")

    def weigh(self, value: Any) -> tuple[int, int]:
        """(elements, characters) at any depth, charged while counting, so that this ends as well."""
        elements = characters = 0
        pending = [value]
        while pending:
            part = pending.pop()
            kind = type(part)
            elements += 1
            if kind is str:
                characters += len(part)
                continue
            if kind is dict:
                characters += self._count(part, pending)
                part = part.values()
            elif kind is not list:
                continue
            elements += len(part)
            characters += self._count(part, pending)
        return elements, characters

    def _count(self, parts: Any, pending: list[Any]) -> int:
        self.charge(len(parts) >> 1)
        characters = 0
        for part in parts:
            kind = type(part)
            if kind is str:
                characters += len(part)
            elif kind is list or kind is dict:
                pending.append(part)
        return characters

    def touch(self, value: Any, rounds: int = 1) -> None:
        """Charge an operation that goes over all of a nested value, `rounds` times."""
        kind = type(value)
        if kind is str:
            self.charge((len(value) >> 9) * rounds)
        elif kind is list or kind is dict:
            elements, characters = self.weigh(value)
            self.charge(((elements >> 1) + (characters >> 9)) * rounds)
