"""/api/v1/code: diagnostics of the real checker, and a source on values at hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.local import LocalServer

pytestmark = pytest.mark.slow


def test_diagnostics(server: LocalServer) -> None:
    def found(source: str, *names: str) -> list[Any]:
        answer = server.api("POST", "/code/check", {"source": source, "names": list(names)})
        assert answer.status == 200, answer.raw
        return [(each["line"], each["severity"]) for each in answer.json["diagnostics"]]

    assert found("return a + 1", "a") == []
    assert found("x = 1\nif x\n  y") == [(2, "error")]
    assert found("yield 1") == [(1, "error")]
    assert found("return a + b", "a") == [(1, "warning")]


def test_a_source_on_values(server: LocalServer) -> None:
    def ran(source: str, **more: Any) -> Any:
        return server.api("POST", "/code/run", {"source": source, **more}).json

    assert ran("print(a)\nreturn a * 2", inputs={"a": 4}) == {"value": 8, "printed": "4", "error": None}
    failed = ran("print('x')\n\n1 / 0")
    assert (failed["printed"], failed["error"]["line"], failed["error"]["excerpt"]) == ("x", 3, "1 / 0")
    assert ran("while True: pass", timeout=0.3)["error"]["code"] == "node_timeout"
    assert ran("return float('nan')")["error"]["code"] == "output_invalid"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"source": "1", "inputs": {"a b": 1}}, "inputs"),
        ({"source": "1", "timeout": 0}, "timeout"),
        ({"source": "1", "timeout": 1e9}, "timeout"),
        ({"source": "x" * 300_000}, "source"),
        ({"source": 5}, "source"),
    ],
)
def test_requests_that_cannot_be(server: LocalServer, body: Any, field: str) -> None:
    answer = server.api("POST", "/code/run", body)
    assert (answer.status, answer.json["field"]) == (400, field)
