"""A frame: the live values of one scope of one run (the run itself, or one round of a loop's body).

It is what expressions see (`flowfuse.expression.Env`), and the only mutable state of the graph's walk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowfuse.model import Value

if TYPE_CHECKING:
    from flowfuse.engine.plan import NodePlan, ScopePlan
    from flowfuse.engine.run import Run


class _Unfired:
    """Stands where a node has given no value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNFIRED"


UNFIRED: Any = _Unfired()


class Frame:
    """The values, and what is still open, of one scope."""

    __slots__ = (
        "active", "arrived", "error", "extra", "fired", "index", "inline", "input", "item", "loop", "meter",
        "node", "now_us", "open", "parent", "path", "pending", "run", "scope", "sources", "timezone",
        "trigger", "values",
    )  # fmt: skip

    def __init__(self, scope: ScopePlan, run: Run, parent: Frame | None, path: tuple[int, ...]) -> None:
        self.scope = scope
        self.run = run
        self.parent = parent
        self.path = path
        self.values = scope.values[:]
        self.pending = scope.pending[:]
        self.fired = scope.fired[:]
        self.arrived = scope.values[:]
        self.open = scope.size
        self.active = 0
        self.sources: dict[int, list[tuple[str, Value]]] = {}
        self.error: Any = None
        self.loop: Any = None
        self.node: NodePlan | None = None
        self.input: Value = None
        self.item: Value = None
        self.index = 0
        self.now_us = 0
        self.inline = True
        self.meter: Any = None
        self.extra: dict[str, Value] = {}
        self.trigger = run.trigger_value
        self.timezone = run.timezone

    def seed(self) -> bytes:
        """What uuid() and random_int() of the running node start from."""
        name = self.node.id if self.node is not None else self.scope.name
        return b"%b|%b|%b" % (self.run.root, name.encode(), self.path_text.encode())

    def arrivals(self) -> list[tuple[str, Value]]:
        """(source node, value) of each edge that fired into the running node, in the document's order."""
        assert self.node is not None
        found = self.sources.get(self.node.slot)
        return found if found is not None else [(self.node.only_source, self.input)]

    @property
    def path_text(self) -> str:
        """The loop path with rounds, such as `each:3/inner:0`; empty in the run's own scope."""
        return path_text(self.scope, self.path)

    def copy_for_thread(self, node: NodePlan) -> Frame:
        """A frame to evaluate one node of in a worker thread: same values, own scratch fields."""
        twin = Frame.__new__(Frame)
        for name in Frame.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.node, twin.inline, twin.meter = node, False, None
        return twin


def path_text(scope: ScopePlan, path: tuple[int, ...]) -> str:
    """The text form of a loop path in that scope."""
    parts: list[str] = []
    current: ScopePlan | None = scope
    for number in reversed(path):
        if current is None:
            break
        parts.append(f"{current.name}:{number}")
        current = current.parent
    return "/".join(reversed(parts))


def halted(frame: Frame | None) -> bool:
    """Whether nothing new may start in the frame: it, or a frame or loop around it, has failed."""
    while frame is not None:
        if frame.error is not None or (frame.loop is not None and frame.loop.stopping):
            return True
        frame = frame.parent
    return False


def scope_result(frame: Frame) -> Value:
    """The value of the scope's end node that fired; several: an object by node id; none: null."""
    fired = [node for node in frame.scope.ends if frame.values[node.slot] is not UNFIRED]
    if len(fired) == 1:
        return frame.values[fired[0].slot]
    return {node.id: frame.values[node.slot] for node in fired} or None
