"""Every address of ours with what nobody's page would make of it: answered or refused in words, never a defect."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from flowfuse.app import create_app
from flowfuse.config import Config
from tests.support.house import fill
from tests.support.local import LocalServer
from tests.support.people import Person, owner

pytestmark = pytest.mark.slow

ODD = ("²", "٣", "abc", "-1", "1e999", "9" * 30, "9" * 5000, "\x00", "a/b:²")
REAL = {"workflow": "orders", "node": "hook", "credential": "shop", "template": "hello", "number": "1"}
NUMBERS = ("²", "0", "-1", "9" * 30)
_QUERY = re.compile(r"""(?:query\w*(?:\.get\(|\[)|(?:number|moment)\(request, )"(\w+)\"""")


def readings() -> Iterator[tuple[str, tuple[str, ...]]]:
    """(path, names of the query that its module reads) of every address that is read from."""
    for route in create_app(Config(data=Path("nowhere"))).site.routes:
        for handler in getattr(route, "route_handlers", ()):
            if "GET" not in handler.http_methods or route.path.startswith(("/hook", "/demo", "/resume")):
                continue
            source = inspect.getsource(sys.modules[handler.fn.__module__])
            yield route.path, tuple(sorted({"tab", *_QUERY.findall(source)}))


READ = sorted(set(readings()))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path_factory.mktemp("addresses") / "data").start()
    fill(server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def person(full: LocalServer) -> Person:
    return owner(full)


def address(path: str, number: str = "1") -> str:
    numbered = re.sub(r"\{\w+:int\}", number, path)
    return re.sub(r"\{(\w+):\w+\}", lambda match: REAL.get(match[1], "nothing"), numbered)


def test_the_names_are_found() -> None:
    names = {name for _, asked in READ for name in asked}
    assert {"a", "b", "with", "from", "run", "path", "before", "after", "cursor", "since"} <= names


@pytest.mark.parametrize(("path", "names"), READ, ids=[path for path, _ in READ])
def test_odd_values_in_an_address_are_no_defect(person: Person, path: str, names: tuple[str, ...]) -> None:
    wrong = []
    for odd in ODD:
        for chosen in (names, *((name,) for name in names)):
            # Of a node's bench there is only something to see where a node is named.
            query: dict[str, Any] = {"node": "hook", **dict.fromkeys(chosen, odd)}
            answer = person.ask("GET", f"{address(path)}?{urlencode(query)}", accept="text/html")
            if answer.status >= 500:
                wrong.append((odd[:20], chosen, answer.status))
    assert wrong == []


@pytest.mark.parametrize("path", sorted({path for path, _ in READ if ":int}" in path}))
@pytest.mark.parametrize("number", NUMBERS)
def test_odd_numbers_in_an_address_are_no_defect(person: Person, path: str, number: str) -> None:
    assert person.ask("GET", address(path, quote(number)), accept="text/html").status < 500
