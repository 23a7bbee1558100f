"""Brings the values of several branches together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from flowfuse.errors import ExpressionFailed
from flowfuse.model import json_bytes
from flowfuse.node import Config, NodeType, Outcome, Output, Params, form


class MergeParams(Params, frozen=True):
    """How the values are put together."""

    mode: Annotated[
        Literal["object", "combine", "append", "join"],
        form("Mode", "An object by node, one object of all fields, one list, or lists joined by a key.",
             widget="choice", kind="plain"),
    ] = "object"  # fmt: skip
    key: Annotated[str, form("Key", "The field that joined items share.", kind="plain")] = ""


class Merge(NodeType):
    type = "transform.merge"
    title = "Merge"
    summary = "Puts the values of all branches that came together into one."
    icon = "merge"
    params = MergeParams
    example: ClassVar = {"id": "both", "type": "transform.merge", "config": {"mode": "combine"}}

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        if config.get("mode") == "join" and not config.get("key"):
            yield "key", "Mode “join” needs the key that the items share"

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        combine = _MODES[str(config.plain("mode"))]
        key = str(config.plain("key"))
        return lambda frame: Output("main", combine(frame.arrivals(), key))


def _by_node(arrivals: list[tuple[str, Any]], key: str) -> Any:
    return dict(arrivals)


def _combine(arrivals: list[tuple[str, Any]], key: str) -> Any:
    merged: dict[str, Any] = {}
    for node, value in arrivals:
        if not isinstance(value, dict):
            raise ExpressionFailed(reason=f"“{node}” gave no object to combine")
        merged.update(value)
    return merged


def _append(arrivals: list[tuple[str, Any]], key: str) -> Any:
    merged: list[Any] = []
    for _, value in arrivals:
        merged.extend(value if isinstance(value, list) else [value])
    return merged


def _join(arrivals: list[tuple[str, Any]], key: str) -> Any:
    """An outer join: every item of every list, those with one key value put into one object."""
    rows: dict[bytes, dict[str, Any]] = {}
    for node, value in arrivals:
        if not isinstance(value, list):
            raise ExpressionFailed(reason=f"“{node}” gave no list to join")
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise ExpressionFailed(reason=f"“{node}” gave an item that is no object")
            name = json_bytes(item[key]) if key in item else b"%s:%d" % (node.encode(), index)
            rows.setdefault(name, {}).update(item)
    return list(rows.values())


_MODES: dict[str, Callable[[list[tuple[str, Any]], str], Any]] = {
    "object": _by_node,
    "combine": _combine,
    "append": _append,
    "join": _join,
}
