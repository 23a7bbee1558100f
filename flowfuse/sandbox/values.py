"""What code gives back, as JSON values: what has an obvious JSON form gets it, all else is refused."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from flowfuse.errors import CodeError
from flowfuse.model import Value

MAX_DEPTH = 400
_ADVICE = {
    "bytes": "give base64.b64encode(x).decode() or x.decode()",
    "set": "give sorted(x) or list(x)",
    "frozenset": "give sorted(x) or list(x)",
    "Decimal": "give str(x) or float(x)",
    "timedelta": "give x.total_seconds()",
    "complex": "give its parts",
    "ellipsis": "give null (None)",
}


def plain(value: Any, monty: Any, where: str = "the result", depth: int = 0) -> Value:
    """The value as JSON has it. Raises CodeError, which names the place and the way out."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if depth > MAX_DEPTH:
        raise CodeError(reason="The result is nested too deeply")
    if isinstance(value, list | tuple):
        return [plain(each, monty, f"{where}[{index}]", depth + 1) for index, each in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise CodeError(
                    reason=f"{where}: a key of a JSON object is a text, not {key!r:.50}; give str(key)"
                )
        return {key: plain(each, monty, f"{where}.{key}", depth + 1) for key, each in value.items()}
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, monty.MontyClassProxy) and value.is_dataclass:
        return plain(value.attributes, monty, where, depth + 1)
    kind = value.name if isinstance(value, monty.MontyClassProxy) else type(value).__name__
    advice = _ADVICE.get(kind, "give plain values: texts, numbers, booleans, lists, dicts, None")
    raise CodeError(reason=f"{where} is a {kind}, which JSON has not; {advice}")
