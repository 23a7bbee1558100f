"""What a node's expressions would see: values from a past run, and pinned ones, by the names they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from flowfuse.engine.graph import ITEM, Graph
from flowfuse.engine.plan import ExpressionCheck
from flowfuse.errors import ExpressionFailed
from flowfuse.expression import Names, compile_value
from flowfuse.model import ExecutionDetail, Node, NodeRun, Value, seconds
from flowfuse.node import NodeType
from flowfuse.pages.addresses import whole_number

_NOTHING: Any = object()


class Sample(Struct, frozen=True, kw_only=True):
    """The values in reach of one node. A name that has no value yet is left out."""

    roots: dict[str, Value]
    nodes: dict[str, Value]
    loops: dict[str, dict[str, Value]]
    ran: NodeRun | None = None
    paths: list[str] = []
    path: str = ""


class Preview(Struct, frozen=True):
    """What a field's value comes to, or why it comes to nothing."""

    value: Value = None
    known: bool = False
    error: str = ""
    missing: bool = False


def sample(graph: Graph, node: Node, detail: ExecutionDetail | None, path: str = "") -> Sample:
    """The values around a node in one run (none: only what is pinned), in one round of its loop."""
    runs = detail.nodes if detail is not None else []
    mine = [run for run in runs if run.node == node.id]
    shown = _shown(mine, path)
    where = shown.path if shown is not None else _first_path(graph, node.id, runs)
    known = _Known(graph, {(run.node, run.path): run for run in runs}, where)
    ancestors = graph.ancestors.get(node.id, set())
    nodes = {
        id: value for id in graph.nodes if id in ancestors and (value := known.output(id)) is not _NOTHING
    }
    loops = {loop: known.loop(loop) for loop in graph.enclosing(node.id)}
    roots: dict[str, Value] = {}
    if detail is not None:
        roots["trigger"] = detail.input
    for trigger in graph.triggers:
        pinned = graph.nodes[trigger].pinned
        if pinned is not UNSET and "trigger" not in roots:
            roots["trigger"] = pinned
    arrived = known.arrived(node.id) if shown is None or shown.state == "skipped" else shown.input
    if arrived is not _NOTHING:
        roots["input"] = arrived
    inner = graph.enclosing(node.id)[:1]
    roots |= loops[inner[0]] if inner else {}
    roots["vars"] = graph.workflow.settings.variables
    roots["workflow"] = {"id": graph.workflow.id, "name": graph.workflow.name}
    if detail is not None:
        roots["execution"] = {"id": detail.execution.id, "number": detail.execution.number}
    return Sample(
        roots=roots, nodes=nodes, loops=loops, ran=shown, paths=[run.path for run in mine], path=where
    )


def _shown(runs: list[NodeRun], path: str) -> NodeRun | None:
    for run in runs:
        if path and run.path == path:
            return run
    failed = next((run for run in runs if run.state == "failed"), None)
    return failed or (runs[-1] if runs else None)


def _first_path(graph: Graph, node: str, runs: list[NodeRun]) -> str:
    """The first round that any node beside this one had: it has not run itself."""
    scope = graph.scope.get(node, "")
    return next((run.path for run in runs if run.path and graph.scope.get(run.node) == scope), "")


class _Known:
    """Looks values up as they were in one round."""

    def __init__(self, graph: Graph, runs: dict[tuple[str, str], NodeRun], path: str) -> None:
        self._graph, self._runs = graph, runs
        self._rounds = path.split("/") if path else []

    def output(self, id: str) -> Any:
        """What a node gave there: pinned, or in the run."""
        pinned = self._graph.nodes[id].pinned
        if pinned is not UNSET:
            return pinned
        run = self._runs.get((id, self._path_of(id)))
        return run.output if run is not None and run.state == "done" else _NOTHING

    def arrived(self, id: str) -> Any:
        """What comes in at a node: of one edge its value, of several an object by node."""
        found = {}
        for _, edge in self._graph.into[id]:
            inside = edge.port == ITEM and self._graph.scope[id] == edge.node
            value = self.loop(edge.node).get("item", _NOTHING) if inside else self.output(edge.node)
            if value is not _NOTHING:
                found[edge.node] = value
        return next(iter(found.values())) if len(found) == 1 else found or _NOTHING

    def loop(self, id: str) -> dict[str, Value]:
        """A loop's `item` and `index` in the round around this place."""
        depth = len(self._graph.enclosing(id))
        if depth >= len(self._rounds):
            items = self._items(id)
            return {"item": items[0], "index": 0} if items else {}
        path = "/".join(self._rounds[: depth + 1])
        number = self._rounds[depth].rpartition(":")[2]
        index = whole_number(number) or 0
        for _, edge in self._graph.out[id]:
            run = self._runs.get((edge.target, path)) if edge.port == ITEM else None
            if run is not None and run.input is not None:
                return {"item": run.input, "index": index}
        items = self._items(id)
        return {"item": items[index], "index": index} if items and index < len(items) else {"index": index}

    def _items(self, id: str) -> list[Value]:
        """The items of a loop that has not run, where they are written down as a list."""
        items = self._graph.nodes[id].config.get("items")
        return items if isinstance(items, list) else []

    def _path_of(self, id: str) -> str:
        return "/".join(self._rounds[: len(self._graph.enclosing(id))])


def preview(
    graph: Graph, node: Node, node_type: NodeType, field: str, value: Value, known: Sample, now_us: int
) -> Preview:
    """What a field would come to if it held that value. May take a second: not for the event loop."""
    names: Any = _SampleNames(ExpressionCheck(graph).names(node, field), known)
    compiled, problems = compile_value(value, names, f"nodes.{node.id}.config.{field}")
    if problems:
        return Preview(error=problems[0][1].message)
    if compiled.constant:
        return Preview(value=value, known=True)
    timezone = graph.workflow.settings.timezone
    try:
        return Preview(value=compiled.evaluate(_Env(now_us, timezone, node.id)), known=True)
    except _NoValueYet as error:
        return Preview(error=error.message, missing=True)
    except ExpressionFailed as error:
        return Preview(error=error.message)


class _NoValueYet(ExpressionFailed):
    """The expression may be right; there is only nothing yet to work it out with."""


class _SampleNames:
    """Names that mean what they mean to the engine, and give what the sample has."""

    def __init__(self, real: Names, known: Sample) -> None:
        self._real, self._known = real, known

    def name(self, name: str) -> Callable[[Any], Value]:
        self._real.name(name)
        return _giving(self._known.roots, name, name)

    def node(self, id: str) -> Callable[[Any], Value]:
        self._real.node(id)
        return _giving(self._known.nodes, id, f"nodes.{id}")

    def loop(self, id: str) -> tuple[Callable[[Any], Value], Callable[[Any], Value]]:
        self._real.loop(id)
        found = self._known.loops.get(id, {})
        return _giving(found, "item", f"loops.{id}.item"), _giving(found, "index", f"loops.{id}.index")


def _giving(values: dict[str, Value], key: str, shown: str) -> Callable[[Any], Value]:
    def get(env: Any) -> Value:
        if key not in values:
            raise _NoValueYet(reason=f"{shown} has no value yet: run the workflow once, or pin one")
        return values[key]

    return get


class _Env:
    """The running node, as far as a preview has one."""

    inline = False

    def __init__(self, now_us: int, timezone: str, node: str) -> None:
        self.now_us, self.timezone, self._node = now_us, timezone, node
        self.meter: Any = None

    def seed(self) -> bytes:
        return b"preview|" + self._node.encode()


def completions(graph: Graph, node: Node, known: Sample) -> dict[str, Any]:
    """Every name in reach of a node, with what is known of its value: for completing what is typed."""
    ancestors = graph.ancestors.get(node.id, set())
    roots = {name: _shape(value) for name, value in known.roots.items()}
    for name in ("trigger", "input", "vars", "execution", "workflow"):
        roots.setdefault(name, None)
    if graph.enclosing(node.id):
        roots.setdefault("item", None)
        roots.setdefault("index", None)
    roots["nodes"] = {id: _shape(known.nodes.get(id)) for id in graph.nodes if id in ancestors}
    roots["loops"] = {
        loop: {"item": _shape(known.loops[loop].get("item")), "index": 0} for loop in graph.enclosing(node.id)
    }
    return roots


WIDE, DEEP, LONG = 60, 6, 40


def _shape(value: Value, depth: int = 0) -> Value:
    """The value, cut to what completion shows: its keys, and short texts."""
    if isinstance(value, dict):
        kept = list(value.items())[:WIDE] if depth < DEEP else []
        return {key: _shape(part, depth + 1) for key, part in kept}
    if isinstance(value, list):
        return [_shape(value[0], depth + 1)] if value and depth < DEEP else []
    if isinstance(value, str):
        return value[:LONG]
    return value


def default_timeout(node_type: NodeType, node: Node) -> str:
    """How long an attempt may take, in words for an empty field."""
    if node.timeout is not None:
        return f"{seconds(node.timeout):g} s"
    return f"{node_type.default_timeout:g} s" if node_type.default_timeout else "no limit"


def schema_of(value: Value) -> Value:
    """A value's types in its own shape, for the tab that shows the schema."""
    if isinstance(value, dict):
        return {key: schema_of(part) for key, part in list(value.items())[:200]}
    if isinstance(value, list):
        return [schema_of(value[0])] if value else []
    names = {str: "text", bool: "true or false", int: "number", float: "number"}
    return names.get(type(value), "null")


def size_of(value: Value) -> int:
    """Bytes of the value's JSON."""
    return len(msgspec.json.encode(value))
