"""Templates to HTML: the one door to jinja2, with the words and the assets that every page uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from flowfuse.pages import charts, words
from flowfuse.pages.form import text_of
from flowfuse.pages.language import say, say_count, translated
from flowfuse.pages.run_log import log_view
from flowfuse.pages.sample import schema_of
from flowfuse.pages.values import bud, shown_json, step, table, tree, twig
from flowfuse.resources import asset_root

if TYPE_CHECKING:
    import jinja2

STATIC = "/static"
"""Where the built assets are served. Their names hold a hash, so they may be cached for ever."""

POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
    "connect-src 'self'", "font-src 'self'", "form-action 'self'", "base-uri 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
"""The Content-Security-Policy of every page: nothing inline, nothing from elsewhere."""


def policy_for(nonce: str) -> str:
    """The policy of a page whose text editors bring style elements of their own, marked with the nonce."""
    return POLICY.replace("style-src 'self'", f"style-src 'self' 'nonce-{nonce}'")


class Templates:
    """web/templates, compiled when first used; `now_us` is the clock's."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._assets = _manifest()
        self._environments: dict[str, jinja2.Environment] = {}

    def render(self, name: str, *, zone: str = "", language: str = "en", **context: Any) -> str:
        """A page or part. `zone` is the reader's time zone (cookie `tz`); without it, the server's."""
        environment = self._environments.get(language)
        if environment is None:
            environment = self._environments[language] = _environment(self.asset, language)
        template = environment.get_template(name)
        return template.render(now=self._now_us(), zone=zone, language=language, **context)

    def asset(self, name: str) -> str:
        """The address of a built file by its source's name. Raises KeyError."""
        return f"{STATIC}/{self._assets[name]}"


def _manifest() -> dict[str, str]:
    built = asset_root("web") / "dist" / "manifest.json"
    return msgspec.json.decode(built.read_bytes(), type=dict[str, str])


def _environment(asset: Callable[[str], str], language: str) -> jinja2.Environment:
    # Imported when the first page is asked for: a webhook's first answer needs none of it.
    import jinja2

    folder = asset_root("web") / "templates"

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        path = folder / name
        if not path.is_file():
            return None
        return translated(path.read_text(encoding="utf-8"), language), str(path), lambda: True

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        asset=asset,
        _=jinja2.pass_context(_say),
        n_=jinja2.pass_context(_say_count),
        identity=None,
        theme="",
        notice=None,
        has_sheet=False,
    )
    environment.filters.update(
        agent=words.agent_words,
        count=words.count,
        safe_svg=_drawn,
        size=jinja2.pass_context(_size),
        typed_size=jinja2.pass_context(_typed_size),
        twice=lambda value: (value, value),
        initials=words.initials,
        instant=jinja2.pass_context(_instant),
        json=text_of,
        log=log_view,
        schema=schema_of,
        took=words.took,
        day=jinja2.pass_context(_day),
        clock=jinja2.pass_context(_clock),
        way=words.way,
        shown=shown_json,
        spark=charts.spark,
        state=words.state_words,
        step=step,
        table=table,
        tree=jinja2.pass_context(_tree),
        twig=jinja2.pass_context(_twig),
        when=jinja2.pass_context(_when),
    )
    return environment


def _drawn(picture: str) -> Any:
    """A picture that our own code has drawn."""
    from markupsafe import Markup

    return Markup(picture)


def _typed_size(context: jinja2.runtime.Context, number: int) -> str:
    return words.typed_size(number, context["language"])


def _size(context: jinja2.runtime.Context, number: int) -> str:
    return words.size(number, context["language"])


def _day(context: jinja2.runtime.Context, date: Any) -> str:
    return words.day_words(date, context["language"])


def _tree(context: jinja2.runtime.Context, value: Any, key: str = "") -> Any:
    return tree(value, key, context["language"])


def _twig(context: jinja2.runtime.Context, value: Any, key: str = "", unfolded: bool = True) -> Any:
    return (twig if unfolded else bud)(value, key, context["language"])


def _clock(context: jinja2.runtime.Context, micros: int) -> str:
    """The time of day as `<time>`."""
    from markupsafe import Markup

    shown = f"{words.local(micros, context['zone']):%H:%M}"
    return Markup('<time datetime="{0}">{1}</time>').format(words.iso(micros), shown)


def _instant(context: jinja2.runtime.Context, micros: int) -> str:
    """The time of day to the millisecond as `<time>`, its day on hover."""
    from markupsafe import Markup

    at = words.iso(micros)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(
        at, words.instant(micros, context["zone"])
    )


def _say(context: jinja2.runtime.Context, text: str, **values: Any) -> str:
    return say(context["language"], text, **values)


def _say_count(context: jinja2.runtime.Context, one: str, many: str, number: int, **values: Any) -> str:
    return say_count(context["language"], one, many, number, **values)


def _when(context: jinja2.runtime.Context, micros: int | None) -> str:
    """An instant as `<time>`: short for people, exact for machines and on hover."""
    from markupsafe import Markup

    shown = words.when(micros, context["now"], context["zone"], context["language"])
    # Our own digits and names of days: nothing in them is to be escaped, and a list holds hundreds.
    at = words.iso(micros)
    return Markup(f'<time datetime="{at}" title="{at}">{shown}</time>')
