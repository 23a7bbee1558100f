"""The workflow that is killed: effects one after the other, a wait, a loop with effects at once."""

from __future__ import annotations

from typing import Any


def mark(name: str, step: str, **more: Any) -> dict[str, Any]:
    """A node that leaves a mark with the witness."""
    return {
        "id": name,
        "type": "action.http_request",
        "config": {
            "url": "{{ trigger.body.base }}/mark",
            "query": {"run": "{{ trigger.body.run }}", "step": step},
        },
        **more,
    }


def effects(respond: str = "at_once", path: str = "effects") -> dict[str, Any]:
    """a → (pure) → wait → three at once in a loop → z; its result is the sum over the loop."""
    return {
        "id": path,
        "nodes": [
            {"id": "hook", "type": "trigger.webhook", "config": {"path": path, "respond": respond}},
            mark("a", "a"),
            {"id": "pure", "type": "transform.set", "config": {"fields": {"list": "{{ range(3) }}"}}},
            {"id": "rest", "type": "action.wait", "config": {"seconds": 0.05}},
            {
                "id": "each",
                "type": "loop.for_each",
                "config": {"items": "{{ nodes.pure.list }}", "concurrency": 2, "result": "{{ item * 10 }}"},
            },
            mark("inner", "b{{ index }}"),
            mark("z", "z"),
            {"id": "end", "type": "transform.set", "config": {"fields": {"sum": "{{ sum(nodes.each) }}"}}},
        ],
        "edges": [
            {"from": "hook", "to": "a"},
            {"from": "a", "to": "pure"},
            {"from": "pure", "to": "rest"},
            {"from": "rest", "to": "each"},
            {"from": "each.item", "to": "inner"},
            {"from": "each.done", "to": "z"},
            {"from": "z", "to": "end"},
        ],
    }


STEPS = ("a", "b0", "b1", "b2", "z")
RESULT = {"sum": 30}
