"""The text of an expression: where it ends inside a template, and its way to a syntax tree.

Python's parser does the parsing. Before it, keywords after a dot are made plain names (`trigger.from`)
and backslashes that mean nothing are doubled (`"\\d"`), as Python would only warn about them.
"""

from __future__ import annotations

import ast
import keyword
import re
from bisect import bisect_left

from flowfuse.errors import ExpressionInvalid
from flowfuse.expression.site import shorten

MAX_SOURCE = 16 * 1024
CLOSERS = {"(": ")", "[": "]", "{": "}"}

_STRING = r"""(?P<prefix>(?<!\w)[A-Za-z]{0,2})(?P<quote>\"\"\"|'''|"|')"""
_MARK = re.compile(_STRING + r"|(?P<open>[(\[{])|(?P<close>[)\]}])")
_LEXEME = re.compile(
    _STRING
    + r"|(?P<hash>\#)"
    + r"|\.\s*(?P<keyword>(?:"
    + "|".join(keyword.kwlist)
    + r")(?!\w))"
    + r"|[^\W\d]\w*|\d[\w.]*"
)
_CLOSING = {
    '"': re.compile(r'(?:[^"\\\n]|\\.)*"', re.S),
    "'": re.compile(r"(?:[^'\\\n]|\\.)*'", re.S),
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"""', re.S),
    "'''": re.compile(r"(?:[^'\\]|\\.|'(?!''))*'''", re.S),
}
_BACKSLASH = re.compile(r"\\(.)", re.S)
_KNOWN_ESCAPES = frozenset("\n\\'\"abfnrtv01234567xNuU")
_DEEP = re.compile(r"(?:[-+~]\s*){60}|(?:\bnot\s+){60}")


def expression_end(text: str, start: int) -> int:
    """The index of the `}}` that ends the expression starting at `start`, or -1."""
    stack: list[str] = []
    position = start
    while mark := _MARK.search(text, position):
        position = mark.end()
        if quote := mark["quote"]:
            closing = _CLOSING[quote].match(text, position)
            if closing is None:
                return -1
            position = closing.end()
        elif opener := mark["open"]:
            stack.append(CLOSERS[opener])
        elif stack and stack[-1] == mark["close"]:
            stack.pop()
        elif text.startswith("}}", mark.start()):
            # Also with a bracket left open: the parser then names that bracket.
            return mark.start()
    return -1


class Parsed:
    """A syntax tree, with the way back from its nodes to the text that the user wrote."""

    def __init__(self, source: str) -> None:
        if len(source) > MAX_SOURCE:
            raise ExpressionInvalid("The expression is longer than 16 KB.")
        if not source.strip():
            raise ExpressionInvalid("The expression is empty.")
        if _DEEP.search(source):
            raise ExpressionInvalid("The expression is nested too deep.")
        self._source = source
        self._added: list[int] = []
        text = self._plain(source, 0)
        # In brackets, so that an expression may run over several lines.
        self._lines = [line.encode("utf-8", "replace") for line in f"({text}\n)".split("\n")]
        self._ascii = text.isascii()
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line.decode()) + 1)
        self.tree = self._parse(f"({text}\n)")

    def _parse(self, text: str) -> ast.expr:
        try:
            return ast.parse(text, mode="eval").body
        except SyntaxError as error:
            offset = self._original((error.offset or 1) - 2) if error.lineno == 1 else 0
            raise ExpressionInvalid(_syntax_sentence(error), offset=max(0, offset)) from None
        except (RecursionError, MemoryError):
            raise ExpressionInvalid("The expression is nested too deep.") from None
        except ValueError:
            raise ExpressionInvalid("The expression holds a character that cannot be used.") from None

    def span(self, node: ast.expr) -> tuple[int, int]:
        """From where to where a node stands in the user's text."""
        start = self._index(node.lineno, node.col_offset)
        end = self._index(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return start, end

    def text(self, node: ast.expr) -> str:
        """The node's text, short enough for a sentence."""
        start, end = self.span(node)
        return shorten(self._source[start:end]) or shorten(self._source)

    def _index(self, line: int, column: int) -> int:
        if not 0 < line <= len(self._lines):
            return 0
        if not self._ascii:
            column = len(self._lines[line - 1][:column].decode("utf-8", "ignore"))
        return self._original(self._starts[line - 1] + column - 1)

    def _original(self, index: int) -> int:
        return min(max(0, index - bisect_left(self._added, index)), len(self._source))

    def _plain(self, source: str, base: int) -> str:
        """The source with keywords after dots made names and unknown backslashes doubled."""
        out: list[str] = []
        done = position = 0
        while token := _LEXEME.search(source, position):
            position = token.end()
            if token["hash"]:
                offset = base + token.start()
                raise ExpressionInvalid("A comment (#) cannot stand in an expression.", offset=offset)
            if word := token["keyword"]:
                start = token.start("keyword")
                # A fullwidth letter is the same letter in a name and makes it no keyword; the length stays.
                out += source[done:start], chr(ord(word[0]) + 0xFEE0), word[1:]
                done = position
            elif quote := token["quote"]:
                closing = _CLOSING[quote].match(source, position)
                if closing is None:
                    raise ExpressionInvalid("A text is not closed.", offset=base + token.start())
                out.append(source[done:position])
                done, position = closing.end(), closing.end()
                out.append(self._plain_string(closing[0], token["prefix"].lower(), base + token.end()))
        return "".join((*out, source[done:]))

    def _plain_string(self, content: str, prefix: str, base: int) -> str:
        if "f" in prefix:
            content = self._plain_fields(content, base)
        if "r" in prefix or "\\" not in content:
            return content

        def double(match: re.Match[str]) -> str:
            if match[1] in _KNOWN_ESCAPES:
                return match[0]
            self._added.append(base + match.start() + len(self._added) + 1)
            return "\\" + match[0]

        return _BACKSLASH.sub(double, content)

    def _plain_fields(self, content: str, base: int) -> str:
        """An f-string's content with its `{…}` parts made plain; its length does not change."""
        out: list[str] = []
        done = 0
        position = content.find("{")
        while position >= 0:
            if content.startswith("{{", position):
                position = content.find("{", position + 2)
                continue
            end = _field_end(content, position + 1)
            out += content[done : position + 1], self._plain(content[position + 1 : end], base + position + 1)
            done = end
            position = content.find("{", end)
        return "".join((*out, content[done:]))


def _field_end(content: str, start: int) -> int:
    stack: list[str] = []
    position = start
    while mark := _MARK.search(content, position):
        position = mark.end()
        if quote := mark["quote"]:
            closing = _CLOSING[quote].match(content, position)
            position = closing.end() if closing else len(content)
        elif opener := mark["open"]:
            stack.append(CLOSERS[opener])
        elif stack:
            stack.pop()
        elif mark["close"] == "}":
            return mark.start()
    return len(content)


def _syntax_sentence(error: SyntaxError) -> str:
    message = error.msg or "invalid syntax"
    if "too many nested" in message or "too complex" in message:
        return "The expression is nested too deep."
    if "Exceeds the limit" in message:
        return "The expression holds a number with too many digits."
    return f"The expression cannot be read: {message.removesuffix('.')}."
