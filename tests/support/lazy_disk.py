"""A disk that keeps only what was synced: `python -m tests.support.lazy_disk MOUNT BACKING`.

A FUSE layer over a folder. What is written lies in this process's memory until the file is synced; when
the process is killed, that is a power cut. Names (create, rename, unlink) are kept at once.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import mfusepy as fuse

PATIENCE = 10.0


class LazyDisk(fuse.Operations):  # type: ignore[misc]
    """Whole files in memory; `fsync` brings one to the folder behind."""

    use_ns = True

    def __init__(self, backing: str) -> None:
        self._backing = backing
        self._content: dict[str, bytearray] = {}
        self._handles: dict[int, str] = {}
        self._next = 1
        self._lock = threading.RLock()

    def _real(self, path: str) -> str:
        return self._backing + path

    def _open(self, path: str) -> int:
        with self._lock:
            if path not in self._content:
                self._content[path] = bytearray(Path(self._real(path)).read_bytes())
            handle, self._next = self._next, self._next + 1
            self._handles[handle] = path
            return handle

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        try:
            found = os.lstat(self._real(path))
        except FileNotFoundError:
            raise fuse.FuseOSError(errno.ENOENT) from None
        known = {name: getattr(found, name) for name in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_ino")}
        with self._lock:
            size = len(self._content[path]) if path in self._content else found.st_size
        return {**known, "st_size": size, "st_mtime": found.st_mtime_ns, "st_atime": 0, "st_ctime": 0}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._real(path))]

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        os.close(os.open(self._real(path), os.O_CREAT | os.O_WRONLY, mode))
        with self._lock:
            self._content[path] = bytearray()
        return self._open(path)

    def open(self, path: str, flags: int) -> int:
        handle = self._open(path)
        if flags & os.O_TRUNC:
            self.truncate(path, 0)
        return handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        with self._lock:
            return bytes(self._content[self._handles[fh]][offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        with self._lock:
            content = self._content[self._handles[fh]]
            if len(content) < offset:
                content.extend(bytes(offset - len(content)))
            content[offset : offset + len(data)] = data
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        with self._lock:
            content = self._content.setdefault(path, bytearray(Path(self._real(path)).read_bytes()))
            del content[length:]
            content.extend(bytes(max(0, length - len(content))))

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        with self._lock:
            name = self._handles[fh]
            real = self._real(name)
            if os.path.exists(real):
                Path(real + ".sync~").write_bytes(self._content[name])
                os.chmod(real + ".sync~", os.stat(real).st_mode)
                os.replace(real + ".sync~", real)
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> int:
        with self._lock:
            self._handles.pop(fh, None)
        return 0

    def rename(self, old: str, new: str, flags: int = 0) -> None:
        with self._lock:
            os.replace(self._real(old), self._real(new))
            self._content.pop(new, None)
            if old in self._content:
                self._content[new] = self._content.pop(old)
            for handle, name in self._handles.items():
                if name == old:
                    self._handles[handle] = new

    def unlink(self, path: str) -> None:
        os.unlink(self._real(path))
        with self._lock:
            # Who has it open goes on with what there was.
            if path in self._handles.values():
                gone = f"{path} (gone {self._next})"
                self._content[gone] = self._content.pop(path, bytearray())
                self._handles = {h: gone if name == path else name for h, name in self._handles.items()}
            else:
                self._content.pop(path, None)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._real(path), mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._real(path))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._real(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(self._real(path), uid, gid)

    def utimens(self, path: str, times: Any = None) -> None:
        """Times mean nothing here."""

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._backing)
        return {
            name: getattr(found, name) for name in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_frsize")
        }


class PowerlessDisk:
    """The disk as tests use it: mounted, and cut off."""

    def __init__(self, mount: Path, backing: Path) -> None:
        self.mount, self._backing = mount, backing
        self._process: subprocess.Popen[bytes] | None = None
        for folder in (mount, backing):
            folder.mkdir(exist_ok=True)

    def start(self) -> None:
        """Mount what was kept."""
        command = [sys.executable, "-m", "tests.support.lazy_disk", str(self.mount), str(self._backing)]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + PATIENCE
        while not os.path.ismount(self.mount):
            assert self._process.poll() is None, "the disk did not start"
            assert time.monotonic() < deadline, "the disk is not mounted"
            time.sleep(0.01)

    def cut(self) -> None:
        """The power is gone: what was not synced is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        subprocess.run(["fusermount3", "-u", "-z", str(self.mount)], check=False)
        self._process = None

    def close(self) -> None:
        """Unmount it for good."""
        if self._process is not None:
            self.cut()


if __name__ == "__main__":
    fuse.FUSE(LazyDisk(sys.argv[2]), sys.argv[1], foreground=True, nothreads=False)
