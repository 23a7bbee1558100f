"""action.open_file and action.save_file: files of this machine there and back, within what is allowed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.nodes.conftest import Chain, chain
from tests.support.local import LocalServer

pytestmark = pytest.mark.slow

OPEN = {"id": "open", "type": "action.open_file", "config": {"path": "{{ trigger.from }}"}}
READ = {"id": "read", "type": "action.read_file", "config": {"file": "{{ input }}"}}


def save(**config: Any) -> dict[str, Any]:
    placed = {"path": "{{ trigger.to }}", "file": "{{ input }}", **config}
    return {"id": "save", "type": "action.save_file", "config": placed}


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
async def test_there_and_back(run: Chain, tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "in.csv").write_bytes(content)
    place = tmp_path / "out.csv"
    ended = await run(chain(OPEN, save()), {"from": str(tmp_path / "in.csv"), "to": str(place)})
    assert ended["result"] == {"path": str(place), "size": size}, ended
    assert place.read_bytes() == content
    opened = await run(chain(OPEN), {"from": str(place)})
    digest = hashlib.sha256(content).hexdigest()
    assert opened["result"] == {"$file": digest, "name": "out.csv", "type": "text/csv", "size": size}


async def test_a_text_is_saved_as_it_is_and_other_values_are_refused(run: Chain, tmp_path: Path) -> None:
    given = {"to": str(tmp_path / "out.txt")}
    ended = await run(chain(save(file="ü {{ 1 + 1 }}")), given)
    assert (ended["state"], (tmp_path / "out.txt").read_text("utf-8")) == ("completed", "ü 2")
    ended = await run(chain(save(file={"a": 1})), given)
    assert "Make file" in ended["error"]["message"]


async def test_what_is_there_is_replaced_only_where_that_is_wanted(run: Chain, tmp_path: Path) -> None:
    given = {"to": str(tmp_path / "out.txt")}
    wanted = (("a", "fail", "completed"), ("b", "fail", "failed"), ("c", "replace", "completed"))
    for text, existing, state in wanted:
        ended = await run(chain(save(file=text, existing=existing)), given)
        assert ended["state"] == state, ended
    assert (tmp_path / "out.txt").read_text() == "c"


def test_a_server_reaches_the_folders_that_its_settings_allow(tmp_path: Path) -> None:
    for name in ("allowed", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    server = LocalServer(tmp_path / "data").start()
    document = {"id": "files", **chain(OPEN, READ)}

    def outcome(name: str) -> tuple[str, str]:
        given = {"from": str(tmp_path / name / "file")}
        ended = server.api("POST", "/run", {"document": document, "input": given}).json
        return ended["state"], ended["result"] or ended["error"]["code"]

    try:
        assert outcome("allowed") == ("failed", "path_denied")
        wrong = server.api("PATCH", "/settings", {"files.folders": [str(tmp_path / "nothing")]})
        assert (wrong.status, wrong.json["field"]) == (400, "files.folders")
        assert server.api("PATCH", "/settings", {"files.folders": [str(tmp_path / "allowed")]}).status == 200
        assert outcome("allowed") == ("completed", "allowed")
        assert outcome("other") == ("failed", "path_denied")
        server.stop()
        server.start()
        assert outcome("allowed") == ("completed", "allowed")
    finally:
        server.stop()
