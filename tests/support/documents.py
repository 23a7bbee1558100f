"""Random valid workflow documents, of any source of randomness.

With hypothesis's own `Random` (`st.randoms()`) they are a strategy that shrinks; with a seeded one
they come by the thousand.

What a document may read is limited to what the contract determines: behind an `any` join only `input`
is read, since which of its other ancestors have fired there is a matter of time.
"""

from __future__ import annotations

from random import Random
from typing import Any

from flowfuse import document
from flowfuse.model import Value, Workflow

PURE = ("set", "set", "set", "if", "switch", "log", "merge", "aggregate", "respond", "fail", "wait")

TYPES = {
    "set": "transform.set",
    "if": "condition.if",
    "switch": "condition.switch",
    "log": "action.log",
    "merge": "transform.merge",
    "aggregate": "transform.aggregate",
    "respond": "action.respond",
    "fail": "action.fail",
    "wait": "action.wait",
    "effect": "test.effect",
    "detached": "test.detached",
    "for_each": "loop.for_each",
    "while": "loop.while",
}


class Outlet:
    """A port that edges can leave from, and what may be read behind it."""

    def __init__(self, port: str, seen: frozenset[str]) -> None:
        self.port, self.seen = port, seen


class Builder:
    """Draws one document."""

    def __init__(self, random: Random, *, size: int, effects: bool) -> None:
        self.random = random
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[dict[str, str]] = []
        self.left = size
        self.effects = effects

    def one(self, *choices: Any) -> Any:
        return choices[self.random.randrange(len(choices))]

    def rarely(self) -> bool:
        return self.random.randrange(8) == 7

    def document(self) -> Workflow:
        triggers = ["start", *(["other"] if self.rarely() else [])]
        for name in triggers:
            self.nodes.append({"id": name, "type": "trigger.manual"})
        self.scope([Outlet(f"{name}.main", frozenset([name])) for name in triggers], frozenset(), [])
        self.random.shuffle(self.edges)
        return document.from_raw({"id": "random", "nodes": self.nodes, "edges": self.edges})

    def scope(self, outlets: list[Outlet], outer: frozenset[str], loops: list[str]) -> list[str]:
        """The nodes of one scope; the names of its own nodes."""
        own: list[str] = []
        count = self.random.randint(0 if loops else 1, 5 if loops else 8)
        for _ in range(count):
            if self.left <= 0:
                break
            self.left -= 1
            own.append(self.node(outlets, outer, loops))
        return own

    def node(self, outlets: list[Outlet], outer: frozenset[str], loops: list[str]) -> str:
        name = f"n{len(self.nodes)}"
        node: dict[str, Any] = {"id": name}
        self.nodes.append(node)
        count = self.one(1, 1, 2, 2, 3)
        # The newest outlet is taken often, so that graphs are deep and not only wide.
        sources = [outlets[-1]] if self.one(True, False) else []
        while len(sources) < min(count, len(outlets)):
            source = self.one(*outlets)
            if source not in sources:
                sources.append(source)
        self.edges += [{"from": source.port, "to": name} for source in sources]
        join = self.one("all", "all", "all", "any") if len(sources) > 1 else "all"
        if join == "any":
            node["join"] = join
            seen = outer
        else:
            seen = outer.union(*(source.seen for source in sources))
        self.kind(node, name, seen, outlets, loops)
        return name

    def kind(
        self, node: dict[str, Any], name: str, seen: frozenset[str], outlets: list[Outlet], loops: list[str]
    ) -> None:
        kinds = [*PURE]
        if self.effects:
            kinds += ["effect"] * 4 + ["detached"] * 2
        if len(loops) < 2 and self.left > 0:
            kinds += ["for_each"] * 3 + ["while"]
        kind = self.one(*kinds)
        config = getattr(self, f"_{kind}")(node, seen, loops)
        node["type"], node["config"] = TYPES[kind], config
        if self.rarely() and kind != "wait":
            node["disabled"] = True
        ports = self.ports(node, kind)
        if kind not in ("for_each", "while", "if", "switch", "fail") and self.rarely():
            node["on_error"] = "continue"
        elif self.one(False, False, False, False, True):
            node["on_error"] = "route"
            ports.append("error")
        outlets += [Outlet(f"{name}.{port}", seen | {name}) for port in ports]
        if kind in ("for_each", "while"):
            self.body(node, name, seen, loops)

    def body(self, node: dict[str, Any], name: str, seen: frozenset[str], loops: list[str]) -> None:
        inside = [*loops, name]
        own = self.scope([Outlet(f"{name}.item", frozenset())], seen, inside)
        if self.one(False, False, True):
            read = self.one(*own) if own else None
            choices = ["{{ index }}", "{{ get(item, 'n', 4) }}"]
            if read is not None:
                choices += [f"{{{{ get(nodes.{read}, 'n', 7) }}}}", f"{{{{ nodes.{read} }}}}"]
            node["config"]["result"] = self.one(*choices)

    def ports(self, node: dict[str, Any], kind: str) -> list[str]:
        if kind == "if":
            return ["true", "false"]
        if kind == "switch":
            return [*(case["port"] for case in node["config"]["cases"]), "default"]
        if kind == "fail":
            return []
        return ["done"] if kind in ("for_each", "while") else ["main"]

    def expression(self, seen: frozenset[str], loops: list[str]) -> Value:
        choices = ["{{ input }}", "{{ get(input, 'n', 3) }}", "{{ get(input, 'n', 0) + 1 }}", "{{ trigger }}"]
        if self.rarely():
            choices = ["{{ input.n }}", "{{ input + 1 }}", "{{ 10 ** 12 ** 2 }}"]
        if seen:
            read = self.one(*sorted(seen))
            choices += [f"{{{{ get(nodes.{read}, 'n', 2) }}}}", f"{{{{ nodes.{read} }}}}"]
        if loops:
            choices += ["{{ item }}", "{{ index }}", f"{{{{ loops.{loops[0]}.index }}}}"]
            choices += [f"{{{{ loops.{loops[-1]}.item }}}}"]
        if self.one(False, True):
            return self.one(*choices)
        return values(self.random)

    def condition(self, seen: frozenset[str], loops: list[str]) -> Value:
        choices: list[Value] = ["{{ get(input, 'n', 1) > 2 }}", "{{ get(trigger, 'n', 1) > 2 }}", True, False]
        if loops:
            choices += ["{{ index % 2 == 0 }}"]
        return self.one(*choices)

    def _set(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        config = {"fields": {"n": self.expression(seen, loops)}}
        return {**config, "keep": "all"} if self.rarely() else config

    def _if(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        return {"condition": self.condition(seen, loops)}

    def _switch(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        cases = [{"port": "a", "when": self.condition(seen, loops)}, {"port": "b", "equals": 2}]
        return {"value": self.expression(seen, loops), "cases": cases[: self.one(2, 1, 0)]}

    def _log(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        return {"message": self.expression(seen, loops)}

    def _merge(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        return {"mode": self.one("object", "append", "combine")}

    def _aggregate(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        operation = self.one("count", "list", "unique", "last")
        return {"items": self.items(seen, loops), "operations": {"n": {"op": operation}}}

    def _respond(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        return {"body": self.expression(seen, loops)}

    def _fail(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        return {"message": "no", "code": self.one("bad", "worse")}

    def _wait(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        return {"seconds": self.one(0, 0.001, 1, 60, 86400)}

    def _effect(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "value": self.expression(seen, loops),
            "seconds": self.one(0, 0, 0.001, 0.01, 1),
        }
        if self.one(False, False, True):
            node["retry"] = {"attempts": self.one(1, 2, 3), "initial": self.one(0, 0.01, 5)}
        if self.one(False, False, True):
            config["fails"] = self.one(1, 2, 3)
            config["failure"] = self.one("remote", "remote", "refused", "defect")
        if self.rarely():
            node["timeout"] = 2
            config["slow_attempts"] = 1
        return config

    _detached = _effect

    def items(self, seen: frozenset[str], loops: list[str]) -> Value:
        if self.rarely():
            return self.expression(seen, loops)
        return self.one([], [1], [{"n": 1}, {"n": 5}, 3], "{{ range(4) }}", "{{ [input, 2] }}")

    def _for_each(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        config: dict[str, Any] = {"items": self.items(seen, loops)}
        if self.one(False, True):
            config["concurrency"] = self.one(2, 3, 10)
        if self.rarely():
            config["batch_size"] = 2
        mode = self.one("fail", "fail", "skip", "collect")
        return config if mode == "fail" else {**config, "on_item_error": mode}

    def _while(self, node: Any, seen: frozenset[str], loops: list[str]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "condition": self.one("{{ index < 2 }}", "{{ index < 2 }}", "{{ get(item, 'n', 9) < 4 }}"),
            "initial": self.expression(seen, loops),
        }
        return {**config, "max_rounds": 3}


def documents(random: Random, size: int = 14, *, effects: bool = True) -> Workflow:
    """A valid document."""
    return Builder(random, size=size, effects=effects).document()


def values(random: Random) -> Value:
    """A small value of any kind."""
    choices: tuple[Value, ...] = (
        None,
        True,
        0,
        1,
        2,
        5,
        -3,
        "",
        "ein Wort",
        [],
        [1, 2, 3],
        [{"n": 2}, 4],
        {"n": 1},
        {"n": 4},
        {"m": [None]},
    )
    return choices[random.randrange(len(choices))]
