"""T24: every route as each role, as a key, and as nobody; and that workspaces know nothing of each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowfuse.app import create_app
from flowfuse.config import Config
from flowfuse.data.roles import PERMISSIONS, ROLES, SELF
from flowfuse.pages.guards import SAFE, permission_of
from tests.support.local import LocalServer
from tests.support.people import member
from tests.support.server import request

pytestmark = pytest.mark.slow
REFUSED = (401, 403)
NOT_SENT = ("/live", "/api/v1/backups", "/settings/backups")
"""Upgrades; and what would copy the whole database for each role."""


def guarded() -> list[tuple[str, str, str]]:
    """(method, path, permission) of every route that is not public."""
    found = []
    for route in create_app(Config(data=Path("nowhere"))).site.routes:
        handlers: Any = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            methods = set(getattr(handler, "http_methods", None) or {"GET"}) - {"OPTIONS", "HEAD"}
            if handler.opt.get("public") or not methods:
                continue
            permission = permission_of(handler)
            assert permission is not None
            found += [(method, route.path, permission) for method in methods]
    return sorted(found)


def address(path: str) -> str:
    return re.sub(r"\{\w+:int\}", "1", re.sub(r"\{\w+:str\}", "nothing", path))


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_the_table_says(server: LocalServer, role: str) -> None:
    allowed = ROLES[role] | {SELF}
    wrong = []
    for method, path, permission in guarded():
        if path.startswith(NOT_SENT):
            continue
        person = member(server, role) if path == "/sign-out" else _once(server, role)
        answer = person.ask(method, address(path), {} if method not in SAFE else None)
        if (answer.status in REFUSED) == (permission in allowed) or answer.status >= 500:
            wrong.append((method, path, permission, answer.status, answer.raw[:200]))
    assert wrong == []


_PEOPLE: dict[tuple[int, str], Any] = {}


def _once(server: LocalServer, role: str) -> Any:
    key = (server.port, role)
    person = _PEOPLE.get(key)
    if person is None or person.ask("GET", "/api/v1/me").status != 200:
        person = _PEOPLE[key] = member(server, role)
    return person


@pytest.mark.parametrize("scope", PERMISSIONS)
def test_a_key_gets_its_scopes_and_never_an_account(server: LocalServer, scope: str) -> None:
    person = member(server, "owner")
    made = person.ask("POST", "/api/v1/keys", {"name": "a key", "scopes": [scope]})
    headers = {"Authorization": f"Bearer {made.json['key']}"}
    wrong = []
    for method, path, permission in guarded():
        if path.startswith(NOT_SENT):
            continue
        answer = request(method, server.base + address(path), {} if method not in SAFE else None, headers)
        if (answer.status in REFUSED) == (permission == scope) or answer.status >= 500:
            wrong.append((method, path, permission, answer.status, answer.raw[:200]))
    assert wrong == []


def test_the_matrix_covers_every_permission() -> None:
    asked = {permission for _, _, permission in guarded()}
    assert asked == {*PERMISSIONS, SELF}


# -- workspaces


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path_factory.mktemp("two") / "data", demos=True).start()
    yield running
    running.stop()


def test_a_workspace_knows_nothing_of_another(two: LocalServer) -> None:
    from tests.support.people import owner

    first = owner(two)
    made = first.ask("POST", "/api/v1/workspaces", {"name": "Lab"})
    assert made.status == 201, made.raw
    stranger = member(two, "owner", made.json["id"])
    theirs = [w["id"] for w in two.api("GET", "/workflows").json["items"]]
    assert theirs
    assert stranger.ask("GET", "/api/v1/workflows").json["items"] == []
    assert stranger.ask("GET", "/api/v1/executions").json["items"] == []
    assert len(stranger.ask("GET", "/api/v1/members").json["items"]) == 2
    for name in theirs:
        for method, path in (
            ("GET", f"/api/v1/workflows/{name}"), ("DELETE", f"/api/v1/workflows/{name}"),
            ("POST", f"/api/v1/workflows/{name}/run"), ("GET", f"/workflows/{name}"),
        ):  # fmt: skip
            assert stranger.ask(method, path, {}).status == 404, (method, path)
    ours = member(two, "viewer")
    assert stranger.ask("PATCH", f"/api/v1/members/{ours.user}", {"role": "editor"}).status == 404
