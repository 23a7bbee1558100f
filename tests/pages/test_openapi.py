"""T27: the whole API by its own OpenAPI document: no 5xx, and nothing that the document does not say."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import positive_data_acceptance

from flowfuse.pages.api import API
from flowfuse.pages.api.openapi import openapi
from flowfuse.pages.api.spec import SPEC
from tests.support.local import LocalServer
from tests.support.server import request

pytestmark = pytest.mark.slow
load_all_checks()
# What these would break is the server under test itself, or takes its disk.
LEFT_OUT = r"^/api/v1/(links|backups)$"
EXAMPLES = 15
# A document or a cron expression can be of the right shape, and still be refused for what it says.
BEYOND_THE_SCHEMA = [positive_data_acceptance]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path_factory.mktemp("api") / "data", demos=True).start()
    yield running
    running.stop()


def headers(server: LocalServer) -> dict[str, str]:
    return {"Authorization": f"Bearer {(server.data / 'token').read_text().strip()}"}


def test_every_route_of_the_api_is_described() -> None:
    assert [handler.fn.__name__ for handler in API if SPEC not in handler.opt] == ["openapi_json", "api_docs"]
    described = openapi()
    names = [op["operationId"] for methods in described["paths"].values() for op in methods.values()]
    assert len(names) == len(set(names))
    for methods in described["paths"].values():
        for method, operation in methods.items():
            assert operation["summary"], operation["operationId"]
            if "requestBody" in operation:
                content = next(iter(operation["requestBody"]["content"].values()))
                assert "example" in content, operation["operationId"]
            assert method in ("get", "post", "put", "patch", "delete")


def test_references_lead_somewhere() -> None:
    import msgspec

    described = openapi()
    text = msgspec.json.encode(described).decode()
    for reference in set(re.findall(r'"\$ref":"#/([^"]+)"', text)):
        place: Any = described
        for part in reference.split("/"):
            place = place[part]


def test_the_page_of_docs(server: LocalServer) -> None:
    cookie = (
        request("GET", server.base + server.api("POST", "/links").json["path"])
        .headers["set-cookie"]
        .partition(";")[0]
    )
    page = request("GET", f"{server.base}/docs/api", headers={"Cookie": cookie, "Accept": "text/html"})
    assert page.status == 200
    assert b"/api/v1/workflows/{workflow}/operations" in page.raw
    assert b"http://" not in re.sub(rb"http://www.w3.org[^\"]*", b"", page.raw)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_schemathesis(server: LocalServer) -> None:
    schema = schemathesis.openapi.from_dict(openapi())
    schema.config.update(base_url=server.base)
    for name in ("labels-for-orders", "only-what-is-new", "a-little-code"):
        body = {"version": "published", "trigger": "by_hand", "wait": 30}
        assert server.api("POST", f"/workflows/{name}/run", body).json["state"] == "completed"
    found: list[str] = []
    count = 0
    for result in schema.exclude(path_regex=LEFT_OUT).get_all_operations():
        operation = result.ok()
        found += _run(operation, server)
        count += 1
    assert count > 45
    assert found == []


turns = itertools.count()


def real(server: LocalServer) -> dict[str, list[Any]]:
    """Names of what there is, by the parameter that takes them."""
    workflows = [each["id"] for each in server.api("GET", "/workflows").json["items"]] or ["none"]
    runs = [each["id"] for each in server.api("GET", "/executions").json["items"]]
    return {
        "workflow": workflows,
        "execution": runs or ["none"],
        "node": ["clock", "by_hand"],
        "number": [1],
        "checkpoint": [1],
        "credential": ["shop"],
    }


def _run(operation: Any, server: LocalServer) -> list[str]:
    """Generated requests for one operation; what was wrong with the answers."""
    found: list[str] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @_given(operation)
    def one(case: Any) -> None:
        # Made-up names end at "not found"; every other time there is something behind them.
        turn = next(turns)
        if turn % 2:
            known = real(server)
            for name in set(case.path_parameters or {}) & set(known):
                case.path_parameters[name] = known[name][turn % len(known[name])]
        try:
            case.call_and_validate(headers=headers(server), timeout=30, excluded_checks=BEYOND_THE_SCHEMA)
        except Failure as failure:
            found.append(f"{operation.label}: {failure}")
        except BaseExceptionGroup as group:
            found.extend(f"{operation.label}: {each}" for each in group.exceptions)

    one()
    return found[:3]


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())
