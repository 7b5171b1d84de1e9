"""Rows of a sheet to lines that name their columns: where tables begin is not told by the file."""

import re
from dataclasses import dataclass

from homespun.documents.readers.builder import TextBuilder, names_columns

_MERGE = re.compile(
    rb"<(?:\w+:)?mergeCell\b[^>]*?\bref=[\"']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})[\"']"
)
_MAX_MERGES = 10_000
_MAX_MERGED_COLUMNS = 100


@dataclass(frozen=True)
class Cell:
    """A cell as people see it, and the number of its style."""

    text: str
    is_number: bool
    style: str


@dataclass(frozen=True)
class Merge:
    """Cells shown as one; all bounds are part of it, and count from 1."""

    first_column: int
    first_row: int
    last_column: int
    last_row: int


def column_number(cell: str) -> int:
    """The number of a cell's column, from 1: 2 for "B7"; 0 if it names none."""
    number = 0
    for sign in cell[:3]:
        if not "A" <= sign <= "Z":
            break
        number = 26 * number + ord(sign) - 64
    return number


def cell_name(column: int, row: int) -> str:
    """The name of a cell: "B7" for column 2, row 7."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def find_merges(sheet_xml: bytes) -> list[Merge]:
    """The merged cells of a sheet, by their first row.

    They stand behind the rows in the file, but are needed before, so they are looked for alone.
    """
    merges = []
    for match in _MERGE.finditer(sheet_xml):
        columns = column_number(match[1].decode()), column_number(match[3].decode())
        merges.append(Merge(columns[0], int(match[2]), columns[1], int(match[4])))
        if len(merges) == _MAX_MERGES:
            break
    return sorted(merges, key=lambda merge: merge.first_row)


class SheetTable:
    """Takes the rows of one sheet in order and adds them as lines.

    Rows without a gap are one table. Its first row names the columns if it is text above other kinds
    or in another style than what follows; a lone cell above it is its title. A table without such a
    row goes on with the names of the one above it where its columns had names.
    """

    def __init__(self, builder: TextBuilder, where: str, merges: list[Merge], *, names_cells: bool) -> None:
        self._builder = builder
        self._where = where
        self._waiting_merges = merges[::-1]
        self._merges: list[tuple[Merge, Cell]] = []
        self._names_cells = names_cells
        self._names: dict[int, str] = {}
        self._first: tuple[int, dict[int, Cell]] | None = None  # of a table, until the next is seen
        self._across: dict[int, Cell] = {}  # what the first row's merged cells cover beside them
        self._last_row = -1

    def add(self, row: int, cells: dict[int, Cell]) -> None:
        """One row: its number, and its cells that are not empty by their column's number."""
        across = self._fill_merged(row, cells)
        if not cells:
            return
        starts_table = row != self._last_row + 1
        self._last_row = row
        if starts_table:
            self.end()
        first, self._first = self._first, None
        if first is not None and len(first[1]) == 1 < len(cells):
            self._add_line(*first)
            self._builder.end_block()
            starts_table = True
        elif first is not None and _is_header(first[1], cells, is_grouped=bool(self._across)):
            self._builder.end_block()
            names = {**self._across, **first[1]}
            self._names = {column: cell.text for column, cell in names.items()}
            if self._across and _is_all_text(cells):  # a second row of names, below those of groups
                for column, cell in cells.items():
                    self._names[column] = f"{self._names.get(column, '')} {cell.text}".strip()
                return
        elif first is not None:
            self._add_line(*first)
        if starts_table:
            self._first, self._across = (row, cells), across
        else:
            self._add_line(row, cells)

    def end(self) -> None:
        """The table is over; what is added next stands apart from it."""
        if self._first is not None:
            self._add_line(*self._first)
            self._first = None
        self._builder.end_block()

    def _add_line(self, row: int, cells: dict[int, Cell]) -> None:
        has_names = len(cells) > 1 and cells.keys() <= self._names.keys()
        columns = sorted(cells)
        named = [
            (" ".join(self._names[column].split()).rstrip(":") if has_names else "", cells[column].text)
            for column in columns
        ]
        labels = [f"{self._where}, cell {cell_name(column, row)}" for column in columns]
        self._builder.add_row(named, f"{self._where}, row {row}", labels if self._names_cells else ())

    def _fill_merged(self, row: int, cells: dict[int, Cell]) -> dict[int, Cell]:
        """Repeat what spans rows in `cells`; gives what spans columns, by the columns beside it."""
        self._merges = [(merge, cell) for merge, cell in self._merges if merge.last_row >= row]
        if cells:
            for merge, cell in self._merges:
                cells.setdefault(merge.first_column, cell)
        across: dict[int, Cell] = {}
        while self._waiting_merges and self._waiting_merges[-1].first_row <= row:
            merge = self._waiting_merges.pop()
            spanning = cells.get(merge.first_column)
            if spanning is None or merge.first_row != row:
                continue
            if merge.last_row > row:
                self._merges.append((merge, spanning))
            last = min(merge.last_column, merge.first_column + _MAX_MERGED_COLUMNS)
            across.update(dict.fromkeys(range(merge.first_column + 1, last + 1), spanning))
        return across


def _is_all_text(cells: dict[int, Cell]) -> bool:
    return not any(cell.is_number for cell in cells.values())


def _is_header(first: dict[int, Cell], below: dict[int, Cell], *, is_grouped: bool) -> bool:
    """Whether a table's first row can be told to name the columns, from the row below it.

    `is_grouped`: some of its cells are merged over several columns, as names of groups are.
    """
    if len(first) < 2 or not _is_all_text(first) or not names_columns([c.text for c in first.values()]):
        return False
    shared = [(first[column], below[column]) for column in first.keys() & below.keys()]
    return (
        is_grouped
        or len(first) > 2
        or any(under.is_number for _, under in shared)
        or (bool(shared) and all(above.style != under.style for above, under in shared))
    )
