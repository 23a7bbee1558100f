"""The data folder: who holds it, and the small secret files in it."""

from __future__ import annotations

import datetime
import fcntl
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flowfuse.config import local_address
from flowfuse.errors import ConfigInvalid, VaultLocked
from flowfuse.seal import new_key, parse_key
from flowfuse.tls import is_usable, make_certificate

DATABASE = "flowfuse.db"
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_MOMENTS, _MOMENT = 10, 0.02


class Running(msgspec.Struct, frozen=True):
    """Where the server that holds a folder listens."""

    pid: int
    host: str
    port: int
    certificate: str = ""
    """The file of its certificate, where it serves https."""

    @property
    def address(self) -> str:
        """Its address for a browser or a program on this machine."""
        return local_address(self.host, self.port, tls=bool(self.certificate))


class DataFolder:
    """One folder with everything that FlowFuse keeps. One process at a time holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """The database file."""
        return self.path / DATABASE

    @property
    def files(self) -> Path:
        """Where files of workflows lie."""
        return self.path / "files"

    def make(self) -> None:
        """Make the folder, for its owner alone. Raises ConfigInvalid."""
        try:
            self.path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise PermissionError(13, "it is read-only for this user")
            probe = self.path / ".probe"
            probe.write_bytes(b"")
            probe.unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigInvalid(
                field="--data", reason=f"{self.path} cannot be written ({reason}); choose another folder"
            ) from None

    def hold(self) -> None:
        """Lock the folder until the process ends. Raises ConfigInvalid where another process has it."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, _PRIVATE_FILE)
        # Whoever only looks whether the folder is held has the lock for a moment, too.
        if not _lock(handle):
            os.close(handle)
            running = self.running()
            where = f", at {running.address}" if running is not None else ""
            raise ConfigInvalid(
                field="--data", reason=f"{self.path} is held by another FlowFuse process{where}"
            ) from None
        self._lock = handle
        # What a killed process said of itself holds no more; and what the database writes beside its
        # file gets that file's mode.
        (self.path / "server.json").unlink(missing_ok=True)
        os.close(os.open(self.database, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE))

    def release(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            (self.path / "server.json").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def held(self) -> bool:
        """Whether another process holds the folder now."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def announce(self, running: Running) -> None:
        """Say where this process listens, for commands beside it."""
        self._write("server.json", msgspec.json.encode(running))

    def running(self) -> Running | None:
        """The server that holds the folder, where there is one."""
        if not self.held():
            return None
        try:
            return msgspec.json.decode((self.path / "server.json").read_bytes(), type=Running)
        except (OSError, msgspec.MsgspecError):
            return None

    def token(self) -> str:
        """The install's token for programs, made at the first start."""
        path = self.path / "token"
        try:
            return path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            token = f"ff_{secrets.token_urlsafe(32)}"
            self._write("token", token.encode())
            return token

    def certificate(self, names: Sequence[str]) -> tuple[Path, Path]:
        """(certificate, key) files of a certificate that FlowFuse makes itself, and renews in time."""
        certificate, key = self.path / "tls.crt", self.path / "tls.key"
        now = datetime.datetime.now(datetime.UTC)
        try:
            usable = key.exists() and is_usable(certificate.read_bytes(), names, now)
        except FileNotFoundError:
            usable = False
        if not usable:
            made, private = make_certificate(names, now)
            self._write("tls.key", private)
            self._write("tls.crt", made)
        return certificate, key

    def master_key(self, given: str | None, *, sealed_before: bool) -> bytes:
        """The vault's key: given, else the folder's file, else a new one.

        Raises VaultLocked where credentials are sealed and no key is there: a new key would lose them.
        """
        if given is not None:
            return parse_key(given)
        path = self.path / "master.key"
        try:
            return parse_key(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            if sealed_before:
                raise VaultLocked(
                    reason=f"The vault's key is missing ({path}). Put it back, or set FLOWFUSE_MASTER_KEY."
                ) from None
            key = new_key()
            self._write("master.key", key.hex().encode())
            return key

    def _write(self, name: str, content: bytes) -> None:
        """A private file, whole or not at all."""
        path = self.path / name
        temporary = path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(handle: int) -> bool:
    for _ in range(_MOMENTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_MOMENT)
        else:
            return True
    return False
