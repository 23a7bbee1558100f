"""Example documents and runs for the pages' tests."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page

from flowfuse.model import Execution, ExecutionDetail, LogLine, NodeError, NodeRun, Workflow, WorkflowSummary
from flowfuse.node import Catalogue
from flowfuse.nodes import described
from tests.support.browser import chromium, signed_in
from tests.support.local import LocalServer
from tests.support.server import Witness

NOW = 1_790_000_000_000_000
HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>"

DOCUMENT = {
    "id": "orders",
    "name": HOSTILE,
    "nodes": [
        {"id": "hook", "type": "trigger.webhook", "name": "Orders arrive", "config": {"path": "orders"}},
        {"id": "each", "type": "loop.for_each", "config": {"items": "{{ trigger.body }}", "concurrency": 8}},
        {"id": "check", "type": "condition.if", "name": "Big?", "config": {"condition": "{{ item.n > 1 }}"}},
        {"id": "label", "type": "action.log", "name": HOSTILE, "config": {"message": HOSTILE}},
        {"id": "other", "type": "transform.set", "config": {"fields": {"a": 1, "b": 2, "c": 3, "d": 4}}},
        {"id": "end", "type": "action.respond", "config": {"body": "{{ nodes.each }}"}},
    ],
    "edges": [
        {"from": "hook", "to": "each"},
        {"from": "each.done", "to": "end"},
        {"from": "each.item", "to": "check"},
        {"from": "check.true", "to": "label"},
        {"from": "check.false", "to": "other"},
    ],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One server for the tests of a file; each names its workflows itself."""
    running = LocalServer(tmp_path_factory.mktemp("server") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a file."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: LocalServer) -> Iterator[Page]:
    """A page of the file's server, signed in."""
    with signed_in(browser, server) as page:
        yield page


@pytest.fixture
def witness() -> Iterator[Witness]:
    """A peer outside that writes down what reaches it."""
    made = Witness()
    yield made
    made.close()


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """All node types; none of them is run here, so they need no tools."""
    return described()


@pytest.fixture
def workflow() -> Workflow:
    """A webhook, a loop with a branch in its body, an answer."""
    return msgspec.convert(DOCUMENT, Workflow)


@pytest.fixture
def make_summary() -> Callable[..., WorkflowSummary]:
    """A published workflow, with the given fields changed."""
    usual = WorkflowSummary(
        id="orders", name=HOSTILE, description=HOSTILE, folder="", tags=[], seq=1, published=2,
        active=True, created=NOW, updated=NOW, last_number=3,
    )  # fmt: skip
    return lambda **changes: msgspec.structs.replace(usual, **changes)


@pytest.fixture
def make_execution() -> Callable[..., Execution]:
    """A run in the given state that began eight seconds ago, with the given fields changed."""
    usual = Execution(
        id="0190", workflow="orders", number=3, state="completed", waiting=None, trigger="trigger.webhook",
        mode="production", root="0190", created=NOW - 9_000_000, started=NOW - 8_000_000, finished=None,
        wake_at=None, priority=0, deaths=0, reason=None, error=None,
    )  # fmt: skip

    def make(state: str = "completed", **changes: Any) -> Execution:
        finished = NOW - 2_000_000 if state in ("completed", "failed", "cancelled") else None
        return msgspec.structs.replace(usual, state=state, finished=finished, **changes)

    return make


@pytest.fixture
def make_detail() -> Callable[[Execution], ExecutionDetail]:
    """A run whose loop went round three times; the middle round failed."""

    def make(execution: Execution) -> ExecutionDetail:
        start = execution.started or NOW
        nodes = [_ran("hook", "", start, output={"body": HOSTILE}), _ran("each", "", start, output=[1])]
        for number, state in enumerate(("done", "failed", "done")):
            begun = start + 100_000 * number
            nodes.append(_ran("check", f"each:{number}", begun, port="true", output=HOSTILE))
            error = NodeError("stopped", HOSTILE, "label", 2, HOSTILE) if state == "failed" else None
            log = [LogLine(begun, "warning", f"{HOSTILE}\nround {number}")]
            nodes.append(_ran("label", f"each:{number}", begun, state=state, error=error, log=log))
        nodes.append(NodeRun(node="other", path="each:0", state="skipped"))
        return ExecutionDetail(
            execution=execution, input={HOSTILE: HOSTILE}, result=HOSTILE, answer=None, seq=9, nodes=nodes
        )

    return make


def _ran(node: str, path: str, started: int, state: str = "done", **values: Any) -> NodeRun:
    return NodeRun(node=node, path=path, state=state, started=started, ended=started + 50_000, **values)
