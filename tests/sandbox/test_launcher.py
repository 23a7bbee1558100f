"""The launcher: what runs behind it has no files, no TCP, no new privileges, and little memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowfuse.sandbox import launch, launcher
from flowfuse.sandbox.launch import worker_command

LAUNCHER = Path(launcher.__file__)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")


def _behind(binary: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(LAUNCHER), binary, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, env={"SECRET": "x"})


def _landlock() -> bool:
    import ctypes

    return bool(ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1)


@pytest.mark.skipif(not _landlock(), reason="this kernel has no Landlock")
def test_files_cannot_be_read_nor_written(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    read = _behind("/bin/cat", str(secret))
    assert (read.stdout, "denied" in read.stderr) == ("", True)
    written = _behind("/bin/cp", str(secret), str(tmp_path / "other"))
    assert written.returncode != 0
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(not _landlock(), reason="this kernel has no Landlock")
def test_no_other_program_can_be_started() -> None:
    assert _behind("/bin/sh", "-c", "/bin/ls /").returncode != 0


def test_environment_and_privileges_are_gone() -> None:
    shell = "echo ${SECRET-none}; ulimit -v; ulimit -n; ulimit -c"
    assert _behind("/bin/sh", "-c", shell).stdout.split() == ["none", str(launcher.MEMORY // 1024), "32", "0"]


def test_the_worker_is_started_behind_it() -> None:
    worker_command.cache_clear()
    script = worker_command("/bin/cat")
    assert script.startswith(f"/proc/{os.getpid()}/fd/")
    ended = subprocess.run([script, "/proc/self/status"], capture_output=True, text=True, check=False)
    assert "denied" in ended.stderr or "NoNewPrivs:\t1" in ended.stdout
    worker_command.cache_clear()


def test_where_it_does_not_start_the_worker_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "launcher.py"
    broken.write_text("raise SystemExit(1)")
    worker_command.cache_clear()
    monkeypatch.setattr(launch, "_LAUNCHER", broken)
    assert worker_command("/bin/cat") == "/bin/cat"
    assert "without the kernel's limits" in caplog.text
    worker_command.cache_clear()
