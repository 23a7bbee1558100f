"""What can be put on a canvas, as the list “Add” shows and searches it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from flowfuse.node import Catalogue, NodeType
from flowfuse.pages.language import say
from flowfuse.pages.summary import FAMILIES, type_glyph

_ALIASES: dict[str, Sequence[str]] = {
    "trigger.manual": ("start", "by hand", "button", "manuell", "starten"),
    "trigger.webhook": ("http", "call", "api", "url", "listen", "aufruf"),
    "trigger.schedule": ("cron", "timer", "every", "daily", "interval", "zeitplan", "uhr"),
    "action.http_request": ("fetch", "get", "post", "api", "rest", "call", "curl", "url", "abrufen"),
    "action.respond": ("reply", "answer", "return", "antworten"),
    "action.wait": ("sleep", "delay", "pause", "warten"),
    "action.log": ("print", "debug", "protokoll"),
    "action.fail": ("stop", "throw", "error", "abbrechen", "fehler"),
    "action.code": ("python", "script", "function", "programm"),
    "condition.if": ("branch", "filter", "when", "wenn", "verzweigen"),
    "condition.switch": ("case", "route", "branch", "fall", "weiche"),
    "loop.for_each": ("iterate", "split in batches", "map", "jede", "schleife"),
    "loop.while": ("repeat", "until", "poll", "solange", "wiederholen"),
    "transform.set": ("edit fields", "assign", "map", "rename", "object", "setzen", "felder"),
    "transform.aggregate": ("sum", "count", "average", "group", "summe", "zählen"),
    "transform.split_out": ("flatten", "list", "aufteilen"),
    "transform.merge": ("join", "combine", "append", "verbinden", "zusammen"),
}


class Entry(Struct, frozen=True, kw_only=True):
    """One thing to add."""

    type: str
    title: str
    summary: str
    family: str
    tile: str
    glyph: str
    ports: tuple[str, ...]
    trigger: bool
    loop: bool
    id: str
    aliases: Sequence[str]
    needs: tuple[str, ...]


def palette(catalogue: Catalogue, language: str = "en") -> list[Entry]:
    """All node types: triggers first, then by family as the catalogue has them."""
    entries = [_entry(node_type, language) for node_type in catalogue]
    return sorted(entries, key=lambda entry: not entry.trigger)


def _entry(node_type: NodeType, language: str) -> Entry:
    family = node_type.family
    return Entry(
        type=node_type.type,
        title=say(language, node_type.title),
        summary=say(language, node_type.summary),
        family=family,
        tile=family if family in FAMILIES else "action",
        glyph=type_glyph(node_type.type, node_type),
        ports=node_type.ports_of({}),
        trigger=node_type.is_trigger,
        loop=bool(node_type.loop),
        id=node_type.type.rpartition(".")[2],
        aliases=_ALIASES.get(node_type.type, ()),
        needs=tuple(say(language, field.title) for field in node_type.fields if field.required),
    )
