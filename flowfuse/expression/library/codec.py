"""JSON, base64, addresses and digests."""

from __future__ import annotations

import base64
import json
from typing import Any

from flowfuse.expression.budget import Meter
from flowfuse.expression.library.arguments import need_integer, need_object, need_text, one_of
from flowfuse.expression.library.registry import Group
from flowfuse.expression.site import Misuse
from flowfuse.expression.texts import encode, to_text

GROUP = Group("Encoding and digests")
MAX_INDENT = 8


def _bytes_of(meter: Meter, text: Any) -> bytes:
    """The text as UTF-8, charged for it and for something of its size made of it."""
    meter.charge(len(need_text(text)) >> 6, len(text) * 8 + 64)
    return text.encode()  # type: ignore[no-any-return]


@GROUP.function('json_encode({"a": [1, true]})', '{"a":[1,true]}')
def json_encode(meter: Meter, value: Any, indent: Any = None) -> str:
    """The value as JSON text, compact or with an indent."""
    if indent is not None and not 0 <= need_integer(indent, "the indent") <= MAX_INDENT:
        raise Misuse(f"the indent lies between 0 and {MAX_INDENT}.")
    return encode(meter, value, indent)


@GROUP.function("json_decode('{\"a\": [1, true]}')", {"a": [1, True]})
def json_decode(meter: Meter, text: Any) -> Any:
    """The value that a JSON text describes."""
    meter.charge(len(need_text(text)) >> 5)
    parts = text.count(",") + 2 * (text.count("[") + text.count("{"))
    meter.charge(parts + (len(text) >> 4), parts * 64 + len(text))
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Misuse(f"the text is not JSON: {error.msg.lower()} at character {error.pos}.") from None
    except ValueError:
        raise Misuse("the text holds a number with too many digits.") from None


def _no_constant(name: str) -> Any:
    raise Misuse(f"the text is not JSON: {name} is not a JSON number.")


@GROUP.function('base64_encode("hello")', "aGVsbG8=")
def base64_encode(meter: Meter, text: Any, urlsafe: Any = False) -> str:
    """The text's UTF-8 bytes as base64; with urlsafe=true with - and _ in it."""
    data = _bytes_of(meter, text)
    return (base64.urlsafe_b64encode(data) if urlsafe else base64.b64encode(data)).decode()


@GROUP.function('base64_decode("aGVsbG8=")', "hello")
def base64_decode(meter: Meter, text: Any) -> str:
    """The text behind base64, with or without its padding, of either alphabet."""
    plain = _bytes_of(meter, text).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        data = base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise Misuse("this is not base64.") from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Misuse("what is encoded there is not text.") from None


@GROUP.function('url_encode("a b/c")', "a%20b%2Fc")
def url_encode(meter: Meter, text: Any, safe: Any = "") -> str:
    """The text for use in an address; the characters in safe stay as they are."""
    from urllib.parse import quote

    meter.charge(len(need_text(text)) << 1, len(text) * 12)
    return quote(text, safe=need_text(safe))


@GROUP.function('url_decode("a%20b%2Fc")', "a b/c")
def url_decode(meter: Meter, text: Any) -> str:
    """The text behind %20 and its like."""
    from urllib.parse import unquote

    meter.charge(len(need_text(text)) >> 1, len(text) * 12)
    return unquote(text)


@GROUP.function('query_encode({"q": "a b", "page": 2, "tag": ["x", "y"]})', "q=a+b&page=2&tag=x&tag=y")
def query_encode(meter: Meter, object: Any) -> str:
    """The object as the query of an address; a list repeats its key, null leaves it out."""
    from urllib.parse import urlencode

    elements, characters = meter.weigh(need_object(object))
    meter.charge(elements * 20 + characters, elements * 100 + characters * 12)
    pairs = []
    for key, value in object.items():
        several = value if type(value) is list else [value]
        pairs += [(key, to_text(meter, each)) for each in several if each is not None]
    return urlencode(pairs)


def _digest(name: str, data: bytes, encoding: Any) -> str:
    import hashlib

    return _written(hashlib.new(name, data, usedforsecurity=name != "md5").digest(), encoding)


def _written(digest: bytes, encoding: Any) -> str:
    if one_of(encoding, ("hex", "base64"), "the encoding") == "hex":
        return digest.hex()
    return base64.b64encode(digest).decode()


@GROUP.function('sha256("hello").truncate(16, "")', "2cf24dba5fb0a30e")
def sha256(meter: Meter, text: Any, encoding: Any = "hex") -> str:
    """The SHA-256 digest of the text's UTF-8 bytes, as hex or base64."""
    return _digest("sha256", _bytes_of(meter, text), encoding)


@GROUP.function('md5("hello")', "5d41402abc4b2a76b9719d911017c592")
def md5(meter: Meter, text: Any, encoding: Any = "hex") -> str:
    """The MD5 digest of the text's UTF-8 bytes, as hex or base64: for peers that ask for it."""
    return _digest("md5", _bytes_of(meter, text), encoding)


@GROUP.function('hmac_sha256("hello", "key").truncate(16, "")', "9307b3b915efb517")
def hmac_sha256(meter: Meter, text: Any, key: Any, encoding: Any = "hex") -> str:
    """The HMAC of the text with a key, by SHA-256, as hex or base64: what signed webhooks carry."""
    import hmac

    return _written(hmac.digest(_bytes_of(meter, key), _bytes_of(meter, text), "sha256"), encoding)
