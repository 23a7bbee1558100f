"""Why something is wrong with a draft, in the reader's language.

Checkers say it in English, with the user's names in it; it is found again by the sentences here, which
web/languages has in the others. Parts of a sentence that are words themselves are looked up like it.
"""

from __future__ import annotations

import re
from functools import cache

from flowfuse.pages.language import say, table

REASONS = (
    "There is no node type “{name}”. Did you mean {near}?",
    "There is no node type “{name}”",
    "{type} has no version {version}; the newest is {newest}",
    "{begin} → {end} is there twice",
    "There is no node “{name}”. Did you mean {near}?",
    "There is no node “{name}”",
    "“{node}” has no port “{port}”. There are: {there}; “error” exists with on_error: route",
    "“{node}” has no port “{port}”. There are: {there}",
    "“{node}” is a trigger and takes no input",
    "{names} feed each other in a circle. Use a loop node for that",
    "“{node}” lies outside the body of the loop “{loop}”, and can be reached only by its port “done”",
    "Every trigger is switched off",
    "No node starts the workflow. Add a trigger",
    "Nothing leads to “{node}”",
    "This field is missing",
    "There is no such field “{name}”. Did you mean “{near}”? There are: {there}",
    "There is no such field “{name}”. There are: {there}",
    "Expected {_wanted}, got {_got}",
    "{type} has no port “main” to continue by; use route",
    "A loop as a whole is not repeated",
    "A timeout is longer than 0",
    "Name the credential that this node needs",
    "{type} uses no credential",
    "“{zone}” is no IANA timezone",
    "“{path}” names nothing here; write trigger.body.card, or nodes.ID.field",
    "“{name}” is not known here. Did you mean nodes.{near}? There are: {there}",
    "“{name}” is not known here. There are: {there}",
    "“{node}” does not come before this node, so it has no value here",
    "“{node}” is this node itself",
    "“{name}” is known only in the body of a loop",
    "This node is not in the body of a loop “{loop}”",
    "There is no function {name}(). Did you mean {near}()?",
    "There is no function {name}().",
    "The expression cannot be read: {why}",
    "“{code}” is not in the language.",
    "`{code}`: {_why}",
    "there is no key “{key}”; the keys there are {keys}. Did you mean “{near}”?",
    "there is no key “{key}”; the keys there are {keys}.",
    "there is no key “{key}”; `{above}` is an empty object.",
    "there is no index {number}, since `{above}` has the length {length}.",
    "`{above}` is {_kind}, not an object, so it has no {_part}.",
    "`{above}` is {_kind}, so it has no {_part}.",
    "{sign} does not work between {_kind} and {_other}.",
    "{code} has no value yet: run the workflow once, or pin one",
    "key “{key}”",
    "index {number}",
    "one of {values}",
    "a number from {least} to {most}",
    "a whole number from {least} to {most}",
    "a number that is not below {least}",
    "a whole number that is not below {least}",
    "a number above {least}, at most {most}",
    "a whole number above {least}, at most {most}",
    "a number above {least}",
    "a whole number above {least}",
    "a text of at most {most} characters",
    "a text of {least} characters or more",
    "a text like {pattern}",
)
"""From the narrower to the wider. What stands for a part that begins with `_` is looked up as well."""
PARTS = (
    "a number",
    "a whole number",
    "true or false",
    "a list",
    "a list of texts",
    "an object",
    "a text",
    "a text that is not empty",
    "a time such as 30, 15m or 1h30m",
    "small letters, digits and _, 63 at most, with a letter first",
    "small letters, digits, - and _, 64 at most, with a letter or digit first",
    "null",
    "an integer",
    "a boolean",
)
"""Words that stand in a sentence."""


def reason(language: str, text: str) -> str:
    """A checker's sentence in that language; as it is, where it is not known."""
    known = table(language)
    if not known or not text:
        return text
    if text in known:
        return say(language, text)
    for sentence, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found is not None and sentence in known:
            parts = {
                name: reason(language, part) if name.startswith("_") else part
                for name, part in found.groupdict().items()
            }
            return say(language, sentence, **parts)
    return text


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((sentence, _pattern(sentence)) for sentence in REASONS if "{" in sentence)


def _pattern(sentence: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{\w+\})", sentence)
    parts = (f"(?P<{p[1:-1]}>.+?)" if p.startswith("{") else re.escape(p) for p in pieces)
    return re.compile("".join(parts), re.DOTALL)
