"""Makes `docs/expressions.md`: the language in a page, and every function of its library.

python -m flowfuse.expression.docs > docs/expressions.md
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from typing import Any

from flowfuse.expression.library import Function, library

LANGUAGE = """\
# Expressions

A field of a node's config may hold expressions between `{{` and `}}`:

- A field that is exactly one expression keeps the value's type: `{{ trigger.body.amount * 2 }}` is a number.
- In text, strings go in as they are and all else as compact JSON: `Hello {{ trigger.name }}, you are
  {{ trigger.age }}`.
- An expression ends at the first `}}` outside of brackets and quotes, so `{{ {"a": {"b": 1}} }}` works.
  To write two braces as text, put them in quotes: `{{ "{{" }}`.
- What an expression gives is never evaluated again, whatever it holds.

## What is in reach

| name | what it is |
|---|---|
| `trigger` | the value that the trigger gave |
| `input` | the value that came along the edge; where several fired, an object by node id |
| `nodes.<id>` | the value of any node before this one |
| `item`, `index` | in a loop's body: the item of this round, and its number from 0 |
| `loops.<id>.item`, `loops.<id>.index` | the same of an outer loop |
| `vars` | the workflow's variables |
| `execution`, `workflow` | this run, and the workflow it runs |

## The language

It is a subset of Python's expressions over JSON values.

- Literals: numbers, text in quotes, `[1, 2]`, `{"a": 1}`, `true`, `false`, `null`.
- Reading: `x.key` and `x["key"]`, `x[0]`, `x[-1]`, `x[1:3]`. After a dot any name is a key, also
  `trigger.from` or `x.items`. A key that is missing is an error that shows the keys there are;
  `get(x, "a.b.0", default)` is not, and gives the default also for a node that has not fired.
- Arithmetic: `+ - * / // % **`. `+` also joins texts or lists, `*` repeats them.
- Comparison: `== != < <= > >=`, `in`, `not in`, also in a chain: `0 < x <= 10`.
- Logic: `and`, `or`, `not`, `a if condition else b`. Empty text, lists and objects, `0` and `null` are false.
- Comprehensions: `[x.name for x in input.items if x.total > 100]`, `{k: v for k, v in items(trigger.body)}`.
- Text with values: `f"{total:.2f} EUR"`, with Python's format on numbers and text.
- Functions, written either way: `upper(trigger.name)` or `trigger.name.upper()`. `x.name` is always the key,
  `x.name(…)` always the function.

Not in it: `lambda`, `:=`, `is`, sets, `*` and `**` that spread, operations on bits, comments.

Each expression may take one second and 64 MB.

## Functions

Arguments with a default may be given by name: `sort_by(items, "total", descending=true)`. A *key path*
is text such as `"customer.address.0.city"`.
"""


def page() -> str:
    """The whole Markdown page."""
    parts = [LANGUAGE]
    for name, functions in groupby(library(), key=lambda function: function.group):
        parts.append(f"\n### {name}\n\n")
        parts.extend(_entry(function) for function in functions)
    return "".join(parts)


def _entry(function: Function) -> str:
    return (
        f"- **`{function.signature}`** – {function.summary}  \n"
        f"  `{function.example}` → `{_shown(function.result)}`\n"
    )


def _shown(result: Any) -> str:
    return json.dumps(result, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(page())
