"""SettingsPanel: /settings/<group>#key – everything people may set, found by its words, checked in place."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from msgspec import Struct

from flowfuse import __version__
from flowfuse.data.backup import Backups
from flowfuse.data.preferences import PreferenceStore, describe, keys, settable, unit_of
from flowfuse.data.storage import Storage, Usage
from flowfuse.errors import NotFound, RequestInvalid
from flowfuse.pages.about import libraries
from flowfuse.pages.audit_trail import note
from flowfuse.pages.forms import read_form
from flowfuse.pages.guards import identity_of, needs, signed_in, workspace_of
from flowfuse.pages.identity import Identity
from flowfuse.pages.language import LANGUAGES, say
from flowfuse.pages.notices import back
from flowfuse.pages.page import language_of, page, refused
from flowfuse.pages.settings_index import Entry, found_entries
from flowfuse.pages.words import bytes_of

Asked = Request[Any, Any, Any]
HERE = "/settings"


class Place(Struct, frozen=True):
    """An entry of the panel's own nav."""

    group: str
    title: str
    permission: str


PLACES = (
    Place("account", "Your account", "self"),
    Place("keys", "API keys", "self"),
    Place("members", "Members and workspaces", "administer"),
    Place("history", "Retention", "administer"),
    Place("backup", "Backups", "administer"),
    Place("network", "Network", "administer"),
    Place("files", "Files", "administer"),
    Place("about", "About", "read"),
)
_OWN_PAGES = ("account", "keys", "members", "about")


class SettingForm(msgspec.Struct, forbid_unknown_fields=True):
    """One setting as its row sends it; `default` brings its default back."""

    key: str
    value: str = ""
    default: bool = False


def places(identity: Identity, language: str) -> list[Place]:
    """The entries that somebody may open, and those for groups that have come since."""
    known = {place.group for place in PLACES}
    groups = {key.partition(".")[0] for key in keys() if settable(key, identity.workspace)}
    added = [
        Place(group, group.replace("_", " ").capitalize(), "administer")
        for group in dict.fromkeys(key.partition(".")[0] for key in keys())
        if group not in known
    ]
    return [
        Place(place.group, say(language, place.title), place.permission)
        for place in (*PLACES[:-1], *added, PLACES[-1])
        if identity.may(place.permission) and (place.group in groups or place.group in _OWN_PAGES)
    ]


@get(HERE, guards=[signed_in])
async def settings_home(request: Asked, preferences: NamedDependency[PreferenceStore]) -> Response[Any]:
    """What is searched for, else what was changed, else the first place."""
    identity, language = identity_of(request), language_of(request)
    may_change = identity.may("administer")
    wanted = request.query_params.get("q", "").strip()[:100]
    shown = places(identity, language)
    if not may_change and not wanted:
        return Redirect(f"{HERE}/{shown[0].group}", status_code=303)
    rows = await _rows(identity.workspace, preferences) if may_change else []
    found: list[Entry] = []
    if wanted:
        words = wanted.lower().split()
        rows = [row for row in rows if all(word in _text(row) for word in words)]
        found = [*_as_entries(shown, words), *found_entries(wanted, identity)]
    else:
        rows = sorted(rows, key=lambda row: not row["changed"])
    return page(
        request, "settings.html", places=shown, group="", rows=rows, q=wanted,
        found=found, field="", wrong="", given="", usage=None, backups=None,
    )  # fmt: skip


@get(f"{HERE}/{{group:str}}", guards=[needs("administer")])
async def settings_group(
    request: Asked,
    group: FromPath[str],
    preferences: NamedDependency[PreferenceStore],
    storage: NamedDependency[Storage],
    backups: NamedDependency[Backups],
) -> Response[str]:
    """The settings of one group. Raises NotFound."""
    return await _shown(request, group, preferences, storage, backups)


async def _shown(
    request: Asked,
    group: str,
    preferences: PreferenceStore,
    storage: Storage,
    backups: Backups,
    **wrong: str,
) -> Response[str]:
    workspace = workspace_of(request)
    rows = [row for row in await _rows(workspace, preferences) if row["group"] == group]
    if not rows:
        raise NotFound(what="group of settings", id=group)
    usage: Usage | None = await storage.usage(glance=True) if group == "history" else None
    kept = await asyncio.to_thread(backups.list) if group == "backup" else None
    shown: dict[str, Any] = {"field": "", "wrong": "", "given": "", **wrong}
    return page(
        request, "settings.html", places=places(identity_of(request), language_of(request)), group=group,
        rows=rows, q="", found=[], usage=usage, backups=kept, began_from=backups.began_from, **shown,
    )  # fmt: skip


@post(HERE, guards=[needs("administer")], status_code=200)
async def change_setting(
    request: Asked,
    preferences: NamedDependency[PreferenceStore],
    storage: NamedDependency[Storage],
    backups: NamedDependency[Backups],
) -> Response[Any]:
    """Change one setting; what is wrong with it is said beside it."""
    form, workspace = await read_form(request, SettingForm), workspace_of(request)
    group = form.key.partition(".")[0]
    try:
        value = None if form.default else _value(form)
        await preferences.set(workspace, {form.key: value})
    except RequestInvalid as error:
        if form.key not in keys():
            raise
        shown = await _shown(
            request, group, preferences, storage, backups,
            field=form.key, wrong=error.parameters["reason"], given=form.value,
        )  # fmt: skip
        return refused(shown, error)
    note(request, f"{HERE}/{group}", f"{form.key} = {value!r}")
    return back(request, f"{HERE}/{group}", "saved")


def _value(form: SettingForm) -> Any:
    """The value that a text of the form means. Raises RequestInvalid."""
    hint = keys().get(form.key)
    if hint is None:
        raise RequestInvalid(field=form.key, reason="there is no such setting")
    kind = hint.__origin__
    text = form.value.strip()
    if kind is bool:
        return text == "true"
    if getattr(kind, "__origin__", kind) is list:
        return [each for each in text.replace(",", "\n").split() if each]
    if unit_of(hint) == "bytes":
        return _bytes_of(form.key, text)
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        raise RequestInvalid(
            field=form.key, reason=f"“{text[:80]}” is no {_KINDS.get(kind, 'value')}"
        ) from None


def _bytes_of(key: str, text: str) -> int:
    size = bytes_of(text)
    if size is None:
        raise RequestInvalid(field=key, reason=f"“{text[:80]}” is no size such as 2 GB or 500 MB")
    return size


_KINDS = {int: "whole number", float: "number"}


@get(f"{HERE}/about", guards=[signed_in])
async def about(request: Asked) -> Response[str]:
    """The version, and whose work is in it."""
    shown = places(identity_of(request), language_of(request))
    return page(request, "settings_about.html", places=shown, group="about", version=__version__,
                libraries=await asyncio.to_thread(libraries))  # fmt: skip


async def _rows(workspace: str, preferences: PreferenceStore) -> list[dict[str, Any]]:
    changed = await preferences.changed(workspace)
    return describe(await preferences.get(workspace), changed, workspace)


def _text(row: dict[str, Any]) -> str:
    said = (say(language, row[part]) for part in ("title", "description") for language in LANGUAGES)
    return " ".join([row["key"], row["group"], row["title"], row["description"], *said]).lower()


def _as_entries(shown: list[Place], words: list[str]) -> list[Entry]:
    """The groups of settings whose names fit; what has a page of its own is in the index."""
    return [
        Entry(f"{HERE}/{place.group}", place.title, "")
        for place in shown
        if place.group not in _OWN_PAGES and all(word in place.title.lower() for word in words)
    ]
