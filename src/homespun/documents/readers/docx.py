"""Word documents: paragraphs, headings, lists and tables, read from the file's own XML.

Deleted text, comments, page headers and field codes are not text of the document; footnotes come
at its end.
"""

import io
import zipfile
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT_W = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
#: A few KB can unpack to gigabytes.
_MAX_XML_BYTES = 256 * 2**20
_OLD_OFFICE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read(data: bytes) -> Reading:
    """The document's text; each table row becomes a `Header: value; Header: value` line."""
    if data.startswith(_OLD_OFFICE_MAGIC):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise UnreadableFile("It needs a password; save it without one and try again.")
        raise UnreadableFile("It is an old .doc file; save it as .docx and try again.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            body = _parse(archive, "word/document.xml")
            styles = _heading_levels(_parse(archive, "word/styles.xml"))
            footnotes = _parse(archive, "word/footnotes.xml")
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise UnreadableFile("It is broken or no Word document: it cannot be unpacked.") from error
    if body is None:
        raise UnreadableFile("It is no Word document: it holds no word/document.xml.")
    builder = TextBuilder()
    for element in _blocks(body):
        if element.tag == _W + "tbl":
            _add_table(builder, element)
        else:
            _add_paragraph(builder, element, styles)
    if footnotes is not None:
        for note in footnotes.iter(_W + "footnote"):
            if note.get(_W + "type") is None:  # the others are the lines above the notes
                builder.add_paragraph(_block_text(note))
    return builder.reading()


def _parse(archive: zipfile.ZipFile, name: str) -> Element | None:
    from defusedxml.ElementTree import fromstring

    try:
        member = archive.getinfo(name)
    except KeyError:
        return None
    with archive.open(member) as file:
        xml = file.read(_MAX_XML_BYTES + 1)
    if len(xml) > _MAX_XML_BYTES:
        raise UnreadableFile(f"Its text unpacks to more than {_MAX_XML_BYTES // 2**20} MiB.")
    root: Element = fromstring(xml)
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag.startswith(_STRICT_W):
            element.tag = _W + element.tag[len(_STRICT_W) :]
            for key in [key for key in element.attrib if key.startswith(_STRICT_W)]:
                element.set(_W + key[len(_STRICT_W) :], element.attrib.pop(key))
    return root


def _value(element: Element | None, path: str) -> str | None:
    found = None if element is None else element.find("/".join(_W + step for step in path.split("/")))
    return None if found is None else found.get(_W + "val")


def _heading_levels(styles: Element | None) -> dict[str, int]:
    """The heading level of each paragraph style that has one, by the style's id.

    Built-in styles keep their English names in every language; others have an outline level, of
    their own or of the style that they are based on.
    """
    if styles is None:
        return {}
    levels: dict[str, int] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(_W + "style"):
        identifier = style.get(_W + "styleId") or ""
        name = (_value(style, "name") or "").lower()
        outline = _value(style, "pPr/outlineLvl")
        if name.startswith("heading ") and name[8:].isdigit():
            levels[identifier] = int(name[8:])
        elif name == "title":
            levels[identifier] = 1
        elif outline and outline.isdigit() and int(outline) < 9:
            levels[identifier] = int(outline) + 1
        bases[identifier] = _value(style, "basedOn") or ""
    for identifier in bases:
        base, n_steps = bases[identifier], 0
        while identifier not in levels and base in bases and n_steps < 20:
            if base in levels:
                levels[identifier] = levels[base]
            base, n_steps = bases[base], n_steps + 1
    return levels


def _blocks(parent: Element) -> Iterator[Element]:
    """Paragraphs and tables in order, also those inside content controls and text frames."""
    for child in parent:
        if child.tag in (_W + "p", _W + "tbl"):
            yield child
        elif child.tag not in (_W + "sdtPr", _FALLBACK, _W + "del"):
            yield from _blocks(child)


def _add_paragraph(builder: TextBuilder, paragraph: Element, styles: dict[str, int]) -> None:
    text = _text(paragraph)
    properties = paragraph.find(_W + "pPr")
    outline = _value(properties, "outlineLvl")
    level = styles.get(_value(properties, "pStyle") or "")
    if outline and outline.isdigit():
        level = int(outline) + 1 if int(outline) < 9 else None
    if level is not None:
        builder.add_heading(level, text)
    elif properties is not None and properties.find(_W + "numPr") is not None and text.strip():
        builder.add_item("- " + text.strip())
    else:
        builder.add_paragraph(text)
    for frame in _nearest(paragraph, _W + "txbxContent"):
        builder.add_paragraph(_block_text(frame))


def _text(paragraph: Element) -> str:
    """The visible text of a paragraph, without the text frames that hang on it."""
    parts: list[str] = []

    def collect(element: Element) -> None:
        for child in element:
            if child.tag == _W + "t":
                parts.append(child.text or "")
            elif child.tag == _W + "tab":
                parts.append("\t")
            elif child.tag in (_W + "br", _W + "cr"):
                parts.append("\n")
            elif child.tag == _W + "noBreakHyphen":
                parts.append("-")
            elif child.tag not in (_W + "pPr", _W + "del", _W + "txbxContent", _FALLBACK):
                collect(child)

    collect(paragraph)
    return "".join(parts)


def _block_text(parent: Element) -> str:
    """All paragraphs and tables of a cell, a note or a frame as one text."""
    parts: list[str] = []
    for block in _blocks(parent):
        if block.tag == _W + "tbl":
            parts.extend("; ".join(row) for row in _rows(block))
        else:
            parts.append(_text(block))
    return "\n".join(part for part in parts if part.strip())


def _add_table(builder: TextBuilder, table: Element) -> None:
    rows = [row for row in _rows(table) if any(cell.strip() for cell in row)]
    builder.add_table(rows, has_header=len(rows) > 1 and len(rows[0]) > 1 and _names_columns(rows[0]))


def _names_columns(row: list[str]) -> bool:
    """Whether a first row can name the columns: nothing in it is a mere number, none is long."""
    return all(len(cell) <= 80 and not cell.strip().replace(".", "").isdigit() for cell in row)


def _rows(table: Element) -> list[list[str]]:
    """The cells' texts; a cell that spans rows or columns is repeated."""
    rows: list[list[str]] = []
    for row_element in _nearest(table, _W + "tr"):
        row: list[str] = []
        for cell in _nearest(row_element, _W + "tc"):
            properties = cell.find(_W + "tcPr")
            merge = None if properties is None else properties.find(_W + "vMerge")
            text = _block_text(cell)
            if merge is not None and merge.get(_W + "val") != "restart" and rows and len(row) < len(rows[-1]):
                text = rows[-1][len(row)]
            span = _value(properties, "gridSpan")
            row.extend([text] * (min(int(span), 100) if span and span.isdigit() else 1))
        rows.append(row)
    return rows


def _nearest(parent: Element, tag: str) -> Iterator[Element]:
    """The elements of one tag below `parent` that lie in no other element of that tag."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag not in (_W + "tbl", _FALLBACK):
            yield from _nearest(child, tag)
