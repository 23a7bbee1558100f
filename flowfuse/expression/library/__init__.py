"""The functions that an expression may call, by group."""

from flowfuse.expression.library import codec, dates, lists, misc, numbers, objects, text
from flowfuse.expression.library.registry import Function

__all__ = ["LIBRARY", "Function", "library"]

_GROUPS = (lists.GROUP, objects.GROUP, text.GROUP, numbers.GROUP, dates.GROUP, codec.GROUP, misc.GROUP)

LIBRARY: dict[str, Function] = {function.name: function for group in _GROUPS for function in group.functions}


def library() -> list[Function]:
    """All functions, in the order of the documentation."""
    return list(LIBRARY.values())
