"""OpenDocument files (odt, ods, odp): text, sheets and slides from the file's content.xml.

Tracked deletions and comments are left out; notes come after the paragraph that refers to them.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder, names_columns
from homespun.documents.readers.xlsx_table import Cell, SheetTable
from homespun.documents.safe_xml import parse_xml
from homespun.documents.safe_zip import Archive

_NS = "{urn:oasis:names:tc:opendocument:xmlns:"
_OFFICE, _TEXT, _TABLE = _NS + "office:1.0}", _NS + "text:1.0}", _NS + "table:1.0}"
_DRAW, _PRESENTATION, _STYLE = _NS + "drawing:1.0}", _NS + "presentation:1.0}", _NS + "style:1.0}"
_LEFT_OUT = frozenset(
    (_TEXT + "tracked-changes", _OFFICE + "annotation", _OFFICE + "forms", _TEXT + "sequence-decls")
)
# Sheets say that their last empty row is repeated a million times.
_MAX_REPEATS = 1000


def read(data: bytes) -> Reading:
    """The document's text; the rows of sheets are "sheet Prices, row 7", slides are "slide 3"."""
    archive = Archive(data)
    manifest = archive.find("META-INF/manifest.xml") or b""
    if b"encryption-data" in manifest:
        raise UnreadableFile("It needs a password; save it without one and try again.")
    content = archive.find("content.xml")
    if content is None:
        raise UnreadableFile("It is no OpenDocument file: it holds no content.xml.")
    root = parse_xml(content, "content.xml")
    body = root.find(_OFFICE + "body")
    reader = _Reader()
    for kind in body if body is not None else ():
        if kind.tag == _OFFICE + "spreadsheet":
            hidden = {
                style.get(_STYLE + "name")
                for style in root.iter(_STYLE + "style")
                for properties in style.iter(_STYLE + "table-properties")
                if properties.get(_TABLE + "display") == "false"
            }
            for sheet in kind.iter(_TABLE + "table"):
                reader.add_sheet(sheet, is_hidden=sheet.get(_TABLE + "style-name") in hidden)
        elif kind.tag == _OFFICE + "presentation":
            for number, slide in enumerate(kind.iter(_DRAW + "page"), 1):
                reader.add_slide(slide, number)
        else:
            reader.add_blocks(kind)
    return reader.builder.reading()


class _Reader:
    def __init__(self) -> None:
        self.builder = TextBuilder()
        self.n_notes = 0

    def add_blocks(self, parent: Element, depth: int = -1) -> None:
        """Headings, paragraphs, lists and tables below `parent`; `depth` counts the lists around."""
        for element in parent:
            if element.tag == _TEXT + "h":
                level = element.get(_TEXT + "outline-level") or "1"
                self.builder.add_heading(int(level) if level.isdigit() else 1, self._line(element, []))
            elif element.tag == _TEXT + "p":
                self._add_paragraph(element, depth)
            elif element.tag == _TEXT + "list":
                self.add_blocks(element, depth + 1)
            elif element.tag == _TABLE + "table":
                self._add_table(element)
            elif element.tag not in _LEFT_OUT and element.tag != _PRESENTATION + "notes":
                self.add_blocks(element, depth)

    def add_slide(self, slide: Element, number: int) -> None:
        """A slide: its title as a heading, its text, its notes."""
        name = f"slide {number}"
        titles = [
            frame for frame in slide.iter(_DRAW + "frame") if frame.get(_PRESENTATION + "class") == "title"
        ]
        title = " ".join(self._block_text(frame) for frame in titles)
        with self.builder.place(name):
            self.builder.add_heading(1, title if title.strip() else name.capitalize())
            for frame in slide:
                if frame not in titles and frame.tag != _PRESENTATION + "notes":
                    self.add_blocks(frame)
            for notes in slide.iter(_PRESENTATION + "notes"):
                text = self._block_text(notes)
                with self.builder.place(f"{name}, notes"):
                    self.builder.add_paragraph(f"Notes: {text}" if text else "")

    def add_sheet(self, sheet: Element, *, is_hidden: bool) -> None:
        """A sheet, whose rows and columns may be said to repeat."""
        name = (sheet.get(_TABLE + "name") or "") + (" (hidden)" if is_hidden else "")
        with self.builder.place(f"sheet {name}"):
            self.builder.add_heading(1, name)
            table = SheetTable(self.builder, f"sheet {name}", [], names_cells=True)
            number = 1
            for row in _rows_of(sheet):
                cells = self._sheet_cells(row)
                n_repeats = _repeats(row, "number-rows-repeated")
                for index in range(min(n_repeats, _MAX_REPEATS) if cells else 0):
                    table.add(number + index, dict(cells))
                number += n_repeats
            table.end()

    def _sheet_cells(self, row: Element) -> dict[int, Cell]:
        cells: dict[int, Cell] = {}
        column = 1
        for cell in row:
            if cell.tag not in (_TABLE + "table-cell", _TABLE + "covered-table-cell"):
                continue
            n_repeats = _repeats(cell, "number-columns-repeated")
            text = self._block_text(cell)
            if text:
                kind = cell.get(_OFFICE + "value-type") or "string"
                shown = Cell(text, kind not in ("string", "boolean"), cell.get(_TABLE + "style-name") or "")
                cells.update(dict.fromkeys(range(column, column + min(n_repeats, _MAX_REPEATS)), shown))
            column += n_repeats
        return cells

    def _add_paragraph(self, paragraph: Element, depth: int) -> None:
        notes: list[str] = []
        text = self._line(paragraph, notes)
        if depth >= 0 and text.strip():
            self.builder.add_item("- " + text.strip(), depth)
        else:
            self.builder.add_paragraph(text)
        for frame in _outermost(paragraph, _DRAW + "text-box"):
            self.add_blocks(frame)
        for note in notes:
            self.builder.add_paragraph(note)

    def _add_table(self, table: Element) -> None:
        rows: list[list[str]] = []
        hanging: dict[int, tuple[int, str]] = {}  # column -> rows left, text
        for row_element in _rows_of(table):
            row: list[str] = []
            for cell in row_element:
                n_times = min(_repeats(cell, "number-columns-repeated"), _MAX_REPEATS)
                if cell.tag == _TABLE + "covered-table-cell":
                    for _ in range(n_times):
                        left, above = hanging.get(len(row), (0, ""))
                        row.append(above if left > 0 else row[-1] if row else "")
                elif cell.tag == _TABLE + "table-cell":
                    text = self._block_text(cell)
                    for column in range(len(row), len(row) + _repeats(cell, "number-columns-spanned")):
                        if column >= len(row) + 100:
                            break
                        hanging[column] = (_repeats(cell, "number-rows-spanned"), text)
                    row.extend([text] * n_times)
            rows.append(row)
            hanging = {column: (left - 1, text) for column, (left, text) in hanging.items()}
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        is_told = table.find(_TABLE + "table-header-rows") is not None
        has_header = len(rows) > 1 and (is_told or (len(rows[0]) > 1 and names_columns(rows[0])))
        self.builder.add_table(rows, has_header=has_header)

    def _line(self, paragraph: Element, notes: list[str]) -> str:
        """A paragraph's text; notes are numbered in it and their texts put in `notes`."""
        parts: list[str] = [paragraph.text or ""]
        for child in paragraph:
            if child.tag == _TEXT + "s":
                count = child.get(_TEXT + "c") or "1"
                parts.append(" " * min(int(count) if count.isdigit() else 1, 100))
            elif child.tag == _TEXT + "tab":
                parts.append("\t")
            elif child.tag == _TEXT + "line-break":
                parts.append("\n")
            elif child.tag == _TEXT + "note":
                self.n_notes += 1
                body = child.find(_TEXT + "note-body")
                text = "" if body is None else self._block_text(body)
                notes.append(f"[{self.n_notes}] {text}")
                parts.append(f"[{self.n_notes}]")
            elif child.tag not in _LEFT_OUT and not child.tag.startswith(_DRAW):
                parts.append(self._line(child, notes))
            parts.append(child.tail or "")
        return "".join(parts)

    def _block_text(self, parent: Element) -> str:
        """All paragraphs below `parent` as lines; notes stay where they are referred to."""
        lines: list[str] = []
        for paragraph in _paragraphs(parent):
            notes: list[str] = []
            lines.append(" ".join((self._line(paragraph, notes), *notes)).strip())
        return "\n".join(line for line in lines if line)


def _paragraphs(parent: Element) -> Iterator[Element]:
    for child in parent:
        if child.tag in (_TEXT + "p", _TEXT + "h"):
            yield child
        elif child.tag not in _LEFT_OUT:
            yield from _paragraphs(child)


def _outermost(parent: Element, tag: str) -> Iterator[Element]:
    for child in parent:
        if child.tag == tag:
            yield child
        else:
            yield from _outermost(child, tag)


def _rows_of(table: Element) -> Iterator[Element]:
    """The rows of a table itself, not those of tables in its cells."""
    for child in table:
        if child.tag == _TABLE + "table-row":
            yield child
        elif child.tag in (
            _TABLE + "table-rows",
            _TABLE + "table-header-rows",
            _TABLE + "table-row-group",
        ):
            yield from _rows_of(child)


def _repeats(element: Element, what: str) -> int:
    value = element.get(_TABLE + what) or "1"
    return max(1, int(value)) if value.isascii() and value.isdigit() and len(value) < 9 else 1
