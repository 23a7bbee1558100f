"""/templates: workflows to begin with, by need. Each is a document in flowfuse/templates.

Its first lines say, as comments, what it needs to run (`alone`, this `server`, or a `credential`), how it
ends where that is not `completed`, and an input to try it with.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from msgspec import Struct

import flowfuse
from flowfuse import document
from flowfuse.engine.drafts import WEBHOOK, Drafts
from flowfuse.errors import NotFound
from flowfuse.model import Node, Value, Workflow
from flowfuse.node import Catalogue
from flowfuse.pages.audit_trail import note
from flowfuse.pages.guards import needs, signed_in, workspace_of
from flowfuse.pages.page import page
from flowfuse.pages.summary import glyph

NEEDS = {
    "learn": "To learn",
    "time": "By the clock",
    "call": "When something calls",
    "data": "With data",
    "files": "With files",
    "people": "With people",
    "watch": "To watch over something",
}
_HEAD = re.compile(r"# (runs|input): (.+)")
_MOST_STEPS = 6


class Template(Struct, frozen=True, kw_only=True):
    """A document to begin with. `runs` says what it needs, `ends` in which state a try of it ends."""

    id: str
    need: str
    runs: str
    ends: str
    input: Value
    workflow: Workflow


class Step(Struct, frozen=True):
    """A node of a template, as its card shows it."""

    tile: str
    glyph: str
    title: str


@cache
def templates() -> dict[str, Template]:
    """All templates by their ids, in the order of their needs."""
    folder = Path(flowfuse.__file__).parent / "templates"
    found = [_read(path) for path in sorted(folder.glob("*.yaml"))]
    order = list(NEEDS)
    found.sort(key=lambda template: (order.index(template.need), template.workflow.name))
    return {template.id: template for template in found}


def _read(path: Path) -> Template:
    text = path.read_text(encoding="utf-8")
    heads = [match for line in text.splitlines()[:3] if (match := _HEAD.fullmatch(line))]
    told = {match[1]: match[2] for match in heads}
    runs, _, ends = told["runs"].partition("; ends: ")
    workflow = document.read(text, yaml=True)
    given = msgspec.json.decode(told["input"]) if "input" in told else None
    return Template(
        id=path.stem,
        need=workflow.tags[0],
        runs=runs,
        ends=ends or "completed",
        input=given,
        workflow=workflow,
    )


@get("/templates", guards=[signed_in])
async def template_list(
    request: Request[Any, Any, Any], catalogue: NamedDependency[Catalogue]
) -> Response[str]:
    """All templates, or those for one need."""
    chosen = request.query_params.get("need", "")
    chosen = chosen if chosen in NEEDS else ""
    shown = [each for each in templates().values() if not chosen or each.need == chosen]
    steps = {each.id: _steps(each.workflow, catalogue) for each in shown}
    return page(request, "templates.html", items=shown, steps=steps, needs=NEEDS, chosen=chosen)


@post("/templates/{template:str}", guards=[needs("build")], status_code=303)
async def use_template(
    request: Request[Any, Any, Any], template: FromPath[str], drafts: NamedDependency[Drafts]
) -> Redirect:
    """Make a workflow of a template, and open it. Raises NotFound."""
    found = templates().get(template)
    if found is None:
        raise NotFound(what="template", id=template)
    nodes = [_own(node) for node in found.workflow.nodes]
    fresh = msgspec.structs.replace(found.workflow, id=None, tags=[], nodes=nodes)
    draft = await drafts.create(workspace_of(request), fresh)
    note(request, f"/workflows/{draft.summary.id}", f"template {template}")
    return Redirect(f"/workflows/{draft.summary.id}", status_code=303)


def _steps(workflow: Workflow, catalogue: Catalogue) -> list[Step]:
    return [_step(node, catalogue) for node in workflow.nodes[:_MOST_STEPS]]


def _step(node: Node, catalogue: Catalogue) -> Step:
    node_type = catalogue.find(node.type)
    return Step(node.type.partition(".")[0], glyph(node, node_type), node.name or node.id)


def _own(node: Node) -> Node:
    """The node of a workflow of one's own: its webhook gets an address of its own."""
    if node.type != WEBHOOK:
        return node
    config = {name: value for name, value in node.config.items() if name != "path"}
    return msgspec.structs.replace(node, config=config)
