"""The command that starts a sandbox worker: through the launcher where the system has what it needs."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from functools import cache
from pathlib import Path

log = logging.getLogger("flowfuse.sandbox")

_LAUNCHER = Path(__file__).with_name("launcher.py")


@cache
def worker_command(binary: str) -> str:
    """A path whose execution starts the worker with the kernel's limits around it.

    The pool takes one path and no arguments, so it is a script; it lies in memory, for a temporary folder
    may forbid execution and would be left behind by a crash.
    """
    if sys.platform != "linux" or getattr(sys, "frozen", False) or not _LAUNCHER.is_file():
        log.warning("Code runs without Landlock and limits of the kernel here; the sandbox's own hold.")
        return binary
    command = shlex.join([sys.executable, "-I", "-S", str(_LAUNCHER), binary])
    handle = os.memfd_create("flowfuse-sandbox", 0)
    os.write(handle, f'#!/bin/sh\nexec {command} "$@"\n'.encode())
    os.fchmod(handle, 0o700)
    return f"/proc/{os.getpid()}/fd/{handle}"
