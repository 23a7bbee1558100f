"""A running node and its names, made of plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowfuse.expression import Unfired, UnknownName, compile_expression, compile_value

NOW_US = 1_795_429_800_000_000
"""2026-11-23 10:30 UTC, which is what the examples of the library show."""


class Node:
    """The Env of one evaluation; the keyword arguments are the names' values."""

    def __init__(self, values: dict[str, Any], *, timezone: str = "UTC", inline: bool = False) -> None:
        self.values = values
        self.now_us = NOW_US
        self.timezone = timezone
        self.inline = inline
        self.meter = None

    def seed(self) -> bytes:
        return b"root node loop"


class Place:
    """Names of a place that sees two nodes (`fetch` has fired, `other` has not) and a loop `each`."""

    KNOWN = ("trigger", "input", "item", "index", "vars", "execution", "workflow")

    def name(self, name: str) -> Callable[[Any], Any]:
        if name not in self.KNOWN:
            raise UnknownName(f"There is no “{name}” here; there are {', '.join(self.KNOWN)}.")
        return lambda env: env.values[name]

    def node(self, id: str) -> Callable[[Any], Any]:
        if id == "other":
            return _unfired
        if id != "fetch":
            raise UnknownName(f"There is no node “{id}” before this one; there are fetch, other.")
        return lambda env: env.values["fetch"]

    def loop(self, id: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        if id != "each":
            raise UnknownName(f"This node stands in no loop “{id}”.")
        return (lambda env: env.values["item"]), (lambda env: env.values["index"])


def _unfired(env: Any) -> Any:
    raise Unfired(reason="The node other has not fired.")


def evaluate_source(source: str, /, timezone: str = "UTC", inline: bool = False, **values: Any) -> Any:
    compiled = compile_expression(source, Place(), "nodes.a.config.x")
    return compiled.evaluate(Node(values, timezone=timezone, inline=inline))


def evaluate_value(value: Any, /, **values: Any) -> Any:
    compiled, problems = compile_value(value, Place(), "nodes.a.config.x")
    assert problems == []
    return compiled.evaluate(Node(values))


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., Any]:
    """Evaluates a bare expression; names are given by keyword, `fetch` is `nodes.fetch`."""
    return evaluate_source


@pytest.fixture(scope="session")
def fill() -> Callable[..., Any]:
    """Evaluates a config value that may hold `{{ … }}`."""
    return evaluate_value


@pytest.fixture(scope="session")
def place() -> Place:
    return Place()


@pytest.fixture(scope="session")
def node() -> type[Node]:
    return Node
