"""Templates: every one is valid, needs at most one credential, and runs to the end that it says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from flowfuse import document
from flowfuse.engine.validation import ValidationEngine, errors_of
from flowfuse.node import Catalogue
from flowfuse.pages.templates import NEEDS, Template, templates
from tests.support.local import LocalServer
from tests.support.people import member

pytestmark = pytest.mark.slow
ALL = templates()
RUNNABLE = [name for name, each in ALL.items() if each.runs != "credential"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path_factory.mktemp("templates") / "data", demos=True).start()
    yield running
    running.stop()


def test_there_are_enough_for_each_need() -> None:
    assert len(ALL) >= 25
    assert {each.need for each in ALL.values()} == set(NEEDS)
    assert len({each.workflow.name for each in ALL.values()}) == len(ALL)


@pytest.mark.parametrize("name", ALL)
def test_it_is_valid_and_says_what_it_does(name: str, catalogue: Catalogue) -> None:
    found: Template = ALL[name]
    assert errors_of(ValidationEngine(catalogue).check(found.workflow)) == []
    assert found.workflow.description
    assert len({node.credential for node in found.workflow.nodes if node.credential}) <= 1
    assert (found.runs == "credential") == any(node.credential for node in found.workflow.nodes)
    assert document.read(document.to_yaml(found.workflow)) == found.workflow


@pytest.mark.parametrize("name", RUNNABLE)
def test_it_runs(server: LocalServer, name: str) -> None:
    found: Template = ALL[name]
    answer = server.api("POST", "/workflows", document.to_json(found.workflow))
    assert answer.status == 201, answer.raw
    trigger = next(node.id for node in found.workflow.nodes if node.type.startswith("trigger."))
    body: dict[str, Any] = {"input": found.input, "trigger": trigger, "wait": 5}
    started = server.api("POST", f"/workflows/{found.workflow.id}/run", body)
    assert started.status in (200, 202), started.raw
    run = started.json
    for _ in range(100):
        run = server.api("GET", f"/executions/{started.json['id']}").json["execution"]
        if run["state"] in ("completed", "failed") or (found.ends == "running" and run["waiting"]):
            break
        time.sleep(0.05)
    assert run["state"] == found.ends, run["error"]


def test_using_one_makes_a_workflow_with_an_address_of_its_own(server: LocalServer) -> None:
    person = member(server, "editor")
    made = [person.send("/templates/rate-a-lead") for _ in range(2)]
    assert [answer.status for answer in made] == [303, 303]
    for answer in made:
        workflow = answer.headers["location"].rpartition("/")[2]
        published = server.api("POST", f"/workflows/{workflow}/publish", {})
        assert published.status == 200, published.raw
    assert person.send("/templates/nothing").status == 404
    assert member(server, "viewer").send("/templates/hello").status == 403
