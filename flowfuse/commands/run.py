"""`flowfuse run`: one workflow, from a file to its result."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from flowfuse import document
from flowfuse.commands.common import (
    add_data,
    add_json,
    call_server,
    config_of,
    is_yaml,
    print_json,
    read_file,
    read_input,
    state_text,
)
from flowfuse.config import Config
from flowfuse.data.folder import DataFolder, Running
from flowfuse.errors import WorkflowInvalid
from flowfuse.model import TERMINAL, WORKSPACE, Workflow

FOREVER = 100 * 366 * 86400.0
ENDS = {state.name for state in TERMINAL}
ASK_EVERY = 1.0


def add_run(parser: argparse.ArgumentParser) -> None:
    """Options of `run`."""
    parser.add_argument("file", help="the workflow, YAML or JSON; - for standard input")
    parser.add_argument(
        "--input", metavar="JSON", help="the trigger's value: JSON, @FILE, or - for standard input"
    )
    parser.add_argument("--trigger", metavar="ID", help="the trigger to start at, where there are several")
    parser.add_argument(
        "--test", action="store_true", help="a test run: pinned outputs stand in for their nodes"
    )
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Run it here, or on the server that holds the folder."""
    try:
        workflow = document.read(read_file(options.file), yaml=is_yaml(options.file))
        value = read_input(options.input)
        outcome = _outcome(options, workflow, value)
    except WorkflowInvalid as error:
        if not options.json:
            raise
        print_json({"problems": error.problems})
        return 2
    if options.json:
        print_json({name: outcome.get(name) for name in ("id", "state", "result", "error")})
    else:
        _print(outcome)
    return 0 if outcome["state"] == "completed" else 1


def _outcome(options: argparse.Namespace, workflow: Workflow, value: Any) -> dict[str, Any]:
    mode = "test" if options.test else "cli"
    if options.data is None:
        with tempfile.TemporaryDirectory(prefix="flowfuse-") as name:
            config = config_of(argparse.Namespace(data=name))
            return asyncio.run(
                _run_here(config, DataFolder(Path(name)), workflow, value, options.trigger, mode)
            )
    config = config_of(options)
    folder = DataFolder(config.data)
    running = folder.running()
    if running is not None:
        body = {
            "document": msgspec.json.decode(document.to_json(workflow)),
            "input": value,
            "trigger": options.trigger,
            "mode": "test" if options.test else "manual",
        }
        return _to_its_end(folder, running, call_server(folder, running, "POST", "/api/v1/run", body))
    folder.make()
    folder.hold()
    try:
        return asyncio.run(_run_here(config, folder, workflow, value, options.trigger, mode))
    finally:
        folder.release()


def _to_its_end(folder: DataFolder, running: Running, outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a run that the server waited for; one that takes longer is asked for until it ends."""
    while outcome["state"] not in ENDS:
        time.sleep(ASK_EVERY)
        found = call_server(folder, running, "GET", f"/api/v1/executions/{outcome['id']}")
        execution = found["execution"]
        outcome = {
            **outcome,
            "state": execution["state"],
            "result": found["result"],
            "error": execution["error"],
        }
    return outcome


async def _run_here(
    config: Config, folder: DataFolder, workflow: Workflow, value: Any, trigger: str | None, mode: str
) -> dict[str, Any]:
    from flowfuse.app import Engine
    from flowfuse.engine.drafts import outcome

    engine = Engine(config, folder)
    async with engine.running(work=False):
        started = await engine.drafts.run_document(WORKSPACE, workflow, value, trigger=trigger, mode=mode)
        with _progress(engine, started.id):
            ended = await engine.controller.wait_end(started, FOREVER)
        return outcome(ended)


def _progress(engine: Any, execution: bytes) -> Any:
    """A counter of finished nodes on a terminal, behind the output."""
    from tqdm import tqdm

    bar = tqdm(desc="nodes", unit="", leave=False, disable=None)
    engine.bus.watch(execution, lambda event: bar.update(1))
    return bar


def _print(outcome: dict[str, Any]) -> None:
    print(f"{state_text(outcome['state'])}  {outcome['id']}")
    if outcome.get("error"):
        error = outcome["error"]
        print(f"{error.get('node', '')}: {error['message']}")
    if outcome["state"] == "completed":
        print(msgspec.json.format(msgspec.json.encode(outcome["result"]), indent=2).decode())
