"""Forms of the pages with what nobody would type: never a defect, never a traceback."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from flowfuse.app import create_app
from flowfuse.config import Config
from flowfuse.pages.addresses import local_path
from tests.support.house import fill
from tests.support.local import LocalServer
from tests.support.people import FORM, owner, send_form
from tests.support.server import request

pytestmark = pytest.mark.slow
ODD = ("", " ", "x", "-1", "1e999", "9" * 30, "\x00", "ü" * 300, "a@b", "../../etc", "//evil.example", "{{ 1 }}",
       "<b>", "true", "null", "%ff", "😀", "a\r\nSet-Cookie: x=1", "main", "orders")  # fmt: skip
REAL = {"workflow": "orders", "node": "hook", "credential": "shop", "template": "hello", "number": "1",
        "execution": "0190f0c1-0000-7000-8000-000000000000", "user": "nobody", "key": "nothing",
        "session": "nothing", "workspace": "main", "code": "nothing"}  # fmt: skip
NOT_SENT = ("/sign-out", "/settings/backups", "/settings/account/sessions")


def posts() -> Iterator[tuple[str, type[Any]]]:
    """(path, form) of each page's POST that reads a form."""
    for route in create_app(Config(data=Path("nowhere"))).site.routes:
        for handler in getattr(route, "route_handlers", ()):
            if "POST" not in handler.http_methods or route.path.startswith("/api/"):
                continue
            read = re.search(r"read_form\(request, (\w+)\)", inspect.getsource(handler.fn))
            if read is not None:
                yield route.path, handler.fn.__globals__[read[1]]


POSTS = sorted(set(posts()), key=lambda each: each[0])


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path_factory.mktemp("forms") / "data").start()
    fill(server)
    yield server
    server.stop()


def test_there_are_forms_to_try() -> None:
    assert len(POSTS) > 20


@pytest.mark.parametrize(("path", "form"), POSTS, ids=[path for path, _ in POSTS])
def test_odd_values_are_refused_in_words(full: LocalServer, path: str, form: type[Any]) -> None:
    if path.startswith(NOT_SENT):
        return
    address = re.sub(r"\{(\w+):\w+\}", lambda match: REAL[match[1]], path)
    fields = [field.encode_name for field in msgspec.structs.fields(form)]
    wrong = []
    for odd in ODD:
        person = owner(full)
        for chosen in (fields, *([name] for name in fields)):
            answer = person.send(address, **{name: (odd if name in chosen else "x") for name in fields})
            if (
                answer.status >= 500
                or b"Traceback" in answer.raw
                or "\n" in answer.headers.get("location", "")
            ):
                wrong.append((odd, chosen, answer.status))
            if answer.headers.get("location", "/").startswith("//"):
                wrong.append((odd, chosen, answer.headers["location"]))
    assert wrong == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"=" * 5000, b"a&" * 5000, b"id=" + b"x" * 100_000])
def test_odd_bodies_are_refused_in_words(full: LocalServer, body: bytes) -> None:
    for path in ("/sign-in", "/runs/bulk", "/settings"):
        answer = request("POST", full.base + path, body, {**FORM, **owner(full).cookie, "Origin": full.base})
        assert answer.status < 500, (path, answer.status)


@pytest.mark.parametrize(
    ("text", "path"),
    [("/runs?a=1", "/runs?a=1"), ("//evil.example", "/"), ("/\\evil.example", "/"), ("https://evil", "/"),
     ("", "/"), ("runs", "/"), ("/\x00", "/"), ("/a\r\nX: y", "/")],
)  # fmt: skip
def test_only_addresses_of_ours_are_gone_to(text: str, path: str) -> None:
    assert local_path(text) == path


def test_a_link_puts_no_words_on_a_page(full: LocalServer) -> None:
    person = owner(full)
    for query in (
        {"done": "trashed", "refused": "Call 555-0100 at once"},
        {"done": "Anything goes", "n": "5"},
    ):
        page = person.page(f"/workflows?{urlencode(query)}")
        assert "555-0100" not in page
        assert "Anything goes" not in page
    assert send_form(full, "/sign-in", email="x", password="y").status == 401
