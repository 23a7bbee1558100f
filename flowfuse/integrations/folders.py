"""The folder guard: which files of this machine a workflow may read and write.

Paths are judged by where they lead, links followed, never as text. FlowFuse's own data folder, with the
vault's key in it, is never among them.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from flowfuse.data.files import sync_folder
from flowfuse.errors import NodeFailed, PathDenied, RequestInvalid

CHUNK = 1 << 20
_OPENED = Path("/proc/self/fd")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class FolderGuard:
    """Opens files in the folders that the settings allow."""

    def __init__(self, own: Path | None = None) -> None:
        self._own = own.resolve() if own is not None else None
        self._folders: tuple[Path, ...] = ()

    def allow(self, folders: Sequence[str]) -> None:
        """Allow these folders, with all below them, and no others."""
        self._folders = tuple(Path(folder).resolve() for folder in folders)

    def judge(self, path: str, *, operator: bool) -> Path:
        """Where a path leads. Raises PathDenied; an operator may reach what FlowFuse itself may."""
        try:
            if not Path(path).is_absolute():
                raise PathDenied(path=path, reason="it does not begin at the root, as /data/orders.csv does")
            found = Path(path).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise PathDenied(path=path, reason=str(error)) from None
        if self._own is not None and found.is_relative_to(self._own):
            raise PathDenied(path=path, reason="it is in FlowFuse's own data folder")
        if not operator and not any(found.is_relative_to(folder) for folder in self._folders):
            raise PathDenied(
                path=path,
                reason="it is in no allowed folder. An administrator allows one under Settings, Files",
            )
        return found

    @contextlib.contextmanager
    def reading(self, path: str, *, operator: bool) -> Iterator[BinaryIO]:
        """The file, opened. Raises PathDenied, NodeFailed where there is none."""
        found = self.judge(path, operator=operator)
        try:
            # A pipe without a writer must not hold the thread.
            handle = os.open(found, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise NodeFailed(reason=f"{path}: {_word(error)}") from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise NodeFailed(reason=f"{path}: this is no file")
        with open(handle, "rb") as file:  # noqa: PTH123 (what was judged is read)
            _check_place(file, found, path)
            yield file

    @contextlib.contextmanager
    def writing(self, path: str, *, operator: bool, replace: bool) -> Iterator[BinaryIO]:
        """A file to write, which takes its place whole at the end of the block, or not at all.

        Raises PathDenied, and NodeFailed where it cannot be written, or another is there and not to be
        replaced. The same content counts as written: by an attempt that a crash has cut off.
        """
        found = self.judge(path, operator=operator)
        part = found.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with open(os.open(part, _CREATE, 0o666), "wb") as file:  # noqa: PTH123
                _check_place(file, part, path)
                yield file
                file.flush()
                os.fsync(file.fileno())
            if replace:
                part.replace(found)
            else:
                _place_anew(part, found)
            sync_folder(found.parent)
        except OSError as error:
            raise NodeFailed(reason=f"{path}: {_word(error)}") from None
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _check_place(file: BinaryIO, judged: Path, path: str) -> None:
    """What was opened is what was judged, and no link was put in its way meanwhile."""
    if not _OPENED.exists():
        return  # no Linux: there is no such list
    if (_OPENED / str(file.fileno())).readlink() != judged:
        raise PathDenied(path=path, reason="it led elsewhere a moment ago")


def _place_anew(part: Path, found: Path) -> None:
    try:
        os.link(part, found)
    except FileExistsError:
        if not filecmp.cmp(part, found, shallow=False):
            raise


def check_folders(folders: Sequence[str]) -> None:
    """Raise RequestInvalid for what is no folder of this machine."""
    for folder in folders:
        if not Path(folder).is_absolute() or "\0" in folder or not Path(folder).is_dir():
            raise RequestInvalid(
                field="files.folders", reason=f"“{folder}” is no folder of this machine, such as /srv/orders"
            )


def _word(error: OSError) -> str:
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
