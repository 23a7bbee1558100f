"""`flowfuse migrate`: the database's schema, brought to this version."""

from __future__ import annotations

import argparse
import contextlib

from flowfuse.clock import Clock
from flowfuse.commands.common import add_data, add_json, config_of, print_json
from flowfuse.data.backup import Backups
from flowfuse.data.database import connect, migrate, newest_schema
from flowfuse.data.folder import DataFolder
from flowfuse.errors import ConfigInvalid, FlowFuseError
from flowfuse.resources import asset_root


def add_migrate(parser: argparse.ArgumentParser) -> None:
    """Options of `migrate`."""
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=migrate_folder)


def _migrated(folder: DataFolder) -> list[str]:
    """The names of what was applied. Raises MigrationFailed, ConfigInvalid."""
    try:
        with contextlib.closing(connect(folder.database)) as connection:
            backups = Backups(folder.path, asset_root("migrations"), Clock())
            return migrate(connection, asset_root("migrations"), backups.before_migration)
    except FlowFuseError:
        raise
    except Exception as error:
        raise ConfigInvalid(field="--data", reason=f"{folder.database} cannot be opened: {error}") from None


def migrate_folder(options: argparse.Namespace) -> int:
    """Apply what is missing, one file a transaction."""
    folder = DataFolder(config_of(options).data)
    folder.make()
    folder.hold()
    try:
        applied = _migrated(folder)
    finally:
        folder.release()
    newest = newest_schema(asset_root("migrations"))
    if options.json:
        print_json({"applied": applied, "schema": newest})
        return 0
    for name in applied:
        print(f"applied {name}")
    print(f"The database is at schema {newest}.")
    return 0
