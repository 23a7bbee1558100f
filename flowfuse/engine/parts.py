"""A part of a workflow as a document of its own: one node alone, all up to it, or all from it on.

What comes before the part is not run again: it gives the values it had, pinned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from flowfuse.engine.graph import ITEM, Graph
from flowfuse.errors import RequestInvalid
from flowfuse.model import Edge, Node, Value, Workflow

Part = Literal["alone", "to", "from"]


def part_of(
    graph: Graph, node: str, kind: Part, known: Mapping[str, Value], rounds: Mapping[str, Value]
) -> Workflow:
    """The document of a part. `known` are values of nodes before it, `rounds` the items of loops around it.

    Raises RequestInvalid where the part makes no sense.
    """
    if node not in graph.nodes:
        raise RequestInvalid(field="node", reason=f"There is no node “{node}”")
    if kind == "to":
        return _up_to(graph, node)
    if kind == "from" and graph.enclosing(node):
        loop = graph.enclosing(node)[-1]
        raise RequestInvalid(
            field="node",
            reason=f"“{node}” lies in the loop “{loop}”; run from the loop on, or the node alone",
        )
    return _from(graph, node, kind, known, rounds)


def _up_to(graph: Graph, node: str) -> Workflow:
    kept = graph.ancestors[node] | {node}
    # A loop's body is run as a whole: what leads to its rounds' ends is part of what it gives.
    kept |= {
        inner for loop in graph.bodies if loop in kept and loop != node for inner in graph.bodies[loop]
    } - _beside(graph, node)
    return _cut(graph, kept)


def _beside(graph: Graph, node: str) -> set[str]:
    """What lies in the loops around a node and is not before it."""
    around = graph.enclosing(node)
    inside = {inner for loop in around for inner in graph.bodies[loop]}
    return inside - graph.ancestors[node] - {node}


def _cut(graph: Graph, kept: set[str]) -> Workflow:
    workflow = graph.workflow
    return msgspec.structs.replace(
        workflow,
        nodes=[node for node in workflow.nodes if node.id in kept],
        edges=[edge for edge in workflow.edges if edge.node in kept and edge.target in kept],
    )


def _from(
    graph: Graph, node: str, kind: Part, known: Mapping[str, Value], rounds: Mapping[str, Value]
) -> Workflow:
    """The node (and what follows it), behind stand-ins for what comes before."""
    kept = _with_body(graph, node) if kind == "alone" else graph.reach([node])
    if graph.is_trigger(node):
        return _cut(graph, kept)
    loops = list(reversed(graph.enclosing(node)))
    before = {id for each in kept for id in graph.ancestors[each]} - kept - set(loops)
    inside = {id for id in before if loops and loops[0] in graph.enclosing(id)}
    order = [id for id in graph.order or list(graph.nodes) if id in before]
    chain = _Chain(_free("start", graph))
    for id in order:
        if id not in inside:
            chain.add(_stand_in(id, known))
    for loop in loops:
        chain.add(Node(id=loop, type="loop.for_each", config={"items": [rounds.get(loop)]}), port=ITEM)
    for id in order:
        if id in inside:
            chain.add(_stand_in(id, known))
    sources = [edge.node for edge in graph.workflow.edges if edge.target == node and edge.node in before]
    fired = [id for id in dict.fromkeys(sources) if id in known] or [chain.last]
    edges = chain.edges + [Edge(source=id, target=node) for id in fired]
    edges += [
        Edge(source=edge.node, target=edge.target) if edge.node in before else edge
        for edge in graph.workflow.edges
        if edge.target in kept - {node} and edge.node in kept | before
    ]
    nodes = chain.nodes + [each for each in graph.workflow.nodes if each.id in kept]
    return msgspec.structs.replace(graph.workflow, nodes=nodes, edges=list(dict.fromkeys(edges)))


class _Chain:
    """Nodes in a row: each is an ancestor of all that follow, so that they can be referred to."""

    def __init__(self, start: str) -> None:
        self.nodes = [Node(id=start, type="trigger.manual")]
        self.edges: list[Edge] = []
        self.last = start

    def add(self, node: Node, port: str = "") -> None:
        """Put a node at the end; what follows comes out of its port."""
        self.nodes.append(node)
        self.edges.append(Edge(source=self.last, target=node.id))
        self.last = f"{node.id}.{port}" if port else node.id


def _with_body(graph: Graph, node: str) -> set[str]:
    return {node} | graph.bodies.get(node, set())


def _stand_in(id: str, known: Mapping[str, Value]) -> Node:
    config: dict[str, Any] = {"fields": {}}
    return Node(id=id, type="transform.set", config=config, pinned=known.get(id, UNSET))


def _free(name: str, graph: Graph) -> str:
    while name in graph.nodes:
        name += "_"
    return name
