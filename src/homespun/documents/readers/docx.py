"""Word documents: paragraphs, headings, lists, notes and tables, read from the file's own XML.

Deleted and moved-away text, comments, page headers and field codes are not text of the document;
foot- and endnotes come after the paragraph or table that refers to them.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder, names_columns, superscript
from homespun.documents.readers.ooxml import macro_notice
from homespun.documents.safe_xml import parse_xml
from homespun.documents.safe_zip import open_office_archive

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_GONE = (_W + "del", _W + "moveFrom", _FALLBACK)
_NOTE_MARKS = {_W + "footnoteReference": "footnote", _W + "endnoteReference": "endnote"}


def read(data: bytes) -> Reading:
    """The document's text; each table row becomes a `Header: value; Header: value` line."""
    archive = open_office_archive(data, ".doc", ".docx")
    body = archive.find("word/document.xml")
    if body is None:
        raise UnreadableFile("It is no Word document: it holds no word/document.xml.")
    styles = archive.find("word/styles.xml")
    levels = _heading_levels(None if styles is None else parse_xml(styles, "word/styles.xml"))
    notes: dict[tuple[str, str], Element] = {}
    for kind in ("footnote", "endnote"):
        part = archive.find(f"word/{kind}s.xml")
        if part is not None:
            for note in parse_xml(part, f"word/{kind}s.xml").iter(_W + kind):
                notes[kind, note.get(_W + "id") or ""] = note
    builder = TextBuilder()
    _Body(builder, levels, notes).add(parse_xml(body, "word/document.xml"))
    return builder.reading(macro_notice(archive))


class _Body:
    """Adds blocks, and the notes that each refers to behind it, numbered as they come."""

    def __init__(
        self, builder: TextBuilder, levels: dict[str, int], notes: dict[tuple[str, str], Element]
    ) -> None:
        self.builder = builder
        self.levels = levels
        self.notes = notes
        self.n_notes = 0

    def add(self, body: Element) -> None:
        for element in _blocks(body):
            due = self._number_notes(element)
            if element.tag == _W + "tbl":
                _add_table(self.builder, element)
            else:
                _add_paragraph(self.builder, element, self.levels)
            for number, note in due:
                self.builder.add_paragraph(f"[{number}] {_block_text(note).strip()}")

    def _number_notes(self, block: Element) -> list[tuple[int, Element]]:
        due = []
        for element in block.iter():
            note = self.notes.get((_NOTE_MARKS.get(element.tag, ""), element.get(_W + "id") or ""))
            if note is not None:
                self.n_notes += 1
                element.text = f"[{self.n_notes}]"
                due.append((self.n_notes, note))
        return due


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
        elif child.tag != _W + "sdtPr" and child.tag not in _GONE:
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
        depth = _value(properties, "numPr/ilvl") or "0"
        builder.add_item("- " + text.strip(), int(depth) if depth.isdigit() else 0)
    else:
        builder.add_paragraph(text)
    for frame in _nearest(paragraph, _W + "txbxContent"):
        builder.add_paragraph(_block_text(frame))


def _text(paragraph: Element) -> str:
    """The visible text of a paragraph, without the text frames that hang on it."""
    parts: list[str] = []

    def collect(element: Element) -> None:
        for child in element:
            if child.tag in (_W + "t", _M + "t"):
                parts.append(child.text or "")
            elif child.tag == _W + "tab":
                parts.append("\t")
            elif child.tag in (_W + "br", _W + "cr"):
                parts.append("\n")
            elif child.tag == _W + "noBreakHyphen":
                parts.append("-")
            elif child.tag in _NOTE_MARKS:
                parts.append(child.text or "")
            elif child.tag == _W + "r" and _value(child, "rPr/vertAlign") == "superscript":
                n_before = len(parts)
                collect(child)
                parts[n_before:] = [superscript("".join(parts[n_before:]))]
            elif child.tag not in (_W + "pPr", _W + "txbxContent", *_GONE):
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
    is_told = table.find(f"{_W}tr/{_W}trPr/{_W}tblHeader") is not None
    has_header = len(rows) > 1 and (is_told or (len(rows[0]) > 1 and names_columns(rows[0])))
    builder.add_table(rows, has_header=has_header)


def _rows(table: Element) -> list[list[str]]:
    """The cells' texts; a cell that spans rows or columns is repeated."""
    rows: list[list[str]] = []
    for row_element in _nearest(table, _W + "tr"):
        if row_element.find(f"{_W}trPr/{_W}del") is not None:
            continue
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
