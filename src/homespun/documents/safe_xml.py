"""XML from strangers, parsed at full speed: entities are refused, nothing outside is fetched.

Entities can only be declared before the first element. So the head alone is read first, by handlers
that refuse a declaration; the rest is then safe for the parser in C (defusedxml, which does the same
for the whole file, has to use the one in Python and takes about six times as long).
"""

import io
import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser, iterparse
from xml.parsers import expat

from homespun.documents.errors import UnreadableFile

#: A tree takes up to 300 bytes an element; a book of 5,000 pages has about this many.
MAX_TAGS = 3_000_000
# Recursion over a tree must end before the interpreter's limit does.
_MAX_DEPTH = 250

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/"


def parse_xml(xml: bytes, name: str) -> Element:
    """The root element of a document.

    The "strict" namespaces of office files are read as the usual ones.

    Args:
        xml: the bytes of the XML document.
        name: the part's name, for messages.

    Raises:
        UnreadableFile: it is no well-formed XML, it declares entities, it is nested too deep or has
            too many tags for the memory.
    """
    if xml.count(b"<") > MAX_TAGS:
        raise UnreadableFile(f"Its part {name} has more than {MAX_TAGS:,} tags; divide the document.")
    _refuse_entities(xml, name)
    parser = XMLParser()
    try:
        parser.feed(_usual_namespaces(xml))
        root: Element = parser.close()
    except ParseError as error:
        raise UnreadableFile(f"It is broken: its part {name} is no XML ({error}).") from error
    _refuse_depth(root, name)
    return root


def iterate_xml(xml: bytes, name: str, tags: frozenset[str]) -> Iterator[Element]:
    """Elements of these tags as they end, each forgotten when the next is asked for.

    `tags` are in the `{namespace}name` form and must not lie in each other. Raises as `parse_xml`
    does, but the number of tags is not bounded.
    """
    _refuse_entities(xml, name)
    open_elements: list[Element] = []
    inside = 0
    try:
        for event, element in iterparse(io.BytesIO(_usual_namespaces(xml)), ("start", "end")):
            if event == "start":
                open_elements.append(element)
                inside += element.tag in tags
                if len(open_elements) > _MAX_DEPTH:
                    raise UnreadableFile(f"It is broken: its part {name} is nested too deep.")
                continue
            open_elements.pop()
            if element.tag in tags:
                inside -= 1
                yield element
            if not inside and open_elements:
                open_elements[-1].clear()
    except ParseError as error:
        raise UnreadableFile(f"It is broken: its part {name} is no XML ({error}).") from error


class _HeadIsOver(Exception):
    """The first element begins."""


def _refuse_entities(xml: bytes, name: str) -> None:
    def refuse(*_: Any) -> None:
        raise UnreadableFile(f"Its part {name} declares XML entities, which no honest document needs.")

    def stop(*_: Any) -> None:
        raise _HeadIsOver

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        parser.Parse(xml, True)
    except _HeadIsOver:
        return
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise UnreadableFile(f"It is broken: its part {name} is no XML ({error}).") from error


def _usual_namespaces(xml: bytes) -> bytes:
    return _STRICT.sub(_TRANSITIONAL, xml) if b"purl.oclc.org/ooxml" in xml[:8192] else xml


def _refuse_depth(root: Element, name: str) -> None:
    level, depth = [root], 0
    while level:
        level = [child for element in level for child in element if len(child)]
        depth += 1
        if depth > _MAX_DEPTH:
            raise UnreadableFile(f"It is broken: its part {name} is nested too deep.")
