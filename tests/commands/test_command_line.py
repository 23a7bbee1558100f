"""What holds for every command: help with an example, exit codes, complaints in one line."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowfuse.__main__ import COMMANDS
from flowfuse.data.folder import DataFolder, Running
from tests.commands.conftest import Command
from tests.support.local import LocalServer
from tests.support.server import free_port, request

pytestmark = pytest.mark.slow

Write = Callable[[str, Any], str]
READING = (["list"], ["executions"], ["show", "00000000-0000-0000-0000-000000000000"], ["export"])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(flowfuse: Command, command: str) -> None:
    ended = flowfuse(command, "--help")
    assert ended.code == 0
    assert f"example:\n  flowfuse {command}" in ended.out


def test_the_first_help_lists_every_command(flowfuse: Command) -> None:
    ended = flowfuse("--help")
    assert ended.code == 0
    assert all(f"    {command}" in ended.out for command in COMMANDS)
    assert flowfuse().code == 2
    assert flowfuse("--version").out.startswith("flowfuse ")


@pytest.mark.parametrize(
    "arguments", [["nope"], ["run"], ["list", "--nope"], ["executions", "--state", "done"]]
)
def test_what_nobody_knows_is_2(flowfuse: Command, arguments: list[str]) -> None:
    assert flowfuse(*arguments).code == 2


def refused(ended: Any, *words: str) -> None:
    """Exit 2 and one line that says why."""
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended
    assert ended.err.startswith("flowfuse: ")
    for word in words:
        assert word in ended.err, ended.err


# -- the folder


@pytest.mark.parametrize("arguments", READING)
def test_reading_where_nothing_is(flowfuse: Command, arguments: list[str]) -> None:
    refused(flowfuse(*arguments, "--data", "nothing"), "nothing")


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        *((arguments, b"garbage " * 100) for arguments in (*READING, ["migrate"], ["serve", "--port", "0"])),
        *((arguments, b"") for arguments in READING),
    ],
)
def test_a_file_that_is_no_database_of_ours(
    flowfuse: Command, tmp_path: Path, arguments: list[str], content: bytes
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "flowfuse.db").write_bytes(content)
    refused(flowfuse(*arguments, "--data", "data"))


@pytest.mark.parametrize(
    "arguments",
    [*READING, ["migrate"], ["serve", "--port", "0"], ["run", "flow.json"], ["import", "flow.json"]],
)
def test_a_database_from_a_newer_version(
    flowfuse: Command, tmp_path: Path, write: Write, arguments: list[str]
) -> None:
    write("flow.json", {"nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    assert flowfuse("migrate", "--data", "data", "--json").json["applied"]
    assert flowfuse("migrate", "--data", "data", "--json").json["applied"] == []
    with sqlite3.connect(tmp_path / "data" / "flowfuse.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    refused(flowfuse(*arguments, "--data", "data"), "99", "newer")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user cannot write."""
    folder = tmp_path / "locked"
    folder.mkdir()
    if os.geteuid() == 0:
        # Modes do not bind root, a read-only mount does.
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", folder], capture_output=True
        )
        if mounted.returncode:
            pytest.skip("root cannot mount here, so no folder is read-only")
    folder.chmod(0o500) if os.geteuid() else None
    yield folder
    if os.geteuid() == 0:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    "arguments", [["serve", "--port", "0"], ["migrate"], ["run", "flow.json"], ["import", "flow.json"]]
)
def test_a_read_only_folder(flowfuse: Command, write: Write, read_only: Path, arguments: list[str]) -> None:
    write("flow.json", {"nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    refused(flowfuse(*arguments, "--data", read_only), str(read_only))
    if arguments[0] == "serve":
        refused(flowfuse(*arguments, "--data", read_only / "below"), "below")


def test_two_processes_on_one_folder(flowfuse: Command, write: Write, tmp_path: Path) -> None:
    write("flow.json", {"nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.hold()
    try:
        for arguments in (
            ["serve", "--port", "0"],
            ["migrate"],
            ["run", "flow.json"],
            ["import", "flow.json"],
        ):
            refused(flowfuse(*arguments, "--data", "data"), "held by another")
    finally:
        folder.release()
    assert flowfuse("migrate", "--data", "data").code == 0


def test_what_a_killed_server_said_of_itself_misleads_nobody(
    flowfuse: Command, write: Write, tmp_path: Path
) -> None:
    write("flow.json", {"nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.announce(Running(pid=1, host="127.0.0.1", port=free_port()))
    assert flowfuse("run", "flow.json", "--data", "data", "--json").code == 0
    refused(flowfuse("link", "--data", "data"), "no server is running")


def test_a_server_that_does_not_answer(flowfuse: Command, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.hold()
    folder.announce(Running(pid=1, host="127.0.0.1", port=free_port()))
    ended = flowfuse("link", "--data", "data")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "does not answer" in ended.err
    folder.release()


def test_odd_folder_names(flowfuse: Command, write: Write) -> None:
    write("flow.json", {"id": "odd", "nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    for name in ("with space", "100%25", "what?", "ha#sh", "ünï"):
        assert flowfuse("import", "flow.json", "--data", name).code == 0, name
        assert [w["id"] for w in flowfuse("list", "--data", name, "--json").json] == ["odd"], name


def test_what_is_kept_is_for_its_owner_alone(flowfuse: Command, write: Write, tmp_path: Path) -> None:
    write("flow.json", {"nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    os.umask(os.umask(0o022))
    assert flowfuse("run", "flow.json", "--data", "data").code == 0
    server = LocalServer(tmp_path / "data").start()
    try:
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "data").iterdir()}
    finally:
        server.stop()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert {"token", "master.key", "flowfuse.db", "flowfuse.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}, modes


# -- settings


def test_only_this_machines_own_addresses(flowfuse: Command) -> None:
    for host in ("192.0.2.1", "no-such-name.invalid"):
        refused(flowfuse("serve", "--host", host, "--data", "data"), "--host")


def test_a_certificate_needs_its_key(flowfuse: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFUSE_TLS_CERT", "nowhere.pem")
    refused(flowfuse("serve", "--data", "data"), "tls_key")


def test_a_port_in_use(flowfuse: Command, server: LocalServer) -> None:
    refused(flowfuse("serve", "--port", server.port, "--data", "other"), "--port", str(server.port))
    refused(flowfuse("serve", "--port", "99999", "--data", "other"), "port")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FLOWFUSE_PORT", "many", "port"),
        ("FLOWFUSE_MAX_RUNNING", "0", "max_running"),
        ("FLOWFUSE_LOG_LEVEL", "loud", "log_level"),
        ("FLOWFUSE_MASTER_KEY", "zz", "64 hex digits"),
        ("FLOWFUSE_NETWORK_ALLOW", "10.0.0.0/99", "network.allow"),
    ],
)
def test_settings_that_cannot_be(
    flowfuse: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    arguments = ["--port", "0"] if name != "FLOWFUSE_PORT" else []
    refused(flowfuse("serve", *arguments, "--data", "data"), said)


def test_a_settings_file_that_cannot_be(flowfuse: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for text in ("port = [", "colour = 1", 'port = "many"'):
        (tmp_path / "data" / "flowfuse.toml").write_text(text)
        refused(flowfuse("serve", "--data", "data"))


# -- reading


def test_reading_beside_a_server(flowfuse: Command, server: LocalServer) -> None:
    flow = {"id": "seen", "name": "Seen", "nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []}
    server.publish(flow)
    run = server.api("POST", "/workflows/seen/run", {"input": 1, "wait": 10}).json
    assert "seen" in flowfuse("list", "--data", "data").out
    assert [w["id"] for w in flowfuse("list", "--data", "data", "--json").json] == ["seen"]
    assert (
        run["id"]
        in flowfuse("executions", "--data", "data", "--workflow", "seen", "--state", "completed").out
    )
    assert flowfuse("executions", "--data", "data", "--state", "failed", "--json").json == []
    shown = flowfuse("show", run["id"], "--data", "data")
    assert "seen #1  completed" in shown.out
    assert flowfuse("show", run["id"], "--data", "data", "--json").json["result"] == 1
    refused(flowfuse("show", "nonsense", "--data", "data"), "nonsense")
    for limit in ("0", "-1", str(10**30)):
        refused(flowfuse("executions", "--data", "data", "--limit", limit), "--limit")


def test_nodes(flowfuse: Command) -> None:
    types = flowfuse("nodes", "--json").json
    assert all({"type", "family", "title", "summary", "schema"} <= set(each) for each in types)
    assert "action.http_request" in flowfuse("nodes").out


def test_link(flowfuse: Command, server: LocalServer) -> None:
    ended = flowfuse("link", "--data", "data")
    address = ended.out.split()[-1]
    assert request("GET", address).status == 303
    assert flowfuse("link", "--data", "data", "--json").json["link"].startswith(server.base)
    refused(flowfuse("link", "--data", "other"), "no server is running")


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m flowfuse nodes --json | head -c 10"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
def test_as_a_process(tmp_path: Path) -> None:
    """No colour and no bar where there is no terminal; only JSON on stdout."""
    (tmp_path / "flow.json").write_text(
        json.dumps({"nodes": [{"id": "go", "type": "trigger.manual"}], "edges": []})
    )
    command = [sys.executable, "-m", "flowfuse", "run", "flow.json", "--input", "1"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (shown.stdout.split("  ")[0], shown.stderr) == ("completed", "")
    only = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (json.loads(only.stdout)["result"], only.stderr) == (1, "")
