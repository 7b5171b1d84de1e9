"""Puts a text together from the parts that a reader finds, and keeps their offsets."""

import contextlib
from collections.abc import Iterator, Sequence

from homespun.documents.document import Heading, Place, Reading

_SUPERSCRIPTS = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


class TextBuilder:
    """A growing text: paragraphs stand apart by a blank line, list items and rows by a line end."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._rows: list[tuple[int, int]] = []
        self._places: list[Place] = []
        self._last_kind = ""
        self._open_places: list[str] = []
        self._n_tables = 0  # in the innermost open place

    def add_paragraph(self, text: str) -> None:
        """A paragraph; one without a visible sign is left out."""
        self._add(text.strip(), "paragraph")

    def add_item(self, text: str, level: int = 0) -> None:
        """A list item, on a line of its own; one in a list in a list (level 1 and more) is indented."""
        line = text.strip()
        self._add("  " * min(level, 8) + line if line else "", "item")

    def add_heading(self, level: int, text: str) -> None:
        """A heading, 1 the highest."""
        line = " ".join(text.split())
        start = self._add(line, "heading")
        if line:
            self._headings.append(Heading(start, level, line))

    def add_table(
        self, rows: Sequence[Sequence[str]], *, has_header: bool, labels: Sequence[str] = ()
    ) -> None:
        """A table as one line a row; cells go with their column's name where there are names.

        `labels`, one for each of `rows`, name the rows as places; without them they are called
        "table 2, row 3", where the tables of the innermost open place are counted.
        """
        self.end_block()
        self._n_tables += 1
        header = rows[0] if has_header and rows else None
        where = f"{self._open_places[-1]}, " if self._open_places else ""
        for index, cells in enumerate(rows):
            if header is None or index > 0:
                label = labels[index] if labels else f"{where}table {self._n_tables}, row {index + 1}"
                self.add_row(named_cells(cells, header), label)
        self.end_block()

    def add_row(
        self, cells: Sequence[tuple[str, str]], label: str = "", cell_labels: Sequence[str] = ()
    ) -> None:
        """One row of a table as a line of its own.

        Args:
            cells: (column name, value) each; empty values are left out.
            label: what the row is called as a place; none if empty.
            cell_labels: what the values of `cells` are called as places, one each or none at all.
        """
        line, spans = row_line(cells)
        start = self._add(line, "row")
        if not line:
            return
        self._rows.append((start, start + len(line)))
        if label:
            self._places.append(Place(start, start + len(line), label))
        for span, cell_label in zip(spans, cell_labels, strict=False):
            if span:
                self._places.append(Place(start + span[0], start + span[1], cell_label))

    def end_block(self) -> None:
        """What is added next stands apart by a blank line."""
        self._last_kind = ""

    @contextlib.contextmanager
    def place(self, label: str) -> Iterator[None]:
        """All that is added inside is the place of this name; it stands apart from what was before."""
        self.end_block()
        n_parts, index, before = len(self._parts), len(self._places), self._length
        n_tables, self._n_tables = self._n_tables, 0
        self._open_places.append(label)
        yield
        self._open_places.pop()
        self._n_tables = n_tables
        if self._length > before:
            start = before + (len(self._parts[n_parts]) if n_parts else 0)  # behind the separator
            self._places.insert(index, Place(start, self._length, label))

    def add_reading(self, reading: Reading, *, below: int = 0, label: str = "") -> None:
        """All that another reader found, as a part of this text.

        Its headings go `below` levels down; its places and pages are called "label, place".
        """
        if not reading.text.strip():
            return
        self._last_kind = ""
        first = self._add(reading.text, "paragraph")
        self._last_kind = ""
        self._headings.extend(
            Heading(first + heading.start, heading.level + below, heading.text)
            for heading in reading.headings
        )
        self._rows.extend((first + start, first + end) for start, end in reading.rows)
        named = [(page.start, page.end, f"page {page.number}") for page in reading.pages]
        named += [(place.start, place.end, place.label) for place in reading.places]
        for start, end, name in sorted(named, key=lambda part: (part[0], -part[1])):
            self._places.append(Place(first + start, first + end, f"{label}, {name}" if label else name))

    def reading(self, missing: str = "") -> Reading:
        """All that was added."""
        return Reading(
            "".join(self._parts),
            headings=tuple(self._headings),
            rows=tuple(self._rows),
            missing=missing,
            places=tuple(self._places),
        )

    def _add(self, text: str, kind: str) -> int:
        if not text:
            return self._length
        if self._parts:
            is_next = kind == self._last_kind and kind in ("item", "row")
            separator = "\n" if is_next else "\n\n"
            self._parts.append(separator)
            self._length += len(separator)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        self._last_kind = kind
        return start


def named_cells(cells: Sequence[str], header: Sequence[str] | None) -> list[tuple[str, str]]:
    """Each cell with its column's name, empty without a header; unnamed columns go by their number."""
    if header is None:
        return [("", cell) for cell in cells]
    names = [" ".join(name.split()).rstrip(":") for name in header]
    return [
        (names[index] if index < len(names) and names[index] else f"Column {index + 1}", cell)
        for index, cell in enumerate(cells)
    ]


def row_line(cells: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[int, int] | None]]:
    """One table row as a line, and where each cell's value lies in it.

    The line reads `Name: value; Name: value`, or `value | value` where no cell has a name. Empty cells
    are left out and have no place.
    """
    separator = "; " if any(name for name, _ in cells) else " | "
    parts: list[str] = []
    spans: list[tuple[int, int] | None] = []
    length = 0
    for name, cell in cells:
        value = " ".join(cell.split())
        if not value:
            spans.append(None)
            continue
        lead = (separator if parts else "") + (f"{name}: " if name else "")
        parts.append(lead + value)
        length += len(lead) + len(value)
        spans.append((length - len(value), length))
    return "".join(parts), spans


def names_columns(row: Sequence[str]) -> bool:
    """Whether a first row can name the columns: nothing in it is a mere number, none is long."""
    return all(len(cell) <= 80 and not cell.strip().replace(".", "").isdigit() for cell in row)


def superscript(text: str) -> str:
    """Digits raised, so that 10 to the 6 does not become 106; other text as it is."""
    return text.translate(_SUPERSCRIPTS) if text.strip("+-").isdigit() else text
