"""The house's rules for its code: rooms that stay small, what for is said, each thing behind its door."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import flowfuse
from flowfuse.resources import asset_root

PACKAGE = Path(flowfuse.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE, P90_FILE, P90_FUNCTION = 600, 400, 40
SPEAKS_FOR_ITSELF = 20
"""Lines of a function whose name says enough."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def functions() -> Iterator[tuple[str, Function]]:
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, Function):
                yield f"{file.relative_to(PACKAGE)}:{node.lineno} {node.name}", node


def p90(numbers: list[int]) -> int:
    return sorted(numbers)[len(numbers) * 9 // 10]


def test_no_room_grows_too_big() -> None:
    lengths = {str(file.relative_to(PACKAGE)): len(file.read_text().splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}
    assert p90(list(lengths.values())) <= P90_FILE


def test_functions_are_short() -> None:
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for _, node in functions()]
    assert p90(lengths) <= P90_FUNCTION


def test_what_is_public_says_what_for() -> None:
    silent = [str(file.relative_to(PACKAGE)) for file in FILES if not ast.get_docstring(tree(file))]
    for file in FILES:
        for node in tree(file).body:
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            if isinstance(node, Function) and (node.end_lineno or 0) - node.lineno < SPEAKS_FOR_ITSELF:
                continue
            # A node type's title and summary say what it is for, in words that its users read.
            if not ast.get_docstring(node) and "summary =" not in ast.unparse(node):
                silent.append(f"{file.relative_to(PACKAGE)}: {node.name}")
    assert silent == []


def test_nothing_is_called_by_what_it_is_not() -> None:
    vague = {"utils", "util", "helpers", "misc_utils", "base", "manager", "stuff"}
    assert [file for file in FILES if file.stem in vague] == []


@pytest.mark.parametrize("room", ["pages", "nodes", "commands"])
def test_sql_stays_behind_its_doors(room: str) -> None:
    text = re.compile(r"\b(SELECT .+ FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
    assert [
        file for file in FILES if file.relative_to(PACKAGE).parts[0] == room and text.search(file.read_text())
    ] == []


def test_every_table_has_its_workspace() -> None:
    tables = [
        match
        for file in sorted(asset_root("migrations").glob("*.sql"))
        for match in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", file.read_text(), re.DOTALL)
    ]
    assert tables
    assert [name for name, columns in tables if "workspace_id" not in columns] == []


def test_migrations_are_numbered_and_say_why() -> None:
    files = sorted(asset_root("migrations").glob("*.sql"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    assert [file.name for file in files if not file.read_text().startswith("-- ")] == []
