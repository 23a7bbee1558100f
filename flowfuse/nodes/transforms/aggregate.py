"""Makes one object of a list: counts, sums, first, last …"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from flowfuse.errors import ExpressionFailed
from flowfuse.model import json_bytes
from flowfuse.node import Config, NodeType, Outcome, Output, Params, form
from flowfuse.nodes.key_path import MISSING, look, split

Operation = Literal["count", "sum", "min", "max", "avg", "first", "last", "list", "unique"]


class Aggregation(Params, frozen=True):
    """One field of the result."""

    op: Annotated[Operation, form("Operation", widget="choice", kind="plain")]
    of: Annotated[
        str, form("Of", "Key path into each item; without it, the items themselves.", kind="plain")
    ] = ""


class AggregateParams(Params, frozen=True):
    """The list, and what to make of it."""

    items: Annotated[Any, form("Items", "The list.", widget="expression")]
    operations: Annotated[
        dict[str, Aggregation],
        form("Operations", "Name, operation and key of each.", widget="key_value", kind="plain"),
    ]


class Aggregate(NodeType):
    type = "transform.aggregate"
    title = "Aggregate"
    summary = "Counts, sums and gathers over a list."
    icon = "sum"
    params = AggregateParams
    example: ClassVar = {
        "id": "totals",
        "type": "transform.aggregate",
        "config": {
            "items": "{{ trigger.body.items }}",
            "operations": {"count": {"op": "count"}, "sum": {"op": "sum", "of": "v"}},
        },
    }

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        items = config.get("items")
        wanted = [
            (name, _OPERATIONS[given["op"]], split(given.get("of", "")))
            for name, given in _operations(config)
        ]

        def step(frame: Any) -> Outcome:
            found = items(frame)
            if not isinstance(found, list):
                raise ExpressionFailed(reason=f"items: expected a list, got {type(found).__name__}")
            return Output(
                "main", {name: operate(name, _values(found, path)) for name, operate, path in wanted}
            )

        return step


def _operations(config: Config) -> Iterable[tuple[str, Mapping[str, Any]]]:
    given = config.plain("operations")
    return given.items() if isinstance(given, dict) else ()


def _values(items: list[Any], path: tuple[str, ...]) -> list[Any]:
    """What the path gives of each item; items without it are left out."""
    if not path:
        return items
    if len(path) == 1:
        key = path[0]
        return [item[key] for item in items if isinstance(item, dict) and key in item]
    found = (look(item, path) for item in items)
    return [value for value in found if value is not MISSING]


def _numbers(name: str, values: list[Any]) -> list[Any]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExpressionFailed(
                reason=f"operations.{name}: {json_bytes(value).decode()[:60]} is not a number"
            )
    return values


def _sum(name: str, values: list[Any]) -> Any:
    return sum(_numbers(name, values))


def _avg(name: str, values: list[Any]) -> Any:
    return sum(_numbers(name, values)) / len(values) if values else None


def _extreme(choose: Callable[[list[Any]], Any]) -> Callable[[str, list[Any]], Any]:
    def operate(name: str, values: list[Any]) -> Any:
        try:
            return choose(values) if values else None
        except TypeError:
            raise ExpressionFailed(reason=f"operations.{name}: the values cannot be compared") from None

    return operate


def _unique(name: str, values: list[Any]) -> list[Any]:
    seen: dict[bytes, Any] = {}
    for value in values:
        seen.setdefault(json_bytes(value), value)
    return list(seen.values())


_OPERATIONS: dict[str, Callable[[str, list[Any]], Any]] = {
    "count": lambda name, values: len(values),
    "sum": _sum,
    "min": _extreme(min),
    "max": _extreme(max),
    "avg": _avg,
    "first": lambda name, values: values[0] if values else None,
    "last": lambda name, values: values[-1] if values else None,
    "list": lambda name, values: list(values),
    "unique": _unique,
}
