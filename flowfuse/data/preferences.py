"""Preferences: what people may set while FlowFuse runs, per workspace. (How the process starts: Config.)"""

from __future__ import annotations

import sqlite3
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from flowfuse.clock import Clock
from flowfuse.data.database import Database
from flowfuse.errors import Denied, RequestInvalid
from flowfuse.model import WORKSPACE
from flowfuse.node import wanted

_INSTALL_WIDE = ("network.", "files.", "backup.", "history.keep_bytes")


def setting(title: str, description: str, **constraints: Any) -> Meta:
    """A setting's name and what a change of it means, for the Settings Panel."""
    return Meta(title=title, description=description, **constraints)


class HistorySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How long runs are kept."""

    keep_days: Annotated[
        float,
        setting("Keep runs for (days)", "Runs that ended longer ago are removed. 0: for ever. "
                "A workflow's own “keep” goes before it.", ge=0, le=36500),
    ] = 30  # fmt: skip
    keep_count: Annotated[
        int,
        setting("Keep runs of a workflow (number)", "Older ones are removed. 0: any number.", ge=0, le=10**9),
    ] = 0
    keep_bytes: Annotated[
        int,
        setting("Largest size of the database", "Over it, the oldest runs are removed, of whichever "
                "workspace. 0: any size.", ge=0, le=10**15, extra_json_schema={"unit": "bytes"}),
    ] = 0  # fmt: skip


class BackupSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Copies of the database beside it."""

    enabled: Annotated[
        bool, setting("Back up each hour", "A copy of everything but the vault's key, in the data folder.")
    ] = True
    hourly: Annotated[int, setting("Hourly backups kept", "The newest so many.", ge=1, le=1000)] = 24
    daily: Annotated[int, setting("Daily backups kept", "Beyond those, one a day.", ge=0, le=1000)] = 7


class NetworkSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where workflows may call, beyond public addresses and hosts that are written in the document."""

    allow: Annotated[
        list[str],
        setting("Allowed addresses", "Hosts, addresses or networks (such as nas.local, 10.0.0.0/8 or "
                "192.168.1.5:8080) that may also come from data. Metadata services never."),
    ] = []  # fmt: skip


class FileSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which files of this machine workflows may reach."""

    folders: Annotated[
        list[str],
        setting("Allowed folders", "Folders of this machine, such as /srv/orders, with all below them. "
                "Whoever builds workflows, in any workspace, can read and replace the files in there."),
    ] = []  # fmt: skip


class Preferences(Struct, frozen=True, forbid_unknown_fields=True):
    """All settings by group. A setting's key is `group.name`."""

    history: HistorySettings = HistorySettings()
    backup: BackupSettings = BackupSettings()
    network: NetworkSettings = NetworkSettings()
    files: FileSettings = FileSettings()


class PreferenceStore:
    """Reads and changes preferences; what was not set has its default."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self.checks: dict[str, Callable[[Any], object]] = {}
        """More that a value has to fulfil, by key; each raises RequestInvalid."""
        self.on_change: list[Callable[[str, Preferences], object]] = []
        """Called with the workspace and its preferences after a change."""

    async def get(self, workspace: str) -> Preferences:
        """The preferences of a workspace."""
        return _assembled(await self.changed(workspace))

    async def changed(self, workspace: str) -> dict[str, Any]:
        """What was set, by key."""
        rows = await self._database.rows(
            "SELECT key, value FROM preferences WHERE workspace_id = ? ORDER BY key", (workspace,)
        )
        known = keys()
        return {row["key"]: msgspec.json.decode(row["value"]) for row in rows if row["key"] in known}

    async def set(self, workspace: str, changes: Mapping[str, Any]) -> Preferences:
        """Change settings, all of them or none; null brings a default back.

        Raises RequestInvalid, and Denied for what another workspace sets.
        """
        known, now = keys(), self._clock.now_us()
        for key in changes:
            if key not in known:
                raise RequestInvalid(
                    field=key, reason=f"there is no such setting. There are: {', '.join(known)}"
                )
            if not settable(key, workspace):
                raise Denied(reason=f"{key} holds for the whole install: the first workspace sets it")
        merged = {**await self.changed(workspace), **changes}
        merged = {key: value for key, value in merged.items() if value is not None}
        for key, value in merged.items():
            _check(key, value)
            if key in self.checks:
                self.checks[key](value)

        def write(connection: sqlite3.Connection) -> None:
            for key, value in changes.items():
                if value is None:
                    connection.execute(
                        "DELETE FROM preferences WHERE workspace_id = ? AND key = ?", (workspace, key)
                    )
                    continue
                connection.execute(
                    "INSERT INTO preferences (workspace_id, key, value, updated) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (workspace_id, key) "
                    "DO UPDATE SET value = excluded.value, updated = excluded.updated",
                    (workspace, key, msgspec.json.encode(value).decode(), now),
                )

        await self._database.write(write)
        assembled = _assembled(merged)
        for tell in self.on_change:
            tell(workspace, assembled)
        return assembled


def keys() -> dict[str, Any]:
    """Every setting's key with its annotated type."""
    return {
        f"{group.name}.{name}": hint
        for group in msgspec.structs.fields(Preferences)
        for name, hint in typing.get_type_hints(group.type, include_extras=True).items()
    }


def settable(key: str, workspace: str) -> bool:
    """Whether a workspace sets it: what holds for the whole install is set in the first one."""
    return workspace == WORKSPACE or not key.startswith(_INSTALL_WIDE)


def describe(
    preferences: Preferences, changed: Mapping[str, Any], workspace: str = WORKSPACE
) -> list[dict[str, Any]]:
    """A workspace's settings as the Settings Panel shows them: group, key, title, meaning, default, value."""
    plain = msgspec.to_builtins(preferences)
    defaults = msgspec.to_builtins(Preferences())
    described = []
    for key, hint in keys().items():
        if not settable(key, workspace):
            continue
        group, name = key.split(".")
        meta = _meta(hint)
        described.append(
            {
                "key": key,
                "group": group,
                "title": meta.title,
                "description": meta.description,
                "type": _kind_name(hint),
                "default": defaults[group][name],
                "value": plain[group][name],
                "changed": key in changed,
                "unit": unit_of(hint),
                "least": meta.ge,
                "most": meta.le,
            }
        )
    return described


def unit_of(hint: Any) -> str:
    """What a setting counts, where people write it otherwise than as a number: `bytes`."""
    unit: str = (_meta(hint).extra_json_schema or {}).get("unit", "")
    return unit


def _meta(hint: Any) -> Meta:
    return next(m for m in hint.__metadata__ if isinstance(m, Meta))


def _kind_name(hint: Any) -> str:
    kind = typing.get_args(hint)[0]
    name: str = (typing.get_origin(kind) or kind).__name__
    return name


def _check(key: str, value: Any) -> None:
    try:
        msgspec.convert(value, keys()[key])
    except msgspec.ValidationError:
        shown = msgspec.json.encode(value).decode()[:80]
        raise RequestInvalid(field=key, reason=f"{shown} is not {wanted(keys()[key])}") from None


def _assembled(changed: Mapping[str, Any]) -> Preferences:
    grouped: dict[str, dict[str, Any]] = {}
    for key, value in changed.items():
        group, name = key.split(".")
        grouped.setdefault(group, {})[name] = value
    return msgspec.convert(grouped, Preferences)
