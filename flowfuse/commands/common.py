"""What the commands share: the data folder's options, calls to a running server, printing."""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from flowfuse.config import Config, load, wants_colour
from flowfuse.data.folder import DataFolder, Running
from flowfuse.errors import ConfigInvalid, Denied, Refused, ServerLost, WorkflowInvalid
from flowfuse.model import Problem

CALL_SECONDS = 3700


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option that names the data folder."""
    parser.add_argument(
        "--data", metavar="DIR", help="the data folder (default: the platform's place for it)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option that asks for JSON on stdout."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def config_of(options: argparse.Namespace, **flags: Any) -> Config:
    """The settings for a command."""
    return load({"data": getattr(options, "data", None), **flags})


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def call_server(
    folder: DataFolder,
    running: Running,
    method: str,
    path: str,
    body: Any = None,
    more: dict[str, str] | None = None,
) -> Any:
    """Ask the server that holds the folder. Raises what it refused, in its words."""
    address = urlsplit(running.address)
    connection = _connect(running, address.hostname or "", address.port)
    headers = {
        "Authorization": f"Bearer {folder.token()}",
        "Content-Type": "application/json",
        **(more or {}),
    }
    content = None if body is None else msgspec.json.encode(body)
    try:
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        raw = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServerLost(address=running.address, reason=str(error) or type(error).__name__) from None
    finally:
        connection.close()
    answer = json.loads(raw) if raw else None
    if response.status >= 400:
        _raise(response.status, answer or {})
    return answer


def _connect(running: Running, host: str, port: int | None) -> http.client.HTTPConnection:
    if not running.certificate:
        return http.client.HTTPConnection(host, port, timeout=CALL_SECONDS)
    # On this machine, by its own address: the certificate is for other names, and is known by its file.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.load_verify_locations(running.certificate)
    return http.client.HTTPSConnection(host, port, timeout=CALL_SECONDS, context=context)


def _raise(status: int, answer: dict[str, Any]) -> None:
    if answer.get("problems"):
        raise WorkflowInvalid(msgspec.convert(answer["problems"], list[Problem]))
    reason = answer.get("detail", "the server refused it")
    raise Refused(reason=reason) if status >= 500 else Denied(reason=reason)


def read_file(name: str) -> bytes:
    """A file's bytes, or standard input's for `-`. Raises ConfigInvalid."""
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConfigInvalid(field=name, reason=error.strerror or "it cannot be read") from None


def is_yaml(name: str) -> bool | None:
    """What a file's name says of its form; None where it says nothing."""
    suffix = Path(name).suffix.lower()
    return {".yaml": True, ".yml": True, ".json": False}.get(suffix)


def read_input(text: str | None) -> Any:
    """The value of `--input`: JSON, `@FILE` or `-`. Raises ConfigInvalid."""
    if text is None:
        return None
    raw = (
        read_file(text[1:] if text.startswith("@") else "-")
        if text[:1] == "@" or text == "-"
        else text.encode()
    )
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise ConfigInvalid(field="--input", reason=f"this is not JSON: {error}") from None


def coloured(text: str, code: str) -> str:
    """The text in a colour, on a terminal that wants one."""
    if not sys.stdout.isatty() or not wants_colour():
        return text
    return f"\033[{code}m{text}\033[0m"


STATE_COLOURS = {"completed": "32", "failed": "31", "running": "36", "paused": "33", "cancelled": "2"}


def state_text(state: str) -> str:
    """A state in its colour."""
    return coloured(state, STATE_COLOURS.get(state, "0"))


def table(rows: list[list[str]], heads: list[str]) -> None:
    """Rows under heads, in columns."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for number, row in enumerate([heads, *rows]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(coloured(line, "1") if number == 0 else line)
