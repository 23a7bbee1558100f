"""`flowfuse list | executions | show | nodes`: reading, also beside a running server."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from flowfuse.commands.common import add_data, add_json, config_of, print_json, state_text, table
from flowfuse.config import Config
from flowfuse.data.database import newest_schema
from flowfuse.data.folder import DataFolder
from flowfuse.errors import ConfigInvalid, MigrationFailed
from flowfuse.model import WORKSPACE, State
from flowfuse.resources import asset_root

MOST = 1_000_000
"""As many runs are listed at most."""


@asynccontextmanager
async def opened(config: Config, folder: DataFolder, *, read_only: bool = False) -> AsyncIterator[Any]:
    """The engine's services over a folder, without running anything. Read-only works beside a server."""
    from flowfuse.app import Engine

    if read_only:
        if not folder.database.exists():
            raise ConfigInvalid(field="--data", reason=f"{folder.path} has no FlowFuse database")
        engine = Engine(config, folder)
        engine.database.open_read_only()
        try:
            await _check_schema(engine)
            yield engine
        finally:
            await engine.database.close()
        return
    folder.make()
    folder.hold()
    engine = Engine(config, folder)
    try:
        await engine.database.open()
        yield engine
    finally:
        await engine.database.close()
        folder.release()


async def _check_schema(engine: Any) -> None:
    """Refuse a file that this version cannot read as it is. Raises ConfigInvalid, MigrationFailed."""
    newest = newest_schema(asset_root("migrations"))
    try:
        row = await engine.database.row("PRAGMA user_version")
    except Exception as error:
        raise ConfigInvalid(
            field="--data", reason=f"{engine.database.path} cannot be read: {error}"
        ) from None
    if row[0] > newest:
        raise MigrationFailed(
            reason=f"The database is at schema {row[0]}, this version knows {newest}. "
            "Use the newer FlowFuse that wrote it."
        )
    if row[0] < newest:
        raise MigrationFailed(
            reason=f"The database is at schema {row[0]}, this version needs {newest}. "
            "`flowfuse migrate` brings it there."
        )


def add_list(parser: argparse.ArgumentParser) -> None:
    """Options of `list`."""
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=list_workflows)


def list_workflows(options: argparse.Namespace) -> int:
    """The workflows, the last changed first."""
    config = config_of(options)

    async def read() -> Any:
        async with opened(config, DataFolder(config.data), read_only=True) as engine:
            return await engine.workflows.list(WORKSPACE)

    items = asyncio.run(read())
    if options.json:
        print_json(items)
        return 0
    rows = [
        [w.id, w.name, f"live v{w.published}" if w.active else "draft", str(w.last_number), _time(w.updated)]
        for w in items
    ]
    table(rows, ["ID", "NAME", "STATE", "RUNS", "CHANGED"])
    return 0


def add_executions(parser: argparse.ArgumentParser) -> None:
    """Options of `executions`."""
    parser.add_argument("--workflow", metavar="ID", help="only of this workflow")
    parser.add_argument("--state", choices=list(State.__members__), help="only in this state")
    parser.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=list_executions)


def list_executions(options: argparse.Namespace) -> int:
    """The runs, newest first."""
    config = config_of(options)
    if not 1 <= options.limit <= MOST:
        raise ConfigInvalid(field="--limit", reason=f"{options.limit} is not a number from 1 to {MOST}")

    async def read() -> Any:
        async with opened(config, DataFolder(config.data), read_only=True) as engine:
            state = State[options.state] if options.state else None
            return await engine.executions.list(
                WORKSPACE, workflow=options.workflow, state=state, limit=options.limit
            )

    items = asyncio.run(read())
    if options.json:
        print_json(items)
        return 0
    rows = [
        [
            e.id,
            f"{e.workflow} #{e.number}",
            e.state + (f" ({e.waiting})" if e.waiting else ""),
            _time(e.created),
        ]
        for e in items
    ]
    table(rows, ["ID", "RUN", "STATE", "ACCEPTED"])
    return 0


def add_show(parser: argparse.ArgumentParser) -> None:
    """Options of `show`."""
    parser.add_argument("execution", metavar="ID", help="the run's id, as `executions` prints it")
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=show)


def show(options: argparse.Namespace) -> int:
    """One run with its nodes."""
    config = config_of(options)

    async def read() -> Any:
        async with opened(config, DataFolder(config.data), read_only=True) as engine:
            return await engine.history.detail(WORKSPACE, options.execution)

    detail = asyncio.run(read())
    if options.json:
        print_json(detail)
        return 0
    execution = detail.execution
    print(f"{execution.workflow} #{execution.number}  {state_text(execution.state)}  {execution.id}")
    if execution.error is not None:
        print(f"{execution.error.node}: {execution.error.message}")
    rows = []
    for run in detail.nodes:
        took = f"{(run.ended - run.started) / 1000:.1f} ms" if run.ended and run.started else ""
        error = run.error.message if run.error is not None else ""
        rows.append([run.node, run.path, run.state, run.port or "", took, error])
    table(rows, ["NODE", "ROUND", "STATE", "PORT", "TOOK", "ERROR"])
    return 0


def add_nodes(parser: argparse.ArgumentParser) -> None:
    """Options of `nodes`."""
    add_json(parser)
    parser.set_defaults(handler=list_nodes)


def list_nodes(options: argparse.Namespace) -> int:
    """Every node type."""
    from flowfuse.nodes import describe, described

    types = list(described())
    if options.json:
        print_json([describe(node_type) for node_type in types])
        return 0
    table([[t.type, t.title, t.summary] for t in types], ["TYPE", "TITLE", "SUMMARY"])
    return 0


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
