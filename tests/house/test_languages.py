"""House rules of languages: what a page says in English is there in each of the others, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowfuse.data import preferences, roles
from flowfuse.pages import audit_trail, find, notices, settings, templates, words
from flowfuse.pages.language import LANGUAGES, table, translated

TEMPLATES = sorted((Path(__file__).resolve().parents[2] / "web" / "templates").rglob("*.html"))
SAID = re.compile(r"""\b_\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
COUNTED = re.compile(r"""\bn_\(\s*["']([^"']*)["']\s*,\s*["']([^"']*)["']""")
OTHERS = [language for language in LANGUAGES if language != "en"]


def said() -> set[str]:
    found = set()
    for path in TEMPLATES:
        text = path.read_text()
        found |= {(m[1] or m[2]).replace("\\'", "'").replace('\\"', '"') for m in SAID.finditer(text)}
    described = preferences.describe(preferences.Preferences(), {})
    begun = [each.workflow for each in templates.templates().values()]
    return found | {
        *audit_trail.ACTIONS.values(), *templates.NEEDS.values(), *roles.PERMISSIONS.values(), *roles.ROLES,
        *(page[0] for page in find.PAGES), *(place.title for place in settings.PLACES),
        *(row["title"] for row in described), *(row["description"] for row in described),
        *(workflow.name for workflow in begun), *(workflow.description for workflow in begun),
        *(state.word for state in words.STATES.values()),
    }  # fmt: skip


def counted() -> set[str]:
    found = {m[1] for path in TEMPLATES for m in COUNTED.finditer(path.read_text())}
    return found | {one for one, _ in notices.SENTENCES.values()}


@pytest.mark.parametrize("language", OTHERS)
def test_everything_is_said_in_it(language: str) -> None:
    known = table(language)
    assert sorted(text for text in said() if text not in known) == []
    assert sorted(text for text in counted() if not isinstance(known.get(text), list)) == []


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
            assert set(re.findall(r"\{\w+\}", form)) <= {*re.findall(r"\{\w+\}", english), "{n}"}, english
