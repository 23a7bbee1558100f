"""Every template renders, in every state, and data in it stays text."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from flowfuse.model import Execution, ExecutionDetail, NodeError, Workflow, WorkflowSummary
from flowfuse.node import Catalogue
from flowfuse.pages.graph import graph_view
from flowfuse.pages.render import Templates
from flowfuse.pages.run_view import run_view

pytestmark = pytest.mark.slow
NOW = 1_790_000_000_000_000
Summary = Callable[..., WorkflowSummary]
Make = Callable[..., Execution]
STATES = ["pending", "running", "paused", "completed", "failed", "cancelled"]


class Seen(HTMLParser):
    """Collects what a page holds that data must never become."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = dict(attrs)
        self.inline += [name for name in names if name == "style" or name.startswith(("on", "hx-on"))]
        if tag == "script" and "src" not in names:
            self.inline.append("script")
        if names.get("id"):
            self.ids.append(str(names["id"]))


def check(html: str) -> Seen:
    seen = Seen()
    seen.feed(html)
    assert seen.inline == []
    assert "img" not in seen.tags
    assert len(seen.ids) == len(set(seen.ids)), "an id stands twice"
    return seen


@pytest.fixture
def templates() -> Templates:
    return Templates(lambda: NOW)


@pytest.fixture
def executions(make_execution: Make) -> list[Execution]:
    error = NodeError("stopped", "<b>no</b>", hint="<i>")
    return [make_execution(state, number=i + 1, error=error) for i, state in enumerate(STATES)]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("template", ["run.html", "run/_part.html"])
def test_run(
    templates: Templates, make_execution: Make, make_summary: Summary,
    make_detail: Callable[[Execution], ExecutionDetail], workflow: Workflow, catalogue: Catalogue,
    state: str, template: str,
) -> None:  # fmt: skip
    execution = make_execution(state, waiting="callback" if state == "running" else None)
    graph = graph_view(workflow, catalogue)
    for node in ("", *(node.id for node in workflow.nodes)):
        detail = make_detail(execution)
        context: dict[str, Any] = {
            "workflow": workflow,
            "execution": execution,
            "detail": detail,
            "version": 3,
        }
        view = run_view(detail, graph, NOW, node)
        html = templates.render(template, **context, graph=graph, view=view, tab="node")
        check(html)
        assert ("round 1</p>" in html) == (node in ("", "label"))
        assert ("hx-swap-oob" in html) == (template == "run/_part.html")


@pytest.mark.parametrize("template", ["sign_in.html", "error.html"])
@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_answers_that_are_no_page(templates: Templates, template: str, status: int) -> None:
    shown = {"next": "/", "ticket": "", "email": '"><b>', "wrong": "<b>", "by_password": True, "sso": ""}
    check(templates.render(template, status=status, detail="<img>", **shown))
