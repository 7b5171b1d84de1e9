"""PowerPoint files: what stands on each slide, in the file's order, and the speaker's notes.

Titles are headings; charts are read as the tables that they show. Comments and what masters repeat
on every slide are left out.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder, names_columns, superscript
from homespun.documents.readers.ooxml import A, R, Relation, macro_notice, main_part, relations
from homespun.documents.safe_xml import parse_xml
from homespun.documents.safe_zip import Archive, open_office_archive

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
# Placeholders that hold the same on every slide.
_REPEATED = frozenset(("dt", "ftr", "sldNum", "hdr", "sldImg"))


def read(data: bytes) -> Reading:
    """All slides in their order, hidden ones named so; each is a place, "slide 3"."""
    archive = open_office_archive(data, ".ppt", ".pptx")
    part = main_part(archive, "ppt/presentation.xml")
    if part not in archive:
        raise UnreadableFile(f"It is no PowerPoint file: it holds no {part}.")
    presentation = parse_xml(archive.read(part), part)
    targets = relations(archive, part)
    builder = TextBuilder()
    missing = []
    for number, element in enumerate(presentation.iter(f"{_P}sldId"), 1):
        target = targets.get(element.get(f"{R}id") or "")
        try:
            if target is None:
                raise UnreadableFile("")
            _Slide(builder, archive, target.part, number).add()
        except UnreadableFile:
            missing.append(str(number))
    if missing and not builder.reading().text:
        raise UnreadableFile("It is broken: none of its slides can be read.")
    lost = f"Slides that are broken and not read: {', '.join(missing)}." if missing else ""
    return builder.reading(" ".join(filter(None, (lost, macro_notice(archive)))))


class _Slide:
    def __init__(self, builder: TextBuilder, archive: Archive, part: str, number: int) -> None:
        self.builder = builder
        self.archive = archive
        self.part = part
        self.root = parse_xml(archive.read(part), part)
        self.targets = relations(archive, part)
        hidden = " (hidden)" if self.root.get("show") in ("0", "false") else ""
        self.name = f"slide {number}{hidden}"

    def add(self) -> None:
        """The title, then the rest, then the notes."""
        shapes = list(_shapes(self.root))
        titles = [shape for shape in shapes if _placeholder(shape) in ("title", "ctrTitle")]
        with self.builder.place(self.name):
            title = " ".join(_text(paragraph) for shape in titles for paragraph in shape.iter(f"{A}p"))
            # Without a heading of its own, it would stand below the last slide's.
            self.builder.add_heading(1, title if title.strip() else self.name.capitalize())
            for shape in shapes:
                if shape not in titles:
                    self._add_shape(shape)
            for relation in self.targets.values():
                if relation.kind == "notesSlide" and relation.part in self.archive:
                    self._add_notes(relation)

    def _add_shape(self, shape: Element) -> None:
        self.builder.end_block()
        if shape.tag == f"{_P}sp":
            body = shape.find(f"{_P}txBody")
            if body is not None and _placeholder(shape) not in _REPEATED:
                # Text boxes have no type, the slide's own list has "" or "body".
                self._add_paragraphs(body, is_list=_placeholder(shape) in ("", "body", "obj"))
            return
        for table in shape.iter(f"{A}tbl"):
            rows = [row for row in _rows(table) if any(cell.strip() for cell in row)]
            has_names = len(rows) > 1 and len(rows[0]) > 1 and names_columns(rows[0])
            self.builder.add_table(rows, has_header=has_names)
        for chart in shape.iter(f"{_C}chart"):
            root = self._related(chart.get(f"{R}id"))
            if root is not None:
                _add_chart(self.builder, root)
        for diagram in shape.iter(f"{_DGM}relIds"):
            root = self._related(diagram.get(f"{R}dm"))
            for paragraph in root.iter(f"{A}p") if root is not None else ():
                if _text(paragraph).strip():
                    self.builder.add_item("- " + _text(paragraph).strip())

    def _add_paragraphs(self, body: Element, *, is_list: bool) -> None:
        paragraphs = [paragraph for paragraph in body.iter(f"{A}p") if _text(paragraph).strip()]
        for paragraph in paragraphs:
            properties = paragraph.find(f"{A}pPr")
            level = "0" if properties is None else properties.get("lvl") or "0"
            marks = {child.tag for child in properties} if properties is not None else set()
            is_item = bool(marks & {f"{A}buChar", f"{A}buAutoNum"})
            if is_item or (is_list and len(paragraphs) > 1 and f"{A}buNone" not in marks):
                self.builder.add_item("- " + _text(paragraph).strip(), int(level) if level.isdigit() else 0)
            else:
                self.builder.add_paragraph(_text(paragraph))

    def _add_notes(self, relation: Relation) -> None:
        root = parse_xml(self.archive.read(relation.part), relation.part)
        with self.builder.place(f"{self.name}, notes"):
            for shape in _shapes(root):
                kind = _placeholder(shape)
                if kind is not None and kind not in _REPEATED:
                    lines = [_text(paragraph) for paragraph in shape.iter(f"{A}p")]
                    text = "\n".join(line for line in lines if line.strip())
                    self.builder.add_paragraph(f"Notes: {text}" if text else "")

    def _related(self, identifier: str | None) -> Element | None:
        target = self.targets.get(identifier or "")
        if target is None or target.part not in self.archive:
            return None
        return parse_xml(self.archive.read(target.part), target.part)


def _shapes(parent: Element) -> Iterator[Element]:
    """Shapes with text, tables and charts in order, also those in groups."""
    for child in parent:
        if child.tag in (f"{_P}sp", f"{_P}graphicFrame"):
            yield child
        elif not child.tag.endswith("}Fallback"):
            yield from _shapes(child)


def _placeholder(shape: Element) -> str | None:
    """The type of the placeholder that a shape fills, "" for the untyped one; None for other shapes."""
    found = next(shape.iter(f"{_P}ph"), None)
    return None if found is None else found.get("type") or ""


def _text(paragraph: Element) -> str:
    parts = []
    for run in paragraph:
        if run.tag in (f"{A}r", f"{A}fld"):
            text = run.findtext(f"{A}t") or ""
            properties = run.find(f"{A}rPr")
            rise = "" if properties is None else properties.get("baseline") or ""
            parts.append(superscript(text) if rise.isdigit() and int(rise) > 0 else text)
        elif run.tag == f"{A}br":
            parts.append("\n")
        else:  # formulas
            parts.extend(part.text or "" for part in run.iter() if part.tag.endswith("/math}t"))
    return "".join(parts)


def _rows(table: Element) -> list[list[str]]:
    """The cells' texts; what spans rows or columns is repeated."""
    rows: list[list[str]] = []
    for row_element in table.iter(f"{A}tr"):
        row: list[str] = []
        for cell in row_element.iter(f"{A}tc"):
            text = " ".join(_text(paragraph) for paragraph in cell.iter(f"{A}p"))
            if cell.get("hMerge") in ("1", "true") and row:
                text = row[-1]
            elif cell.get("vMerge") in ("1", "true") and rows and len(row) < len(rows[-1]):
                text = rows[-1][len(row)]
            row.append(text)
        rows.append(row)
    return rows


def _add_chart(builder: TextBuilder, chart: Element) -> None:
    """A chart's title, and its series as columns beside their categories."""
    title = chart.find(f"{_C}chart/{_C}title")
    if title is not None:
        builder.add_paragraph(" ".join(_text(paragraph) for paragraph in title.iter(f"{A}p")))
    header, columns, categories = [""], [], {}
    for number, series in enumerate(chart.iter(f"{_C}ser"), 1):
        name = _points(series.find(f"{_C}tx"))
        header.append(name.get(0) or f"Series {number}")
        for tag in ("cat", "xVal"):
            categories.update(_points(series.find(_C + tag)))
        columns.append(_points(series.find(f"{_C}val")) or _points(series.find(f"{_C}yVal")))
    indexes = sorted({index for column in columns for index in column})
    rows = [
        [categories.get(index, ""), *(column.get(index, "") for column in columns)]
        for index in indexes[:1000]
    ]
    header[0] = "Category"
    if rows:
        builder.add_table([header, *rows], has_header=True)


def _points(parent: Element | None) -> dict[int, str]:
    """The values that are kept in the chart itself, by their place."""
    found = {}
    for point in parent.iter(f"{_C}pt") if parent is not None else ():
        index = point.get("idx") or ""
        value = (point.findtext(f"{_C}v") or "").strip()
        if index.isdigit() and value:
            found[int(index)] = value
    return found
