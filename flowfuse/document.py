"""Reading and writing workflow documents: YAML on disk, JSON on the wire, one shape.

YAML is the 1.2 core schema: `on`, `no`, `12:30` and `2026-11-23` are text. A document that has not the
shape is refused with all its problems; one that has it can always be kept, whatever else is wrong.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, get_type_hints

import msgspec

from flowfuse.errors import OutputInvalid, WorkflowInvalid
from flowfuse.model import FORMAT, NODE_ID, Edge, Node, Problem, Settings, Workflow
from flowfuse.node import check_incoming, check_shape

MAX_BYTES = 5_000_000
MAX_ALIASES = 100
MAX_VALUES = 200_000
MAX_DEPTH = 200
"""Levels of a YAML text."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a format to the next one. Format 1 is the first, so there are none yet."""


def read(text: str | bytes, *, yaml: bool | None = None) -> Workflow:
    """A document from its text. JSON is tried first unless `yaml` says what it is.

    Raises WorkflowInvalid with every problem of its shape.
    """
    return from_raw(parse(text, yaml=yaml))


def kept(raw: bytes) -> Workflow:
    """A document that was checked when it was stored. Raises WorkflowInvalid."""
    try:
        return msgspec.json.decode(raw, type=Workflow)
    except msgspec.ValidationError:
        return read(raw, yaml=False)


def parse(text: str | bytes, *, yaml: bool | None = None) -> Any:
    """The plain values of a JSON or YAML text. Raises WorkflowInvalid."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise _refused("too_large", f"The document is larger than {MAX_BYTES} bytes")
    if yaml is not True:
        try:
            return msgspec.json.decode(raw)
        except RecursionError:
            raise _refused("syntax", "The document is nested too deeply") from None
        except msgspec.DecodeError as error:
            if yaml is False or raw.lstrip()[:1] in (b"{", b"["):
                raise _refused("syntax", f"This is not JSON: {error}") from None
    return _parse_yaml(raw)


def from_raw(raw: Any) -> Workflow:
    """The document of plain values, brought to the newest format. Raises WorkflowInvalid."""
    problems = shape_problems(raw)
    if problems:
        raise WorkflowInvalid(problems)
    return msgspec.convert(_migrated(raw), Workflow)


def shape_problems(raw: Any) -> list[Problem]:
    """Unknown fields, wrong types, bad and duplicate ids: what makes a document impossible to keep."""
    if not isinstance(raw, dict):
        return [Problem("", "shape", "A workflow is an object with nodes and edges")]
    given = raw.get("format", FORMAT)
    if not isinstance(given, int) or given > FORMAT or (given < FORMAT and given not in MIGRATIONS):
        return [Problem("format", "format", f"Format {given!r} is not known here; the newest is {FORMAT}")]
    raw = _migrated(raw)
    problems = [
        Problem(_named(path, raw), _shape_code(message), message)
        for path, message in check_shape(raw, Workflow, "")
    ]
    if not problems:
        try:
            check_incoming(raw, 1000)
        except OutputInvalid as error:
            problems.append(Problem("", "shape", error.message))
    return problems + _duplicate_ids(raw)


def usable_part(raw: Any) -> Workflow | None:
    """What of a misshapen document has the shape, so that it can be checked further; None for nothing.

    A node loses its misshapen fields; one without a usable id or type is left out with its edges.
    """
    if not isinstance(raw, dict):
        return None
    nodes: dict[str, dict[str, Any]] = {}
    dropped: set[Any] = set()
    for given in raw["nodes"] if isinstance(raw.get("nodes"), list) else []:
        node = _usable_fields(given, Node)
        if "id" in node and "type" in node:
            nodes.setdefault(node["id"], node)
        elif isinstance(given, dict) and isinstance(given.get("id"), str):
            dropped.add(given["id"])
    edges = [
        edge
        for edge in (raw["edges"] if isinstance(raw.get("edges"), list) else [])
        if not check_shape(edge, Edge, "") and not dropped & {edge["from"].partition(".")[0], edge["to"]}
    ]
    settings = _usable_fields(raw.get("settings"), Settings)
    plain = {"nodes": list(nodes.values()), "edges": edges, "settings": settings}
    try:
        check_incoming(plain, 1000)
    except OutputInvalid:
        return None
    return msgspec.convert(plain, Workflow)


def _usable_fields(raw: Any, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Those fields of what was meant as the struct that fit it."""
    if not isinstance(raw, dict):
        return {}
    hints = get_type_hints(struct, include_extras=True)
    names = {info.encode_name: hints[info.name] for info in msgspec.structs.fields(struct)}
    return {key: raw[key] for key in raw if key in names and not check_shape(raw[key], names[key], "")}


def to_json(workflow: Workflow, *, indent: int = 0) -> bytes:
    """The document as JSON: the struct's key order, defaults left out."""
    encoded = msgspec.json.encode(_plain(workflow))
    return msgspec.json.format(encoded, indent=indent) if indent else encoded


def digest(workflow: Workflow) -> bytes:
    """The hash by which a content is known."""
    return hashlib.sha256(to_json(workflow)).digest()


def to_yaml(workflow: Workflow) -> str:
    """The document as YAML, made to be kept in git."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    yaml = YAML()
    yaml.Representer = RoundTripRepresenter
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.allow_unicode = True
    out = io.StringIO()
    yaml.dump(_yaml_ready(msgspec.json.decode(to_json(workflow))), out)
    return out.getvalue()


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the document."""
    return msgspec.json.schema(Workflow)


def _plain(workflow: Workflow) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(workflow)
    if not plain.get("settings"):
        plain.pop("settings", None)
    return plain


def _migrated(raw: dict[str, Any]) -> dict[str, Any]:
    while raw.get("format", FORMAT) != FORMAT:
        raw = MIGRATIONS[raw["format"]](raw)
    return raw


def _named(path: str, raw: dict[str, Any]) -> str:
    """`nodes[3].config` as `nodes.fetch.config`, where the node has a usable id."""
    match = re.match(r"nodes\[(\d+)\]", path)
    if match is None:
        return path
    node = raw["nodes"][int(match[1])]
    name = node.get("id") if isinstance(node, dict) else None
    if not isinstance(name, str) or re.match(NODE_ID, name) is None:
        return path
    return f"nodes.{name}{path[match.end() :]}"


def _shape_code(message: str) -> str:
    if message.startswith("There is no such field"):
        return "unknown_field"
    return "missing" if message == "This field is missing" else "wrong_type"


def _duplicate_ids(raw: dict[str, Any]) -> list[Problem]:
    seen: set[str] = set()
    problems = []
    nodes = raw.get("nodes")
    for index, node in enumerate(nodes if isinstance(nodes, list) else []):
        name = node.get("id") if isinstance(node, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            problems.append(Problem(f"nodes[{index}].id", "duplicate_id", f"“{name}” is used twice"))
        seen.add(name)
    return problems


def _refused(code: str, message: str) -> WorkflowInvalid:
    return WorkflowInvalid([Problem("", code, message)])


def _parse_yaml(raw: bytes) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused("syntax", "The document is not UTF-8 text") from None
    try:
        value = _yaml_loader(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _refused("syntax", f"This is not YAML{where}: {reason}") from None
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError) as error:
        # What explicit tags say of a value, the library's constructors believe.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise _refused("syntax", f"This is not a YAML document: {reason}") from None
    _check_yaml(value)
    return value


def _yaml_loader(text: str) -> Any:
    """Load with the core schema: no timestamps, no merge keys, no tags, few aliases."""
    from ruamel.yaml import YAML

    _check_events(YAML(typ="safe", pure=True).parse(text))
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver = _core_schema()
    yaml.allow_duplicate_keys = False
    for tag in ("timestamp", "binary", "omap", "pairs", "set", "merge"):
        yaml.constructor.add_constructor(f"tag:yaml.org,2002:{tag}", _as_text)
    return yaml.load(text)


def _check_events(events: Iterable[Any]) -> None:
    """Refuse, while it is read, what would take long: deep nesting (quadratic in its depth), many aliases."""
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    depth = aliases = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        aliases += isinstance(event, AliasEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        if aliases > MAX_ALIASES:
            raise ValueError(f"it has more than {MAX_ALIASES} aliases")


@cache
def _core_schema() -> Any:
    """YAML 1.2's core schema (§10.3.2), whatever version a document says it is of.

    The library's own rules for 1.2 take `1_000` and `0b1` for numbers, and fail at `=`.
    """
    from ruamel.yaml.resolver import VersionedResolver

    rules: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for kind, first, pattern in _CORE_SCHEMA:
        for character in first:
            rules.setdefault(character, []).append(
                (f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})$"))
            )
    rules[""] = [("tag:yaml.org,2002:null", re.compile("$"))]

    class CoreSchema(VersionedResolver):
        versioned_resolver = rules
        processing_version = (1, 2)

    return CoreSchema


def _as_text(constructor: Any, node: Any) -> str:
    return str(constructor.construct_scalar(node))


def _check_yaml(value: Any) -> None:
    """Refuse what JSON has not; count the values so that aliases cannot multiply without end."""
    left = MAX_VALUES
    stack = [value]
    while stack:
        current = stack.pop()
        left -= 1
        if left < 0:
            raise _refused("too_large", f"The document has more than {MAX_VALUES} values")
        if isinstance(current, dict):
            bad = next((key for key in current if not isinstance(key, str)), None)
            if bad is not None:
                raise _refused("syntax", f"The key {bad!r} is not a text; put it in quotes")
            stack.extend(current.values())
        elif isinstance(current, list):
            stack.extend(current)
        elif current is not None and not isinstance(current, str | bool | int | float):
            raise _refused("syntax", f"{current!r} is no JSON value; put it in quotes")


def _yaml_ready(value: Any) -> Any:
    """Values as ruamel's round-trip writer takes them: long texts in block style."""
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if isinstance(value, dict):
        return CommentedMap({_yaml_ready(key): _yaml_ready(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return [_yaml_ready(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if "\n" in value and _fits_block(value):
        return LiteralScalarString(value)
    return value if _PLAIN.fullmatch(value) else DoubleQuotedScalarString(value)


_SIGN_DIGITS = "-+0123456789"
_CORE_SCHEMA = (
    ("null", "~nN", "~|null|Null|NULL"),
    ("bool", "tTfF", "true|True|TRUE|false|False|FALSE"),
    ("int", _SIGN_DIGITS, "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    ("float", f"{_SIGN_DIGITS}.", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"),
    ("float", "-+.", r"[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN"),
)

# Texts that every YAML reader takes for text, old ones too; all others are quoted.
_PLAIN = re.compile(
    r"(?!(?:y|n|yes|no|on|off|true|false|null|inf|nan)$)[A-Za-z][A-Za-z0-9_./-]*", re.IGNORECASE
)


def _fits_block(text: str) -> bool:
    lines = text.split("\n")
    printable = all(c in "\n\t" or " " <= c <= "~" or "\u00a0" < c < "\ud7ff" for c in text)
    broken = "\u2028" in text or "\u2029" in text
    return printable and not broken and not text[0].isspace() and all(line == line.rstrip() for line in lines)
