"""The page of docs of the code node's Python. `python -m flowfuse.sandbox.docs > docs/code.md`.

What it says is tried by a test: every snippet of `HAS` runs, every one of `HAS_NOT` does not, and the
list of modules is what can be imported.
"""

from __future__ import annotations

import sys

from flowfuse.sandbox.modules import MAX_ARGUMENT, MODULES
from flowfuse.sandbox.runner import DEFAULT_SECONDS, MAX_MEMORY, MAX_PRINTED

NATIVE = {
    "asyncio": "gather sleep",
    "base64": "b64decode b64encode b32decode b32encode b16decode b16encode b85decode b85encode "
    "standard_b64decode standard_b64encode urlsafe_b64decode urlsafe_b64encode",
    "binascii": "hexlify unhexlify a2b_base64 a2b_hex b2a_base64 b2a_hex crc32",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "collections": "Counter defaultdict deque namedtuple",
    "copy": "copy deepcopy",
    "csv": "reader DictReader writer DictWriter",
    "dataclasses": "dataclass field is_dataclass",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal getcontext localcontext ROUND_HALF_UP ROUND_HALF_EVEN ROUND_DOWN ROUND_UP "
    "ROUND_FLOOR ROUND_CEILING",
    "functools": "cache lru_cache partial reduce",
    "hashlib": "md5 sha1 sha224 sha256 sha384 sha512 sha3_256 sha3_512 blake2b blake2s new pbkdf2_hmac",
    "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle "
    "dropwhile filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee "
    "zip_longest",
    "json": "dumps loads JSONDecodeError",
    "math": "acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf "
    "exp exp2 fabs factorial floor fmod fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm "
    "log log10 log1p log2 modf nan perm pi pow prod radians sin sinh sqrt tan tanh tau trunc",
    "random": "random randint randrange choice choices sample shuffle uniform gauss triangular "
    "expovariate betavariate",
    "re": "compile search match fullmatch findall finditer split sub escape error IGNORECASE MULTILINE "
    "DOTALL",
    "time": "time sleep monotonic perf_counter strftime strptime gmtime localtime",
    "tomllib": "loads TOMLDecodeError",
    "typing": "Any Callable Dict List Literal Optional Sequence Tuple Union",
    "unicodedata": "category combining is_normalized lookup name normalize",
}
"""Modules that the dialect brings itself, with what of them is of use here."""

HAS: tuple[tuple[str, str], ...] = (
    ("`return` anywhere, at the top too", "for n in [1, 2]:\n    if n > 1:\n        return n"),
    ("the last expression as the result", "a = 1\na + 1"),
    ("functions, closures, `lambda`, `*args`, `**kwargs`", "def f(*a, **k):\n    return len(a)\nf(1, 2)"),
    ("classes (without inheritance), dataclasses", "class A:\n    def f(self):\n        return 1\nA().f()"),
    ("comprehensions, generator expressions, unpacking", "a, *b = [x for x in 'abc']\nlist(y for y in b)"),
    ("f-strings, also nested quotes; `str.format`", "d = {'a': 1}\nf'{d['a']:>5}' + '{}'.format(1)"),
    ("`match`", "match {'a': 1}:\n    case {'a': x}:\n        r = x\nr"),
    ("`try` / `except` / `finally`, `raise`, `assert`", "try:\n    1 / 0\nexcept Exception:\n    r = 1\nr"),
    ("`while`, `for … else`, `break`, `continue`", "for x in []:\n    pass\nelse:\n    r = 1\nr"),
    ("`async def`, `await`, `asyncio.gather`", "async def f():\n    return 1\nawait f()"),
    ("`print`, which goes into the run's log", "print('hello')"),
    ("`time.sleep`, within the node's timeout", "import time\ntime.sleep(0)"),
)  # fmt: skip

HAS_NOT: tuple[tuple[str, str], ...] = (
    ("`yield`: give a list, or a generator expression", "def f():\n    yield 1"),
    ("inheritance and `enum`: use plain classes, dataclasses, dicts", "class A(dict):\n    pass"),
    ("`@property`: use a method", "class A:\n    @property\n    def f(self):\n        return 1\nA().f + 1"),
    ("`del`: use `pop`, or make a new dict", "d = {'a': 1}\ndel d['a']"),
    ("`from … import *`", "from json import *"),
    ("`io`, so `csv.writer` needs an object with `write`", "import io"),
    ("files, the network, the environment, other processes", "open('/etc/hostname').read()"),
    ("packages from PyPI", "import requests"),
)  # fmt: skip


PAGE = """\
# The code node's Python

`action.code` runs Python in a process of its own that can reach nothing: no file, no network, no
environment, nothing of FlowFuse. It sees its `inputs`, each key a global, and gives what it returns or
its last expression. The result is JSON: dates become ISO text, tuples lists, dataclasses objects; sets,
bytes and decimals are refused with a word on what to write instead.

```yaml
- id: totals
  type: action.code
  config:
    inputs: {{orders: '{{{{ trigger.body }}}}'}}
    source: |
      total = sum(order['amount'] for order in orders)
      return {{'total': total, 'many': len(orders) > 10}}
```

A run has {seconds:g} s (the node's `timeout` changes it) and {memory} MB of memory. An error names the
line. `print` goes into the run's log, up to {printed} KB. The clock stands still at the node's start, in
the workflow's timezone, and chance is the same when a run is resumed after a crash.

It is a dialect: most of everyday Python, and not all of it.

## What it has

{has}

Modules: {native}.

And these, as far as said; their functions take at most {argument:,} characters or items:

{modules}

## What it does not have

{has_not}
"""


def members() -> dict[str, list[str]]:
    """All modules that code can import, with their members, for completion."""
    own = {name: said.split() for name, (said, _) in MODULES.items()}
    return {name: said.split() for name, said in NATIVE.items()} | own


def page() -> str:
    """The whole page as Markdown."""
    return PAGE.format(
        seconds=DEFAULT_SECONDS,
        memory=MAX_MEMORY // 1024 // 1024,
        printed=MAX_PRINTED // 1024,
        argument=MAX_ARGUMENT,
        has="\n".join(f"- {what}" for what, _ in HAS),
        native=", ".join(f"`{name}`" for name in NATIVE),
        modules="\n".join(_module(name, *what) for name, what in MODULES.items()),
        has_not="\n".join(f"- {what}" for what, _ in HAS_NOT),
    )


def _module(name: str, members: str, remark: str) -> str:
    listed = ", ".join(members.split())
    return f"- `{name}`: {listed}" + (f" ({remark})" if remark else "")


if __name__ == "__main__":
    sys.stdout.write(page())
