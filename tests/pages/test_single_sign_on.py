"""Single sign-on against a real OpenID Connect issuer (npm's oidc-provider), and against one that lies."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from flowfuse.config import Oidc
from flowfuse.pages.single_sign_on import CALLBACK
from tests.support.local import LocalServer
from tests.support.people import member
from tests.support.server import Answer, free_port, request

pytestmark = pytest.mark.slow
HERE = Path(__file__).resolve().parents[1] / "oidc"


class Jar:
    """A browser that follows redirects and keeps cookies by host and port."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}

    def get(self, url: str, stop_at: str = "") -> tuple[Answer, str]:
        """The last answer, and its address; stops before an address that begins with `stop_at`."""
        for _ in range(15):
            answer = self._one(url)
            if answer.status not in (302, 303):
                return answer, url
            url = urljoin(url, answer.headers["location"])
            if stop_at and url.startswith(stop_at):
                return answer, url
        raise AssertionError("it goes round in circles")

    def _one(self, url: str) -> Answer:
        parts = urlsplit(url)
        kept = self.cookies.setdefault(parts.netloc, {})
        header = "; ".join(f"{name}={value}" for name, value in kept.items())
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET", path, headers={"Cookie": header, "Accept": "text/html"})
        response = connection.getresponse()
        for line in response.headers.get_all("set-cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                kept[name] = morsel.value
        named = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, named, response.read())
        connection.close()
        return answer


# -- one that is what it says


@pytest.fixture(scope="module")
def issuer_and_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, LocalServer]]:
    import hatch_build

    folder = tmp_path_factory.mktemp("oidc")
    for name in ("package.json", "package-lock.json", "issuer.mjs"):
        shutil.copy(HERE / name, folder / name)
    hatch_build.run_npm(folder, "ci", "--ignore-scripts")
    port, server = free_port(), LocalServer(folder / "data", oidc=Oidc())
    issuer = f"http://127.0.0.1:{port}"
    server._settings["oidc"] = Oidc(
        issuer=issuer, client_id="flowfuse", client_secret="a-secret-of-the-issuer", name="Test login"
    )
    node = hatch_build._node_home() / "bin" / "node"
    process = subprocess.Popen(
        [node, "issuer.mjs", str(port), server.base + CALLBACK],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while "ready" not in process.stdout.readline():
        assert process.poll() is None, "the issuer ended"
    server.start()
    yield issuer, server
    server.stop()
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.mark.slow
def test_whoever_is_invited_comes_in_and_nobody_else(issuer_and_server: tuple[str, LocalServer]) -> None:
    issuer, server = issuer_and_server
    page = request("GET", f"{server.base}/sign-in", headers={"Accept": "text/html"})
    assert b"Test login" in page.raw
    request("GET", f"{issuer}/who?is=ada")
    refused, _ = Jar().get(f"{server.base}/sign-in/oidc")
    assert (refused.status, b"was not invited" in refused.raw) == (403, True)
    invited = member(server, "operator", email="ada@example.org")
    jar = Jar()
    answer, address = jar.get(f"{server.base}/sign-in/oidc?next=/runs")
    assert (answer.status, urlsplit(address).path) == (200, "/runs"), answer.raw[:2000]
    cookie = {"Cookie": f"ff_session={jar.cookies[urlsplit(server.base).netloc]['ff_session']}"}
    me = request("GET", f"{server.base}/api/v1/me", headers=cookie).json
    assert (me["user"], me["role"]) == (invited.user, "operator")
    # Known by the issuer's name for her from now on; another with her address is not her.
    request("GET", f"{issuer}/who?is=eve")
    stranger, _ = Jar().get(f"{server.base}/sign-in/oidc")
    assert stranger.status == 403


@pytest.mark.slow
def test_an_answer_is_taken_once_by_the_browser_that_asked(
    issuer_and_server: tuple[str, LocalServer],
) -> None:
    issuer, server = issuer_and_server
    request("GET", f"{issuer}/who?is=bo")
    member(server, "viewer", email="bo@example.org")
    jar = Jar()
    _, callback = jar.get(f"{server.base}/sign-in/oidc", stop_at=server.base + CALLBACK)
    other, _ = Jar().get(callback)
    assert (other.status, b"this browser" in other.raw) == (403, True)
    # What a stranger tried cannot be taken any more.
    spent, _ = jar.get(callback)
    assert spent.status == 403


# -- one that lies


class Liar(BaseHTTPRequestHandler):
    """An issuer whose answers are wrong in one way."""

    how = ""
    nonce = ""

    def do_GET(self) -> None:
        base = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        if self.path.endswith("openid-configuration"):
            issuer = "https://elsewhere.example" if self.how == "issuer" else base
            found = {"issuer": issuer, "authorization_endpoint": f"{base}/auth", "token_endpoint": f"{base}/token",
                     "jwks_uri": f"{base}/jwks"}  # fmt: skip
            self._send(found)
        else:
            self._send({"keys": [json.loads(_public())]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._send({"id_token": _token(self, self.how), "access_token": "x"})

    def _send(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _keys() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    if not hasattr(_keys, "made"):
        _keys.made = rsa.generate_private_key(65537, 2048)  # type: ignore[attr-defined]
    return _keys.made  # type: ignore[attr-defined]


def _public() -> str:
    from jwt.algorithms import RSAAlgorithm

    return str(RSAAlgorithm.to_jwk(_keys().public_key()))


def _token(handler: Liar, how: str) -> str:
    import jwt
    from cryptography.hazmat.primitives.asymmetric import rsa

    base = f"http://127.0.0.1:{handler.server.server_port}"  # type: ignore[attr-defined]
    claims = {"iss": base, "aud": "flowfuse", "sub": "1", "nonce": Liar.nonce, "email": "ada@example.org",
              "email_verified": True, "exp": int(time.time()) + 300}  # fmt: skip
    if how == "alg":
        return jwt.encode(claims, None, algorithm="none")
    key = rsa.generate_private_key(65537, 2048) if how == "signature" else _keys()
    changes = {"audience": {"aud": "another"}, "nonce": {"nonce": "another"}, "old": {"exp": 1000},
               "unchecked": {"email_verified": False}, "azp": {"azp": "another"}}  # fmt: skip
    return jwt.encode({**claims, **changes.get(how, {})}, key, algorithm="RS256")


@pytest.fixture
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    served = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    issuer = f"http://127.0.0.1:{served.server_port}"
    server = LocalServer(
        tmp_path_factory.mktemp("liar") / "data",
        oidc=Oidc(issuer=issuer, client_id="flowfuse", client_secret="s", role="viewer"),
    ).start()
    yield server
    server.stop()
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize(
    ("how", "said"),
    [("", ""), ("issuer", "calls itself"), ("signature", "not genuine"), ("alg", "not accepted"),
     ("audience", "not genuine"), ("nonce", "another sign-in"), ("old", "too old"),
     ("azp", "another application"), ("unchecked", "no checked e-mail")],
)  # fmt: skip
def test_what_is_not_right_lets_nobody_in(liar: LocalServer, how: str, said: str) -> None:
    Liar.how = how
    begun = request("GET", f"{liar.base}/sign-in/oidc", headers={"Accept": "text/html"})
    if how == "issuer":
        assert (begun.status, said.encode() in begun.raw) == (403, True)
        return
    assert begun.status == 303
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    Liar.nonce = query["nonce"][0]
    cookie = begun.headers["set-cookie"].partition(";")[0]
    back = f"{liar.base}{CALLBACK}?code=x&state={query['state'][0]}"
    answer = request("GET", back, headers={"Cookie": cookie, "Accept": "text/html"})
    if not how:
        assert (answer.status, answer.headers["location"]) == (303, "/")
        return
    assert answer.status == 403
    assert said.encode() in answer.raw
    assert "ff_session" not in answer.headers.get("set-cookie", "")
