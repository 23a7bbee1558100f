"""action.read_file and action.make_file: each format there and back, and what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from flowfuse.app import Engine
from flowfuse.model import WORKSPACE
from tests.nodes.conftest import Chain, chain


def make(**config: Any) -> dict[str, Any]:
    return {"id": "made", "type": "action.make_file", "config": {"content": "{{ trigger }}", **config}}


def read(**config: Any) -> dict[str, Any]:
    return {"id": "read", "type": "action.read_file", "config": {"file": "{{ input }}", **config}}


@pytest.mark.parametrize(
    ("value", "format", "back"),
    [
        ("ü\n", "text", "ü\n"),
        ({"a": [1, "ü"]}, "json", {"a": [1, "ü"]}),
        (
            [{"a": 1, "b": 'x,"y"'}, {"b": "z\n", "c": True}, {"c": {"d": 1}}],
            "csv",
            [
                {"a": "1", "b": 'x,"y"', "c": ""},
                {"a": "", "b": "z\n", "c": "true"},
                {"a": "", "b": "", "c": '{"d":1}'},
            ],
        ),
        ("AAEC/w==", "base64", "AAEC/w=="),
    ],
)
async def test_there_and_back(run: Chain, value: Any, format: str, back: Any) -> None:
    ended = await run(chain(make(format=format), read(format=format)), value)
    assert ended["result"] == back, ended


async def test_encodings_delimiters_and_rows_without_names(run: Chain) -> None:
    settings = {"format": "csv", "encoding": "utf-16", "delimiter": ";"}
    ended = await run(chain(make(**settings), read(**settings, header=False)), [["ü", 1], ["b;c", None]])
    assert ended["result"] == [["ü", "1"], ["b;c", ""]]


async def test_names_and_types(run: Chain) -> None:
    ended = await run(chain(make(name="../r {{ trigger }}.html", type="text/html")), "x")
    assert (ended["result"]["name"], ended["result"]["type"]) == ("r x.html", "text/html")
    ended = await run(chain(make(format="csv")), [])
    assert (ended["result"]["name"], ended["result"]["type"], ended["result"]["size"]) == (
        "file.csv",
        "text/csv",
        0,
    )


@pytest.mark.parametrize(
    ("value", "config", "words"),
    [
        ("x", {}, "no file"),
        ({"$file": "0" * 64, "name": "gone.txt"}, {}, "gone.txt"),
        ("made", {"format": "json"}, "not JSON"),
    ],
)
async def test_what_cannot_be_read(run: Chain, value: Any, config: dict[str, Any], words: str) -> None:
    nodes = [make(), read(**config)] if value == "made" else [read(**config)]
    assert words in (await run(chain(*nodes), value))["error"]["message"]


@pytest.mark.parametrize(
    ("value", "config", "words"),
    [
        ({"a": 1}, {"format": "csv"}, "list of objects"),
        ("???", {"format": "base64"}, "not base64"),
        ("ü", {"encoding": "ascii"}, "ascii"),
    ],
)
async def test_what_cannot_be_made(run: Chain, value: Any, config: dict[str, Any], words: str) -> None:
    assert words in (await run(chain(make(**config)), value))["error"]["message"]


async def test_a_large_file_is_not_read_whole(run: Chain, engine: Engine) -> None:
    async with engine.files.writing(WORKSPACE) as writer:
        for _ in range(33):
            await writer.write(b"x" * 1_000_000)
        kept = await writer.finish("big", "text/plain")
    assert "larger than 32 MB" in (await run(chain(read()), kept.value()))["error"]["message"]


def test_problems(problems: Any) -> None:
    assert problems(chain(read(encoding="utf-9"))) == [("nodes.read.config.encoding", "config")]
    assert problems(chain(make(delimiter=";;"))) == [("nodes.made.config.delimiter", "wrong_type")]


async def test_a_file_is_kept_as_long_as_its_execution(run: Chain, engine: Engine) -> None:
    ended = await run(chain(make()), "kept")
    sha = ended["result"]["$file"]
    loose = await engine.files.save(WORKSPACE, b"loose", "x", "")
    assert await engine.files.sweep(kept=-1) == 1
    assert (await engine.files.find(WORKSPACE, sha)).read_bytes() == b"kept"
    assert not engine.files.path(loose.sha256).exists()
    await engine.database.write(lambda connection: connection.execute("DELETE FROM executions"))
    assert await engine.files.sweep(kept=-1) == 1
    assert not engine.files.path(sha).exists()


async def test_a_large_value_with_files_in_it_keeps_them(run: Chain, engine: Engine) -> None:
    """Such a value lies in a blob of its own; its files count all the same."""
    fields = {
        "id": "all",
        "type": "transform.set",
        "config": {"fields": {"f": "{{ nodes.made }}", "pad": "{{ 'x' * 300000 }}"}},
    }
    await run(chain(make(), fields), "inside")
    rows = await engine.database.rows("SELECT hash FROM file_references")
    assert len(rows) == 1
