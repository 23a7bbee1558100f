"""The form of a node: its type's Params as fields with their values, and the problems beside them."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct

from flowfuse.model import Node, Problem, Value
from flowfuse.node import NodeType, ParamField, Params, closest, param_fields

_WORDS = {"auto": "by itself", "json": "JSON", "": "none"}


class Choice(Struct, frozen=True):
    """One value of a choice."""

    value: str
    label: str


class Row(Struct, frozen=True):
    """One entry of a list or of a set of keys; `cells` where the entries are objects.

    `is_text`: what looks like a number is a text, and stays one as long as nobody changes it.
    """

    key: str
    text: str
    is_text: bool
    cells: list[Field]


class Field(Struct, frozen=True, kw_only=True):
    """One field as the form shows it."""

    path: str
    name: str
    title: str
    description: str
    widget: str
    expressions: bool
    required: bool
    given: bool
    text: str
    is_text: bool
    default: str
    on: bool
    choices: list[Choice]
    rows: list[Row]
    columns: list[Field]
    problems: list[str]

    @property
    def is_open(self) -> bool:
        """Whether it is shown at once: what must be given, is given, or is wrong."""
        return self.required or self.given or bool(self.problems)


def form_of(node: Node, node_type: NodeType, problems: Sequence[Problem]) -> list[Field]:
    """The fields of a placed node, in the order of its type; what its type has no field for comes first."""

    def beside(name: str) -> list[str]:
        return _beside(problems, f"nodes.{node.id}.config.{name}")

    known = {each.name: each for each in node_type.fields}
    unknown = [
        _unknown(name, value, known, beside(name)) for name, value in node.config.items() if name not in known
    ]
    return unknown + [_field(each, node.config, "config", beside(each.name)) for each in node_type.fields]


def _beside(problems: Sequence[Problem], path: str) -> list[str]:
    """The problems of a field, and of what lies in it."""
    return [
        problem.message
        for problem in problems
        if problem.path == path or problem.path.startswith((f"{path}.", f"{path}["))
    ]


def _unknown(name: str, value: Value, known: Mapping[str, ParamField], problems: list[str]) -> Field:
    """What a document gives and its type does not have: to be taken out, or put where it was meant."""
    meant = closest(name, known)
    return Field(
        path=f"config.{name}", name=name, title=name, description="", widget="unknown", expressions=False,
        required=False, given=True, text=text_of(value), is_text=isinstance(value, str), default="", on=False,
        choices=[Choice(meant, meant)] if meant else [], rows=[], columns=[], problems=problems,
    )  # fmt: skip


def _field(each: ParamField, given: Mapping[str, Any], parent: str, problems: list[str]) -> Field:
    value = given.get(each.name, UNSET)
    inner = _bare(each.type)
    item = _item_type(inner)
    shown = each.default if value is UNSET else value
    struct = _params_of(item)
    return Field(
        path=f"{parent}.{each.name}",
        name=each.name,
        title=each.title,
        description=each.description,
        widget=_widget(each, value),
        expressions=each.kind != "plain",
        required=each.required,
        given=value is not UNSET,
        text="" if value is UNSET else text_of(value),
        is_text=isinstance(value, str),
        default="" if each.default in (None, "", [], {}) else text_of(each.default),
        on=shown is True,
        choices=[Choice(str(c), _WORDS.get(str(c), str(c).replace("_", " "))) for c in _literals(inner)],
        rows=_rows(value, struct),
        columns=_columns(struct, {}),
        problems=problems,
    )


def _widget(each: ParamField, value: Any) -> str:
    """A field that holds something its widget cannot show is edited as JSON or as an expression."""
    if value is UNSET:
        return each.widget
    if each.widget == "key_value" and not isinstance(value, dict):
        return "expression" if isinstance(value, str) else "json"
    if each.widget == "list" and not isinstance(value, list):
        return "expression" if isinstance(value, str) else "json"
    if each.widget == "switch" and not isinstance(value, bool):
        return "expression"
    return each.widget


def _columns(struct: type[Params] | None, given: Mapping[str, Any]) -> list[Field]:
    return [_field(each, given, "", []) for each in param_fields(struct)] if struct is not None else []


def _rows(value: Any, struct: type[Params] | None) -> list[Row]:
    pairs = (
        list(value.items())
        if isinstance(value, dict)
        else [(str(i), each) for i, each in enumerate(value)]
        if isinstance(value, list)
        else []
    )
    return [
        Row(
            key=key,
            text=text_of(each),
            is_text=isinstance(each, str),
            cells=_columns(struct, each if isinstance(each, dict) else {}),
        )
        for key, each in pairs
    ]


def text_of(value: Value) -> str:
    """A value as it is typed: texts as they are, all else as JSON."""
    if isinstance(value, str):
        return value
    encoded = msgspec.json.encode(value)
    return msgspec.json.format(encoded, indent=2 if len(encoded) > 60 else 0).decode()


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint


def _options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union; the type itself where it is none."""
    hint = _bare(hint)
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _literals(hint: Any) -> list[Any]:
    return [
        value
        for option in _options(hint)
        if typing.get_origin(option) is Literal
        for value in typing.get_args(option)
    ]


def _item_type(hint: Any) -> Any:
    """What a list or an object with free keys holds."""
    for option in _options(hint):
        if typing.get_origin(option) in (list, dict):
            return typing.get_args(option)[-1]
    return None


def _params_of(hint: Any) -> type[Params] | None:
    bare = _bare(hint)
    return bare if isinstance(bare, type) and issubclass(bare, Params) else None
