"""Modules of the standard library that the dialect has not, as functions of ours.

They run in FlowFuse's own process, on its event loop, so each takes only small arguments, touches nothing
outside, and is quick. Code meets them by `import`, under their usual names.
"""

from __future__ import annotations

import functools
import hmac
import html
import random
import re
import statistics
import string
import textwrap
import urllib.parse
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from flowfuse.sandbox.xml_reader import parse_xml

MAX_ARGUMENT = 1_000_000
"""Characters, bytes or items that a host function takes at most, all of its arguments together."""
SLOW_ARGUMENT, SLOW_NUMBERS = 100_000, 5_000
"""The same for functions that take long for what they are given: on texts, on numbers."""

MODULES: dict[str, tuple[str, str]] = {
    "hmac": ("new digest compare_digest", "what `new` gives has update, digest and hexdigest"),
    "html": ("escape unescape", ""),
    "secrets": ("token_hex token_urlsafe compare_digest", ""),
    "statistics": ("mean fmean median mode stdev pstdev variance pvariance quantiles", ""),
    "string": (
        "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits punctuation whitespace",
        "",
    ),
    "textwrap": ("dedent indent wrap fill shorten", ""),
    "urllib.parse": (
        "quote quote_plus unquote unquote_plus urlencode parse_qs parse_qsl urljoin urlsplit urlparse",
        "the last two give an object with the parts as attributes",
    ),
    "uuid": ("uuid4 uuid5 NAMESPACE_DNS NAMESPACE_URL", "all as text"),
    "xml": ("parse", "a text as nested {tag, attributes, text, children}; no DTDs"),
    "zoneinfo": ("convert available_timezones", "`convert(moment, zone)` gives a datetime in another zone"),
}
"""Every host module with its members and a remark, for the page of docs."""

_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_STRINGS = (
    "ascii_letters",
    "ascii_lowercase",
    "ascii_uppercase",
    "digits",
    "hexdigits",
    "punctuation",
    "whitespace",
)
_STATISTICS = ("mean", "fmean", "median", "mode", "stdev", "pstdev", "variance", "pvariance", "quantiles")


class Keyed:
    """What `hmac.new` gives."""

    def __init__(self, key: bytes, message: bytes | None, digestmod: str) -> None:
        self._made = hmac.new(key, message, _hash(digestmod))

    def update(self, message: bytes) -> None:
        """Add to the message."""
        _small(message)
        self._made.update(message)

    def digest(self) -> bytes:
        """The code as bytes."""
        return self._made.digest()

    def hexdigest(self) -> str:
        """The code in hexadecimal digits."""
        return self._made.hexdigest()


def external_modules(monty: Any, seed: str) -> Mapping[str, Any]:
    """The host modules for one run of code, given the sandbox's package."""

    async def made_when_imported() -> Any:
        return monty.ExternalModule(_uuid(seed))

    return {**_common(monty), "uuid": made_when_imported}


@functools.cache
def _common(monty: Any) -> Mapping[str, Any]:
    groups: dict[str, dict[str, Any]] = {
        "html": _checked(escape=html.escape, unescape=html.unescape),
        "secrets": {**_secrets(), **_checked(compare_digest=hmac.compare_digest)},
        "statistics": {name: _guarded(getattr(statistics, name), SLOW_NUMBERS) for name in _STATISTICS},
        "string": {name: getattr(string, name) for name in _STRINGS},
        "textwrap": {
            name: _guarded(getattr(textwrap, name), SLOW_ARGUMENT)
            for name in ("dedent", "indent", "wrap", "fill", "shorten")
        },
        "xml": {"parse": _guarded(parse_xml, SLOW_ARGUMENT)},
        "zoneinfo": {"convert": _convert, "available_timezones": _zones},
    }
    made = {name: monty.ExternalModule(members) for name, members in groups.items()}
    parse = monty.ExternalModule(_urls(monty))
    return {
        **made,
        "urllib": monty.ExternalModule({"parse": parse}),
        "hmac": monty.ExternalModule(_hmac(monty)),
    }


def _hash(name: Any) -> str:
    """The name of a hash. `hashlib.sha256` itself crosses the border as the text of a function."""
    function = re.match(r"<function '?(\w+)", str(name))
    text = (function[1] if function else str(name)).lower().replace("-", "")
    if text not in _HASHES:
        raise ValueError(f"unsupported hash {name!r}; there are {', '.join(_HASHES)}")
    return text


def _hmac(monty: Any) -> dict[str, Any]:
    def new(key: bytes, msg: bytes | None = None, digestmod: str = "") -> Any:
        _small(key, msg)
        return monty.ClassInstance(
            Keyed(key, msg, digestmod), allowed_methods=("update", "digest", "hexdigest")
        )

    def digest(key: bytes, msg: bytes, digest: str) -> bytes:
        _small(key, msg)
        return hmac.digest(key, msg, _hash(digest))

    return {"new": new, "digest": digest, **_checked(compare_digest=hmac.compare_digest)}


def _secrets() -> dict[str, Any]:
    import secrets

    return {
        "token_hex": lambda nbytes=32: secrets.token_hex(min(int(nbytes), 1024)),
        "token_urlsafe": lambda nbytes=32: secrets.token_urlsafe(min(int(nbytes), 1024)),
    }


def _urls(monty: Any) -> dict[str, Any]:
    names = (
        "quote",
        "quote_plus",
        "unquote",
        "unquote_plus",
        "urlencode",
        "parse_qs",
        "parse_qsl",
        "urljoin",
    )
    parts = ("scheme", "netloc", "path", "query", "fragment", "hostname", "port", "username", "password")

    def urlsplit(url: str) -> Any:
        _small(url)
        return monty.ClassInstance(urllib.parse.urlsplit(url), eager_attrs=parts, allowed_methods=("geturl",))

    functions = _checked(**{name: getattr(urllib.parse, name) for name in names})
    return {**functions, "urlsplit": urlsplit, "urlparse": urlsplit}


def _uuid(seed: str) -> dict[str, Any]:
    source = random.Random(f"uuid {seed}")

    def uuid5(namespace: str, name: str) -> str:
        _small(name)
        return str(uuid.uuid5(uuid.UUID(str(namespace)), name))

    return {
        "uuid4": lambda: str(uuid.UUID(int=source.getrandbits(128), version=4)),
        "uuid5": uuid5,
        "NAMESPACE_DNS": str(uuid.NAMESPACE_DNS),
        "NAMESPACE_URL": str(uuid.NAMESPACE_URL),
    }


def _convert(moment: datetime, zone: str) -> datetime:
    """The same moment in a zone; its offset is fixed, for zones with rules do not cross the border."""
    try:
        there = moment.astimezone(zoneinfo.ZoneInfo(str(zone)))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"No time zone found with key {zone}") from None
    return there.replace(tzinfo=timezone(there.utcoffset() or timedelta(), there.tzname() or zone))


def _zones() -> list[str]:
    return sorted(zoneinfo.available_timezones())


def _small(*values: Any, most: int = MAX_ARGUMENT) -> None:
    """Refuse what is too large for a function that runs in our own process."""
    left, budget = list(values), most
    while left:
        value = left.pop()
        if isinstance(value, str | bytes):
            budget -= len(value)
        elif isinstance(value, dict):
            left.extend(value.keys())
            left.extend(value.values())
        elif isinstance(value, list | tuple | set):
            left.extend(value)
        budget -= 1
        if budget < 0:
            raise ValueError(f"this function takes at most {most:,} characters or items")


def _checked(**functions: Callable[..., Any]) -> dict[str, Any]:
    return {name: _guarded(function, MAX_ARGUMENT) for name, function in functions.items()}


def _guarded(function: Callable[..., Any], most: int) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        _small(*arguments, *named.values(), most=most)
        return function(*arguments, **named)

    return call
