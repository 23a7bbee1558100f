"""Reads XML into plain values, without DTDs and entities of its own."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

MAX_DEPTH = 200


def parse_xml(text: str) -> dict[str, Any]:
    """An element as {tag, attributes, text, children}. Raises ValueError."""
    root: dict[str, Any] = {"tag": "", "attributes": {}, "text": "", "children": []}
    open_elements = [root]
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > MAX_DEPTH:
            raise ValueError("XML is nested too deeply")
        element = {"tag": tag, "attributes": attributes, "text": "", "children": []}
        open_elements[-1]["children"].append(element)
        open_elements.append(element)

    def end(tag: str) -> None:
        element = open_elements.pop()
        element["text"] = element["text"].strip()

    def characters(data: str) -> None:
        open_elements[-1]["text"] += data

    def doctype(*_: Any) -> None:
        raise ValueError("XML with a DTD is not read")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"not well-formed XML: {error}") from None
    element: dict[str, Any] = root["children"][0]
    return element
