"""Starts a worker of the code sandbox with the kernel's limits around it: `launcher.py BINARY ARGUMENT…`.

It runs alone (`python -I -S`), before anything of ours or of a user's is loaded, and becomes the worker.
The worker needs nothing but its pipes, so it gets nothing else: no file to write, no file to read but
its own program and the system's libraries, no TCP, no signals to others, no new privileges.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys

MEMORY = 1 << 30
FILES = 32

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _READ_FILE, _READ_DIR = 1, 4, 8
# What each version of Landlock can forbid: bits of file rights (landlock(7)).
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/etc/ld.so.cache")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def limit() -> None:
    """The limits that every Unix has."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))


def confine(binary: str) -> None:
    """No new privileges, and Landlock as far as this kernel has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return
    rights = (1 << _FILE_RIGHTS.get(min(version, 5), 13)) - 1
    rules = _Ruleset(rights, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return
    for path in (binary, *_LIBRARIES):
        with contextlib.suppress(OSError):
            _allow(libc, ruleset, path)
    libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    whole = _READ_DIR if os.path.isdir(path) else 0  # noqa: PTH112 (nothing is imported for it)
    rule = _PathRule(_EXECUTE | _READ_FILE | whole, place)
    libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
    os.close(place)


def main() -> None:
    """Become the worker, within its limits."""
    binary, *arguments = sys.argv[1:]
    limit()
    if sys.platform == "linux":
        confine(binary)
    os.execve(binary, [binary, *arguments], {})


if __name__ == "__main__":
    main()
