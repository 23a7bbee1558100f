"""House rules of languages: what a page says in English is there in each of the others, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowfuse import nodes
from flowfuse.data import preferences, roles
from flowfuse.errors import SENTENCES
from flowfuse.node import NodeType
from flowfuse.pages import audit_trail, bench, editor, find, notices, reasons, settings, templates, words
from flowfuse.pages.language import LANGUAGES, pieces_of, table, translated
from flowfuse.pages.language import standing as standing_in

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "web" / "templates").rglob("*.html"))
PAGES = sorted((ROOT / "flowfuse" / "pages").rglob("*.py"))
SCRIPT = ROOT / "web" / "static" / "words.js"
SAID = re.compile(r"""\b_\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
COUNTED = re.compile(r"""\bn_\(\s*["']([^"']*)["']\s*,\s*["']([^"']*)["']""")
IN_PYTHON = re.compile(r"""\b(?:say\(\w*\.?language|told\()(?:,\s*)?\s*"([^"]+)\"""")
COUNTED_IN_PYTHON = re.compile(r"""\b(?:say_count\(\w*\.?language,|counted\()\s*["']([^"']+)["']""")
IN_SCRIPT = re.compile(r"^  \w+: '([^'\n]+)',$", re.MULTILINE)
COUNTED_IN_SCRIPT = re.compile(r"^  \w+: \['([^']+)', '[^']+'\],$", re.MULTILINE)
NAMED_IN_SCRIPT = re.compile(r": '([^']+)'")
WORD = re.compile(r"[A-Za-z]{2,}")
CODE = {
    "FlowFuse", "/hook/", "· FlowFuse", "Shop API", "api.example.org", "has-states", '"hello": "world"}',
    'class="is-editor', 'tr" hx-select-oob="#older:outerHTML"',
}  # fmt: skip
"""What is the same in each language."""
OTHERS = [language for language in LANGUAGES if language != "en"]


def said() -> set[str]:
    found = set()
    for path in TEMPLATES:
        text = path.read_text()
        found |= {(m[1] or m[2]).replace("\\'", "'").replace('\\"', '"') for m in SAID.finditer(text)}
    for path in PAGES:
        found |= set(IN_PYTHON.findall(path.read_text()))
    script = SCRIPT.read_text()
    found |= set(IN_SCRIPT.findall(script))
    found |= set(NAMED_IN_SCRIPT.findall(script.partition("const NAMED = {")[2].partition("\n}\n")[0]))
    described = preferences.describe(preferences.Preferences(), {})
    begun = [each.workflow for each in templates.templates().values()]
    return found | {
        *audit_trail.ACTIONS.values(), *templates.NEEDS.values(), *roles.PERMISSIONS.values(), *roles.ROLES,
        *(page[0] for page in find.PAGES), *(place.title for place in settings.PLACES),
        *(row["title"] for row in described), *(row["description"] for row in described),
        *(workflow.name for workflow in begun), *(workflow.description for workflow in begun),
        *(state.word for state in words.STATES.values()), *SENTENCES.values(), *words.PORT_WORDS.values(),
        *(text for node_type in nodes.described() for text in of_type(node_type)),
        *reasons.REASONS, *reasons.PARTS,
        *(said for _cron, said in bench.PRESETS), *(said for _kind, said, _fields in editor.KINDS),
        *(label for _kind, _said, fields in editor.KINDS for _name, label, _secret in fields),
    }  # fmt: skip


def of_type(node_type: NodeType) -> Iterator[str]:
    """What the editor shows of a type: its name, and its fields with their hints."""
    yield node_type.title
    yield node_type.summary
    for field in node_type.fields:
        yield field.title
        if field.description:
            yield field.description


def standing() -> set[str]:
    """What stands in templates as it is said: between tags, and in attributes that people read or hear."""
    found: set[str] = set()
    for path in TEMPLATES:
        found |= {text for text in standing_in(path.read_text()) if WORD.search(text)}
    return found - CODE


def counted() -> set[str]:
    found = {m[1] for path in TEMPLATES for m in COUNTED.finditer(path.read_text())}
    for path in PAGES:
        found |= set(COUNTED_IN_PYTHON.findall(path.read_text()))
    found |= set(COUNTED_IN_SCRIPT.findall(SCRIPT.read_text()))
    return found | {one for one, _ in notices.SENTENCES.values()}


@pytest.mark.parametrize("language", OTHERS)
def test_everything_is_said_in_it(language: str) -> None:
    known = table(language)
    assert sorted(text for text in said() | standing() if text not in known) == []
    assert sorted(text for text in counted() if not isinstance(known.get(text), list)) == []


def test_no_template_says_half_a_sentence() -> None:
    """What stands around a value belongs into one text with it: other languages have another order."""
    found = [
        (path.name, piece)
        for path in TEMPLATES
        if path.name != "api_docs.html"
        for piece, kind in pieces_of(path.read_text())
        if kind == "half" and WORD.search(piece) and "=" not in piece and piece.strip() not in CODE
    ]
    assert found == []


def test_only_what_people_read_is_translated() -> None:
    source = (
        '<a class="live {% if x %}live{% endif %}" title="Undo" data-x="Undo">{# Undo #}Undo</a>{{ "Undo" }}'
        "{% if a < b %} Save {% endif %}<b>Undo {{ what }}</b>"
    )
    assert translated(source, "de") == (
        '<a class="live {% if x %}live{% endif %}" title="Rückgängig" data-x="Undo">{# Undo #}Rückgängig</a>'
        '{{ "Undo" }}{% if a < b %} Speichern {% endif %}<b>Undo {{ what }}</b>'
    )
    assert translated(source, "en") == source


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_filled_in_that_is_not_given(language: str) -> None:
    for english, told in table(language).items():
        for form in told if isinstance(told, list) else [told]:
            assert set(re.findall(r"\{\w+\}", form)) <= {*re.findall(r"\{\w+\}", english), "{n}", "{0}"}, (
                english
            )
