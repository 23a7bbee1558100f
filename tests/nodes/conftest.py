"""Runs small documents on a real engine over a real folder."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from flowfuse import document
from flowfuse.app import Engine
from flowfuse.config import load
from flowfuse.data.folder import DataFolder
from flowfuse.engine.drafts import outcome
from flowfuse.model import WORKSPACE, Problem

Chain = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    made = Engine(load({"data": str(folder.path)}, {}), folder)
    async with made.running():
        yield made


def chain(*nodes: dict[str, Any], edges: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    """A document of a manual trigger and these nodes, one behind the other where no edges are given."""
    everything = [{"id": "start", "type": "trigger.manual"}, *nodes]
    names = [node["id"] for node in everything]
    pairs = edges if edges is not None else list(itertools.pairwise(names))
    return {"nodes": everything, "edges": [{"from": a, "to": b} for a, b in pairs]}


@pytest.fixture
def run(engine: Engine) -> Chain:
    """Run a document on an input; `{id, state, result, error}`."""

    async def run_it(raw: dict[str, Any], value: Any = None, **more: Any) -> dict[str, Any]:
        workflow = document.from_raw(raw)
        mode = more.pop("mode", "cli")
        engine.queue.own_only = mode == "cli"  # as for `flowfuse run`, or on a server
        started = await engine.drafts.run_document(WORKSPACE, workflow, value, mode=mode, **more)
        return outcome(await engine.controller.wait_end(started, 30))

    return run_it


@pytest.fixture
def problems(engine: Engine) -> Callable[[dict[str, Any]], list[tuple[str, str]]]:
    """(path, code) of everything that is wrong with a document."""

    def check(raw: dict[str, Any]) -> list[tuple[str, str]]:
        found: list[Problem] = engine.drafts.check(document.from_raw(raw))
        return [(problem.path, problem.code) for problem in found]

    return check
