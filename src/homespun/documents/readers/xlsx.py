"""Excel workbooks: each row of each sheet becomes a line, as people see its cells.

Cells are taken as they come in the file, so a sheet that claims a million empty rows costs nothing.
Formulas give the result that was saved with them; nothing is computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder
from homespun.documents.readers.ooxml import A, R, Relation, macro_notice, main_part, relations
from homespun.documents.readers.xlsx_numbers import Kind, kind_of_format, shown_number
from homespun.documents.readers.xlsx_table import Cell, SheetTable, cell_name, column_number, find_merges
from homespun.documents.safe_xml import iterate_xml, parse_xml
from homespun.documents.safe_zip import Archive, open_office_archive

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_XDR = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
#: Beyond it the rest of the workbook is left out, and this is told.
MAX_CELLS = 1_000_000
# Above it, rows are named as places but not each cell: names would outweigh the text.
_MAX_NAMED_CELLS = 50_000


@dataclass
class _Book:
    """What the sheets share, and what has gone wrong so far."""

    strings: list[str]
    kinds: list[Kind]
    is_1904: bool
    n_cells: int = 0
    without_result: list[str] = field(default_factory=list)


def read(data: bytes) -> Reading:
    """All sheets in their order, hidden ones named so; rows are "sheet Prices, row 7"."""
    archive, book, sheets = _open(data)
    builder = TextBuilder()
    for name, part in sheets:
        with builder.place(f"sheet {name}"):
            _add_sheet(builder, archive, part, name, book)
    return builder.reading(" ".join(filter(None, (_missing_results(book), macro_notice(archive)))))


@dataclass(frozen=True)
class SheetRows:
    """The rows of a sheet that hold something: number from 1, and the texts by their column's number."""

    name: str
    rows: list[tuple[int, dict[int, str]]]


def sheet_rows(data: bytes) -> list[SheetRows]:
    """All sheets as tables of texts, for a program that knows which row names the columns.

    Raises:
        UnreadableFile: no workbook, or one of more than `MAX_CELLS` cells.
    """
    archive, book, sheets = _open(data)
    found = []
    for name, part in sheets:
        xml = archive.read(part)
        rows = [
            (number, {column: cell.text for column, cell in cells.items()})
            for number, cells in _rows(xml, part, name, book)
            if cells
        ]
        found.append(SheetRows(name, rows))
    if book.n_cells > MAX_CELLS:
        raise UnreadableFile(_missing_results(book))
    return found


def _open(data: bytes) -> tuple[Archive, _Book, list[tuple[str, str]]]:
    """The archive, what the sheets share, and each sheet's name and part."""
    archive = open_office_archive(data, ".xls", ".xlsx")
    part = main_part(archive, "xl/workbook.xml")
    if part.endswith(".bin"):
        raise UnreadableFile("It is a binary workbook (.xlsb); save it as .xlsx and try again.")
    if part not in archive:
        raise UnreadableFile(f"It is no Excel workbook: it holds no {part}.")
    workbook = parse_xml(archive.read(part), part)
    targets = relations(archive, part)
    properties = workbook.find(f"{_S}workbookPr")
    is_1904 = properties is not None and properties.get("date1904") in ("1", "true")
    book = _Book(_shared_strings(archive, targets), _number_kinds(archive, targets), is_1904)
    sheets: list[tuple[str, str]] = []
    for sheet in workbook.iter(f"{_S}sheet"):
        target = targets.get(sheet.get(f"{R}id") or "")
        if target is None or target.kind != "worksheet" or target.part not in archive:
            continue
        name = sheet.get("name") or f"{len(sheets) + 1}"
        hidden = " (hidden)" if sheet.get("state") in ("hidden", "veryHidden") else ""
        sheets.append((name + hidden, target.part))
    if not sheets:
        raise UnreadableFile("It is broken: it holds no sheet that can be read.")
    return archive, book, sheets


def _missing_results(book: _Book) -> str:
    problems = []
    if book.without_result:
        first = ", ".join(book.without_result[:3])
        count = len(book.without_result)
        problems.append(
            f"{count} formula{'s have' if count > 1 else ' has'} no saved result ({first}"
            f"{', ...' if count > 3 else ''}); open it in a spreadsheet program and save it."
        )
    if book.n_cells > MAX_CELLS:
        problems.append(f"Only its first {MAX_CELLS:,} cells are read; divide the workbook.")
    return " ".join(problems)


def _add_sheet(builder: TextBuilder, archive: Archive, part: str, name: str, book: _Book) -> None:
    xml = archive.read(part)
    n_claimed = xml.count(b"<c ") + xml.count(b":c ")
    names_cells = book.n_cells + n_claimed <= _MAX_NAMED_CELLS
    builder.add_heading(1, name)
    table = SheetTable(builder, f"sheet {name}", find_merges(xml), names_cells=names_cells)
    for row_number, cells in _rows(xml, part, name, book):
        table.add(row_number, cells)
    table.end()
    for relation in relations(archive, part).values():
        if relation.part not in archive:
            continue
        if relation.kind == "comments":
            _add_comments(builder, parse_xml(archive.read(relation.part), relation.part), name)
        elif relation.kind == "drawing":
            drawing = parse_xml(archive.read(relation.part), relation.part)
            for box in drawing.iter(f"{_XDR}txBody"):
                for paragraph in box.iter(f"{A}p"):
                    builder.add_paragraph("".join(run.text or "" for run in paragraph.iter(f"{A}t")))


def _rows(xml: bytes, part: str, sheet: str, book: _Book) -> Iterator[tuple[int, dict[int, Cell]]]:
    """A sheet's rows with their numbers, empty ones too, until the book's cells are too many."""
    number = 0
    for row in iterate_xml(xml, part, f"{_S}row"):
        claimed = row.get("r") or ""
        number = int(claimed) if claimed.isascii() and claimed.isdigit() else number + 1
        yield number, dict(_cells(row, number, sheet, book))
        if book.n_cells > MAX_CELLS:
            return


def _add_comments(builder: TextBuilder, comments: Element, name: str) -> None:
    for comment in comments.iter(f"{_S}comment"):
        cell = comment.get("ref") or ""
        with builder.place(f"sheet {name}, comment on {cell}"):
            builder.add_paragraph(f"Comment on {cell}: {_rich_text(comment)}")


def _cells(row: Element, row_number: int, sheet: str, book: _Book) -> Iterator[tuple[int, Cell]]:
    column = 0
    for element in row.iter(f"{_S}c"):
        column = column_number(element.get("r") or "") or column + 1
        book.n_cells += 1
        value = element.findtext(f"{_S}v") or ""
        if not value and element.get("t") != "str" and element.find(f"{_S}f") is not None:
            book.without_result.append(f"{sheet}!{cell_name(column, row_number)}")
        text, is_number = _shown(element, value, book)
        if text.strip():
            yield column, Cell(text, is_number, element.get("s") or "0")


def _shown(element: Element, value: str, book: _Book) -> tuple[str, bool]:
    """A cell's text, and whether it is a number or a date."""
    kind = element.get("t") or "n"
    if kind == "s":
        is_known = value.isascii() and value.isdigit() and int(value) < len(book.strings)
        return (book.strings[int(value)] if is_known else "", False)
    if kind == "inlineStr":
        return _rich_text(element), False
    if kind == "b":
        return ({"1": "TRUE", "0": "FALSE"}.get(value, value), False)
    if kind != "n" or not value:
        return value, kind == "d"
    style = element.get("s") or ""
    index = int(style) if style.isascii() and style.isdigit() else 0
    shown = book.kinds[index] if index < len(book.kinds) else "number"
    return shown_number(value, shown, is_1904=book.is_1904), True


def _rich_text(element: Element) -> str:
    """The runs of a string in one; the small signs that tell how kanji are read are left out."""
    parts: list[str] = []

    def collect(parent: Element) -> None:
        for child in parent:
            if child.tag == f"{_S}t":
                parts.append(child.text or "")
            elif child.tag != f"{_S}rPh":
                collect(child)

    collect(element)
    return "".join(parts).replace("_x000D_", "")


def _shared_strings(archive: Archive, targets: dict[str, Relation]) -> list[str]:
    part = _part_of_kind(targets, "sharedStrings")
    if part not in archive:
        return []
    return [_rich_text(item) for item in iterate_xml(archive.read(part), part, f"{_S}si")]


def _number_kinds(archive: Archive, targets: dict[str, Relation]) -> list[Kind]:
    """What each cell style shows numbers as, in the order of the styles."""
    part = _part_of_kind(targets, "styles")
    if part not in archive:
        return []
    styles = parse_xml(archive.read(part), part)
    codes = {item.get("numFmtId"): item.get("formatCode") or "" for item in styles.iter(f"{_S}numFmt")}
    cell_styles = styles.find(f"{_S}cellXfs")
    kinds: list[Kind] = []
    for style in cell_styles if cell_styles is not None else ():
        number = style.get("numFmtId") or "0"
        kinds.append(kind_of_format(int(number) if number.isdigit() else 0, codes.get(number, "")))
    return kinds


def _part_of_kind(targets: dict[str, Relation], kind: str) -> str:
    return next((relation.part for relation in targets.values() if relation.kind == kind), "")
