"""Credentials over the API: sealed, write-only, bound to hosts and to their place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowfuse.integrations.credential import OpenCredential
from tests.support.local import LocalServer
from tests.support.server import Witness

pytestmark = pytest.mark.slow
BEARER: dict[str, Any] = {
    "id": "key",
    "kind": "bearer",
    "hosts": ["127.0.0.1"],
    "data": {"token": "the-secret"},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path / "data").start()
    yield running
    running.stop()


@pytest.fixture
def witness() -> Iterator[Witness]:
    made = Witness()
    yield made
    made.close()


def call(server: LocalServer, base: str, credential: str) -> Any:
    nodes = [
        {"id": "go", "type": "trigger.manual"},
        {
            "id": "ask",
            "type": "action.http_request",
            "credential": credential,
            "config": {"url": f"{base}/echo"},
        },
    ]
    document = {"nodes": nodes, "edges": [{"from": "go", "to": "ask"}]}
    return server.api("POST", "/run", {"document": document}).json


def test_the_life_of_a_credential(server: LocalServer, witness: Witness) -> None:
    made = server.api("POST", "/credentials", BEARER)
    assert (made.status, made.json["id"], made.json["hosts"]) == (201, "key", ["127.0.0.1"])
    assert server.api("POST", "/credentials", BEARER).status == 409
    assert call(server, witness.base, "key")["state"] == "completed"
    assert witness.marks[-1]["headers"]["authorization"] == "Bearer the-secret"
    fields = {key: value for key, value in BEARER.items() if key != "id"}
    changed = server.api("PUT", "/credentials/key", {**fields, "data": {"token": "another"}})
    assert changed.status == 200
    call(server, witness.base, "key")
    assert witness.marks[-1]["headers"]["authorization"] == "Bearer another"
    assert set(server.api("GET", "/credentials").json["items"][0]) == {
        "id",
        "name",
        "kind",
        "hosts",
        "created",
        "updated",
    }
    assert server.api("DELETE", "/credentials/key").status == 204
    assert server.api("DELETE", "/credentials/key").status == 404
    assert server.api("PUT", "/credentials/key", fields).status == 404
    gone = call(server, witness.base, "key")
    assert (gone["state"], "key" in gone["error"]["message"]) == ("failed", True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "Bad Id"}, "id"),
        ({"kind": "magic"}, "kind"),
        ({"data": {}}, "data"),
        ({"data": {"token": "x", "more": "y"}}, "data"),
        ({"data": {"token": ""}}, "data.token"),
        ({"data": {"token": "line\nbreak"}}, "data.token"),
        ({"data": {"token": "pässword"}}, "data.token"),
        ({"kind": "header", "data": {"name": "a b", "value": "x"}}, "data.name"),
        ({"hosts": []}, "hosts"),
        ({"hosts": ["*"]}, "hosts"),
        ({"hosts": ["http://a/"]}, "hosts"),
        ({"colour": 1}, "body"),
    ],
)
def test_what_cannot_be_a_credential(server: LocalServer, change: dict[str, Any], field: str) -> None:
    answer = server.api("POST", "/credentials", {**BEARER, **change})
    assert (answer.status, answer.json["field"]) == (400, field)
    assert b"pass" not in answer.raw


def test_swapped_rows_do_not_open(server: LocalServer, witness: Witness) -> None:
    server.api("POST", "/credentials", BEARER)
    server.api(
        "POST",
        "/credentials",
        {**BEARER, "id": "other", "hosts": ["example.org"], "data": {"token": "not-yours"}},
    )

    def swap(connection: sqlite3.Connection) -> None:
        sealed = connection.execute("SELECT sealed FROM credentials WHERE id = 'other'").fetchone()[0]
        connection.execute("UPDATE credentials SET sealed = ? WHERE id = 'key'", (sealed,))

    server.call(server.app.engine.database.write(swap))
    ended = call(server, witness.base, "key")
    assert ended["state"] == "failed"
    assert "changed, or lies in another's place" in ended["error"]["message"]
    assert witness.marks == []


def test_secrets_are_taken_out_of_outputs_errors_and_headers(server: LocalServer, witness: Witness) -> None:
    server.api("POST", "/credentials", BEARER)
    ended = call(server, witness.base, "key")
    assert "***" in str(ended["result"])
    assert "the-secret" not in str(ended)
    witness.status["/echo"] = [400]
    failed = call(server, witness.base, "key")
    assert failed["state"] == "failed"
    assert "the-secret" not in str(failed)


def test_every_form_of_a_secret_is_found() -> None:
    secret = 'ä "q"\\/&='
    credential = OpenCredential(name="c", kind="query", data={"name": "k", "value": secret}, hosts=())
    for text in (
        secret, "%C3%A4%20%22q%22%5C%2F%26%3D", "%c3%a4%20%22q%22%5c%2f%26%3d", "%C3%A4+%22q%22%5C%2F%26%3D",
        'ä \\"q\\"\\\\/&=', '\\u00e4 \\"q\\"\\\\/&=', "w6QgInEiXC8mPQ==", "w6QgInEiXC8mPQ",
    ):  # fmt: skip
        assert credential.redact({text: [f"a{text}b"]}) == {"***": ["a***b"]}, text
    assert credential.redact("nothing to hide") == "nothing to hide"
