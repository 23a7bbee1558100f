"""The audit log: every change is noted with who did it, nothing secret is, and nothing can be taken back."""

from __future__ import annotations

import sqlite3
from urllib.parse import urlencode

import pytest

from flowfuse.data.audit import AuditLog
from flowfuse.pages.audit_trail import ACTIONS, UNNOTED
from flowfuse.pages.guards import SAFE
from tests.pages.test_roles import guarded
from tests.support.local import LocalServer
from tests.support.people import member, with_password
from tests.support.server import request

pytestmark = pytest.mark.slow


def names() -> set[str]:
    from pathlib import Path
    from typing import Any

    from flowfuse.app import create_app
    from flowfuse.config import Config

    found = set()
    for route in create_app(Config(data=Path("nowhere"))).site.routes:
        handlers: Any = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            methods = set(getattr(handler, "http_methods", None) or ()) - {"OPTIONS"}
            if methods - SAFE and not route.path.startswith(("/hook", "/resume", "/demo")):
                found.add(handler.fn.__name__)
    return found


def test_every_route_that_changes_something_is_named() -> None:
    assert names() - set(ACTIONS) - UNNOTED == set()
    assert len(guarded()) > 50


def test_what_was_done_is_noted_with_who_and_to_what(server: LocalServer) -> None:
    person = member(server, "editor")
    person.ask("POST", "/api/v1/workflows", {"id": "noted", "nodes": [], "edges": []})
    person.ask("DELETE", "/api/v1/workflows/noted")
    person.ask("DELETE", "/api/v1/workflows/noted")
    secret = {"token": "a-secret-of-mine"}
    body = {"id": "shop", "kind": "bearer", "hosts": ["a.example"], "data": secret}
    person.ask("POST", "/api/v1/credentials", body)
    entries = server.call(server.app.engine.audit.list("main", actor=person.user))
    assert [(e.action, e.subject) for e in entries[:3]] == [
        ("create_credential", "/connections/shop"),
        ("delete_workflow", "/workflows/noted"),
        ("create_workflow", "/workflows/noted"),
    ]
    assert entries[0].ip == "127.0.0.1"
    assert "a-secret-of-mine" not in str(entries)


def test_failed_sign_ins_are_noted(server: LocalServer) -> None:
    from tests.support.people import send_form

    with_password(server, email="audited@example.org")
    send_form(server, "/sign-in", email="audited@example.org", password="wrong")
    (entry, *_) = server.call(server.app.engine.audit.list("main"))
    assert (entry.action, entry.actor_name) == ("sign_in_failed", "audited@example.org")


def test_entries_cannot_be_changed_and_a_broken_chain_is_found(server: LocalServer) -> None:
    audit: AuditLog = server.app.engine.audit
    member(server, "viewer").ask("POST", "/sign-out")
    count, wrong = server.call(audit.check())
    assert count > 0
    assert wrong is None

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE audit SET actor_name = 'nobody' WHERE seq = 1")

    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        server.call(server.app.engine.database.write(change))

    def force(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TRIGGER audit_is_not_changed")
        change(connection)

    server.call(server.app.engine.database.write(force))
    assert server.call(audit.check())[1] == 1


@pytest.mark.parametrize("name", ["//evil.example/x", "/\\evil.example/x"])
def test_a_name_that_looks_like_an_address_elsewhere_is_no_link(server: LocalServer, name: str) -> None:
    person = member(server, "owner")
    assert person.send("/settings/members/workspaces", name=name).status == 303
    shown = person.page(f"/audit?{urlencode({'q': name})}")
    assert name in shown
    assert f'href="{name}"' not in shown


def test_reading_is_not_noted(server: LocalServer) -> None:
    person = member(server, "owner")
    for path in ("/", "/api/v1/workflows", "/api/v1/me"):
        person.ask("GET", path)
    assert server.call(server.app.engine.audit.list("main", actor=person.user)) == []
    assert request("GET", f"{server.base}/health").status == 200
