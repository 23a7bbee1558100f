"""The command line: `flowfuse COMMAND`. Exit codes: 0 done, 1 it failed, 2 it was asked wrongly."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module

from flowfuse import __version__
from flowfuse.config import wants_defects
from flowfuse.errors import FlowFuseError, Invalid, NotFound, WorkflowInvalid

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("Start the server: pages, API, webhooks.", "flowfuse serve --port 8420"),
    "run": (
        "Run one workflow file and wait for its end.",
        "flowfuse run order.yaml --input '{\"amount\": 3}'",
    ),
    "validate": ("Check a workflow file; prints every problem.", "flowfuse validate order.yaml"),
    "import": ("Keep workflow files as workflows.", "flowfuse import flows/*.yaml --publish"),
    "export": ("Write workflows as files to keep in git.", "flowfuse export orders --output flows/"),
    "list": ("List the workflows.", "flowfuse list --json"),
    "executions": ("List the runs, newest first.", "flowfuse executions --workflow orders --state failed"),
    "show": ("Show one run with its nodes.", "flowfuse show 0192f0c1-…"),
    "nodes": ("List the node types.", "flowfuse nodes --json"),
    "link": ("Print a one-time sign-in link for the running server.", "flowfuse link"),
    "backup": (
        "Make a whole copy, also while the server runs.",
        "flowfuse backup --output /mnt/usb/flowfuse",
    ),
    "restore": ("Bring a backup back.", "flowfuse restore latest"),
    "doctor": ("Look at everything that is needed, and say what to do.", "flowfuse doctor"),
    "migrate": ("Bring the database to this version.", "flowfuse migrate --data ~/flowfuse"),
}
_ASKED_WRONGLY = (
    "migration_failed",
    "backup_invalid",
    "conflict",
    "stale_version",
    "denied",
    "vault_locked",
    "sign_in_needed",
)
_MODULES = {
    "restore": "backup",
    "list": "reading",
    "executions": "reading",
    "show": "reading",
    "nodes": "reading",
    "import": "documents",
    "export": "documents",
    "validate": "documents",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = next((a for a in arguments if not a.startswith("-")), None)
    parser = _parser(name)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        return int(options.handler(options) or 0)
    except WorkflowInvalid as error:
        for problem in error.problems:
            _complain(f"{problem.path or 'document'}: {problem.message}")
        return 2
    except (Invalid, NotFound) as error:
        _complain(error.message)
        return 2
    except FlowFuseError as error:
        _complain(error.message)
        return 2 if error.code in _ASKED_WRONGLY else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output (head, less) has left; there is nobody to tell.
        sys.stderr.close()
        return 0
    except Exception as error:
        _complain(f"{str(error) or type(error).__name__} (a defect; FLOWFUSE_LOG_LEVEL=debug shows where)")
        if wants_defects():
            traceback.print_exc()
        return 1


def _parser(name: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowfuse",
        description="Workflow automation in one process.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"flowfuse {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command, (summary, example) in COMMANDS.items():
        added = commands.add_parser(
            command,
            help=summary,
            description=summary,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command == name:
            # Only the command that is asked for is imported: a start of the server needs no YAML.
            module = import_module(f"flowfuse.commands.{_MODULES.get(command, command)}")
            setup: Callable[[argparse.ArgumentParser], None] = getattr(module, f"add_{command}")
            setup(added)
    return parser


def _complain(text: str) -> None:
    print(f"flowfuse: {' '.join(text.split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
