"""Short forms for documents and runs in tests."""

from __future__ import annotations

from typing import Any

from flowfuse import document
from flowfuse.model import ExecutionDetail, NodeRun, Value, Workflow
from tests.support.simulation import Engine

FOREVER = 10.0**8
_FIELDS = ("join", "retry", "timeout", "on_error", "on_interrupted", "disabled", "pinned", "credential")


def node(name: str, kind: str, **given: Any) -> dict[str, Any]:
    """A placed node: fields of the document by their names, all else is its config."""
    fields = {key: given.pop(key) for key in _FIELDS if key in given}
    return {"id": name, "type": kind, "config": given, **fields}


def effect(name: str, **given: Any) -> dict[str, Any]:
    """A node with effects; it gives its own name where nothing is said."""
    return node(name, "test.effect", **{"value": name, **given})


def put(name: str, value: Value = None, **given: Any) -> dict[str, Any]:
    """A pure node that gives `{v: value}`."""
    return node(name, "transform.set", fields={"v": value}, **given)


def each(name: str, items: Value, **given: Any) -> dict[str, Any]:
    """A loop over items."""
    return node(name, "loop.for_each", items=items, **given)


def flow(*nodes: dict[str, Any], edges: str = "", triggers: str = "start", **settings: Any) -> Workflow:
    """A document: `edges` is text such as `start>a a.error>b`."""
    starts = [{"id": name, "type": "trigger.manual"} for name in triggers.split()]
    pairs = [edge.split(">") for edge in edges.split()]
    return document.from_raw(
        {
            "id": "flow",
            "settings": settings,
            "nodes": [*starts, *nodes],
            "edges": [{"from": source, "to": target} for source, target in pairs],
        }
    )


def run(
    engine: Engine,
    workflow: Workflow,
    value: Value = None,
    *,
    trigger: str | None = None,
    mode: str = "production",
) -> ExecutionDetail:
    """Run a document to its end."""
    started = engine.start(workflow, value, trigger=trigger, mode=mode)
    engine.finish(started.id, limit=FOREVER)
    return engine.detail(started.id)


def of(detail: ExecutionDetail, name: str, path: str = "") -> NodeRun:
    """What one node did. Raises StopIteration where it did nothing."""
    return next(each for each in detail.nodes if (each.node, each.path) == (name, path))


def ran(detail: ExecutionDetail) -> list[str]:
    """The names of the nodes that have ended, each once."""
    return list(dict.fromkeys(each.node for each in detail.nodes if each.state in ("done", "failed")))
