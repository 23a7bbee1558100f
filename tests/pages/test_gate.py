"""Who may ask: names, origins, tokens, sessions; and that no answer tells of the inside."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, get, post

from flowfuse.app import create_app
from flowfuse.config import Config
from flowfuse.pages.guards import PUBLIC, check_routes, needs, signed_in
from tests.support.local import LocalServer
from tests.support.server import Answer, request

pytestmark = pytest.mark.slow

SECURITY = (
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
)


def cookie_of(server: LocalServer) -> str:
    """Sign in by a link; the session's cookie."""
    path = server.api("POST", "/links").json["path"]
    answer = request("GET", server.base + path)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    set_cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=lax" in set_cookie
    return set_cookie.partition(";")[0]


# -- names


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1:1",
        "127.0.0.1.evil.example",
        "",
        "localhost:{port}.x",
    ],
)
@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/workflows", "/hook/x", "/static/x", "/nope"])
def test_only_our_names_are_answered(server: LocalServer, host: str, path: str) -> None:
    answer = request("GET", server.base + path, headers={"Host": host.format(port=server.port)})
    assert (answer.status, answer.headers["content-type"]) == (403, "application/problem+json")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "[::1]:{port}", "localhost"]
)
def test_our_names(server: LocalServer, host: str) -> None:
    assert (
        request("GET", f"{server.base}/health", headers={"Host": host.format(port=server.port)}).status == 200
    )


# -- origins


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", "", "http://localhost.evil"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_unsafe_methods_from_another_origin_are_refused(
    server: LocalServer, method: str, origin: str
) -> None:
    answer = server.api(method, "/workflows/x", {}, origin=origin)
    assert answer.status == 403, answer.raw
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 404), ("none", 404)]
)
def test_a_browser_that_says_it_comes_from_elsewhere_is_refused(
    server: LocalServer, site: str, status: int
) -> None:
    answer = server.api("POST", "/workflows/nope/validate", {}, sec_fetch_site=site)
    assert answer.status == status, answer.raw


def test_our_own_origin_and_programs_may(server: LocalServer) -> None:
    assert server.api("POST", "/workflows/nope/validate", {}, origin=server.base).status == 404
    assert server.api("POST", "/workflows/nope/validate", {}).status == 404
    assert server.api("GET", "/workflows", origin="https://evil.example").status == 200


def test_there_is_no_cors(server: LocalServer) -> None:
    for method in ("GET", "OPTIONS"):
        answer = request(
            method, f"{server.base}/api/v1/workflows",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )  # fmt: skip
        assert not [name for name in answer.headers if name.startswith("access-control")]


# -- guards


def routes() -> Iterator[tuple[str, str, bool]]:
    """(method, path, public) of every route of the site."""
    for route in create_app(Config(data=Path(tempfile.mkdtemp()))).site.routes:
        handlers: Any = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            methods = set(getattr(handler, "http_methods", {"GET"})) - {"OPTIONS"}
            for method in sorted(methods):
                yield method, route.path, bool(handler.opt.get("public"))


def test_every_route_is_guarded_or_on_the_list_of_public_ones() -> None:
    public = sorted({path for _, path, is_public in routes() if is_public})
    assert public == [
        "/api/v1/health", "/api/v1/ready", "/api/v1/tokens/refresh", "/api/v1/tokens/revoke",
        "/demo/news", "/demo/orders", "/demo/orders.csv", "/demo/shipping/{number:int}", "/health", "/hook",
        "/hook-draft", "/link/{code:str}", "/ready", "/resume/{execution:str}/{signature:str}", "/setup",
        "/sign-in", "/sign-in/oidc", "/sign-in/oidc/callback", "/static/{name:str}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "authorization", [None, "Bearer ", "Bearer wrong", "Bearer ff_ü", "Basic ff_", "bearer null"]
)
def test_nothing_but_the_public_is_open_to_strangers(server: LocalServer, authorization: str | None) -> None:
    headers = {"Authorization": authorization.encode().decode("latin-1")} if authorization else {}
    headers["Cookie"] = "ff_session=stolen"
    for method, path, is_public in routes():
        if is_public:
            continue
        address = server.base + re.sub(r"\{\w+:int\}", "1", path).replace("{", "").replace(":str}", "")
        answer = request(method, address, {}, headers)
        # /live takes upgrades alone.
        assert answer.status == (405 if path.startswith("/live") else 401), (method, path)


def test_a_route_without_guard_or_mark_does_not_build() -> None:
    @get("/open")
    async def forgotten() -> None: ...

    @get("/marked", opt=PUBLIC)
    async def marked() -> None: ...

    @get("/guarded", guards=[signed_in])
    async def guarded() -> None: ...

    @post("/changes", guards=[needs("build")])
    async def changes() -> None: ...

    @post("/changes-too", guards=[signed_in])
    async def changes_too() -> None: ...

    check_routes(Litestar([marked, guarded, changes], openapi_config=None))
    with pytest.raises(TypeError, match="/changes-too"):
        check_routes(Litestar([marked, changes_too], openapi_config=None))
    with pytest.raises(TypeError, match="/open"):
        check_routes(Litestar([marked, guarded, forgotten], openapi_config=None))


# -- sessions


def test_a_link_opens_one_session_once(server: LocalServer) -> None:
    path = server.api("POST", "/links").json["path"]
    first = request("GET", server.base + path, headers={"Accept": "text/html"})
    assert first.status == 303
    assert request("GET", server.base + path, headers={"Accept": "text/html"}).status == 401
    assert request("GET", f"{server.base}/link/wrong").status == 401


def test_the_cookie_opens_pages_and_api_until_signing_out(server: LocalServer) -> None:
    cookie = {"Cookie": cookie_of(server)}
    assert request("GET", f"{server.base}/", headers={**cookie, "Accept": "text/html"}).status == 200
    assert request("GET", f"{server.base}/api/v1/workflows", headers=cookie).status == 200
    forged = request("POST", f"{server.base}/sign-out", headers={**cookie, "Origin": "https://evil.example"})
    assert forged.status == 403
    assert request("POST", f"{server.base}/sign-out", headers={**cookie, "Origin": server.base}).status == 303
    assert request("GET", f"{server.base}/api/v1/workflows", headers=cookie).status == 401


def test_a_session_outlives_a_restart_and_is_kept_only_as_a_hash(tmp_path_factory: Any) -> None:
    server = LocalServer(tmp_path_factory.mktemp("session") / "data").start()
    try:
        cookie = cookie_of(server)
        server.stop()
        server.start()
        assert request("GET", f"{server.base}/api/v1/workflows", headers={"Cookie": cookie}).status == 200
        secret = cookie.partition("=")[2].encode()
        assert not [p for p in server.data.iterdir() if p.is_file() and secret in p.read_bytes()]
    finally:
        server.stop()


# -- answers


def told(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.raw
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]
    assert b"Traceback" not in answer.raw
    assert b"flowfuse/" not in answer.raw
    for name in SECURITY:
        assert answer.headers[name], name
    assert answer.headers["cache-control"] == "no-store"


def test_errors_are_problem_json_with_every_header(server: LocalServer) -> None:
    told(server.api("GET", "/nope"), 404)
    told(server.api("GET", "/workflows/nope"), 404)
    told(request("GET", f"{server.base}/api/v1/workflows"), 401)
    wrong = server.api("PATCH", "/workflows", {})
    told(wrong, 405)
    assert set(wrong.headers["allow"].split(", ")) >= {"GET", "POST"}
    told(server.api("POST", "/workflows", b"{" + b" " * 10_000_001), 413)
    told(server.api("POST", "/workflows/x/run", b"[" * 10_000), 400)
    told(server.api("POST", "/credentials", {"id": "x"}), 400)


def test_a_defect_shows_nothing_of_the_inside(server: LocalServer, caplog: pytest.LogCaptureFixture) -> None:
    def broken(connection: Any) -> None:
        connection.execute("UPDATE workflows SET tags = 'inner text' WHERE id = 'defect'")

    server.api("POST", "/workflows", {"id": "defect", "nodes": [], "edges": []})
    server.call(server.app.engine.database.write(broken))
    answer = server.api("GET", "/workflows/defect")
    told(answer, 500)
    assert b"inner" not in answer.raw
    page = request(
        "GET", f"{server.base}/workflows/defect", headers={"Cookie": cookie_of(server), "Accept": "text/html"}
    )
    assert page.status == 500
    assert b"inner" not in page.raw
    assert server.api("DELETE", "/workflows/defect").status == 204


def test_people_get_a_page_and_programs_a_problem(server: LocalServer) -> None:
    page = request("GET", f"{server.base}/workflows/x", headers={"Accept": "text/html"})
    assert (page.status, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert b"flowfuse link" in page.raw
    told(request("GET", f"{server.base}/workflows/x"), 401)
    told(request("GET", f"{server.base}/api/v1/workflows", headers={"Accept": "text/html"}), 401)
    assert (
        request("GET", f"{server.base}/nope", headers={"Accept": "text/html"})
        .headers["content-type"]
        .startswith("text/html")
    )
