"""What a placed node says of itself on its card: a title, a sign, and a line of plain words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flowfuse.engine.recurrence import parse_recurrence
from flowfuse.errors import ScheduleInvalid
from flowfuse.model import Node
from flowfuse.node import NodeType

FAMILIES = ("trigger", "action", "condition", "loop", "transform", "integration", "guardrail", "ai")

_FAMILY_GLYPHS = {
    "trigger": "bolt", "condition": "branch", "loop": "loop", "transform": "shape",
    "integration": "plug", "guardrail": "shield", "ai": "spark",
}  # fmt: skip
_SIGNS = {
    "fork": "branch", "turn": "loop", "shift": "shape", "hook": "webhook", "hourglass": "wait",
    "reply": "back",
}  # fmt: skip
"""Names that node types use for signs which the sprite has under another one."""
_LENGTH = 90
_EXPRESSION = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_MAY_BREAK = "\u200b"
"""An invisible place for a new line, so that an address fills its two lines."""


def title(node: Node, node_type: NodeType | None) -> str:
    """Its name, else what it is, else its id."""
    return node.name or (node_type.title if node_type is not None else node.id)


def glyph(node: Node, node_type: NodeType | None) -> str:
    """The sign in the tile: the type's own, else the family's."""
    return type_glyph(node.type, node_type)


def type_glyph(name: str, node_type: NodeType | None) -> str:
    """The sign of a type, whether it is known here or not."""
    if node_type is not None and node_type.icon:
        return _SIGNS.get(node_type.icon, node_type.icon)
    return _FAMILY_GLYPHS.get(name.partition(".")[0], "dots")


def summary(node: Node, node_type: NodeType | None) -> str:
    """What this node does, in words made from its config."""
    if node_type is None:
        return f"“{node.type}” is not known here"
    say = _SUMMARIES.get(node.type)
    words = say(node.config) if say is not None else ""
    return _short(words or node_type.summary)


def track(node: Node) -> str:
    """What a while loop goes round for; empty for every other node."""
    return _short(_bare(node.config.get("condition")))[:40] if node.type == "loop.while" else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"


def _bare(value: Any) -> str:
    """A config value for reading: expressions without their braces, a list or object by its size."""
    if isinstance(value, str):
        return _EXPRESSION.sub(r"\1", value.strip())
    if isinstance(value, list):
        return f"{len(value)} items"
    if isinstance(value, dict):
        return f"{len(value)} fields"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _webhook(config: dict[str, Any]) -> str:
    methods = config.get("methods")
    verb = " ".join(methods) if isinstance(methods, list) else "POST"
    path = config.get("path")
    return f"{verb} /hook/{path}" if path else f"{verb} at an address of its own"


def _schedule(config: dict[str, Any]) -> str:
    zone = str(config.get("timezone") or "")
    try:
        recurrence = parse_recurrence(
            cron=config.get("cron", ""), every=config.get("every"), at=config.get("at", ""),
            timezone=zone or "UTC", anchor_us=0,
        )  # fmt: skip
        words = recurrence.words()
    except (ScheduleInvalid, AttributeError, TypeError, ValueError):
        words = str(config.get("cron") or config.get("every") or config.get("at") or "")
    return f"{words}, {zone}" if zone and words else words


def _http(config: dict[str, Any]) -> str:
    place = _bare(config.get("url")).partition("?")[0].removeprefix("https://").removeprefix("http://")
    return f"{config.get('method', 'GET')} {place.replace('/', '/' + _MAY_BREAK)}".strip()


def _wait(config: dict[str, Any]) -> str:
    if config.get("until"):
        return f"Until {_bare(config['until'])}"
    seconds = _bare(config.get("seconds"))
    return f"{seconds} s" if seconds.replace(".", "", 1).isdigit() else seconds


def _respond(config: dict[str, Any]) -> str:
    body = config.get("body")
    return f"Answers {_bare(config.get('status', 200))} with {_bare(body) if body else 'its input'}"


def _code(config: dict[str, Any]) -> str:
    lines = [line for line in str(config.get("source", "")).splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{len(lines)} lines of Python"


def _switch(config: dict[str, Any]) -> str:
    cases = config.get("cases")
    ports = (
        [str(case.get("port", "")) for case in cases if isinstance(case, dict)]
        if isinstance(cases, list)
        else []
    )
    return f"{_bare(config.get('value'))}: {_names(ports)}" if config.get("value") else _names(ports)


def _for_each(config: dict[str, Any]) -> str:
    words = [f"of {_bare(config.get('items'))}"]
    if config.get("batch_size", 1) not in (1, None):
        words.append(f"{config['batch_size']} together")
    if config.get("concurrency", 1) not in (1, None):
        words.append(f"{config['concurrency']} at once")
    policy = {"skip": "leaves failed ones out", "collect": "keeps going on errors"}
    if config.get("on_item_error") in policy:
        words.append(policy[config["on_item_error"]])
    return " · ".join(words)


def _while(config: dict[str, Any]) -> str:
    return f"while {_bare(config.get('condition'))}"


def _set(config: dict[str, Any]) -> str:
    fields = config.get("fields")
    names = _names(list(fields)) if isinstance(fields, dict) else _bare(fields)
    return f"{names}, beside what comes in" if config.get("keep") == "all" else names


def _aggregate(config: dict[str, Any]) -> str:
    operations = config.get("operations")
    names = _names(list(operations)) if isinstance(operations, dict) else ""
    return f"{names} of {_bare(config.get('items'))}" if config.get("items") else names


def _merge(config: dict[str, Any]) -> str:
    ways = {"combine": "Into one object", "append": "Into one list", "join": "Rows that share a key"}
    return ways.get(str(config.get("mode")), "Into an object by node")


_SUMMARIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "trigger.webhook": _webhook,
    "trigger.schedule": _schedule,
    "action.http_request": _http,
    "action.respond": _respond,
    "action.wait": _wait,
    "action.log": lambda config: _bare(config.get("message")),
    "action.fail": lambda config: _bare(config.get("message")),
    "action.code": _code,
    "condition.if": lambda config: _bare(config.get("condition")),
    "condition.switch": _switch,
    "loop.for_each": _for_each,
    "loop.while": _while,
    "transform.set": _set,
    "transform.aggregate": _aggregate,
    "transform.split_out": lambda config: f"of {_bare(config.get('items'))}",
    "transform.merge": _merge,
}
