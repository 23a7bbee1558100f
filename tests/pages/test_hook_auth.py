"""Who may call a webhook: right, wrong and odd credentials of every kind; a refused call leaves nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.local import LocalServer
from tests.support.server import Answer, request

SECRETS: dict[str, dict[str, str]] = {
    "basic": {"user": "robot", "password": "pä:ss word"},
    "bearer": {"token": "t0ken-of-the-hook"},
    "header": {"name": "X-Api-Key", "value": "key-of-the-hook"},
    "hmac": {"secret": "shared secret ü"},
}
BODY = b'{"n": 7}'
COUNT = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def credentials(server: LocalServer) -> None:
    for kind, data in SECRETS.items():
        made = server.api(
            "POST", "/credentials", {"id": kind, "kind": kind, "hosts": ["example.org"], "data": data}
        )
        assert made.status == 201, made.raw


Publish = Callable[..., str]


@pytest.fixture
def publish(server: LocalServer) -> Publish:
    """Publish a hook with an auth; its address."""

    def make(auth: str, credential: str = "", **signature: Any) -> str:
        name = f"auth{next(COUNT)}"
        config = {"path": name, "respond": "last_node", "auth": auth, "signature": signature}
        hook = {"id": "hook", "type": "trigger.webhook", "credential": credential or auth, "config": config}
        server.publish({"id": name, "nodes": [hook], "edges": []})
        return f"{server.base}/hook/{name}"

    return make


def refused(server: LocalServer, url: str, headers: dict[str, str], body: bytes = BODY) -> Answer:
    """A call that must be refused, and leave no execution."""
    answer = request("POST", url, body, headers)
    assert answer.status == 401, answer.raw
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "call_denied"
    assert server.executions(workflow=url.rpartition("/")[2]) == []
    return answer


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_basic(server: LocalServer, publish: Publish) -> None:
    url = publish("basic")
    user, password = SECRETS["basic"].values()
    wrong = [
        "",
        "Basic",
        "Basic !!",
        basic(user, "x"),
        basic("x", password),
        basic("", ""),
        f"Bearer {password}",
    ]
    for text in wrong:
        answer = refused(server, url, {"authorization": text} if text else {})
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
    answer = request("POST", url, BODY, {"authorization": basic(user, password)})
    assert (answer.status, answer.json["body"]) == (200, {"n": 7})


def test_bearer(server: LocalServer, publish: Publish) -> None:
    url = publish("bearer")
    token = SECRETS["bearer"]["token"]
    for text in (
        "",
        "Bearer",
        "Bearer x",
        f"Basic {token}",
        token,
        f"Bearer {token}x",
        f"Bearer {token[:-1]}",
    ):
        answer = refused(server, url, {"authorization": text} if text else {})
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert request("POST", url, BODY, {"authorization": f"bearer {token}"}).status == 200


def test_header(server: LocalServer, publish: Publish) -> None:
    url = publish("header")
    for headers in (
        {},
        {"x-api-key": ""},
        {"x-api-key": "key-of-the-hooK"},
        {"authorization": "key-of-the-hook"},
    ):
        refused(server, url, headers)
    assert request("POST", url, BODY, {"X-API-KEY": "key-of-the-hook"}).status == 200


def test_what_a_caller_proves_itself_by_is_not_kept(server: LocalServer, publish: Publish) -> None:
    for auth, headers in (
        ("basic", {"authorization": basic(*SECRETS["basic"].values())}),
        ("bearer", {"authorization": f"Bearer {SECRETS['bearer']['token']}"}),
        ("header", {"x-api-key": SECRETS["header"]["value"]}),
    ):
        shown = request("POST", publish(auth), BODY, headers).json["headers"]
        assert [shown[name] for name in headers] == ["***"]


def sign(body: bytes, algorithm: str = "sha256", encoding: str = "hex") -> str:
    made = hmac.new(SECRETS["hmac"]["secret"].encode(), body, getattr(hashlib, algorithm))
    return made.hexdigest() if encoding == "hex" else base64.b64encode(made.digest()).decode()


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_hmac(server: LocalServer, publish: Publish, algorithm: str, encoding: str) -> None:
    url = publish("hmac", header="X-Sig", algorithm=algorithm, encoding=encoding, prefix="v1=")
    right = sign(BODY, algorithm, encoding)
    wrong = [
        "",
        right,
        f"v1={right[:-4]}",
        f"v1={sign(b'other', algorithm, encoding)}",
        "v1=",
        "v1=zz",
        "v1=ü",
    ]
    for text in wrong:
        answer = refused(server, url, {"x-sig": text.encode("utf-8").decode("latin-1")})
        assert "www-authenticate" not in answer.headers
    refused(server, url, {"x-sig": f"v1={right}"}, BODY + b" ")
    assert request("POST", url, BODY, {"x-sig": f"v1={right}"}).status == 200
    # A sender that changes its key signs with both for a while.
    assert request("POST", url, BODY, {"x-sig": f"v1=00ff,v0=aa v1={right}"}).status == 200


def test_a_signed_timestamp(server: LocalServer, publish: Publish) -> None:
    url = publish("hmac", header="X-Sig", timestamp_header="X-Time", tolerance=60)
    now = int(time.time())

    def headers(stamp: str, body: bytes = BODY) -> dict[str, str]:
        return {"x-time": stamp, "x-sig": sign(stamp.encode() + b"." + body)}

    for stamp in (str(now - 120), str(now + 120), "", "x", "-5", "9" * 30, f"{now}.5"):
        refused(server, url, headers(stamp))
    refused(server, url, {**headers(str(now)), "x-time": str(now - 1)})
    refused(server, url, {"x-sig": sign(BODY), "x-time": str(now)})
    assert request("POST", url, BODY, headers(str(now))).status == 200
    assert request("POST", url, BODY, headers(str(now * 1000))).status == 200


def test_a_signature_covers_parts_and_files(server: LocalServer, publish: Publish) -> None:
    for kind, body in (("image/png", b"\x89PNG" * 1000), ("multipart/form-data; boundary=b", multipart("b"))):
        url = publish("hmac", header="X-Sig")
        refused(server, url, {"content-type": kind, "x-sig": sign(body + b"x")}, body)
        assert list((server.data / "files").rglob("tmp/*")) == []
        answer = request("POST", url, body, {"content-type": kind, "x-sig": sign(body)})
        assert answer.status == 200
    kept = [path for path in (server.data / "files").rglob("*") if path.is_file()]
    assert len(kept) == 2


def multipart(boundary: str) -> bytes:
    return (
        f"--{boundary}\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n"
        f'--{boundary}\r\ncontent-disposition: form-data; name=f; filename="x.txt"\r\n\r\nfile\r\n--{boundary}--\r\n'
    ).encode()


def test_a_credential_that_is_missing_or_of_another_kind_lets_nobody_in(
    server: LocalServer, publish: Publish
) -> None:
    for auth, credential in (("bearer", "gone"), ("basic", "bearer"), ("hmac", "header")):
        answer = request("POST", publish(auth, credential), BODY, {"authorization": "Bearer x"})
        assert (answer.status, answer.json["code"]) == (503, "hook_locked")


def test_a_hook_with_auth_needs_a_credential(server: LocalServer) -> None:
    node = {"id": "hook", "type": "trigger.webhook", "config": {"path": "x", "auth": "bearer"}}
    found = server.api("POST", "/workflows/validate", {"nodes": [node], "edges": []}).json["problems"]
    assert [(p["path"], p["code"]) for p in found] == [("nodes.hook.credential", "missing")]


def test_the_draft_has_the_same_lock(server: LocalServer, publish: Publish) -> None:
    url = publish("bearer").replace("/hook/", "/hook-draft/")
    assert request("POST", url, BODY).status == 401
    token = SECRETS["bearer"]["token"]
    answer = request("POST", url, BODY, {"authorization": f"Bearer {token}"})
    assert answer.status == 200
    assert json.dumps(answer.json).count(token) == 0
