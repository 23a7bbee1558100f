"""The command that starts a sandbox worker: through the launcher where the system has what it needs."""

from __future__ import annotations

import ctypes
import logging
import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

log = logging.getLogger("flowfuse.sandbox")

_LAUNCHER = Path(__file__).with_name("launcher.py")
_LANDLOCK_CREATE_RULESET, _ASK_VERSION = 444, 1
_PATIENCE = 10.0


@cache
def worker_command(binary: str) -> str:
    """A path whose execution starts the worker with the kernel's limits around it.

    The pool takes one path and no arguments, so it is a script; it lies in memory, for a temporary folder
    may forbid execution and would be left behind by a crash. Where it does not start, the worker is
    started as it is: its own sandbox still holds, and the log says so.
    """
    if sys.platform == "linux" and not getattr(sys, "frozen", False) and _LAUNCHER.is_file():
        script = _script(binary)
        if script is not None and _starts(script):
            if _landlock() < 1:
                log.warning("This kernel has no Landlock: code runs without this second wall.")
            return script
    log.warning("Code runs without the kernel's limits here; the sandbox's own hold.")
    return binary


def _script(binary: str) -> str | None:
    command = shlex.join([sys.executable, "-I", "-S", str(_LAUNCHER), binary])
    try:
        handle = os.memfd_create("flowfuse-sandbox", 0)
    except OSError:
        return None
    os.write(handle, f'#!/bin/sh\nexec {command} "$@"\n'.encode())
    os.fchmod(handle, 0o700)
    return f"/proc/{os.getpid()}/fd/{handle}"


def _starts(script: str) -> bool:
    try:
        ended = subprocess.run([script, "--version"], capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _landlock() -> int:
    """The version of Landlock that the kernel has; less than 1 for none."""
    return int(ctypes.CDLL(None).syscall(_LANDLOCK_CREATE_RULESET, None, 0, _ASK_VERSION))
