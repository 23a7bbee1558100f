"""What the canvas and the outline draw of a document: cards, edges, trays, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from msgspec import UNSET, Struct

from flowfuse.engine.graph import ITEM, Graph
from flowfuse.model import Problem, Workflow
from flowfuse.node import Catalogue
from flowfuse.pages.language import say
from flowfuse.pages.summary import FAMILIES, glyph, summary, title, track
from flowfuse.pages.words import way


class NodeView(Struct, frozen=True, kw_only=True):
    """One card, or the head of a loop's tray."""

    id: str
    title: str
    type: str
    family: str
    glyph: str
    summary: str
    ports: tuple[str, ...]
    takes_input: bool
    loop: str
    is_tray: bool
    is_end: bool
    disabled: bool
    via: str
    problem: str
    trouble: str = ""
    track: str = ""
    pinned: bool = False
    waits_for_one: bool = False
    body: int = 0
    mark: str = ""
    changes: int = 0
    x: float | None = None
    y: float | None = None

    @property
    def tile(self) -> str:
        """The silhouette: one of the families that the sprite has."""
        return self.family if self.family in FAMILIES else "action"


class EdgeView(Struct, frozen=True, kw_only=True):
    """One connection. `label` is the port's name where that tells something."""

    source: str
    port: str
    target: str
    label: str
    mark: str = ""


class GraphView(Struct, frozen=True, kw_only=True, dict=True):
    """A document ready to be drawn. Nodes stand in the order in which they can run."""

    nodes: list[NodeView]
    edges: list[EdgeView]
    placed: bool

    def inside(self, loop: str) -> list[NodeView]:
        """The nodes that lie directly in a loop's tray (`""`: in none)."""
        return self._bodies.get(loop, [])

    def node(self, node_id: str) -> NodeView | None:
        """The node of that id, if it is there."""
        return self._by_id.get(node_id)

    @cached_property
    def _by_id(self) -> dict[str, NodeView]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _bodies(self) -> dict[str, list[NodeView]]:
        bodies: dict[str, list[NodeView]] = {}
        for node in self.nodes:
            bodies.setdefault(node.loop, []).append(node)
        return bodies


def graph_view(
    workflow: Workflow, catalogue: Catalogue, language: str = "en", problems: Sequence[Problem] = ()
) -> GraphView:
    """The document as it is drawn. Works on any draft, whatever is wrong with it."""
    graph = Graph(workflow, catalogue)
    marked = _marks(problems)
    unmarked = ("", "")
    bodies = _bodies(graph)
    nodes = [
        _node_view(graph, name, len(bodies.get(name, ())), language, *marked.get(name, unmarked))
        for name in _reading_order(bodies, "")
    ]
    return GraphView(
        nodes=nodes,
        edges=[_edge_view(graph, edge.node, edge.port, edge.target) for _, edge in graph.edges],
        placed=bool(nodes) and all(node.position is not None for node in workflow.nodes),
    )


def _bodies(graph: Graph) -> dict[str, list[str]]:
    """The nodes of each scope, every one after what leads to it."""
    bodies: dict[str, list[str]] = {}
    for name in graph.order if graph.order is not None else graph.nodes:
        bodies.setdefault(graph.scope[name], []).append(name)
    return bodies


def _reading_order(bodies: dict[str, list[str]], scope: str) -> Iterator[str]:
    """Every node after what leads to it, a loop's body right behind its loop."""
    for own in bodies.get(scope, ()):
        yield own
        yield from _reading_order(bodies, own)


def _node_view(graph: Graph, name: str, body: int, language: str, problem: str, trouble: str) -> NodeView:
    node = graph.nodes[name]
    node_type = graph.types.get(node.id)
    leaving = [edge.port for _, edge in graph.out[node.id]]
    ports = graph.ports(node.id) or tuple(dict.fromkeys(leaving))
    scope = graph.scope[node.id]
    own = [edge for _, edge in graph.out[node.id] if graph.scope[edge.target] == scope]
    return NodeView(
        id=node.id,
        title=title(node, node_type, language),
        type=node.type,
        family=node.type.partition(".")[0],
        glyph=glyph(node, node_type),
        summary=summary(node, node_type, language),
        ports=ports,
        takes_input=not graph.is_trigger(node.id),
        loop=scope,
        is_tray=node_type is not None and bool(node_type.loop),
        is_end=not own,
        disabled=node.disabled,
        via=_via(graph, node.id, language),
        problem=problem,
        trouble=trouble,
        track=track(node),
        pinned=node.pinned is not UNSET,
        waits_for_one=node.join == "any" and len(graph.into[node.id]) > 1,
        body=body,
        x=None if node.position is None else node.position.x,
        y=None if node.position is None else node.position.y,
    )


def _edge_view(graph: Graph, source: str, port: str, target: str) -> EdgeView:
    ports = graph.ports(source) or ()
    enters_body = port == ITEM and graph.scope[target] == source
    return EdgeView(
        source=source, port=port, target=target, label=port if len(ports) > 1 and not enters_body else ""
    )


def _via(graph: Graph, node_id: str, language: str) -> str:
    """In the outline a branch has no line, so a row says which way leads to it: `if Express?: true`."""
    named = []
    for _, edge in graph.into[node_id]:
        if len(graph.ports(edge.node) or ()) > 1 and edge.port not in (ITEM, "done"):
            source = graph.nodes[edge.node]
            called = title(source, graph.types.get(edge.node), language)
            named.append(f"{called}: {say(language, way(edge.port))}")
    return f" {say(language, 'or')} ".join(named)


def _marks(problems: Sequence[Problem]) -> dict[str, tuple[str, str]]:
    """The worst severity of each node's problems, and what the first of that severity says."""
    marks: dict[str, tuple[str, str]] = {}
    for problem in problems:
        head, _, rest = problem.path.partition(".")
        if head == "nodes" and rest:
            name = rest.partition(".")[0]
            if name not in marks or (problem.severity == "error" and marks[name][0] != "error"):
                marks[name] = (problem.severity, problem.message)
    return marks
