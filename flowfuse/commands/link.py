"""`flowfuse link`: another one-time sign-in link."""

from __future__ import annotations

import argparse

from flowfuse.commands.common import add_data, add_json, call_server, config_of, print_json
from flowfuse.data.folder import DataFolder
from flowfuse.errors import ConfigInvalid


def add_link(parser: argparse.ArgumentParser) -> None:
    """Options of `link`."""
    parser.add_argument("--new-password", action="store_true", help="to choose a new password for the owner")
    add_data(parser)
    add_json(parser)
    parser.set_defaults(handler=link)


def link(options: argparse.Namespace) -> int:
    """Ask the running server for a link and print it."""
    folder = DataFolder(config_of(options).data)
    running = folder.running()
    if running is None:
        raise ConfigInvalid(
            field="--data", reason=f"no server is running on {folder.path}; start it by `flowfuse serve`"
        )
    asked = {"new_password": options.new_password}
    address = running.address + call_server(folder, running, "POST", "/api/v1/links", asked)["path"]
    if options.json:
        print_json({"link": address})
    else:
        if options.new_password:
            print(f"Choose a new password, once, within an hour, at {address}")
        else:
            print(f"Sign in once, within 15 minutes, at {address}")
    return 0
