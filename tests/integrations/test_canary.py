"""T26: marked secrets are planted and used in every way; afterwards nothing that is kept, logged, answered
or shown holds one of them."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from flowfuse.data.folder import DataFolder
from flowfuse.integrations.vault import sealing_keys
from flowfuse.seal import Sealer, parse_key
from tests.support.server import Server, Witness, request

MARK = "cAnArY"
CREDENTIALS: dict[str, tuple[str, dict[str, str]]] = {
    "in-header": ("header", {"name": "X-Api-Key", "value": f'{MARK}-header/+="\\ 1'}),
    "as-bearer": ("bearer", {"token": f"{MARK}.bearer~2"}),
    "as-basic": ("basic", {"user": "robot", "password": f'{MARK}:bäsic"&3'}),
    "in-query": ("query", {"name": "key", "value": f"{MARK} qüery/&=4"}),
}


@pytest.fixture
def witness() -> Iterator[Witness]:
    made = Witness()
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "data", FLOWFUSE_DEMOS="false")
    yield made
    made.kill()


def forms() -> list[bytes]:
    """Each secret plain, base64, and as it stands in an address; the mark itself is enough for most."""
    found = {MARK, MARK.lower()}
    for kind, data in CREDENTIALS.values():
        secret = data.get("value") or data.get("token") or data["password"]
        texts = [secret] + ([f"{data['user']}:{secret}"] if kind == "basic" else [])
        for text in texts:
            raw = text.encode()
            found |= {text, quote(text, safe=""), quote_plus(text)}
            found |= {
                base64.b64encode(raw).decode().rstrip("="),
                base64.urlsafe_b64encode(raw).decode().rstrip("="),
            }
    return [form.encode() for form in found]


def document(name: str, credential: str, base: str, **more: Any) -> dict[str, Any]:
    """Calls a peer that gives everything back; looks at it, logs it, keeps it and answers with it."""
    call = {
        "id": "call", "type": "action.http_request", "credential": credential,
        "config": {"url": f"{base}/echo-{name}", "method": "POST", "body": {"a": 1}, **more.pop("config", {})}, **more,
    }  # fmt: skip
    return {
        "id": name,
        "nodes": [
            {"id": "hook", "type": "trigger.webhook", "config": {"path": name, "respond": "respond_node"}},
            call,
            {"id": "look", "type": "transform.set", "config": {"fields": {"all": "{{ json_encode(input) }}"}}},
            {"id": "log", "type": "action.log", "config": {"message": "{{ nodes.call }}"}},
            {"id": "answer", "type": "action.respond", "config": {"body": "{{ nodes.call }}", "headers": {"X-It": "{{ type(nodes.call) }}"}}},
        ],
        "edges": [{"from": a, "to": b} for a, b in (("hook", "call"), ("call", "look"), ("look", "log"), ("log", "answer"))],
    }  # fmt: skip


def flows(base: str) -> Iterator[dict[str, Any]]:
    for credential in CREDENTIALS:
        yield document(f"ok-{credential}", credential, base)
        yield document(f"fails-{credential}", credential, base, retry={"attempts": 2, "initial": 0.01})
        yield document(f"continues-{credential}", credential, base, on_error="continue")
        yield document(f"as-text-{credential}", credential, base, config={"response": "text"})
        yield document(f"denied-{credential}", credential, base.replace("127.0.0.1", "localhost"))
        yield document(f"lost-{credential}", credential, "http://127.0.0.1:9")


def everything_told(server: Server) -> Iterator[tuple[str, bytes]]:
    """What the server answers and shows of everything that it keeps."""
    cookie = (
        request("GET", server.base + server.api("POST", "/links").json["path"])
        .headers["set-cookie"]
        .partition(";")[0]
    )
    page = {"Cookie": cookie, "Accept": "text/html"}
    yield "credentials", server.api("GET", "/credentials").raw
    yield "home", request("GET", f"{server.base}/", headers=page).raw
    yield "runs", request("GET", f"{server.base}/runs", headers=page).raw
    for run in server.executions():
        for part in ("", "/events", "/checkpoints"):
            yield f"{run['workflow']}{part}", server.api("GET", f"/executions/{run['id']}{part}").raw
        shown = request(
            "GET", f"{server.base}/workflows/{run['workflow']}/runs/{run['number']}", headers=page
        )
        assert shown.status == 200
        yield f"page {run['workflow']}", shown.raw
    for workflow in server.api("GET", "/workflows").json["items"]:
        yield f"workflow {workflow['id']}", server.api("GET", f"/workflows/{workflow['id']}").raw


@pytest.mark.slow
def test_planted_secrets_are_nowhere(server: Server, witness: Witness) -> None:
    server.start(FLOWFUSE_LOG_LEVEL="debug")
    for name, (kind, data) in CREDENTIALS.items():
        made = server.api(
            "POST", "/credentials", {"id": name, "kind": kind, "hosts": ["127.0.0.1"], "data": data}
        )
        assert made.status == 201, made.raw
    answers = []
    for flow in flows(witness.base):
        if flow["id"].startswith(("fails", "continues")):
            witness.status[f"/echo-{flow['id']}"] = [500, 400]
        server.publish(flow)
        answers.append((flow["id"], request("POST", f"{server.base}/hook/{flow['id']}", {})))
    server.wait_until_idle()

    # The peers did get the secrets.
    told = " ".join(f"{mark['headers']} {mark}" for mark in witness.marks)
    for secret in (
        "header/+",
        ".bearer~2",
        "qüery/",
        base64.b64encode(f"robot:{CREDENTIALS['as-basic'][1]['password']}".encode()).decode(),
    ):
        assert secret in told, secret
    assert {answer.status for name, answer in answers if name.startswith("ok")} == {200}
    assert {answer.status for name, answer in answers if name.startswith(("fails", "lost"))} == {500}

    found = [(name, form) for name, answer in answers for form in forms() if form in answer.raw]
    found += [(name, form) for name, raw in everything_told(server) for form in forms() if form in raw]
    kept = [path for path in server.data.rglob("*") if path.is_file()]
    found += [
        (path.name, form) for path in [*kept, server.log] for form in forms() if form in path.read_bytes()
    ]
    assert found == []
    assert [path.name for path in kept if stat.S_IMODE(path.stat().st_mode) != 0o600] == []
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert server.stop() == 0
    assert [form for form in forms() if form in server.log.read_bytes()] == []


@pytest.mark.slow
def test_without_its_key_the_server_does_not_start(server: Server) -> None:
    server.start()
    credential = {"id": "c", "kind": "bearer", "hosts": ["example.org"], "data": {"token": MARK}}
    assert server.api("POST", "/credentials", credential).status == 201
    assert server.stop() == 0
    key = server.data / "master.key"
    text = key.read_text()
    key.unlink()
    assert server.start(wait=False).ended() == 2
    assert not key.exists()
    assert server.start(wait=False, FLOWFUSE_MASTER_KEY="ab" * 32).ended() == 2
    log = server.log.read_text()
    assert "master.key" in log
    assert "sealed with the key" in log
    assert "Traceback" not in log
    server.start(FLOWFUSE_MASTER_KEY=text)
    assert [c["id"] for c in server.api("GET", "/credentials").json["items"]] == ["c"]


@pytest.mark.slow
def test_a_key_that_sealed_only_runs_is_known_too(server: Server) -> None:
    """No credential is there: the runs of a workflow with sensitive values need their key as much."""
    server.start()
    document = {
        "id": "pay",
        "settings": {"sensitive": ["trigger"]},
        "nodes": [
            {"id": "start", "type": "trigger.manual"},
            {"id": "wait", "type": "action.wait", "config": {"seconds": 0}},
        ],
        "edges": [{"from": "start", "to": "wait"}],
    }
    server.publish(document)
    assert server.api("POST", "/workflows/pay/run", {"input": MARK}).status in (200, 202)
    assert server.stop() == 0
    key = server.data / "master.key"
    text = key.read_text()
    key.unlink()
    assert server.start(wait=False).ended() == 2
    assert not key.exists()
    assert server.start(wait=False, FLOWFUSE_MASTER_KEY="ab" * 32).ended() == 2
    assert "sealed with the key" in server.log.read_text()
    assert sealing_keys(server.data / "flowfuse.db") == {Sealer(parse_key(text)).key_id}


def test_the_small_secret_files(tmp_path: Path) -> None:
    os.umask(os.umask(0o022))
    folder = DataFolder(tmp_path / "data")
    folder.make()
    token = folder.token()
    assert folder.token() == token
    assert token.startswith("ff_")
    key = folder.master_key(None, sealed_before=False)
    assert folder.master_key(None, sealed_before=True) == key
    for name in ("token", "master.key"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600
