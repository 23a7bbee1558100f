"""The contract of a node type: what it takes, how it runs, what may come out, and the catalogue.

A type is *pure* (a function of its input and expressions: it may run at any moment and run again) or
has *effects* (it touches the world: its attempt is committed before it starts). A pure type gives the
engine one closure per placed node, made once per plan. A type with effects is a coroutine; so is one
that is *detached*: pure, but worked out elsewhere, so that the engine waits for it.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Meta, Struct

from flowfuse.errors import ExpressionFailed, OutputInvalid
from flowfuse.model import DURATION, NODE_ID, WORKFLOW_ID, Value, seconds

FieldKind = Literal["plain", "template", "lazy"]
Widget = Literal[
    "text", "number", "switch", "choice", "list", "key_value", "json", "code", "file", "cron", "credential",
    "expression",
]  # fmt: skip


def form(
    title: str,
    description: str = "",
    *,
    widget: Widget = "text",
    kind: FieldKind = "template",
    **constraints: Any,
) -> Meta:
    """Form metadata of a Params field, for use in `Annotated`.

    `kind` says when expressions in it are worked out: `plain` never, `template` before the node runs,
    `lazy` by the node itself. `constraints` are msgspec's (`ge`, `max_length`, `pattern` …).
    """
    return Meta(title=title, description=description, extra={"widget": widget, "kind": kind}, **constraints)


class Params(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of a node type's config. Unknown fields are refused."""


ParamsType: TypeAlias = type[Params]


class ParamField(Struct, frozen=True):
    """What the validation, the form and the docs know of one Params field."""

    name: str
    title: str
    description: str
    widget: str
    kind: FieldKind
    required: bool
    default: Value
    type: Any


def param_fields(params: type[Params]) -> tuple[ParamField, ...]:
    """The fields of a Params struct with their form metadata."""
    hints = typing.get_type_hints(params, include_extras=True)
    return tuple(_param_field(info, hints[info.name]) for info in msgspec.structs.fields(params))


def _param_field(info: msgspec.structs.FieldInfo, hint: Any) -> ParamField:
    meta = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Meta) and m.extra), None)
    if meta is None or meta.extra is None:
        raise TypeError(f"Params field {info.name} has no form metadata")
    default = None if info.required else info.default
    if default is msgspec.NODEFAULT and info.default_factory is not msgspec.NODEFAULT:
        default = info.default_factory()
    return ParamField(
        name=info.encode_name,
        title=meta.title or info.name,
        description=meta.description or "",
        widget=meta.extra["widget"],
        kind=meta.extra["kind"],
        required=info.required,
        default=None if default is msgspec.UNSET else default,
        type=hint,
    )


class Note(Struct, frozen=True, tag=True):
    """Something that a node leaves in the run beside its output."""


class RespondNote(Note, frozen=True):
    """The answer for the caller of a synchronous webhook; the first of a run counts."""

    status: int
    headers: dict[str, str]


class LogNote(Note, frozen=True):
    """A line for the run's log."""

    level: str
    message: str


class Output(Struct, frozen=True):
    """A node is done: `value` leaves by `port`."""

    port: str
    value: Value
    note: Note | None = None


class Wait(Struct, frozen=True):
    """The node is done later: `why` says on what it waits, `data` what is kept of that.

    `time`: once the wall clock reaches `until_us` its input leaves by `main`. `breaker`, `room`: the
    attempt `data` is then made. All others (`call`, `approval`, `workflow`) are ended from outside, and
    have failed after `until_us` (0: no limit).
    """

    until_us: int
    why: str = "time"
    data: Value = None


Outcome = Output | Wait


class Env(Protocol):
    """The running node as its closures see it (see `flowfuse.expression.Env`)."""

    input: Value
    now_us: int
    timezone: str


Getter = Callable[[Any], Value]


class Config(Protocol):
    """A placed node's config with its expressions compiled."""

    def get(self, field: str) -> Getter:
        """The closure of a template or lazy field (its default, where it is not given)."""

    def at(self, *path: str | int) -> Getter:
        """The closure of a value inside a field."""

    def plain(self, field: str) -> Value:
        """The field as it stands in the document."""

    def constant(self, field: str) -> bool:
        """Whether the field holds no expression."""


class RunContext(Protocol):
    """What a node with effects may ask of its run."""

    execution: str
    node: str
    attempt: int
    now_us: int
    literal_host: bool
    operator: bool
    timezone: str
    workspace: str
    workflow: str
    mode: str

    def own_timeout(self) -> float | None:
        """The node's timeout in seconds, which the node itself keeps from here on."""

    def idempotency_key(self, page: int = 0) -> str:
        """The key that all attempts of this effect carry."""

    async def evaluate(self, field: str, **names: Value) -> Value:
        """A lazy field worked out now, with values for its own names (`NodeType.lazy_names`)."""

    def deadline_us(self) -> int:
        """Until when the node may take, by its timeout; 0 where it has none."""

    async def call_workflow(self, workflow: str, value: Value, *, waits: bool) -> str | Wait:
        """Start a run of another workflow for this node; its id. Raises CallFailed.

        Where no run is accepted now, the wait that the node has to give: it is then run again.
        """

    async def credential(self) -> Any:
        """The node's credential, opened now; None where it names none."""


MAX_SPAN = 100 * 366 * 86400


def span_us(value: Any, field: str) -> int:
    """A span that an expression gave (seconds, or text such as 15m), in µs. Raises ExpressionFailed."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = isinstance(value, str) and value.replace(".", "", 1).isdigit()
        length = float(value) if number else seconds(value)
    except ValueError:
        raise ExpressionFailed(reason=f"{field}: {value!r} is not a duration such as 90 or 15m") from None
    if not 0 <= length <= MAX_SPAN:
        raise ExpressionFailed(reason=f"{field}: {length:g} is not between 0 and 100 years")
    return int(length * 1e6)


class NodeType:
    """A kind of node. Subclasses set the class attributes and one of `prepare` and `run`."""

    type: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[str]
    summary: ClassVar[str]
    icon: ClassVar[str] = ""
    params: ClassVar[ParamsType]
    effects: ClassVar[bool] = False
    detached: ClassVar[bool] = False
    is_trigger: ClassVar[bool] = False
    loop: ClassVar[Literal["", "for_each", "while"]] = ""
    ports: ClassVar[tuple[str, ...]] = ("main",)
    output: ClassVar[Any] = Any
    default_timeout: ClassVar[float | None] = None
    takes_credential: ClassVar[bool] = False
    remote: ClassVar[bool] = False
    """Whether it calls another service: its failures count for the circuit breaker."""
    lazy_names: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Names beyond the usual that expressions of a lazy field see, by field."""
    example: ClassVar[Mapping[str, Any]] = {}

    @property
    def family(self) -> str:
        """The palette's folder: the part before the dot."""
        return self.type.partition(".")[0]

    @cached_property
    def fields(self) -> tuple[ParamField, ...]:
        """The config's fields, for the form, the docs and the validation."""
        return param_fields(self.params)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the config."""
        return msgspec.json.schema(self.params)

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the value that the node gives."""
        return {} if self.output is Any else msgspec.json.schema(self.output)

    def ports_of(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """The ports of a node placed with this config, without `error`."""
        return self.ports

    def check(self, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Problems beyond the shape, as (field, sentence)."""
        return ()

    def needs_credential(self, config: Mapping[str, Any]) -> bool:
        """Whether a node placed with this config cannot do without a credential."""
        return False

    def connector_of(self, params: Any) -> str:
        """What a remote node calls, as the breaker counts it: a host, a service."""
        return self.type

    def prepare(self, config: Config) -> Callable[[Any], Outcome]:
        """The closure of one placed pure node; it is called with the running frame."""
        raise TypeError(f"{self.type} has effects and no closure")

    async def run(self, params: Any, context: RunContext) -> Outcome:
        """Run a node with effects, or a detached one, once. Raises NodeFailed."""
        raise TypeError(f"{self.type} is pure and has no coroutine")


class Catalogue:
    """Every node type that workflows can be made of."""

    def __init__(self, types: Sequence[NodeType]) -> None:
        self._types: dict[tuple[str, int], NodeType] = {(t.type, t.version): t for t in types}
        self._newest: dict[str, NodeType] = {}
        for node_type in sorted(types, key=lambda t: t.version):
            self._newest[node_type.type] = node_type

    def find(self, type_name: str, version: int | None = None) -> NodeType | None:
        """The type in that version (the newest, without one); None where there is none."""
        if version is None:
            return self._newest.get(type_name)
        return self._types.get((type_name, version))

    def __iter__(self) -> typing.Iterator[NodeType]:
        return iter(self._newest.values())

    def names(self) -> list[str]:
        """All type names."""
        return list(self._newest)


_PACK = msgspec.msgpack.Encoder().encode
# msgpack markers of what JSON has not: an unsigned integer of 2⁶³ and more, a float with all exponent
# bits set (inf, nan). They can stand inside other data by chance, hence the slow look after a hit.
_SUSPECT = re.compile(rb"\xcf[\x80-\xff]|\xcb[\x7f\xff][\xf0-\xff]")
_INF = float("inf")
_STRETCH = 16


def pack(value: Any) -> bytes:
    """MessagePack of a record that holds values, refusing what is not JSON.

    This is the executor's step 'validate the output' and the encoding for storage in one pass.
    Raises OutputInvalid.
    """
    try:
        packed = _PACK(value)
    except (OverflowError, UnicodeEncodeError, RecursionError, TypeError) as error:
        raise OutputInvalid(reason=_reason(error)) from error
    # Each step is cheaper than the next, and seldom passed: one byte, two, the pattern.
    if (b"\xcf" in packed or b"\xcb" in packed) and _is_suspicious(packed):
        _refuse_non_json(value)
    return packed


def _is_suspicious(packed: bytes) -> bool:
    return (b"\xcf" in packed or b"\xcb\x7f" in packed or b"\xcb\xff" in packed) and _SUSPECT.search(
        packed
    ) is not None


def _reason(error: Exception) -> str:
    if isinstance(error, OverflowError):
        return "an integer is outside ±2⁶³"
    if isinstance(error, UnicodeEncodeError):
        return "a text is not valid Unicode"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it holds something that JSON has not"


def _refuse_non_json(value: Any) -> None:
    """Walk a suspicious value; raise OutputInvalid where a number is none of JSON's."""
    left = [value]
    while left:
        current = left.pop()
        if isinstance(current, float):
            if current != current or current in (_INF, -_INF):
                raise OutputInvalid(reason="a number is not finite")
        elif isinstance(current, int):
            if not -(2**63) <= current < 2**63:
                raise OutputInvalid(reason="an integer is outside ±2⁶³")
        elif isinstance(current, dict):
            left.extend(_suspects(list(current.values())))
        elif isinstance(current, list | tuple):
            left.extend(_suspects(current))


def _suspects(items: Any) -> list[Any]:
    """Of many, the stretches that are suspicious; of few, all. So a chance hit in a large value costs a look
    at its surroundings, not at each number in it; and nothing is encoded once more for each level around it.
    """
    if len(items) <= _STRETCH:
        return list(items)
    parts = (items[at : at + _STRETCH] for at in range(0, len(items), _STRETCH))
    return [part for part in parts if _SUSPECT.search(_PACK(part))]


# A value is read again in deeper places than the one where it came in (a template, an answer), so it
# must leave this many levels of the interpreter's limit free.
SPARE_LEVELS = 400


def check_incoming(value: Value, size: int) -> None:
    """Refuse a value from outside that is not ours to store: numbers out of range, too deep a nesting.

    `size` is the number of opening brackets in its JSON text, which bounds its depth. Raises
    OutputInvalid.
    """
    if size > 200:
        for _ in range(SPARE_LEVELS):
            value = [value]
    pack(value)


def check_shape(value: Any, type_hint: Any, path: str, *, expressions: bool = False) -> list[tuple[str, str]]:
    """Everything in `value` that does not fit `type_hint`, as (path, sentence), not only the first.

    With `expressions`, a text that holds `{{ … }}` fits everywhere: its value is known only in a run.
    """
    if expressions and isinstance(value, str) and "{{" in value:
        return []
    inner = _unwrap(type_hint)
    if inner is not type_hint and not isinstance(value, dict | list):
        return _leaf(value, type_hint, path)
    struct = struct_of(inner)
    if struct is not None and (isinstance(value, dict) or inner is struct):
        return _check_struct(value, struct, path, expressions)
    if typing.get_origin(inner) is list and isinstance(value, list):
        (item,) = typing.get_args(inner)
        return [
            problem
            for index, each in enumerate(value)
            for problem in check_shape(each, item, f"{path}[{index}]", expressions=expressions)
        ]
    if typing.get_origin(inner) is dict and isinstance(value, dict):
        _, item = typing.get_args(inner)
        return [
            problem
            for key, each in value.items()
            for problem in check_shape(each, item, f"{path}.{key}", expressions=expressions)
        ]
    return _leaf(value, type_hint, path)


def _unwrap(type_hint: Any) -> Any:
    return typing.get_args(type_hint)[0] if hasattr(type_hint, "__metadata__") else type_hint


def struct_of(type_hint: Any) -> type[Struct] | None:
    """The one struct in a type such as `Annotated[Retry | None, …]`."""
    type_hint = _unwrap(type_hint)
    origin = typing.get_origin(type_hint)
    inner = typing.get_args(type_hint) if origin in (typing.Union, types.UnionType) else ()
    candidates = [type_hint, *inner]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Struct)), None)


def _check_struct(value: Any, struct: type[Struct], path: str, expressions: bool) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(path, f"Expected an object, got {_kind(value)}")]
    fields = _fields_of(struct)
    prefix = f"{path}." if path else ""
    problems = [(f"{prefix}{key}", _no_field(key, fields)) for key in value if key not in fields]
    for name, (hint, required) in fields.items():
        if name in value:
            problems += check_shape(value[name], hint, f"{prefix}{name}", expressions=expressions)
        elif required:
            problems.append((f"{prefix}{name}", "This field is missing"))
    return problems


def _no_field(name: str, fields: Collection[str]) -> str:
    meant = closest(str(name), fields)
    guess = f" Did you mean “{meant}”?" if meant else ""
    return f"There is no such field “{name}”.{guess} There are: {', '.join(fields)}"


def closest(name: str, known: Collection[str]) -> str:
    """The name that somebody may have meant; empty where none is near."""
    return next(iter(difflib.get_close_matches(name, known, 1)), "")


@cache
def _fields_of(struct: type[Struct]) -> dict[str, tuple[Any, bool]]:
    """A struct's fields by their name in JSON: the type, and whether it must be given."""
    hints = typing.get_type_hints(struct, include_extras=True)
    fields = msgspec.structs.fields(struct)
    return {info.encode_name: (hints[info.name], info.required) for info in fields}


def _leaf(value: Any, type_hint: Any, path: str) -> list[tuple[str, str]]:
    try:
        msgspec.convert(value, type_hint)
    except msgspec.ValidationError:
        got = _kind(value) if isinstance(value, dict | list) else _shown(value)
        return [(path, f"Expected {wanted(type_hint)}, got {got}")]
    return []


PATTERNS = {
    DURATION: "a time such as 30, 15m or 1h30m",
    NODE_ID: "small letters, digits and _, 63 at most, with a letter first",
    WORKFLOW_ID: "small letters, digits, - and _, 64 at most, with a letter or digit first",
}


def wanted(type_hint: Any) -> str:
    """What a type takes, in words: `a number from 1 to 9`, `one of all, any`."""
    return _wanted(msgspec.inspect.type_info(type_hint))


def _wanted(info: Any) -> str:
    kinds = msgspec.inspect
    if isinstance(info, kinds.Metadata):
        return _wanted(info.type)
    if isinstance(info, kinds.UnionType):
        # What both a number and a text may say, such as a duration, is said once.
        parts = [each for each in info.types if not isinstance(each, kinds.NoneType)]
        patterned = [each for each in parts if isinstance(each, kinds.StrType) and each.pattern in PATTERNS]
        return " or ".join(dict.fromkeys(_wanted(each) for each in patterned or parts))
    if isinstance(info, kinds.LiteralType):
        return "one of " + ", ".join(str(each) for each in info.values)
    if isinstance(info, kinds.StrType):
        return _text_wanted(info)
    if isinstance(info, kinds.IntType | kinds.FloatType):
        return ("a whole number" if isinstance(info, kinds.IntType) else "a number") + _bounds(info)
    if isinstance(info, kinds.BoolType):
        return "true or false"
    if isinstance(info, kinds.ListType | kinds.VarTupleType):
        return "a list of texts" if isinstance(info.item_type, kinds.StrType) else "a list"
    return "null" if isinstance(info, kinds.NoneType) else "an object"


def _text_wanted(info: Any) -> str:
    if info.pattern is not None:
        return PATTERNS.get(info.pattern, f"a text like {info.pattern}")
    if info.min_length and info.max_length is None:
        return (
            "a text that is not empty"
            if info.min_length == 1
            else f"a text of {info.min_length} characters or more"
        )
    return "a text" if info.max_length is None else f"a text of at most {info.max_length} characters"


def _bounds(info: Any) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge:,} to {info.le:,}"
    if info.ge is not None:
        return f" that is not below {info.ge:,}"
    if info.gt is not None:
        return f" above {info.gt:,}" + (f", at most {info.le:,}" if info.le is not None else "")
    return f" that is at most {info.le:,}" if info.le is not None else ""


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "…"
