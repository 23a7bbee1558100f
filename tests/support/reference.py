"""A small interpreter of workflow documents, written from the contract alone and made to be obvious.

It knows no time, no commits and no crashes. Where the contract leaves something to the order of
concurrent branches (which of two came first), it asks an `Oracle`, which answers from what the engine
recorded, and refuses an answer that is not among the possible ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from flowfuse.errors import ExpressionFailed, LoopLimit, NodeFailed, NodeTimeout
from flowfuse.expression import Unfired, compile_value
from flowfuse.model import Edge, Node, Value, Workflow, json_bytes, seconds

Place = tuple[str, str]
"""(node, loop path)"""


class Fault(msgspec.Struct, frozen=True):
    """An error as far as the contract determines it."""

    code: str
    node: str
    attempt: int = 1


class Left(msgspec.Struct, frozen=True):
    """How a node was left: by which port (None: it failed for good), with which value."""

    state: str
    port: str | None
    value: Value
    input: Value = None


class Oracle:
    """Says what came first where several orders are right. `None`: the first will do."""

    def first_source(self, sources: list[Place]) -> int:
        """Which of the nodes was done first."""
        return 0

    def loop_error(self, place: Place, possible: list[Fault]) -> Fault:
        """With which of the errors of its rounds a loop failed."""
        return possible[0]

    def round_error(self, place: Place, number: int, possible: list[Fault]) -> Fault:
        """With which of the errors of its nodes a round failed."""
        return possible[0]

    def first_respond(self, places: list[Place]) -> int | None:
        """Which respond node was first, where any was."""
        return 0


class Report(msgspec.Struct):
    """What a run of the document gives."""

    failures: list[Fault]
    result: Value
    certain: dict[Place, Left]
    possible: dict[Place, Left]
    effects: dict[Place, int]
    """Attempts of each effect, those of `possible` nodes too."""


class Scope:
    """The run, or one round of a loop."""

    def __init__(self, names: list[str], parent: Scope | None, path: str, item: Value, index: int) -> None:
        self.names, self.parent, self.path = names, parent, path
        self.item, self.index = item, index
        self.loop = ""
        self.left: dict[str, Left] = {}
        self.skipped: set[str] = set()
        self.errors: list[Fault] = []

    def find(self, node: str) -> Scope | None:
        scope: Scope | None = self
        while scope is not None and node not in scope.names:
            scope = scope.parent
        return scope


class Here:
    """The running node, as expressions see it."""

    inline, meter, now_us, timezone = False, None, 0, "UTC"

    def __init__(self, run: Reference, scope: Scope, node: str, value: Value) -> None:
        self.run, self.scope, self.node, self.input = run, scope, node, value

    def seed(self) -> bytes:
        return b""


class ReferenceNames:
    """What names mean: looked up by name in the scopes, at each evaluation."""

    def name(self, name: str) -> Callable[[Any], Value]:
        return {
            "trigger": lambda here: here.run.value,
            "input": lambda here: here.input,
            "item": lambda here: here.scope.item,
            "index": lambda here: here.scope.index,
            "vars": lambda here: here.run.workflow.settings.variables,
        }[name]

    def node(self, id: str) -> Callable[[Any], Value]:
        def value(here: Any) -> Value:
            scope = here.scope.find(id)
            if scope is None or id not in scope.left:
                raise Unfired(reason=id)
            return scope.left[id].value

        return value

    def loop(self, id: str) -> tuple[Callable[[Any], Value], Callable[[Any], Value]]:
        def round_of(here: Any) -> Scope:
            scope = here.scope
            while scope.loop != id:
                scope = scope.parent
            return scope

        return lambda here: round_of(here).item, lambda here: round_of(here).index


_NAMES = ReferenceNames()


class Reference:
    """Runs one document once."""

    def __init__(self, workflow: Workflow, value: Value, trigger: str, oracle: Oracle) -> None:
        self.workflow, self.value, self.trigger, self.oracle = workflow, value, trigger, oracle
        self.nodes: dict[str, Node] = {n.id: n for n in workflow.nodes}
        self.edges: list[Edge] = workflow.edges
        self.triggers = [n for n in self.nodes if self._is_trigger(n) and not self.nodes[n].disabled]
        self.reached = self._reach(self.triggers)
        self.bodies = {n: self._body(n) for n in self.nodes if self._is_loop(n)}
        self.certain: dict[Place, Left] = {}
        self.possible: dict[Place, Left] = {}
        self.effects: dict[Place, int] = {}
        self.responds: list[Place] = []

    def run(self) -> Report:
        """The whole run."""
        scope = Scope(self._members(""), None, "", None, 0)
        for trigger in self.triggers:
            if trigger == self.trigger:
                scope.left[trigger] = Left("done", "main", self.value, self.value)
            else:
                scope.skipped.add(trigger)
        self._walk(scope)
        self._keep(scope, certain=not scope.errors)
        if scope.errors:
            self.possible |= self.certain
            self.certain = {}
        result = None if scope.errors else self._result_of(scope)
        chosen = self.oracle.first_respond(self.responds) if self.responds and not scope.errors else None
        if chosen is not None:
            place = self.responds[chosen]
            result = (self.certain.get(place) or self.possible[place]).value
        return Report(scope.errors, result, self.certain, self.possible, self.effects)

    # -- the graph

    def _is_trigger(self, node: str) -> bool:
        return self.nodes[node].type.startswith("trigger.")

    def _is_loop(self, node: str) -> bool:
        return self.nodes[node].type.startswith("loop.")

    def _reach(self, starts: Iterable[str], without: str = "") -> set[str]:
        """What the starts lead to, without going through the port `item` of one loop."""
        seen = set(starts)
        while True:
            more = {
                e.target
                for e in self.edges
                if e.node in seen and not (e.node == without and e.port == "item") and e.target not in seen
            }
            if not more:
                return seen
            seen |= more

    def _body(self, loop: str) -> set[str]:
        inside = self._reach(e.target for e in self.edges if e.node == loop and e.port == "item")
        return inside - self._reach(self.triggers, without=loop)

    def _owner(self, node: str) -> str:
        """The innermost loop around a node; empty for the run."""
        around = [loop for loop, body in self.bodies.items() if node in body]
        return min(around, key=lambda loop: len(self.bodies[loop]), default="")

    def _members(self, owner: str) -> list[str]:
        """A scope's own nodes, each behind those that lead to it."""
        left = [n for n in self.nodes if n in self.reached and self._owner(n) == owner]
        order: list[str] = []
        while left:
            node = next(n for n in left if not any(e.node in left for e in self.edges if e.target == n))
            order.append(node)
            left.remove(node)
        return order

    # -- one scope

    def _walk(self, scope: Scope) -> None:
        """Run every node of the scope whose turn comes. A node that fails for good blocks what is behind."""
        for name in scope.names:
            if name in scope.left or name in scope.skipped:
                continue
            fired, undecided = self._arrivals(scope, name)
            node = self.nodes[name]
            if undecided and not (node.join == "any" and fired):
                continue
            if not fired:
                scope.skipped.add(name)
                continue
            if node.join == "any":
                places = [(source, scope.path) for source, _ in fired]
                chosen = self.oracle.first_source(places) if len(fired) > 1 else 0
                fired = [fired[chosen]]
            self._run_node(scope, node, fired)

    def _arrivals(self, scope: Scope, name: str) -> tuple[list[tuple[str, Value]], bool]:
        """(source, value) of the edges that fired, and whether some may be decided never."""
        fired: list[tuple[str, Value]] = []
        undecided = False
        for edge in self.edges:
            if edge.target != name or edge.node not in self.reached:
                continue
            if edge.node == scope.loop and edge.port == "item":
                fired.append((edge.node, scope.item))
            elif edge.node in scope.left and scope.left[edge.node].port is not None:
                if scope.left[edge.node].port == edge.port:
                    fired.append((edge.node, scope.left[edge.node].value))
            elif edge.node not in scope.skipped:
                undecided = True
        return fired, undecided

    def _run_node(self, scope: Scope, node: Node, fired: list[tuple[str, Value]]) -> None:
        value = fired[0][1] if len(fired) == 1 else dict(fired)
        place = (node.id, scope.path)
        try:
            if node.disabled:
                port, output = _first_port(node), value
            elif self._is_loop(node.id):
                port, output = self._loop(scope, node, value)
                check_json(output)
            else:
                here = Here(self, scope, node.id, value)
                port, output = _TYPES[node.type](self, here, node, fired)
                check_json(output)
        except LoopFailed as failed:
            self._failed(scope, node, value, failed.possible)
            return
        except NodeFailed as error:
            attempt = error.parameters.get("attempt", 1)
            code = str(error.parameters.get("custom") or error.code)
            self._failed(scope, node, value, [Fault(code, node.id, attempt)])
            return
        scope.left[node.id] = Left("done", port, output, value)
        if node.type == "action.respond" and not node.disabled:
            self.responds.append(place)

    def _failed(self, scope: Scope, node: Node, value: Value, possible: list[Fault]) -> None:
        if node.on_error == "fail":
            scope.errors += possible
            scope.left[node.id] = Left("failed", None, None, value)
            return
        fault = possible[0]
        if len(possible) > 1:
            fault = self.oracle.loop_error((node.id, scope.path), possible)
        if node.on_error == "continue":
            scope.left[node.id] = Left("failed", "main", {"error": fault}, value)
        else:
            scope.left[node.id] = Left("failed", "error", {"error": fault, "input": value}, value)

    def _keep(self, scope: Scope, *, certain: bool) -> None:
        kept = self.certain if certain else self.possible
        for node, left in scope.left.items():
            kept[(node, scope.path)] = left

    def _result_of(self, scope: Scope) -> Value:
        ends = [
            n for n in scope.names if not any(e.node == n and e.target in scope.names for e in self.edges)
        ]
        fired = {n: scope.left[n].value for n in ends if n in scope.left}
        if len(fired) == 1:
            return next(iter(fired.values()))
        return fired or None

    def evaluate(self, here: Here, value: Value) -> Value:
        """A config value with its expressions worked out."""
        closure, problems = compile_value(value, _NAMES, "")
        assert not problems, problems
        return closure.evaluate(here)  # type: ignore[arg-type]

    # -- loops

    def _loop(self, scope: Scope, node: Node, value: Value) -> tuple[str, Value]:
        here = Here(self, scope, node.id, value)
        if node.type == "loop.while":
            return "done", self._while(here, node)
        items = self.evaluate(here, node.config["items"])
        if not isinstance(items, list):
            raise ExpressionFailed(reason="items")
        check_json(items)
        size = node.config.get("batch_size", 1)
        batches = items if size == 1 else [items[i : i + size] for i in range(0, len(items), size)]
        results, errors, faults = [], [], []
        mode = node.config.get("on_item_error", "fail")
        for number, item in enumerate(batches):
            result, possible = self._round(here, node, number, item)
            if not possible:
                results.append(result)
            elif mode == "collect":
                place = (node.id, scope.path)
                chosen = possible[0]
                if len(possible) > 1:
                    chosen = self.oracle.round_error(place, number, possible)
                errors.append({"index": number, "error": chosen})
            elif mode == "fail":
                faults += possible
                if node.config.get("concurrency", 1) == 1:
                    break
        if faults:
            if node.config.get("concurrency", 1) > 1:
                self._doubt(f"{scope.path}/{node.id}" if scope.path else node.id, ":")
            raise LoopFailed(faults)
        return "done", {"results": results, "errors": errors} if mode == "collect" else results

    def _while(self, here: Here, node: Node) -> Value:
        state = self.evaluate(here, node.config.get("initial"))
        check_json(state)
        number = 0
        while True:
            ask = Scope([], here.scope, "", state, number)
            ask.loop = node.id
            if not self.evaluate(Here(self, ask, node.id, state), node.config["condition"]):
                return state
            if number >= node.config.get("max_rounds", 1000):
                raise LoopLimit(limit=0)
            state, possible = self._round(here, node, number, state)
            if possible:
                raise LoopFailed(possible)
            number += 1

    def _round(self, here: Here, node: Node, number: int, item: Value) -> tuple[Value, list[Fault]]:
        outer = here.scope.path
        path = f"{outer}/{node.id}:{number}" if outer else f"{node.id}:{number}"
        scope = Scope(self._members(node.id), here.scope, path, item, number)
        scope.loop = node.id
        self._walk(scope)
        self._keep(scope, certain=not scope.errors)
        if scope.errors:
            self._doubt(path, "/")
            return None, scope.errors
        if "result" not in node.config:
            return self._result_of(scope), []
        try:
            value = self.evaluate(Here(self, scope, "", item), node.config["result"])
            check_json(value)
            return value, []
        except NodeFailed as error:
            return None, [Fault(str(error.parameters.get("custom") or error.code), node.id)]

    def _doubt(self, path: str, sign: str) -> None:
        """Something under this path failed beside other branches: how far those came is not determined."""
        for place in [p for p in self.certain if p[1] == path or p[1].startswith(path + sign)]:
            self.possible[place] = self.certain.pop(place)


class LoopFailed(NodeFailed):
    """Rounds of a loop failed; which was first is not determined."""

    def __init__(self, possible: list[Fault]) -> None:
        super().__init__()
        self.possible = possible


def check_json(value: Value, attempt: int = 1) -> None:
    """Refuse what is not a JSON value."""
    if isinstance(value, float) and not math.isfinite(value):
        raise NodeFailed(custom="output_invalid", attempt=attempt)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise NodeFailed(custom="output_invalid", attempt=attempt)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_json(inner, attempt)


def _first_port(node: Node) -> str:
    if node.type.startswith("loop."):
        return "done"
    if node.type == "condition.if":
        return "true"
    if node.type == "condition.switch":
        return str(node.config["cases"][0]["port"]) if node.config["cases"] else "default"
    return "main"


def _set(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    fields = run.evaluate(here, node.config["fields"])
    if node.config.get("keep") == "all":
        if not isinstance(here.input, dict):
            raise ExpressionFailed(reason="keep")
        return "main", {**here.input, **fields}
    return "main", fields


def _if(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    return ("true" if run.evaluate(here, node.config["condition"]) else "false"), here.input


def _switch(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    value = run.evaluate(here, node.config.get("value"))
    for case in node.config["cases"]:
        if "when" in case:
            hit = bool(run.evaluate(here, case["when"]))
        else:
            equals = run.evaluate(here, case["equals"])
            hit = value == equals and isinstance(value, bool) == isinstance(equals, bool)
        if hit:
            return case["port"], here.input
    return "default", here.input


def _merge(run: Reference, here: Here, node: Node, fired: list[tuple[str, Value]]) -> tuple[str, Value]:
    mode = node.config.get("mode", "object")
    if mode == "object":
        return "main", dict(fired)
    if mode == "append":
        return "main", [x for _, v in fired for x in (v if isinstance(v, list) else [v])]
    merged: dict[str, Value] = {}
    for _, value in fired:
        if not isinstance(value, dict):
            raise ExpressionFailed(reason="combine")
        merged.update(value)
    return "main", merged


def _log(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    run.evaluate(here, node.config["message"])
    return "main", here.input


def _fail(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    run.evaluate(here, node.config["message"])
    raise NodeFailed(custom=node.config.get("code", "stopped"))


def _respond(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    return "main", run.evaluate(here, node.config.get("body"))


def _wait(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    run.evaluate(here, node.config["seconds"])
    return "main", here.input


def _aggregate(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    items = run.evaluate(here, node.config["items"])
    if not isinstance(items, list):
        raise ExpressionFailed(reason="items")
    operations: dict[str, Callable[[list[Value]], Value]] = {
        "count": len,
        "list": list,
        "unique": lambda found: list({json_bytes(v): v for v in reversed(found)}.values())[::-1],
        "last": lambda found: found[-1] if found else None,
    }
    return "main", {name: operations[o["op"]](items) for name, o in node.config["operations"].items()}


def _effect(run: Reference, here: Here, node: Node, fired: Any) -> tuple[str, Value]:
    params = run.evaluate(here, node.config)
    limit = None if node.timeout is None else seconds(node.timeout)
    attempts = node.retry.attempts if node.retry is not None else 1
    for attempt in range(1, attempts + 1):
        if node.type == "test.effect":
            run.effects[(node.id, here.scope.path)] = attempt
        length = 3600.0 if attempt <= params.get("slow_attempts", 0) else params.get("seconds", 0)
        if limit is not None and length > limit:
            if attempt == attempts:
                raise NodeTimeout(seconds=limit, attempt=attempt)
        elif attempt <= params.get("fails", 0):
            failure = params.get("failure", "remote")
            if failure != "remote" or attempt == attempts:
                raise NodeFailed(custom=_CODES[failure], attempt=attempt)
        else:
            check_json(params.get("value"), attempt)
            return "main", params.get("value")
    raise AssertionError("an effect ends by its last attempt")


_CODES = {"remote": "remote_error", "refused": "stopped", "defect": "internal"}
_TYPES: dict[str, Callable[[Reference, Here, Node, Any], tuple[str, Value]]] = {
    "transform.set": _set,
    "condition.if": _if,
    "condition.switch": _switch,
    "transform.merge": _merge,
    "transform.aggregate": _aggregate,
    "action.log": _log,
    "action.fail": _fail,
    "action.respond": _respond,
    "action.wait": _wait,
    "test.effect": _effect,
    "test.detached": _effect,
}
