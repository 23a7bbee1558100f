"""Many ways: the first case that fits, else the default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, UnsetType

from flowfuse.errors import ExpressionFailed
from flowfuse.node import Config, NodeType, Outcome, Output, Params, form

RESERVED = ("default", "error")


class Case(Params, frozen=True):
    """One way out: taken when `value` equals `equals`, or when `when` holds."""

    port: Annotated[str, form("Port", "The way's name.", kind="plain", pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    equals: Annotated[Any | UnsetType, form("Equals", "Taken when the value is this.", widget="json")] = UNSET
    when: Annotated[Any | UnsetType, form("When", "Taken when this holds.", widget="expression")] = UNSET


class SwitchParams(Params, frozen=True):
    """A value, and the cases that it is held against."""

    cases: Annotated[list[Case], form("Cases", "The first that fits is taken.", widget="list", kind="lazy")]
    value: Annotated[
        Any, form("Value", "What “equals” is compared with.", widget="expression", kind="lazy")
    ] = None


class Switch(NodeType):
    type = "condition.switch"
    title = "Switch"
    summary = "Sends its input by the first case that fits, else by “default”."
    icon = "fork"
    ports: ClassVar[tuple[str, ...]] = ("default",)
    params = SwitchParams
    example: ClassVar = {
        "id": "kind",
        "type": "condition.switch",
        "config": {
            "value": "{{ trigger.body.kind }}",
            "cases": [
                {"port": "order", "equals": "order"},
                {"port": "big", "when": "{{ input.total > 100 }}"},
            ],
        },
    }

    def ports_of(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        cases = config.get("cases")
        named = [c.get("port") for c in cases if isinstance(c, dict)] if isinstance(cases, list) else []
        return (*dict.fromkeys(name for name in named if isinstance(name, str)), "default")

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        seen = set()
        for index, case in enumerate(config.get("cases", [])):
            if case["port"] in RESERVED:
                yield f"cases[{index}].port", f"“{case['port']}” is taken; choose another name"
            if case["port"] in seen:
                yield f"cases[{index}].port", f"“{case['port']}” is there twice"
            if ("equals" in case) == ("when" in case):
                yield f"cases[{index}]", "Give either “equals” or “when”"
            seen.add(case["port"])

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        cases = config.plain("cases")
        if not isinstance(cases, list):
            raise ExpressionFailed(reason="cases: expected a list")
        tests = [_test(config, index, case) for index, case in enumerate(cases)]
        value = config.get("value")

        def step(frame: Any) -> Outcome:
            compared = value(frame)
            for port, test in tests:
                if test(frame, compared):
                    return Output(port, frame.input)
            return Output("default", frame.input)

        return step


def _test(config: Config, index: int, case: Mapping[str, Any]) -> tuple[str, Callable[[Any, Any], bool]]:
    if "when" in case:
        when = config.at("cases", index, "when")
        return case["port"], lambda frame, value: bool(when(frame))
    equals = config.at("cases", index, "equals")
    return case["port"], lambda frame, value: _same(value, equals(frame))


def _same(value: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
