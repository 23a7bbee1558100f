"""`flowfuse validate | import | export`: workflow files."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from pathlib import Path
from typing import Any

import msgspec

from flowfuse import document
from flowfuse.commands.common import (
    add_data,
    add_json,
    call_server,
    coloured,
    config_of,
    is_yaml,
    print_json,
    read_file,
)
from flowfuse.commands.reading import opened
from flowfuse.data.folder import DataFolder
from flowfuse.errors import ConfigInvalid, Conflict, NotFound, WorkflowInvalid
from flowfuse.model import WORKSPACE, Problem, Workflow


def add_validate(parser: argparse.ArgumentParser) -> None:
    """Options of `validate`."""
    parser.add_argument("file", help="the workflow, YAML or JSON; - for standard input")
    add_json(parser)
    parser.set_defaults(handler=validate)


def validate(options: argparse.Namespace) -> int:
    """Print every problem with the path of its field; exit 2 where one is an error."""
    problems = _problems(options.file)
    if options.json:
        print_json({"problems": problems})
    for problem in problems if not options.json else ():
        colour = "31" if problem.severity == "error" else "33"
        print(f"{coloured(problem.severity, colour)}  {problem.path or 'document'}: {problem.message}")
    errors = sum(problem.severity == "error" for problem in problems)
    if not errors and not options.json:
        print("No errors.")
    return 2 if errors else 0


def _problems(file: str) -> list[Problem]:
    from flowfuse.engine.drafts import all_problems
    from flowfuse.engine.validation import ValidationEngine
    from flowfuse.nodes import described

    try:
        raw = document.parse(read_file(file), yaml=is_yaml(file))
    except WorkflowInvalid as error:
        return error.problems
    return all_problems(raw, ValidationEngine(described()))


def add_import(parser: argparse.ArgumentParser) -> None:
    """Options of `import`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="workflow files, YAML or JSON")
    parser.add_argument("--publish", action="store_true", help="publish each, so that its triggers fire")
    parser.add_argument(
        "--replace", action="store_true", help="replace the draft of a workflow of the same id"
    )
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=import_files)


def import_files(options: argparse.Namespace) -> int:
    """All files are read and checked before the first is kept."""
    workflows = [_named(file) for file in options.files]
    config = config_of(options)
    folder = DataFolder(config.data)
    running = folder.running()
    if running is not None:
        kept = [_import_by_server(folder, running, workflow, options) for workflow in _shown(workflows)]
    else:
        kept = asyncio.run(_import_here(folder, config, workflows, options))
    if options.json:
        print_json({"imported": kept})
    else:
        for name in kept:
            print(f"imported {name}")
    return 0


def _named(file: str) -> Workflow:
    try:
        workflow = document.read(read_file(file), yaml=is_yaml(file))
    except WorkflowInvalid as error:
        named = [Problem(f"{file}: {p.path}", p.code, p.message, p.severity) for p in error.problems]
        raise WorkflowInvalid(named) from None
    if workflow.id is None and not workflow.name and file != "-":
        return msgspec.structs.replace(workflow, name=Path(file).stem)
    return workflow


def _shown(workflows: list[Workflow]) -> Any:
    """The workflows with a bar, on a terminal, where there are many."""
    from tqdm import tqdm

    return tqdm(
        workflows, desc="import", unit=" file", leave=False, disable=None if len(workflows) > 3 else True
    )


async def _import_here(
    folder: DataFolder, config: Any, workflows: list[Workflow], options: argparse.Namespace
) -> list[str]:
    kept = []
    async with opened(config, folder) as engine:
        for workflow in _shown(workflows):
            try:
                name = (await engine.drafts.create(WORKSPACE, workflow)).summary.id
            except Conflict:
                if not options.replace or workflow.id is None:
                    raise
                current = await engine.workflows.get(WORKSPACE, workflow.id)
                name = workflow.id
                await engine.drafts.save(WORKSPACE, name, workflow, current.summary.seq)
            if options.publish:
                await engine.drafts.publish(WORKSPACE, name, author=_author())
            kept.append(name)
    return kept


def _author() -> str:
    """Who publishes: the name of the machine's user, where it has one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def _import_by_server(
    folder: DataFolder, running: Any, workflow: Workflow, options: argparse.Namespace
) -> str:
    plain = msgspec.json.decode(document.to_json(workflow))
    base = "/api/v1/workflows"
    if options.replace and workflow.id is not None:
        there = [w["id"] for w in call_server(folder, running, "GET", base)["items"]]
        if workflow.id in there:
            current = call_server(folder, running, "GET", f"{base}/{workflow.id}")["workflow"]["seq"]
            headers = {"If-Match": f'"{current}"'}
            call_server(folder, running, "PUT", f"{base}/{workflow.id}", plain, headers)
            return _publish_by_server(folder, running, workflow.id, options)
    answer = call_server(folder, running, "POST", base, plain)
    return _publish_by_server(folder, running, answer["workflow"]["id"], options)


def _publish_by_server(folder: DataFolder, running: Any, name: str, options: argparse.Namespace) -> str:
    if options.publish:
        call_server(folder, running, "POST", f"/api/v1/workflows/{name}/publish", {})
    return name


def add_export(parser: argparse.ArgumentParser) -> None:
    """Options of `export`."""
    parser.add_argument("workflows", nargs="*", metavar="ID", help="which workflows (default: all)")
    parser.add_argument(
        "--output", metavar="DIR", help="a folder to write one file each into (default: print)"
    )
    parser.add_argument("--format", choices=("yaml", "json"), default="yaml")
    add_data(parser)
    parser.set_defaults(handler=export)


def export(options: argparse.Namespace) -> int:
    """Drafts in a form that is made for git: stable order, no times, no secrets."""
    config = config_of(options)
    drafts = asyncio.run(_drafts(config, DataFolder(config.data), options.workflows))
    for name, workflow in drafts:
        text = (
            document.to_yaml(workflow)
            if options.format == "yaml"
            else document.to_json(workflow, indent=2).decode() + "\n"
        )
        if options.output is None:
            # Several documents in one stream need YAML's mark between them.
            print("---\n" * (options.format == "yaml" and len(drafts) > 1) + text, end="")
            continue
        _write(Path(options.output), f"{name}.{options.format}", text)
    return 0


def _write(folder: Path, name: str, text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigInvalid(field="--output", reason=f"{folder / name}: {error.strerror}") from None
    print(f"wrote {folder / name}")


async def _drafts(config: Any, folder: DataFolder, wanted: list[str]) -> list[tuple[str, Workflow]]:
    async with opened(config, folder, read_only=True) as engine:
        names = [summary.id for summary in await engine.workflows.list(WORKSPACE)]
        for name in wanted:
            if name not in names:
                raise NotFound(what="workflow", id=name)
        return [
            (name, (await engine.workflows.get(WORKSPACE, name)).document) for name in sorted(wanted or names)
        ]
