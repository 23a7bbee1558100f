"""`flowfuse backup` and `flowfuse restore`."""

from __future__ import annotations

import argparse
from pathlib import Path

from flowfuse.clock import Clock
from flowfuse.commands.common import add_data, add_json, config_of, print_json
from flowfuse.data.backup import Backups, restore, verify
from flowfuse.data.folder import DataFolder
from flowfuse.errors import ConfigInvalid
from flowfuse.resources import asset_root


def add_backup(parser: argparse.ArgumentParser) -> None:
    """Options of `backup`."""
    parser.add_argument(
        "--output", metavar="DIR", help="a new folder for it (default: backups/ in the data folder)"
    )
    parser.add_argument("--list", action="store_true", help="list the backups in the data folder")
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=make_backup)


def make_backup(options: argparse.Namespace) -> int:
    """A whole copy, also while the server runs."""
    folder = DataFolder(config_of(options).data)
    backups = Backups(folder.path, asset_root("migrations"), Clock())
    if options.list:
        return _list(backups, as_json=options.json)
    if not folder.database.exists():
        raise ConfigInvalid(field="--data", reason=f"{folder.path} has no FlowFuse database")
    made = backups.make(Path(options.output).absolute() if options.output else None)
    if options.json:
        print_json({"path": str(made.path), "manifest": made.manifest})
    else:
        print(
            f"{made.path}: {made.manifest.executions} runs, {made.manifest.size} bytes, read whole and good."
        )
        print("The vault's key is not in it: keep master.key elsewhere.")
    return 0


def _list(backups: Backups, *, as_json: bool) -> int:
    found = backups.list()
    if as_json:
        print_json({"items": [{"path": str(b.path), "manifest": b.manifest} for b in found]})
        return 0
    for backup in found:
        reason = f"  {backup.manifest.reason}" if backup.manifest.reason else ""
        print(f"{backup.path}  {backup.manifest.executions} runs  {backup.manifest.size} bytes{reason}")
    return 0


def add_restore(parser: argparse.ArgumentParser) -> None:
    """Options of `restore`."""
    parser.add_argument("backup", metavar="BACKUP", help="the backup's folder, or `latest`")
    parser.add_argument("--check", action="store_true", help="only read it whole and say whether it is good")
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=restore_backup)


def restore_backup(options: argparse.Namespace) -> int:
    """Bring a backup back. What is there now is kept beside it."""
    folder = DataFolder(config_of(options).data)
    backup = _chosen(options.backup, folder)
    if options.check:
        manifest = verify(backup, asset_root("migrations"))
    else:
        folder.make()
        folder.hold()
        try:
            manifest = restore(backup, folder.path, asset_root("migrations"), Clock())
        finally:
            folder.release()
    if options.json:
        print_json({"path": str(backup), "manifest": manifest, "restored": not options.check})
        return 0
    done = "is good" if options.check else f"was brought back into {folder.path}"
    print(f"{backup} {done}: {manifest.executions} runs.")
    return 0


def _chosen(name: str, folder: DataFolder) -> Path:
    if name != "latest":
        return Path(name).absolute()
    found = Backups(folder.path, asset_root("migrations"), Clock()).list()
    if not found:
        raise ConfigInvalid(field="BACKUP", reason=f"{folder.path} has no backups")
    return found[0].path
