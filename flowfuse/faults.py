"""Named crash points: places where a test may end the process, as a power cut would.

A no-op unless the process was started with one of them armed (see `flowfuse.config`).
"""

from __future__ import annotations

import os
import signal

_armed: dict[str, int] = {}


def arm(name: str, nth: int) -> None:
    """End the process by SIGKILL when the point `name` is passed for the `nth` time."""
    _armed[name] = nth


def crash_point(name: str) -> None:
    """Mark a place between two steps that must survive a crash."""
    if not _armed or name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
