"""What code gives back, as JSON values: what has an obvious JSON form gets it, all else is refused."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from flowfuse.errors import CodeError
from flowfuse.model import Value

MAX_DEPTH = 400
MAX_PARTS = 2_000_000
"""Items and keys of a result, all levels together."""
_ADVICE = {
    "bytes": "give base64.b64encode(x).decode() or x.decode()",
    "set": "give sorted(x) or list(x)",
    "frozenset": "give sorted(x) or list(x)",
    "Decimal": "give str(x) or float(x)",
    "timedelta": "give x.total_seconds()",
    "complex": "give its parts",
    "ellipsis": "give null (None)",
}


class TooMany(Exception):
    """The value has more parts than were to be looked at."""


def plain(value: Any, monty: Any, most: int = MAX_PARTS) -> Value:
    """The value as JSON has it. Raises CodeError, which names the place and the way out.

    A list can hold another many times over, and that another, so a value of a few hundred objects may
    have more parts than there are atoms: they are counted. Raises TooMany over `most`.
    """
    return _Plain(monty, most).of(value, None, 0)


Place = tuple[Any, Any] | None
"""Where a value stands: (the place of what holds it, its key or index); None for the result itself."""


class _Plain:
    def __init__(self, monty: Any, left: int) -> None:
        self._monty, self._left = monty, left

    def of(self, value: Any, place: Place, depth: int) -> Value:
        if value is None or isinstance(value, str | bool | int | float):
            return value
        if depth > MAX_DEPTH:
            raise CodeError(reason="The result is nested too deeply")
        if isinstance(value, list | tuple | dict):
            self._left -= len(value) + 1
            if self._left < 0:
                raise TooMany
        deeper = depth + 1
        if isinstance(value, list | tuple):
            return [self.of(each, (place, index), deeper) for index, each in enumerate(value)]
        if isinstance(value, dict):
            return {_key(key, place): self.of(each, (place, key), deeper) for key, each in value.items()}
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, self._monty.MontyClassProxy) and value.is_dataclass:
            return self.of(value.attributes, place, deeper)
        kind = value.name if isinstance(value, self._monty.MontyClassProxy) else type(value).__name__
        advice = _ADVICE.get(kind, "give plain values: texts, numbers, booleans, lists, dicts, None")
        raise CodeError(reason=f"{_words(place)} is a {kind}, which JSON has not; {advice}")


def _key(key: Any, place: Place) -> str:
    if not isinstance(key, str):
        raise CodeError(
            reason=f"{_words(place)}: a key of a JSON object is a text, not {key!r:.50}; give str(key)"
        )
    return key


def _words(place: Place) -> str:
    if place is None:
        return "the result"
    holder, key = place
    return f"{_words(holder)}[{key}]" if isinstance(key, int) else f"{_words(holder)}.{key}"
