"""House rules of web/: one place for colours, nothing inline, no sign that is not drawn."""

import re
from pathlib import Path

import pytest

from flowfuse.model import Node
from flowfuse.nodes import described
from flowfuse.pages.summary import FAMILIES, glyph

WEB = Path(__file__).resolve().parents[2] / "web"
STYLES = sorted((WEB / "static").glob("*.css"))
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
SCRIPTS = sorted((WEB / "static").rglob("*.js"))

RAW_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\brgb\(|\boklch\(|\bhsl\(")
TEXTS = ("ink", "ink-2", "ink-3", "accent", "ok", "run", "fail", "warn", "wait", "idle")
INLINE = re.compile(r"\sstyle=|\son\w+=|hx-on|js:|hx-trigger=\"[^\"]*\[")


@pytest.mark.parametrize("path", [p for p in STYLES if p.name != "tokens.css"], ids=lambda p: p.name)
def test_raw_colours_stand_in_tokens_only(path: Path) -> None:
    rules = re.sub(r"url\([^)]*\)", "", path.read_text())
    assert RAW_COLOUR.findall(rules) == []


def test_every_token_that_is_used_exists() -> None:
    defined = set(re.findall(r"(--[\w-]+):", (WEB / "static" / "tokens.css").read_text()))
    used = {name for path in STYLES for name in re.findall(r"var\((--[\w-]+)", path.read_text())}
    assert used - defined == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.relative_to(WEB).as_posix())
def test_templates_hold_nothing_inline(path: Path) -> None:
    assert INLINE.findall(path.read_text()) == []


def test_classes_that_are_styled_are_used() -> None:
    views = (WEB.parent / "flowfuse" / "pages").glob("*.py")
    markup = "".join(path.read_text() for path in (*TEMPLATES, *SCRIPTS, *views))
    words = set(re.findall(r"[\w-]+", markup))
    made = re.compile(
        r"(is|st|k|g|u|jt|tile|fam|face|who|df|cm|monaco)-"
    )  # put together from a state's or family's name, or CodeMirror's, or Monaco's
    other = re.compile(r'/\*.*?\*/|url\([^)]*\)|"[^"]*"')
    rules = " ".join(other.sub("", path.read_text()) for path in STYLES)
    styled = set(re.findall(r"\.([a-zA-Z][\w-]*)", rules))
    assert {name for name in styled - words if not made.match(name)} == set()


def test_every_sign_is_drawn() -> None:
    drawn = set(re.findall(r'symbol id="([\w-]+)"', (WEB / "static" / "icons.svg").read_text()))
    asked = {f"i-{name}" for path in TEMPLATES for name in re.findall(r'icon\("([\w-]+)"', path.read_text())}
    for node_type in described():
        asked.add(f"i-{glyph(_placed(node_type.type), node_type)}")
    asked |= {f"t-{family}" for family in FAMILIES}
    asked |= {f"i-{glyph(_placed(f'{family}.unknown'), None)}" for family in FAMILIES}
    assert asked - drawn == set()


def _placed(node_type: str) -> Node:
    return Node(id="x", type=node_type)


def test_the_lock_names_no_address() -> None:
    for lock in (WEB / "package-lock.json", *WEB.parent.glob("requirements*.lock")):
        assert "://" not in lock.read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_tiles_stand_out(theme: str) -> None:
    """WCAG 2 contrast, computed from the tokens: text 4.5, tiles and the borders of fields 3."""
    text = (WEB / "static" / "tokens.css").read_text()
    block = text[text.index(":root {") : text.index("@supports")]
    if theme == "dark":
        block += text[text.index("@media (prefers-color-scheme: dark)") :].partition("@supports")[0]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    pairs = [(name, ground, 4.5) for name in TEXTS for ground in ("paper", "canvas", "card", "hover")]
    pairs += [(f"fam-{family}", "card", 3) for family in FAMILIES]
    pairs += [(state, f"{state}-soft", 4.5) for state in ("fail", "warn")]
    assert [pair for pair in pairs if _contrast(colours[pair[0]], colours[pair[1]]) < pair[2]] == []


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
