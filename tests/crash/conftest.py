"""Servers and witnesses that do not outlive their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, Witness


@pytest.fixture
def witness() -> Iterator[Witness]:
    made = Witness()
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers; on one folder unless another is named."""
    made: list[Server] = []

    def make(name: str = "data", **environment: str) -> Server:
        made.append(Server(tmp_path / name, FLOWFUSE_DEMOS="false", **environment))
        return made[-1]

    yield make
    for each in made:
        each.kill()
