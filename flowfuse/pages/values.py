"""JSON values cut to what a page can show: a bounded tree of text, whatever the data is."""

from __future__ import annotations

import json
import re
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from flowfuse.data.files import StoredFile, as_file
from flowfuse.large_json import weight
from flowfuse.model import Value
from flowfuse.pages.language import say, say_count

Kind = Literal["obj", "arr", "str", "num", "bool", "null", "file"]

TEXT_LIMIT = 4096
KEY_LIMIT = 1000
"""Characters of a key: it stands in the path of everything that lies under it."""
LABEL_LIMIT = 200
CHILD_LIMIT = 200
ROW_LIMIT = 2000
DEPTH_LIMIT = 40
OPEN_DEPTH = 2
"""Objects and lists are open down to this depth, and closed where they are long."""
OPEN_CHILDREN = 24
SHOWN_JSON = 50_000
"""Characters of a value's text in a pane: what is longer is read in its tree, or taken by the API."""
TABLE_ROWS = 100
TABLE_COLUMNS = 30
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Branch(Struct, frozen=True):
    """One row of the tree, with the rows in it. `text` is the value, or what it holds in words."""

    key: str
    kind: Kind
    text: str
    children: list[Branch] = []
    hidden: int = 0
    open: bool = False
    later: bool = False
    """Whether it has rows that are brought when it is opened."""
    link: str = ""
    """Where a file can be had."""

    @property
    def label(self) -> str:
        """The key as it is shown."""
        return cut(self.key, LABEL_LIMIT)

    @property
    def is_long(self) -> bool:
        """Whether the text needs lines of its own."""
        return len(self.text) > 80 or "\n" in self.text


class _Budget:
    """How many rows may still be made, in which language, and whether also what is closed gets its own.

    `top` is the depth that is open whatever it holds.
    """

    def __init__(
        self, language: str, *, closed_too: bool = True, top: int = 0, rows: int = ROW_LIMIT
    ) -> None:
        self.rows, self.language = rows, language
        self.closed_too, self.top = closed_too, top

    def under(self, key: str) -> _Budget:
        """What is under a key that is too long for a path is not brought later: it gets some rows now."""
        return self if len(key) <= KEY_LIMIT else _Budget(self.language, rows=CHILD_LIMIT)


def tree(value: Value, key: str = "", language: str = "en") -> Branch:
    """The value as rows. What is cut says how much is missing."""
    return _branch(key, value, 0, _Budget(language))


def twig(value: Value, key: str = "", language: str = "en", *, depth: int = 0) -> Branch:
    """As `tree`, of a value that lies so deep in another; what is closed has its rows `later`."""
    return _branch(key, value, depth, _Budget(language, closed_too=False, top=depth))


def bud(value: Value, key: str = "", language: str = "en") -> Branch:
    """The value as a row that is closed."""
    return _branch(key, value, OPEN_DEPTH, _Budget(language, closed_too=False))


def step(parent: str, key: str, kind: str) -> str:
    """The path of what lies in a value, as an expression writes it."""
    if kind == "arr":
        return f"{parent}[{key}]"
    if _NAME.fullmatch(key):
        return f"{parent}.{key}"
    return f"{parent}[{msgspec.json.encode(key).decode()}]"


_STEP = re.compile(r'\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


def within(value: Value, path: str) -> tuple[Value, int]:
    """What lies in a value at a path made by `step`, and how deep. Raises LookupError, ValueError."""
    depth = at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise LookupError(path)
        name, index, quoted = found.groups()
        inner: Any = int(index) if index else name or json.loads(quoted)
        if not isinstance(value, list if index else dict):
            raise LookupError(path)
        value, depth, at = value[inner], depth + 1, found.end()
    return value, depth


class Table(Struct, frozen=True):
    """A list of objects as rows and columns. Empty where the value is none."""

    path: str
    columns: list[str]
    rows: list[list[str]]
    hidden: int


def table(value: Value, path: str) -> Table:
    """The value as a table: of a list of objects, or of one that an object holds; else of its fields."""
    listed = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
    objects = [each for each in listed[:TABLE_ROWS] if isinstance(each, dict)]
    columns = list(dict.fromkeys(key for each in objects for key in each))[:TABLE_COLUMNS]
    rows = [[_cell(each[key]) if key in each else "" for key in columns] for each in objects]
    where = f"{path}[0]" if isinstance(value, list) else path
    return Table(where, columns, rows, len(listed) - len(objects) if objects else 0)


def _cell(value: Value) -> str:
    return cut(value if isinstance(value, str) else msgspec.json.encode(value).decode(), 120)


def shown_json(value: Value, most: int = SHOWN_JSON) -> str:
    """A value as JSON text for reading, cut where it is very long."""
    # Of a large value no more is written than is shown.
    begun, left = _beginning(value, most) if weight(value) > most else (value, 0)
    text = msgspec.json.format(msgspec.json.encode(begun), indent=2).decode()
    return text if len(text) <= most and left >= 0 else text[:most] + "\n…"


def whole_json(value: Value, most: int) -> str | None:
    """A value as JSON text to be edited; None where it is longer than that."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if weight(value) <= most else ""
    return text if text and len(text) <= most else None


def _beginning(value: Value, left: int) -> tuple[Value, int]:
    """So much of a value that its text has `left` characters, and how many are missing from that."""
    if isinstance(value, str):
        return value[: max(left, 0)], left - len(value)
    if not isinstance(value, list | dict):
        return value, left - 1
    taken: list[Any] = []
    for each in value if isinstance(value, list) else value.items():
        if left <= 0:
            break
        name, inner = each if isinstance(value, dict) else ("", each)
        begun, left = _beginning(inner, left - len(name) - 1)
        taken.append((name, begun) if isinstance(value, dict) else begun)
    return (dict(taken) if isinstance(value, dict) else taken), left


def _branch(key: str, value: Value, depth: int, budget: _Budget) -> Branch:
    budget.rows -= 1
    file = as_file(value)
    if file is not None:
        return _file(key, file)
    if isinstance(value, dict):
        return _container(key, "obj", list(value.items()), depth, budget)
    if isinstance(value, list | tuple):
        return _container(key, "arr", [(str(i), each) for i, each in enumerate(value)], depth, budget)
    if isinstance(value, str):
        return Branch(key, "str", cut(value))
    if value is None:
        return Branch(key, "null", "null")
    if isinstance(value, bool):
        return Branch(key, "bool", "true" if value else "false")
    return Branch(key, "num", msgspec.json.encode(value).decode())


def _file(key: str, file: StoredFile) -> Branch:
    """A file's value as its name, type and size, to be saved from there."""
    size, unit = float(file.size), "bytes"
    for larger in ("KB", "MB", "GB"):
        if size >= 1000:
            size, unit = size / 1000, larger
    words = f"{size:.0f}" if unit == "bytes" or size >= 100 else f"{size:.1f}"
    link = f"/files/{file.sha256}?name={quote(file.name, safe='')}"
    return Branch(key, "file", f"{file.name} · {file.type} · {words} {unit}", link=link)


def _container(
    key: str, kind: Literal["obj", "arr"], pairs: list[tuple[str, Value]], depth: int, budget: _Budget
) -> Branch:
    said = say_count(budget.language, *_HOLDS[kind], len(pairs)) if pairs else say(budget.language, "empty")
    unfolded = depth == budget.top or (depth < OPEN_DEPTH and len(pairs) <= OPEN_CHILDREN)
    if not (unfolded or budget.closed_too):
        return Branch(key, kind, said, later=bool(pairs))
    shown = [] if depth >= DEPTH_LIMIT else pairs[: min(CHILD_LIMIT, max(0, budget.rows))]
    # Of many the first shows what they are like.
    deeper = depth + 1 if len(pairs) <= OPEN_CHILDREN else max(depth + 1, OPEN_DEPTH)
    children = [
        _branch(cut(name, KEY_LIMIT), each, deeper if index else depth + 1, budget.under(name))
        for index, (name, each) in enumerate(shown)
    ]
    return Branch(key, kind, said, children, len(pairs) - len(shown), unfolded)


_HOLDS = {"obj": ("{n} field", "{n} fields"), "arr": ("{n} item", "{n} items")}


def cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """A text with its end left out where it is long; how much is missing is said."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"
