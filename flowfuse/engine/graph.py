"""The shape of a workflow's graph: order, scopes of loops, ancestors, and what is wrong with it.

The graph is a DAG. A loop's *body* is what is reachable only through its port `item`; each body is a
scope of its own, nested in the scope of its loop's node. Scope 0 is the run itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from flowfuse.model import Edge, Node, Problem, Workflow
from flowfuse.node import Catalogue, NodeType

ITEM = "item"


class Graph:
    """One document's nodes and edges, resolved. `problems` tells what does not hold together."""

    def __init__(self, workflow: Workflow, catalogue: Catalogue) -> None:
        self.workflow = workflow
        self.nodes: dict[str, Node] = {node.id: node for node in workflow.nodes}
        self.types: dict[str, NodeType] = {}
        self.problems: list[Problem] = []
        self.edges: list[tuple[int, Edge]] = []
        self._find_types(catalogue)
        self._find_edges()
        self.out: dict[str, list[tuple[int, Edge]]] = defaultdict(list)
        self.into: dict[str, list[tuple[int, Edge]]] = defaultdict(list)
        for index, edge in self.edges:
            self.out[edge.node].append((index, edge))
            self.into[edge.target].append((index, edge))
        self.order = self._topological_order()
        self.triggers = [node.id for node in workflow.nodes if self.is_trigger(node.id) and not node.disabled]
        self.reached = self.reach(self.triggers)
        self.bodies: dict[str, set[str]] = {}
        self.scope: dict[str, str] = dict.fromkeys(self.nodes, "")
        if self.order is not None:
            self._find_bodies()
        self.ancestors = self._find_ancestors()
        self._check_reach()

    def is_trigger(self, node: str) -> bool:
        """Whether the node starts runs."""
        node_type = self.types.get(node)
        return node_type is not None and node_type.is_trigger

    def ports(self, node: str) -> tuple[str, ...] | None:
        """All ports of a placed node; None where its type is unknown."""
        node_type = self.types.get(node)
        if node_type is None:
            return None
        placed = self.nodes[node]
        ports = node_type.ports_of(placed.config)
        return (*ports, "error") if placed.on_error == "route" else ports

    def enclosing(self, node: str) -> list[str]:
        """The loops around a node, innermost first."""
        loops = []
        current = self.scope[node]
        while current:
            loops.append(current)
            current = self.scope[current]
        return loops

    def members(self, scope: str) -> list[str]:
        """The reached nodes of one scope, in topological order."""
        return [n for n in self.order or () if n in self.reached and self.scope[n] == scope]

    def ends(self, scope: str) -> list[str]:
        """Own nodes of the scope without an edge to another node of it."""
        own = set(self.members(scope))
        return [n for n in self.members(scope) if not any(edge.target in own for _, edge in self.out[n])]

    def _find_types(self, catalogue: Catalogue) -> None:
        for node in self.workflow.nodes:
            found = catalogue.find(node.type, node.version)
            if found is not None:
                self.types[node.id] = found
            elif catalogue.find(node.type) is None:
                self._problem(f"nodes.{node.id}.type", "unknown_type", _unknown_type(node.type, catalogue))
            else:
                newest = catalogue.find(node.type)
                self._problem(
                    f"nodes.{node.id}.version",
                    "unknown_version",
                    f"{node.type} has no version {node.version}; the newest is {newest and newest.version}",
                )

    def _find_edges(self) -> None:
        seen: set[tuple[str, str]] = set()
        for index, edge in enumerate(self.workflow.edges):
            if not self._check_edge(index, edge):
                continue
            key = (f"{edge.node}.{edge.port}", edge.target)
            if key in seen:
                self._problem(f"edges[{index}]", "duplicate_edge", f"{key[0]} → {key[1]} is there twice")
                continue
            seen.add(key)
            self.edges.append((index, edge))

    def _check_edge(self, index: int, edge: Edge) -> bool:
        """Whether both ends are right; each is looked at by itself, so that both are told of at once."""
        begins, ends = self._check_source(f"edges[{index}].from", edge), self._check_target(index, edge)
        return begins and ends

    def _check_source(self, path: str, edge: Edge) -> bool:
        if edge.node not in self.nodes:
            self._problem(path, "dangling_edge", f"There is no node “{edge.node}”")
            return False
        ports = self.ports(edge.node)
        if ports is None or edge.port in ports:
            return True
        there = ", ".join(ports) or "none"
        hint = "; “error” exists with on_error: route" if edge.port == "error" else ""
        self._problem(
            path, "unknown_port", f"“{edge.node}” has no port “{edge.port}”. There are: {there}{hint}"
        )
        return False

    def _check_target(self, index: int, edge: Edge) -> bool:
        path = f"edges[{index}].to"
        if edge.target not in self.nodes:
            self._problem(path, "dangling_edge", f"There is no node “{edge.target}”")
            return False
        if self.is_trigger(edge.target):
            self._problem(path, "trigger_input", f"“{edge.target}” is a trigger and takes no input")
            return False
        return True

    def _topological_order(self) -> list[str] | None:
        """Document order where the edges leave a choice; None when there is a cycle."""
        missing = {n: len(self.into[n]) for n in self.nodes}
        ready = [n for n in self.nodes if not missing[n]]
        order: list[str] = []
        for node in ready:
            order.append(node)
            for _, edge in self.out[node]:
                missing[edge.target] -= 1
                if not missing[edge.target]:
                    ready.append(edge.target)
        if len(order) == len(self.nodes):
            return order
        self._report_cycles({n for n in self.nodes if n not in set(order)})
        return None

    def _report_cycles(self, stuck: set[str]) -> None:
        """Name each cycle once: walk forward among the stuck nodes until one comes again."""
        left = {n for n in stuck if any(edge.target in stuck for _, edge in self.out[n])}
        while left:
            path: list[str] = []
            node = next(n for n in self.nodes if n in left)
            while node not in path:
                path.append(node)
                following = next((e.target for _, e in self.out[node] if e.target in left), None)
                if following is None:
                    break
                node = following
            else:
                cycle = path[path.index(node) :]
                names = ", ".join(f"“{n}”" for n in cycle)
                self._problem(
                    f"nodes.{cycle[0]}",
                    "cycle",
                    f"{names} feed each other in a circle. Use a loop node for that",
                )
            left -= set(path)

    def reach(self, starts: Iterable[str], without: str = "") -> set[str]:
        """What can be reached from the starts; not through the port `item` of the loop `without`."""
        seen = set(starts)
        stack = list(seen)
        while stack:
            node = stack.pop()
            for _, edge in self.out[node]:
                if node == without and edge.port == ITEM:
                    continue
                if edge.target not in seen:
                    seen.add(edge.target)
                    stack.append(edge.target)
        return seen

    def _find_bodies(self) -> None:
        loops = [n for n in self.order or () if n in self.types and self.types[n].loop]
        for loop in loops:
            entries = [edge.target for _, edge in self.out[loop] if edge.port == ITEM]
            outside = self.reach(self.triggers, without=loop)
            through = self.reach(entries)
            self.bodies[loop] = through - outside if loop in self.reached else through
        # A later loop of the order is never around an earlier one, so the last writer is the innermost.
        for loop in loops:
            for node in self.bodies[loop]:
                self.scope[node] = loop
        self._check_leaks()

    def _check_leaks(self) -> None:
        for index, edge in self.edges:
            loop = edge.node if edge.node in self.bodies and edge.port == ITEM else self.scope[edge.node]
            if not loop or edge.node not in self.reached:
                continue
            if edge.target not in self.bodies[loop]:
                self._problem(
                    f"edges[{index}]",
                    "leak",
                    f"“{edge.target}” lies outside the body of the loop “{loop}”, and can be reached only "
                    f"by its port “done”",
                )

    def _find_ancestors(self) -> dict[str, set[str]]:
        """All nodes before each node. With a cycle: all nodes, so that only real mistakes are told."""
        if self.order is None:
            return {node: set(self.nodes) for node in self.nodes}
        ancestors: dict[str, set[str]] = {}
        for node in self.order:
            before: set[str] = set()
            for _, edge in self.into[node]:
                before.add(edge.node)
                before |= ancestors[edge.node]
            ancestors[node] = before
        return ancestors

    def _check_reach(self) -> None:
        if not self.triggers:
            disabled = any(self.is_trigger(n) for n in self.nodes)
            self._problem(
                "nodes",
                "no_trigger",
                "Every trigger is switched off" if disabled else "No node starts the workflow. Add a trigger",
            )
            return
        for node in self.workflow.nodes:
            if node.id not in self.reached and not (self.is_trigger(node.id) and node.disabled):
                self._problem(
                    f"nodes.{node.id}", "unreachable", f"Nothing leads to “{node.id}”", warning=True
                )

    def _problem(self, path: str, code: str, message: str, *, warning: bool = False) -> None:
        self.problems.append(Problem(path, code, message, "warning" if warning else "error"))


def _unknown_type(name: str, catalogue: Catalogue) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, catalogue.names(), n=1)
    return f"There is no node type “{name}”" + (f". Did you mean {near[0]}?" if near else "")
