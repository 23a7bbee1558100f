"""A renamed node takes the expressions along that name it, and nothing else."""

import pytest

from flowfuse.expression.rename import rename_in


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{{ nodes.old.a }}", "{{ nodes.new.a }}"),
        ("x {{ nodes.old }} y {{nodes.old.b}}", "x {{ nodes.new }} y {{nodes.new.b}}"),
        ('{{ nodes["old"].a }}', "{{ nodes.new.a }}"),
        ("{{ loops.old.item + nodes.older.a }}", "{{ loops.new.item + nodes.older.a }}"),
        ("{{ [n.old for n in nodes.old] }}", "{{ [n.old for n in nodes.new] }}"),
        ("{{ f'{nodes.old.a:.2f} of {nodes.old.b}' }}", "{{ f'{nodes.new.a:.2f} of {nodes.new.b}' }}"),
        ("{{ 'nodes.old' }} nodes.old", "{{ 'nodes.old' }} nodes.old"),
        ("{{ input.old + trigger.nodes }}", "{{ input.old + trigger.nodes }}"),
        ("{{ nodes.old. }}", "{{ nodes.old. }}"),
        ("{{ nodes.old", "{{ nodes.old"),
        ('{{ "ä" + nodes.old.ü }}', '{{ "ä" + nodes.new.ü }}'),
    ],
)
def test_text(before: str, after: str) -> None:
    assert rename_in(before, "old", "new") == after


def test_at_any_depth_but_not_in_keys() -> None:
    value = {"{{ nodes.old }}": ["{{ nodes.old.a }}", 1, None, {"x": "{{ nodes.old }}"}]}
    assert rename_in(value, "old", "new") == {
        "{{ nodes.old }}": ["{{ nodes.new.a }}", 1, None, {"x": "{{ nodes.new }}"}]
    }
