"""A simulated world for the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.simulation import Engine, World


@pytest.fixture
def world() -> Iterator[World]:
    """Database, ledger and time; ended with the test."""
    made = World(seed=1)
    yield made
    made.close()


@pytest.fixture
def engine(world: World) -> Engine:
    """A process on that world."""
    return world.boot()
