"""docs/expressions.md is what the library says now."""

from __future__ import annotations

from pathlib import Path

from flowfuse.expression.docs import page

PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python -m flowfuse.expression.docs > docs/expressions.md"
    )
