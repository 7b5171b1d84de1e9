"""Puts a text together from the parts that a reader finds, and keeps their offsets."""

import contextlib
from collections.abc import Iterator, Sequence

from homespun.documents.document import Heading, Place, Reading


class TextBuilder:
    """A growing text: paragraphs stand apart by a blank line, list items and rows by a line end."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._rows: list[tuple[int, int]] = []
        self._places: list[Place] = []
        self._last_kind = ""

    def add_paragraph(self, text: str) -> None:
        """A paragraph; one without a visible sign is left out."""
        self._add(text.strip(), "paragraph")

    def add_item(self, text: str) -> None:
        """A list item, on a line of its own."""
        self._add(text.strip(), "item")

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

        `labels`, one for each of `rows` or none at all, name the rows as places.
        """
        self._last_kind = ""
        header = rows[0] if has_header and rows else None
        for index, cells in enumerate(rows):
            if header is not None and index == 0:
                continue
            line = row_line(cells, header)
            start = self._add(line, "row")
            if line:
                self._rows.append((start, start + len(line)))
                if labels:
                    self._places.append(Place(start, start + len(line), labels[index]))
        self._last_kind = ""

    @contextlib.contextmanager
    def place(self, label: str) -> Iterator[None]:
        """All that is added inside is the place of this name; it stands apart from what was before."""
        self._last_kind = ""
        n_parts, index, before = len(self._parts), len(self._places), self._length
        yield
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


def row_line(cells: Sequence[str], header: Sequence[str] | None) -> str:
    """One table row as a line: `Name: value; Name: value`, or `value | value` without names.

    Empty cells are left out; a cell beyond the named columns is called by its number.
    """
    values = [" ".join(cell.split()) for cell in cells]
    if header is None:
        return " | ".join(value for value in values if value)
    names = [" ".join(name.split()).rstrip(":") for name in header]
    named = []
    for index, value in enumerate(values):
        if value:
            name = names[index] if index < len(names) and names[index] else f"Column {index + 1}"
            named.append(f"{name}: {value}")
    return "; ".join(named)
