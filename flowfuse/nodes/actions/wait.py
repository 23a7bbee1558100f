"""Holds a run until a time: a row in the database, no memory and no task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from flowfuse.errors import ExpressionFailed
from flowfuse.node import Config, NodeType, Outcome, Params, Wait, form, span_us


class WaitParams(Params, frozen=True):
    """Either a span or a moment."""

    seconds: Annotated[
        float | str | None, form("For", "Seconds, or a text such as 15m or 1h30m.", widget="text")
    ] = None
    until: Annotated[float | str | None, form("Until", "A date and time (ISO 8601).", widget="text")] = None


class WaitAction(NodeType):
    type = "action.wait"
    title = "Wait"
    summary = "Lets time pass. The run costs nothing meanwhile, and outlives restarts."
    icon = "hourglass"
    params = WaitParams
    example: ClassVar = {"id": "pause", "type": "action.wait", "config": {"seconds": "15m"}}

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        given = [name for name in ("seconds", "until") if config.get(name) is not None]
        if len(given) != 1:
            yield "seconds", "Give either “seconds” or “until”"
        for name in given:
            value = config[name]
            if isinstance(value, str) and "{{" in value:
                continue  # what it comes to is known in a run
            try:
                span_us(value, name) if name == "seconds" else _moment_us(value, "UTC")
            except ExpressionFailed as error:
                yield name, error.parameters["reason"].removeprefix(f"{name}: ")

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        span, moment = config.get("seconds"), config.get("until")
        if config.plain("seconds") is not None:
            return lambda frame: Wait(frame.now_us + span_us(span(frame), "seconds"))
        return lambda frame: Wait(_moment_us(moment(frame), frame.timezone))


def _moment_us(value: Any, timezone: str) -> int:
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, int | float):
            moment = datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        else:
            moment = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise ExpressionFailed(reason=f"until: {value!r} is not a date and time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    return int(moment.timestamp() * 1e6)
