"""What a placed node says of itself on its card: a title, a sign, and a line of plain words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flowfuse.engine.recurrence import parse_recurrence
from flowfuse.errors import ScheduleInvalid
from flowfuse.model import Node
from flowfuse.node import NodeType
from flowfuse.pages.language import say, say_count
from flowfuse.pages.schedule_words import schedule_words

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


def title(node: Node, node_type: NodeType | None, language: str = "en") -> str:
    """Its name, else what it is, else its id."""
    return node.name or (say(language, node_type.title) if node_type is not None else node.id)


def glyph(node: Node, node_type: NodeType | None) -> str:
    """The sign in the tile: the type's own, else the family's."""
    return type_glyph(node.type, node_type)


def type_glyph(name: str, node_type: NodeType | None) -> str:
    """The sign of a type, whether it is known here or not."""
    if node_type is not None and node_type.icon:
        return _SIGNS.get(node_type.icon, node_type.icon)
    return _FAMILY_GLYPHS.get(name.partition(".")[0], "dots")


def summary(node: Node, node_type: NodeType | None, language: str = "en") -> str:
    """What this node does, in words made from its config."""
    told = Told(language)
    if node_type is None:
        return told("“{type}” is not known here", type=node.type)
    describe = _SUMMARIES.get(node.type)
    words = describe(node.config, told) if describe is not None else ""
    return _short(words or told(node_type.summary))


def track(node: Node) -> str:
    """What a while loop goes round for; empty for every other node."""
    if node.type != "loop.while":
        return ""
    return _short(_bare(node.config.get("condition"), Told("en")))[:40]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"


class Told:
    """Says things in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, text: str, **values: Any) -> str:
        return say(self.language, text, **values)

    def counted(self, one: str, many: str, number: int) -> str:
        """The form that fits the number."""
        return say_count(self.language, one, many, number)


def _bare(value: Any, told: Told) -> str:
    """A config value for reading: expressions without their braces, a list or object by its size."""
    if isinstance(value, str):
        return _EXPRESSION.sub(r"\1", value.strip())
    if isinstance(value, list):
        return told.counted("{n} item", "{n} items", len(value))
    if isinstance(value, dict):
        return told.counted("{n} field", "{n} fields", len(value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _names(names: list[str], told: Told) -> str:
    shown = ", ".join(names[:3])
    more = len(names) - 3
    return f"{shown} {told.counted('and {n} more', 'and {n} more', more)}" if more > 0 else shown


def _webhook(config: dict[str, Any], told: Told) -> str:
    methods = config.get("methods")
    verb = " ".join(methods) if isinstance(methods, list) else "POST"
    path = config.get("path")
    return f"{verb} /hook/{path}" if path else told("{verb} at an address of its own", verb=verb)


def _schedule(config: dict[str, Any], told: Told) -> str:
    zone = str(config.get("timezone") or "")
    try:
        recurrence = parse_recurrence(
            cron=config.get("cron", ""), every=config.get("every"), at=config.get("at", ""),
            timezone=zone or "UTC", anchor_us=0,
        )  # fmt: skip
        words = schedule_words(recurrence, told.language)
    except (ScheduleInvalid, AttributeError, TypeError, ValueError):
        words = str(config.get("cron") or config.get("every") or config.get("at") or "")
    return f"{words}, {zone}" if zone and words else words


def _http(config: dict[str, Any], told: Told) -> str:
    place = _bare(config.get("url"), told).partition("?")[0].removeprefix("https://").removeprefix("http://")
    return f"{config.get('method', 'GET')} {place.replace('/', '/' + _MAY_BREAK)}".strip()


def _wait(config: dict[str, Any], told: Told) -> str:
    if config.get("until"):
        return told("Until {time}", time=_bare(config["until"], told))
    seconds = _bare(config.get("seconds"), told)
    return f"{seconds} s" if seconds.replace(".", "", 1).isdigit() else seconds


def _respond(config: dict[str, Any], told: Told) -> str:
    body, status = config.get("body"), _bare(config.get("status", 200), told)
    shown = _bare(body, told) if body else told("its input")
    return told("Answers {status} with {body}", status=status, body=shown)


def _code(config: dict[str, Any], told: Told) -> str:
    lines = [line for line in str(config.get("source", "")).splitlines() if line.strip()]
    if len(lines) == 1:
        return lines[0]
    return told.counted("{n} line of Python", "{n} lines of Python", len(lines))


def _switch(config: dict[str, Any], told: Told) -> str:
    cases = config.get("cases")
    ports = (
        [str(case.get("port", "")) for case in cases if isinstance(case, dict)]
        if isinstance(cases, list)
        else []
    )
    names = _names(ports, told)
    return f"{_bare(config.get('value'), told)}: {names}" if config.get("value") else names


def _of(config: dict[str, Any], told: Told) -> str:
    return told("of {items}", items=_bare(config.get("items"), told))


def _for_each(config: dict[str, Any], told: Told) -> str:
    words = [_of(config, told)]
    if config.get("batch_size", 1) not in (1, None):
        words.append(told("{number} together", number=config["batch_size"]))
    if config.get("concurrency", 1) not in (1, None):
        words.append(told("{number} at once", number=config["concurrency"]))
    if config.get("on_item_error") in _POLICIES:
        words.append(told(_POLICIES[config["on_item_error"]]))
    return " · ".join(words)


_POLICIES = {"skip": "leaves failed ones out", "collect": "keeps going on errors"}


def _while(config: dict[str, Any], told: Told) -> str:
    return told("while {condition}", condition=_bare(config.get("condition"), told))


def _set(config: dict[str, Any], told: Told) -> str:
    fields = config.get("fields")
    names = _names(list(fields), told) if isinstance(fields, dict) else _bare(fields, told)
    return told("{names}, beside what comes in", names=names) if config.get("keep") == "all" else names


def _aggregate(config: dict[str, Any], told: Told) -> str:
    operations = config.get("operations")
    names = _names(list(operations), told) if isinstance(operations, dict) else ""
    return f"{names} {_of(config, told)}" if config.get("items") else names


def _merge(config: dict[str, Any], told: Told) -> str:
    return told(_WAYS_TO_MERGE.get(str(config.get("mode")), "Into an object by node"))


_WAYS_TO_MERGE = {"combine": "Into one object", "append": "Into one list", "join": "Rows that share a key"}


def _plain(name: str) -> Callable[[dict[str, Any], Told], str]:
    return lambda config, told: _bare(config.get(name), told)


_SUMMARIES: dict[str, Callable[[dict[str, Any], Told], str]] = {
    "trigger.webhook": _webhook,
    "trigger.schedule": _schedule,
    "action.http_request": _http,
    "action.respond": _respond,
    "action.wait": _wait,
    "action.log": _plain("message"),
    "action.fail": _plain("message"),
    "action.code": _code,
    "condition.if": _plain("condition"),
    "condition.switch": _switch,
    "loop.for_each": _for_each,
    "loop.while": _while,
    "transform.set": _set,
    "transform.aggregate": _aggregate,
    "transform.split_out": _of,
    "transform.merge": _merge,
}
