"""The page of docs says what the node types are now."""

from __future__ import annotations

from pathlib import Path

from flowfuse.nodes.docs import page

PAGE = Path(__file__).parents[2] / "docs" / "nodes.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m flowfuse.nodes.docs > docs/nodes.md"
