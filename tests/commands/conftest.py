"""The command line as a shell sees it: arguments in; exit code, output and complaints out."""

from __future__ import annotations

import gc
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flowfuse.__main__ import main
from tests.support.local import LocalServer
from tests.support.server import Witness


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture
def flowfuse(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command in this process, in a folder of its own. `stdin`: what is piped in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWFUSE_DATA", str(tmp_path / "default"))

    def run(*arguments: object, stdin: str | bytes = b"") -> Ended:
        raw = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        assert gc.isenabled()
        return Ended(code, shown.out, shown.err)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], str]:
    """Write a file (text as it is, all else as JSON); its name."""

    def make(name: str, content: Any) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return make


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server on the folder `data`, with its address written there as `serve` does."""
    from flowfuse.data.folder import DataFolder, Running

    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.hold()
    running = LocalServer(tmp_path / "data").start()
    folder.announce(Running(pid=1, host="127.0.0.1", port=running.port))
    yield running
    running.stop()
    folder.release()


@pytest.fixture
def witness() -> Iterator[Witness]:
    made = Witness()
    yield made
    made.close()
