"""A draft as the editor draws it, and what of the drawing an edit has changed.

The same parts are rendered at the first load, after an edit of one's own, and after somebody else's.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from flowfuse import document
from flowfuse.data.workflows import Draft, WorkflowRepository
from flowfuse.engine.validation import ValidationEngine, errors_of
from flowfuse.model import Problem, Workflow, WorkflowSummary
from flowfuse.node import Catalogue
from flowfuse.pages.changes import Change, changes
from flowfuse.pages.graph import GraphView, NodeView, graph_view
from flowfuse.pages.reasons import reason

STATES_KEPT = 12
"""States of one draft that an edit may be based on; an older one gets the whole drawing."""
DRAFTS_KEPT = 16
CARDS_KEPT = 4000
LARGE = 80
CARD_END = "<hr data-end>"
"""What no card can hold, since what is written into it is escaped."""
Reader = Mapping[str, Any]


class Drawing(Struct, frozen=True, kw_only=True):
    """One state of a draft, ready to be drawn."""

    draft: Draft
    graph: GraphView
    cards: dict[str, NodeView]
    nodes: dict[str, bytes]
    edges: bytes
    own: bytes
    problems: list[Problem]
    changed: list[Change]

    @property
    def summary(self) -> WorkflowSummary:
        """The workflow as lists show it."""
        return self.draft.summary

    @property
    def seq(self) -> int:
        """The draft's sequence number."""
        return self.summary.seq

    @property
    def triggers(self) -> list[NodeView]:
        """What a run by hand can start at; first what is made for it."""
        found = [node for node in self.graph.nodes if not node.takes_input and not node.disabled]
        return sorted(found, key=lambda node: node.type != "trigger.manual")

    @property
    def is_large(self) -> bool:
        """Whether its outline is drawn only where it is asked for."""
        return len(self.nodes) > LARGE

    @property
    def blocked(self) -> int:
        """How many problems keep the draft from being run."""
        return len(errors_of(self.problems))

    @property
    def document(self) -> msgspec.Raw:
        """The whole document as JSON."""
        nodes = b",".join(self.nodes.values())
        return msgspec.Raw(b'{"own":%b,"nodes":[%b],"edges":%b}' % (self.own, nodes, self.edges))


class Drawings:
    """Draws drafts, and remembers the last states of each."""

    def __init__(
        self,
        workflows: WorkflowRepository,
        validation: ValidationEngine,
        catalogue: Catalogue,
        render: Callable[..., str],
    ) -> None:
        self._workflows, self._validation, self._catalogue = workflows, validation, catalogue
        self._render = render
        self._kept: OrderedDict[tuple[str, str, str], OrderedDict[int, Drawing]] = OrderedDict()
        self._cards: OrderedDict[tuple[str, str, NodeView], str] = OrderedDict()
        self._published: OrderedDict[tuple[str, str], tuple[int, Workflow]] = OrderedDict()

    async def current(self, workspace: str, name: str, language: str = "en") -> Drawing:
        """The draft as it is now, in that language. Raises NotFound."""
        draft = await self._workflows.get(workspace, name)
        kept = self._states(workspace, name, language)
        known = kept.get(draft.summary.seq)
        if known is not None and _same_state(known.summary, draft.summary):
            return known
        published = await self._published_document(workspace, draft.summary)
        drawing = await asyncio.to_thread(self._draw, draft, published, language)
        kept[drawing.seq] = drawing
        while len(kept) > STATES_KEPT:
            kept.popitem(last=False)
        return drawing

    async def delta(
        self, workspace: str, name: str, after: int, reader: Reader, *, outline: bool = False
    ) -> dict[str, Any]:
        """What of the drawing is other than in the state `after`; all of it where that is not known.

        The outline of a large workflow is part of it only where `outline` says so. `reader` is who
        will see it, as templates ask for it.
        """
        language = reader["language"]
        old = self._states(workspace, name, language).get(after)
        new = await self.current(workspace, name, language)
        return {
            "seq": new.seq,
            "order": list(new.nodes),
            "nodes": {
                id: msgspec.Raw(raw)
                for id, raw in new.nodes.items()
                if old is None or old.nodes.get(id) != raw
            },
            "edges": msgspec.Raw(new.edges),
            "own": msgspec.Raw(new.own),
            "cards": self.cards(
                name,
                [view for id, view in new.cards.items() if old is None or old.cards.get(id) != view],
                language,
            ),
            "problems": new.problems,
            "parts": self.parts(new, reader, outline=outline or not new.is_large),
        }

    def cards(self, workflow: str, views: Collection[NodeView], language: str) -> dict[str, str]:
        """The HTML of cards and trays by their nodes."""
        known = {view.id: self._cards.get((language, workflow, view)) for view in views}
        fresh = [view for view in views if known[view.id] is None]
        if fresh:
            # In one go: a template that is begun two thousand times takes three times as long.
            text = self._render("editor/_cards.html", nodes=fresh, workflow=workflow, language=language)
            for view, html in zip(fresh, text.split(CARD_END), strict=False):
                known[view.id] = self._cards[language, workflow, view] = html.strip()
        while len(self._cards) > CARDS_KEPT:
            self._cards.popitem(last=False)
        return {id: html for id, html in known.items() if html is not None}

    def parts(self, drawing: Drawing, reader: Reader, *, outline: bool) -> dict[str, str]:
        """What stands around the canvas and changes with the draft, by the id of its element."""
        names = ("publish", "problems", "start", *(("outline",) if outline else ()))
        return {
            name: self._render(f"editor/_{name}.html", drawing=drawing, workflow=drawing.summary, **reader)
            for name in names
        }

    def _states(self, workspace: str, name: str, language: str) -> OrderedDict[int, Drawing]:
        key = (workspace, name, language)
        kept = self._kept.setdefault(key, OrderedDict())
        self._kept.move_to_end(key)
        while len(self._kept) > DRAFTS_KEPT:
            self._kept.popitem(last=False)
        return kept

    def _draw(self, draft: Draft, published: Workflow | None, language: str) -> Drawing:
        workflow = draft.document
        problems = [
            msgspec.structs.replace(problem, message=reason(language, problem.message))
            for problem in self._validation.check(workflow)
        ]
        graph = graph_view(workflow, self._catalogue, language, problems)
        plain = msgspec.json.decode(document.to_json(workflow))
        nodes = plain.pop("nodes")
        edges = plain.pop("edges")
        return Drawing(
            draft=draft,
            graph=graph,
            # Where a card lies is the document's to say: it would be drawn anew for each move.
            cards={view.id: msgspec.structs.replace(view, x=None, y=None, via="") for view in graph.nodes},
            nodes={node["id"]: msgspec.json.encode(node) for node in nodes},
            edges=msgspec.json.encode(edges),
            own=msgspec.json.encode(plain),
            problems=problems,
            changed=changes(published, workflow, self._catalogue, language) if published is not None else [],
        )

    async def _published_document(self, workspace: str, summary: WorkflowSummary) -> Workflow | None:
        key = (workspace, summary.id)
        if summary.published is None:
            self._published.pop(key, None)
            return None
        known = self._published.get(key)
        if known is None or known[0] != summary.published:
            content = await self._workflows.published(workspace, summary.id)
            if content is None:
                return None
            known = self._published[key] = (summary.published, content.document)
        self._published.move_to_end(key)
        while len(self._published) > DRAFTS_KEPT:
            self._published.popitem(last=False)
        return known[1]


def _same_state(one: WorkflowSummary, other: WorkflowSummary) -> bool:
    """Whether two readings of a workflow are drawn alike, however often it has run in between."""
    fields = (other.seq, other.published, other.active, other.updated)
    return (one.seq, one.published, one.active, one.updated) == fields
