"""`backup`, `restore`, `doctor`: what a person does to keep what is kept."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_commands(flowfuse: Any, arguments: tuple[str, ...]) -> None:
    assert flowfuse("backup", "--data", "data", *arguments).code == 2
    assert flowfuse("restore", "latest", "--data", "data").code == 2
    assert flowfuse("migrate", "--data", "data").code == 0
    made = flowfuse("backup", "--data", "data", *arguments)
    assert made.code == 0
    assert "backups/" in made.out
    assert "backups/" in flowfuse("backup", "--list", "--data", "data", *arguments).out
    assert flowfuse("restore", "latest", "--check", "--data", "data", *arguments).code == 0
    assert flowfuse("restore", "latest", "--data", "data", *arguments).code == 0
    assert flowfuse("doctor", "--data", "data", *arguments).code == 0


def test_doctor_names_what_is_wrong(flowfuse: Any, tmp_path: Any) -> None:
    assert flowfuse("migrate", "--data", "data").code == 0
    (tmp_path / "data" / "master.key").write_text("nonsense")
    ended = flowfuse("doctor", "--data", "data", "--json")
    assert ended.code == 1
    problems = {each["name"]: each for each in ended.json["items"] if each["level"] == "problem"}
    assert set(problems) == {"key"}
    assert "64 hex digits" in problems["key"]["advice"] + problems["key"]["found"]


def test_doctor_finds_a_damaged_database(flowfuse: Any, tmp_path: Any) -> None:
    assert flowfuse("migrate", "--data", "data").code == 0
    path = tmp_path / "data" / "flowfuse.db"
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    path.write_bytes(data)
    ended = flowfuse("doctor", "--data", "data")
    assert ended.code == 1
    assert "flowfuse restore latest" in ended.out


def test_doctor_beside_a_server(flowfuse: Any, server: Any) -> None:
    ended = flowfuse("doctor", "--data", "data", "--json")
    found = {each["name"]: each["found"] for each in ended.json["items"]}
    assert "is running at" in found["port"]


def test_restore_needs_the_folder_for_itself(flowfuse: Any, server: Any) -> None:
    assert flowfuse("backup", "--data", "data").code == 0
    ended = flowfuse("restore", "latest", "--data", "data")
    assert (ended.code, "held by another" in ended.err) == (2, True)
