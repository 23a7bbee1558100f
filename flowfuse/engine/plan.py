"""A Plan: one content of a workflow, compiled once; what the walk needs is looked up, not worked out.

Every node knows its place in its scope's arrays, which edges fire and which die when it leaves by a
port, and the closure (pure types) or the config's closure (types with effects) to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from flowfuse.engine.frame import UNFIRED, Frame
from flowfuse.engine.graph import ITEM, Graph
from flowfuse.errors import ExpressionInvalid, MissingType, WorkflowInvalid
from flowfuse.expression import Compiled, Unfired, UnknownName, compile_value
from flowfuse.model import Node, Problem, Value, Workflow, seconds
from flowfuse.node import Catalogue, NodeType, Outcome, Output

Route = tuple[tuple["Arrow", ...], tuple["Arrow", ...]]


class Arrow:
    """One edge, seen from the node that it leaves."""

    __slots__ = ("order", "source", "target")

    def __init__(self, source: str, target: NodePlan, order: int) -> None:
        self.source, self.target, self.order = source, target, order


class ScopePlan:
    """The run (`loop` is None) or the body of one loop. Holds the templates of a frame's arrays."""

    __slots__ = ("chain", "depth", "ends", "entries", "fired", "loop", "name", "nodes", "parent", "pending",
                 "size", "values")  # fmt: skip

    def __init__(self, loop: NodePlan | None, parent: ScopePlan | None) -> None:
        self.loop, self.parent = loop, parent
        self.name = loop.id if loop is not None else ""
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.nodes: list[NodePlan] = []
        self.ends: list[NodePlan] = []
        self.entries: tuple[Arrow, ...] = ()
        self.pending: list[int] = []
        self.fired: list[bool] = []
        self.values: list[Value] = []
        self.size = 0
        self.chain: tuple[NodePlan, ...] = ()


class NodePlan:
    """One placed node, ready to run."""

    __slots__ = (
        "any_join", "body", "condition", "config", "disabled", "first_port", "id", "in_count", "index",
        "is_end", "lazy", "literal_host", "loop", "no_route", "node", "only_source", "pinned", "pure",
        "resolve", "result", "routes", "scope", "slot", "step", "timeout", "type",
    )  # fmt: skip

    def __init__(self, index: int, node: Node, node_type: NodeType, scope: ScopePlan) -> None:
        self.index, self.node, self.type, self.scope = index, node, node_type, scope
        self.id = node.id
        self.slot = len(scope.nodes)
        self.any_join = node.join == "any"
        self.disabled = node.disabled
        self.pinned = node.pinned
        self.pure = not node_type.effects and not node_type.detached
        self.loop = node_type.loop
        self.in_count = 0
        self.only_source = ""
        self.is_end = False
        self.routes: dict[str, Route] = {}
        self.no_route: Route = ((), ())
        self.step: Callable[[Frame], Outcome] | None = None
        self.config: PlacedConfig
        self.body: ScopePlan | None = None
        self.resolve: Callable[[Frame], dict[str, Value]] | None = None
        self.condition: Callable[[Frame], Value] | None = None
        self.result: Callable[[Frame], Value] | None = None
        self.literal_host = False
        self.lazy: dict[str, Callable[[Frame], Value]] = {}
        ports = node_type.ports_of(node.config)
        self.first_port = "done" if node_type.loop else (ports[0] if ports else "main")
        given = node.timeout if node.timeout is not None else node_type.default_timeout
        self.timeout = None if given is None else seconds(given)


class Plan:
    """A compiled workflow. `hash` names its content."""

    __slots__ = ("by_id", "hash", "nodes", "root", "scopes", "sensitive", "triggers", "workflow")

    def __init__(self, workflow: Workflow, content_hash: bytes) -> None:
        self.workflow = workflow
        self.hash = content_hash
        self.sensitive = tuple(path.split(".") for path in workflow.settings.sensitive)
        """Paths of values that are sealed where they are stored, and hidden where they are shown."""
        self.nodes: list[NodePlan] = []
        self.by_id: dict[str, NodePlan] = {}
        self.triggers: list[NodePlan] = []
        self.scopes: dict[str, ScopePlan] = {}
        self.root: ScopePlan = ScopePlan(None, None)

    def trigger(self, node: str) -> NodePlan:
        """The trigger of that id. Raises KeyError."""
        return self.by_id[node]


def compile_plan(workflow: Workflow, catalogue: Catalogue, content_hash: bytes) -> Plan:
    """Compile a checked document. Raises WorkflowInvalid, and MissingType for an unknown type."""
    graph = Graph(workflow, catalogue)
    errors = [p for p in graph.problems if p.severity == "error"]
    if errors and all(p.code in ("unknown_type", "unknown_version") for p in errors):
        raise MissingType(reason=errors[0].message)
    if errors:
        raise WorkflowInvalid(errors)
    return _Compiler(graph, content_hash).compile()


class _Compiler:
    def __init__(self, graph: Graph, content_hash: bytes) -> None:
        self.graph = graph
        self.plan = Plan(graph.workflow, content_hash)

    def compile(self) -> Plan:
        plan, graph = self.plan, self.graph
        plan.scopes[""] = plan.root
        for name in graph.order or ():
            if name in graph.reached:
                self._add(name)
        for scope_name, scope in plan.scopes.items():
            scope.ends = [plan.by_id[n] for n in graph.ends(scope_name)]
            for end in scope.ends:
                end.is_end = True
        for node in plan.nodes:
            self._route(node)
        for node in plan.nodes:
            self._close(node)
        for scope in plan.scopes.values():
            scope.pending = [n.in_count for n in scope.nodes]
            scope.fired = [False] * len(scope.nodes)
            scope.values = [UNFIRED] * len(scope.nodes)
            scope.size = len(scope.nodes)
            scope.chain = _straight(scope)
        plan.triggers = [plan.by_id[t] for t in graph.triggers]
        return plan

    def _add(self, name: str) -> None:
        plan, graph = self.plan, self.graph
        scope = plan.scopes[graph.scope[name]]
        node = NodePlan(len(plan.nodes), graph.nodes[name], graph.types[name], scope)
        plan.nodes.append(node)
        plan.by_id[name] = node
        scope.nodes.append(node)
        if node.loop:
            node.body = ScopePlan(node, scope)
            plan.scopes[name] = node.body

    def _route(self, node: NodePlan) -> None:
        """Which arrows fire, and which die, for each port that the node can leave by."""
        plan, graph = self.plan, self.graph
        arrows: dict[str, list[Arrow]] = {}
        for order, edge in graph.out[node.id]:
            target = plan.by_id.get(edge.target)
            if target is not None:
                arrows.setdefault(edge.port, []).append(Arrow(node.id, target, order))
                target.in_count += 1
                target.only_source = node.id
        if node.body is not None:
            node.body.entries = tuple(arrows.pop(ITEM, ()))
        everything = [arrow for group in arrows.values() for arrow in group]
        node.no_route = ((), tuple(everything))
        for port, group in arrows.items():
            node.routes[port] = (tuple(group), tuple(a for a in everything if a not in group))

    def _close(self, node: NodePlan) -> None:
        """Compile the config's expressions and make the node's closure."""
        names = ScopeNames(self.graph, self.plan, node.scope, node.id)
        node.config = PlacedConfig(node, names)
        node.literal_host = node.config.literal_host()
        if node.type.is_trigger:
            return
        if node.disabled:
            node.step = _pass_through(node.first_port)
        elif node.loop:
            node.resolve = node.config.resolver()
            self._close_loop(node)
        elif not node.pure:
            node.resolve = node.config.resolver()
            self._close_lazy(node)
        else:
            node.step = node.type.prepare(node.config)

    def _close_lazy(self, node: NodePlan) -> None:
        """The fields that a node with effects works out itself, with the names that only they know."""
        for field in node.type.fields:
            if field.kind == "lazy" and field.name in node.node.config:
                extra = node.type.lazy_names.get(field.name, ())
                names = ScopeNames(self.graph, self.plan, node.scope, node.id, extra=extra)
                path = f"nodes.{node.id}.config.{field.name}"
                node.lazy[field.name] = compiled(node.node.config[field.name], names, path).evaluate

    def _close_loop(self, node: NodePlan) -> None:
        assert node.body is not None
        given = node.node.config
        inside = ScopeNames(self.graph, self.plan, node.body, "", all_of_body=True)
        if "result" in given:
            node.result = compiled(given["result"], inside, f"nodes.{node.id}.config.result").evaluate
        if node.loop == "while":
            seen = ScopeNames(self.graph, self.plan, node.body, node.id)
            path = f"nodes.{node.id}.config.condition"
            node.condition = compiled(given.get("condition"), seen, path).evaluate


def compiled(value: Value, names: ScopeNames, path: str) -> Compiled:
    """A compiled config value. Raises WorkflowInvalid with all of its problems."""
    closure, problems = compile_value(value, names, path)
    if problems:
        raise WorkflowInvalid([Problem(where, error.kind, error.message) for where, error in problems])
    return closure


def _pass_through(port: str) -> Callable[[Frame], Outcome]:
    return lambda frame: Output(port, frame.input)


def _straight(scope: ScopePlan) -> tuple[NodePlan, ...]:
    """The body's nodes, where it is one straight chain of pure nodes with one way through.

    Such a body needs no bookkeeping per edge, so its rounds can run in one tight loop.
    """
    if scope.loop is None or len(scope.entries) != 1 or len(scope.nodes) > 16:
        return ()
    node, chain = scope.entries[0].target, []
    while True:
        simple = node.pure and not node.loop and node.pinned is UNSET and node.in_count == 1
        if not simple or node.node.on_error != "fail" or len(node.type.ports_of(node.node.config)) != 1:
            return ()
        chain.append(node)
        live, dead = node.routes.get(node.first_port, node.no_route)
        if dead or len(live) > 1:
            return ()
        if not live:
            return tuple(chain) if len(chain) == len(scope.nodes) else ()
        node = live[0].target


class PlacedConfig:
    """A placed node's config with its expressions compiled (see `flowfuse.node.Config`)."""

    __slots__ = ("_defaults", "_given", "_kinds", "_names", "_node", "_path")

    def __init__(self, node: NodePlan, names: ScopeNames) -> None:
        self._node, self._names = node, names
        self._given: Mapping[str, Any] = node.node.config
        self._kinds = {f.name: f.kind for f in node.type.fields}
        self._defaults = {f.name: f.default for f in node.type.fields}
        self._path = f"nodes.{node.id}.config"

    def get(self, field: str) -> Callable[[Any], Value]:
        return self._compile(self._value(field), field).evaluate

    def at(self, *path: str | int) -> Callable[[Any], Value]:
        value: Any = self._value(str(path[0]))
        for key in path[1:]:
            value = value[key]
        return self._compile(value, ".".join(str(key) for key in path)).evaluate

    def plain(self, field: str) -> Value:
        return self._value(field)

    def constant(self, field: str) -> bool:
        return self._compile(self._value(field), field).constant

    def resolver(self) -> Callable[[Frame], dict[str, Value]]:
        """The whole config with its template fields worked out, for a type with effects."""
        plain = {k: v for k, v in self._given.items() if self._kinds.get(k) != "template"}
        templates = {k: v for k, v in self._given.items() if self._kinds.get(k) == "template"}
        closure = self._compile(templates, "").evaluate if templates else lambda frame: {}
        return lambda frame: {**plain, **closure(frame)}

    def literal_host(self) -> bool:
        """Whether the document itself, and no data, names the host of the field `url`."""
        url = self._given.get("url")
        if not isinstance(url, str):
            return False
        prefix = self._compile(url, "url").literal_prefix
        if prefix.startswith("/") and not prefix.startswith("//"):
            # FlowFuse's own address, which no data has named.
            return True
        _, found, rest = prefix.partition("://")
        return bool(found) and (prefix == url or any(end in rest for end in "/?#"))

    def _value(self, field: str) -> Any:
        return self._given.get(field, self._defaults.get(field))

    def _compile(self, value: Value, field: str) -> Compiled:
        return compiled(value, self._names, f"{self._path}.{field}" if field else self._path)


class ScopeNames:
    """What names mean to one node (`of`), or to a loop's `result` (`all_of_body`), in one scope."""

    __slots__ = ("_all_of_body", "_extra", "_graph", "_of", "_plan", "_scope")

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        scope: ScopePlan,
        of: str,
        *,
        all_of_body: bool = False,
        extra: tuple[str, ...] = (),
    ) -> None:
        self._extra = extra
        self._graph, self._plan, self._scope, self._of = graph, plan, scope, of
        self._all_of_body = all_of_body

    def name(self, name: str) -> Callable[[Any], Value]:
        if name in ("item", "index") and self._scope.loop is None:
            raise UnknownName(f"“{name}” is known only in the body of a loop")
        getter = _ROOTS.get(name) if name not in self._extra else _extra_getter(name)
        if getter is None:
            raise UnknownName(_unknown_root(name, self._graph.nodes))
        return getter

    def node(self, id: str) -> Callable[[Any], Value]:
        if id not in self._graph.nodes:
            raise UnknownName(_unknown("node", id, self._graph.nodes))
        if not self._visible(id):
            raise UnknownName(
                f"“{id}” does not come before this node, so it has no value here"
                if id != self._of
                else f"“{id}” is this node itself"
            )
        target = self._plan.by_id.get(id)
        if target is None:
            return _never_fired(id)
        depth = self._scope.depth - target.scope.depth
        return _node_getter(id, target.slot, depth)

    def loop(self, id: str) -> tuple[Callable[[Any], Value], Callable[[Any], Value]]:
        scope: ScopePlan | None = self._scope
        depth = 0
        while scope is not None and scope.loop is not None:
            if scope.name == id:
                return _loop_item(depth), _loop_index(depth)
            scope, depth = scope.parent, depth + 1
        raise UnknownName(f"This node is not in the body of a loop “{id}”")

    def _visible(self, id: str) -> bool:
        if self._all_of_body:
            loop = self._scope.name
            return self._graph.scope[id] == loop or id in self._graph.ancestors[loop]
        return id in self._graph.ancestors.get(self._of, ())


_ROOTS: dict[str, Callable[[Any], Value]] = {
    "trigger": lambda frame: frame.trigger,
    "input": lambda frame: frame.input,
    "item": lambda frame: frame.item,
    "index": lambda frame: frame.index,
    "vars": lambda frame: frame.run.variables,
    "execution": lambda frame: frame.run.execution_view,
    "workflow": lambda frame: frame.run.workflow_view,
}


def _extra_getter(name: str) -> Callable[[Any], Value]:
    return lambda frame: frame.extra[name]


def _node_getter(id: str, slot: int, depth: int) -> Callable[[Any], Value]:
    def here(frame: Any) -> Value:
        value = frame.values[slot]
        return value if value is not UNFIRED else _raise_unfired(id)

    def outer(frame: Any) -> Value:
        value = frame.parent.values[slot]
        return value if value is not UNFIRED else _raise_unfired(id)

    def far(frame: Any) -> Value:
        for _ in range(depth):
            frame = frame.parent
        return here(frame)

    return here if depth == 0 else outer if depth == 1 else far


def _never_fired(id: str) -> Callable[[Any], Value]:
    return lambda frame: _raise_unfired(id)


def _raise_unfired(id: str) -> Value:
    raise Unfired(reason=f"“{id}” has not run here, so it has no value. Use get(nodes.{id}, …, default)")


def _loop_item(depth: int) -> Callable[[Any], Value]:
    def item(frame: Any) -> Value:
        for _ in range(depth):
            frame = frame.parent
        return frame.item

    return item


def _loop_index(depth: int) -> Callable[[Any], Value]:
    def index(frame: Any) -> Value:
        for _ in range(depth):
            frame = frame.parent
        return frame.index

    return index


def _unknown_root(name: str, nodes: Mapping[str, Node]) -> str:
    there = ", ".join([*_ROOTS, "nodes", "loops"])
    hint = f" Did you mean nodes.{name}?" if name in nodes else ""
    return f"“{name}” is not known here.{hint} There are: {there}"


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), n=1)
    hint = f". Did you mean {near[0]}?" if near else ""
    return f"There is no {what} “{name}”{hint}"


class ExpressionCheck:
    """Compiles every expression of a document only to tell what is wrong with it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._plan = Plan(graph.workflow, b"")
        self._scopes = _scopes_for_check(graph, self._plan)

    def problems(self, node: Node) -> list[Problem]:
        """What cannot be compiled in one node's config, with the paths of the fields."""
        node_type = self._graph.types[node.id]
        found: list[tuple[str, ExpressionInvalid]] = []
        for field in node_type.fields:
            if field.name in node.config and field.kind != "plain":
                path = f"nodes.{node.id}.config.{field.name}"
                found += compile_value(node.config[field.name], self.names(node, field.name), path)[1]
        return [Problem(path, error.kind, error.message) for path, error in found]

    def names(self, node: Node, field: str) -> ScopeNames:
        """What names mean in a field of a node whose type is known."""
        node_type = self._graph.types[node.id]
        if node_type.loop and field == "result":
            return ScopeNames(self._graph, self._plan, self._scopes[node.id], "", all_of_body=True)
        if node_type.loop == "while" and field == "condition":
            return ScopeNames(self._graph, self._plan, self._scopes[node.id], node.id)
        scope = self._scopes[self._graph.scope[node.id]]
        extra = node_type.lazy_names.get(field, ())
        return ScopeNames(self._graph, self._plan, scope, node.id, extra=extra)


def _scopes_for_check(graph: Graph, plan: Plan) -> dict[str, ScopePlan]:
    """Scopes with their nesting only: enough to say which names are known."""
    scopes = {"": plan.root}
    order = graph.order if graph.order is not None else list(graph.nodes)
    for name in order:
        if name in graph.types and graph.types[name].loop:
            scopes[name] = _stand_in(name, scopes.get(graph.scope[name], plan.root))
    for name in order:
        if name in graph.types:
            scope = scopes.get(graph.scope[name], plan.root)
            plan.by_id[name] = NodePlan(0, graph.nodes[name], graph.types[name], scope)
    return scopes


def _stand_in(name: str, parent: ScopePlan) -> ScopePlan:
    scope = ScopePlan(None, parent)
    scope.name = name
    scope.loop = _LOOP
    return scope


_LOOP: Any = object()
