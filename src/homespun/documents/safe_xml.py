"""XML from strangers: entities are refused, nothing outside is fetched, no tree outgrows the memory."""

import io
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from homespun.documents.errors import UnreadableFile

#: A tag weighs 1 and an attribute 3, by the 100 bytes that they take in a tree: at most about 500 MB.
MAX_WEIGHT = 5_000_000
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
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if xml.count(b"<") + 3 * xml.count(b"=") > MAX_WEIGHT:
        raise UnreadableFile(f"Its part {name} has too many tags for the memory; divide the document.")
    try:
        root: Element = fromstring(_usual_namespaces(xml))
    except DefusedXmlException as error:
        raise _entities_refused(name) from error
    except (ParseError, ValueError, LookupError) as error:
        raise UnreadableFile(f"It is broken: its part {name} is no XML ({error}).") from error
    level, depth = [root], 0
    while level:
        level = [child for element in level for child in element if len(child)]
        depth += 1
        if depth > _MAX_DEPTH:
            raise _too_deep(name)
    return root


def iterate_xml(xml: bytes, name: str, tag: str) -> Iterator[Element]:
    """The elements of one tag as they end, each forgotten when the next is asked for.

    `tag` is in the `{namespace}name` form; its elements must not lie in each other. Raises as
    `parse_xml` does, but the number of tags is not bounded.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    ancestors: list[Element] = []
    n_inside = 0
    try:
        for event, element in iterparse(io.BytesIO(_usual_namespaces(xml)), ("start", "end")):
            if event == "start":
                ancestors.append(element)
                n_inside += element.tag == tag
                if len(ancestors) > _MAX_DEPTH:
                    raise _too_deep(name)
                continue
            ancestors.pop()
            if element.tag == tag:
                n_inside -= 1
                yield element
            if not n_inside and ancestors:
                ancestors[-1].clear()
    except DefusedXmlException as error:
        raise _entities_refused(name) from error
    except (ParseError, ValueError, LookupError) as error:
        raise UnreadableFile(f"It is broken: its part {name} is no XML ({error}).") from error


def _entities_refused(name: str) -> UnreadableFile:
    return UnreadableFile(f"Its part {name} declares XML entities, which could fill the memory.")


def _too_deep(name: str) -> UnreadableFile:
    return UnreadableFile(f"It is broken: its part {name} is nested too deep.")


def _usual_namespaces(xml: bytes) -> bytes:
    return _STRICT.sub(_TRANSITIONAL, xml) if b"purl.oclc.org/ooxml" in xml[:8192] else xml
