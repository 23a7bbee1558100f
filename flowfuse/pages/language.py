"""What the interface says, in the reader's language: one table a language, by the English words.

English stands where it is said (in templates, in `SENTENCES` of flowfuse/errors.py); web/languages holds
the others. A text with a number in it has two forms there, for one and for many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from flowfuse.errors import SENTENCES, FlowFuseError
from flowfuse.resources import asset_root

LANGUAGES = {"en": "English", "de": "Deutsch"}
Table = dict[str, str | list[str]]


@cache
def table(language: str) -> Table:
    """The words of a language by the English ones; empty for English and for what is not there."""
    if language == "en" or language not in LANGUAGES:
        return {}
    path = asset_root("web") / "languages" / f"{language}.json"
    return msgspec.json.decode(path.read_bytes(), type=Table)


def say(language: str, text: str, **values: Any) -> str:
    """A text in that language, with its `{names}` filled in."""
    found = table(language).get(text, text)
    chosen = found if isinstance(found, str) else found[0]
    return chosen.format_map(values) if values else chosen


def say_count(language: str, one: str, many: str, number: int, **values: Any) -> str:
    """The form that fits the number, `{n}` in it written as that language writes numbers."""
    found = table(language).get(one)
    forms = found if isinstance(found, list) else [one, many]
    shown = number_text(language, number)
    return forms[0 if number == 1 else 1].format_map({**values, "n": shown})


def number_text(language: str, number: float) -> str:
    """`1,284`, or `1.284` in German."""
    text = f"{number:,}"
    return text.translate(_GERMAN) if language == "de" else text


_GERMAN = str.maketrans(",.", ".,")


def sentence(language: str, error: FlowFuseError) -> str:
    """An error's sentence in that language."""
    text = SENTENCES.get(error.code)
    if language == "en" or text is None or text not in table(language):
        return error.message
    try:
        return say(language, text, **error.parameters)
    except KeyError:
        return error.message


_PIECES = re.compile(r"{#.*?#}|{{.*?}}|{%.*?%}|[<>{]|[^<>{]+", re.DOTALL)
_ATTRIBUTE = re.compile(r'\b(aria-label|title|placeholder)="([^"]*[A-Za-z][^"]*)"')


def translated(source: str, language: str) -> str:
    """A template with what stands in it as it is said in that language, as far as its table goes.

    That is text between tags, and what `aria-label`, `title` and `placeholder` say, outside of expressions.
    """
    known = table(language)
    if not known:
        return source

    def attribute(match: re.Match[str]) -> str:
        told = known.get(match[2].strip())
        return f'{match[1]}="{told}"' if isinstance(told, str) and '"' not in told else match[0]

    pieces: list[str] = []
    for piece, kind in pieces_of(source):
        said = known.get(piece.strip()) if kind == "text" else None
        if kind == "tag":
            piece = _ATTRIBUTE.sub(attribute, piece)
        elif isinstance(said, str):
            piece = piece.replace(piece.strip(), said)
        pieces.append(piece)
    return "".join(pieces)


def standing(source: str) -> Iterator[str]:
    """What a template says without an expression."""
    for piece, kind in pieces_of(source):
        if kind == "tag":
            yield from (found[2].strip() for found in _ATTRIBUTE.finditer(piece))
        elif kind == "text" and piece.strip():
            yield piece.strip()


def pieces_of(source: str) -> Iterator[tuple[str, str]]:
    """A template in pieces: `text` that people read, `half` a sentence, the inside of a `tag`, or `code`."""
    found, in_tag = _PIECES.findall(source), False
    for index, piece in enumerate(found):
        if piece in ("<", ">"):
            in_tag = piece == "<"
            yield piece, "code"
        elif piece[0] == "{":
            yield piece, "code"
        elif in_tag:
            yield piece, "tag"
        else:
            yield piece, "half" if _is_part(found, index) else "text"


def _is_part(pieces: list[str], index: int) -> bool:
    """Whether a value stands beside a text: then it is half a sentence, and the other half is not known."""
    around = (pieces[index - 1] if index else "", pieces[index + 1] if index + 1 < len(pieces) else "")
    return any(piece.startswith("{{") for piece in around)


def chosen_language(wanted: str, accepted: str) -> str:
    """The reader's choice; else the first language of the browser that there is; else English."""
    if wanted in LANGUAGES:
        return wanted
    for part in accepted.split(","):
        tag = part.partition(";")[0].strip().lower().partition("-")[0]
        if tag in LANGUAGES:
            return tag
    return "en"
