"""People on a server under test: with a role, signed in, and what they send."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.support.local import LocalServer
from tests.support.server import Answer, request

FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}
PASSWORD = "a long password of mine"


class Person:
    """Somebody with a session."""

    def __init__(self, server: LocalServer, user: str, secret: str) -> None:
        self.server, self.user, self.secret = server, user, secret

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"ff_session={self.secret}"}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request to a page, or to the API."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(method, self.server.base + path, body, {**self.cookie, **named})

    def page(self, path: str) -> str:
        """A page's HTML."""
        answer = self.ask("GET", path, accept="text/html")
        assert answer.status == 200, (path, answer.status, answer.raw[:2000])
        return answer.raw.decode()

    def send(self, path: str, /, **fields: Any) -> Answer:
        """A form, as a browser sends it."""
        return send_form(self.server, path, self.cookie, **fields)


def send_form(
    server: LocalServer, path: str, headers: dict[str, str] | None = None, /, **fields: Any
) -> Answer:
    """A form of anybody's."""
    body = urlencode(fields, doseq=True).encode()
    return request("POST", server.base + path, body, {**FORM, "Origin": server.base, **(headers or {})})


def member(server: LocalServer, role: str, workspace: str = "main", email: str = "") -> Person:
    """A new member with that role, signed in."""
    engine = server.app.engine
    email = email or f"{role}-{engine.ids.token(4).hex()}@example.org"

    async def make() -> tuple[str, str]:
        user = await engine.accounts.create(workspace, role.title(), email, role)
        return user.id, await engine.sessions.open(workspace, user.id, _somewhere())

    return Person(server, *server.call(make()))


def owner(server: LocalServer) -> Person:
    """The install's owner, signed in."""
    engine = server.app.engine

    async def make() -> tuple[str, str]:
        user = await engine.accounts.owner()
        return user, await engine.sessions.open("main", user, _somewhere())

    return Person(server, *server.call(make()))


def with_password(server: LocalServer, role: str = "editor", email: str = "ada@example.org") -> Person:
    """A member who can sign in by PASSWORD."""
    person = member(server, role, email=email)
    server.call(server.app.auth.set_password(person.user, PASSWORD, but=person.secret))
    return person


def _somewhere() -> Any:
    from flowfuse.data.sessions import Client

    return Client("127.0.0.1", "a test")
