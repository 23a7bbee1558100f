"""Starts a run at times: by a cron expression, every so often, or once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from flowfuse.engine.recurrence import parse_recurrence
from flowfuse.errors import ScheduleInvalid
from flowfuse.node import NodeType, Params, form


class ScheduleParams(Params, frozen=True):
    """One of `cron`, `every` and `at`."""

    cron: Annotated[
        str,
        form("Cron", "Minute, hour, day of month, month, day of week, such as “0 9 * * 1-5”; or @daily …",
             widget="cron", kind="plain"),
    ] = ""  # fmt: skip
    every: Annotated[
        float | str | None, form("Every", "A span such as 15m or 6h, counted from publishing.", kind="plain")
    ] = None
    at: Annotated[str, form("Once at", "A date and time such as 2027-01-31T09:00.", kind="plain")] = ""
    timezone: Annotated[
        str, form("Timezone", "Such as Europe/Berlin; without it, the workflow's.", kind="plain")
    ] = ""
    catch_up: Annotated[
        Literal["none", "last", "all"],
        form("When missed", "What happens to times that passed while FlowFuse was off: nothing, the last "
             "one is made up for, or all of them (a hundred at most).", widget="choice", kind="plain"),
    ] = "none"  # fmt: skip


class ScheduleValue(TypedDict):
    """When it should have been, and when it was."""

    due: str
    fired: str


class ScheduleTrigger(NodeType):
    type = "trigger.schedule"
    title = "Schedule"
    summary = "Starts by the clock: at set times, every so often, or once."
    icon = "clock"
    is_trigger = True
    params = ScheduleParams
    output: ClassVar[Any] = ScheduleValue
    example: ClassVar = {
        "id": "mornings",
        "type": "trigger.schedule",
        "config": {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"},
    }

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        try:
            parse_recurrence(
                cron=config.get("cron", ""),
                every=config.get("every"),
                at=config.get("at", ""),
                timezone=config.get("timezone") or "UTC",
                anchor_us=0,
            )
        except ScheduleInvalid as error:
            yield error.parameters["field"], error.parameters["reason"]
