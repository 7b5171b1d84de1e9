"""Files of examples as rows with their lines: JSON, JSON lines, csv, Parquet, Excel."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.documents.decode import decode_text
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.csv import find_delimiter, numbered_rows
from homespun.documents.readers.xlsx import sheet_rows
from homespun.tuning.data.turns import ProblemKind
from homespun.tuning.errors import DataError


@dataclass(frozen=True)
class Row:
    """One row: its line (or row) in the file from 1, and its values by column."""

    line: int
    values: dict[str, Any]


@dataclass(frozen=True)
class RowProblem:
    """A row that is not as it should be.

    Attributes:
        kind: "broken" (it cannot be read), "width" (too many or too few cells), "quote" (a quote is never
            closed), "empty" (nothing to learn), "type" (a value of the wrong kind), "role" (an unknown
            speaker), "turns" (the assistant says nothing), "file" (a file that is left out).
        what: one sentence.
        is_kept: the row is learnt from all the same.
    """

    file: str
    line: int
    kind: ProblemKind
    what: str
    is_kept: bool = False


@dataclass(frozen=True)
class Table:
    """The rows of a file that could be read, and what was wrong with others."""

    rows: list[Row]
    problems: list[RowProblem]


def read_table(path: Path, data: bytes) -> Table:
    """The rows of a file of examples.

    Every value of csv and xlsx is the text that stands there: "null" and "NA" too.

    Raises:
        DataError: the file as a whole cannot be read.
    """
    reader = _READERS[path.suffix.lower()]
    try:
        table = reader(data, str(path))
    except UnreadableFile as error:
        raise DataError(error.what, where=str(path)) from error
    if not table.rows and not table.problems:
        raise DataError("the file holds no rows", where=str(path))
    return table


# --- JSON --------------------------------------------------------------------------------------


def _json_lines(data: bytes, file: str) -> Table:
    table = Table([], [])
    # Only line ends divide lines; a text may hold other characters that str.splitlines divides at.
    for line, text in enumerate(re.split(r"\r\n|\r|\n", decode_text(data).text), 1):
        if text.strip():
            try:
                _add(table, file, line, json.loads(text))
            except (ValueError, RecursionError) as error:
                table.problems.append(RowProblem(file, line, "broken", f"This is no JSON: {error}."))
    return table


def _add(table: Table, file: str, line: int, value: Any) -> None:
    if isinstance(value, dict):
        table.rows.append(Row(line, value))
    else:
        what = f"A row must be a JSON object, and this is {_kind(value)}."
        table.problems.append(RowProblem(file, line, "broken", what))


def _json(data: bytes, file: str) -> Table:
    """An array of objects; an object that holds one such array; or, in spite of its name, JSON lines."""
    text = decode_text(data).text
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = _json_lines(data, file)
        if len(lines.rows) > len(lines.problems):
            return lines
        raise DataError(f"this is no JSON ({error})", where=file) from None
    start = 0
    if isinstance(whole, dict):
        arrays = [name for name, value in whole.items() if _is_rows(value)]
        if len(arrays) != 1:
            if arrays:
                raise DataError(
                    f"it holds several lists of rows ({', '.join(arrays)})",
                    where=file,
                    remedy="Write the one that you mean to a file of its own.",
                )
            return Table([Row(1, whole)], [])
        start = _start_of_value(text, arrays[0])
    elif not isinstance(whole, list):
        raise DataError(f"rows are a list of JSON objects, and this is {_kind(whole)}", where=file)
    table = Table([], [])
    for line, value in _items(text, text.index("[", start)):
        _add(table, file, line, value)
    return table


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _start_of_value(text: str, name: str) -> int:
    """Where the value of a key of the outermost object begins."""
    decoder, position = json.JSONDecoder(), text.index("{") + 1
    while True:
        position = _skip(text, position, " \t\r\n,")
        key, position = decoder.raw_decode(text, position)
        position = _skip(text, position, " \t\r\n:")
        if key == name:
            return position
        _, position = decoder.raw_decode(text, position)


def _items(text: str, opening: int) -> Iterator[tuple[int, Any]]:
    """The items of the valid JSON array at `opening`, each with the line on which it begins."""
    decoder, position, line, counted = json.JSONDecoder(), opening + 1, 1, 0
    while True:
        position = _skip(text, position, " \t\r\n,")
        if text[position] == "]":
            return
        line, counted = line + text.count("\n", counted, position), position
        value, position = decoder.raw_decode(text, position)
        yield line, value


def _skip(text: str, position: int, signs: str) -> int:
    while text[position] in signs:
        position += 1
    return position


def _kind(value: Any) -> str:
    names = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")


# --- Tables ------------------------------------------------------------------------------------


def _csv(data: bytes, file: str) -> Table:
    text = decode_text(data).text
    delimiter = "\t" if file.lower().endswith(".tsv") else find_delimiter(text)
    rows = (row for row in numbered_rows(text, delimiter) if any(cell.strip() for cell in row.cells))
    first = next(rows, None)
    if first is None:
        raise DataError("the file is empty", where=file)
    head = checked_head([cell.strip() for cell in first.cells], file)
    table = Table([], [])
    for row in rows:
        is_wide = len(row.cells) != len(head)
        if row.has_lone_quote:
            what = (
                'A cell begins with a quote (") that is not closed at its end; it was read as a plain sign.'
            )
            table.problems.append(RowProblem(file, row.line, "quote", what, is_kept=not is_wide))
        if is_wide:
            what = f"The row has {len(row.cells)} cells, and there are {len(head)} columns."
            if not row.has_lone_quote:
                table.problems.append(RowProblem(file, row.line, "width", what))
            continue
        table.rows.append(Row(row.line, dict(zip(head, row.cells, strict=True))))
    return table


def _xlsx(data: bytes, file: str) -> Table:
    sheets = [sheet for sheet in sheet_rows(data) if sheet.rows]
    if not sheets:
        raise DataError("the workbook is empty", where=file)
    if len(sheets) > 1:
        raise DataError(
            f"the workbook has several sheets that are not empty ({', '.join(sheet.name for sheet in sheets)})",
            where=file,
            remedy="Save the one that you mean as a workbook or csv file of its own.",
        )
    (_, first), *rest = sheets[0].rows
    columns = sorted(first)
    head = dict(zip(columns, checked_head([first[column].strip() for column in columns], file), strict=True))
    table = Table([], [])
    for line, cells in rest:
        if cells.keys() <= head.keys():
            table.rows.append(Row(line, {name: cells.get(column, "") for column, name in head.items()}))
        else:
            what = "The row has a cell beside the columns that the first row names."
            table.problems.append(RowProblem(file, line, "width", what))
    return table


def checked_head(head: list[str], file: str) -> list[str]:
    """The names of a table's columns.

    Raises:
        DataError: a name stands twice.
    """
    twice = sorted({name for name in head if name and head.count(name) > 1})
    if twice:
        raise DataError(f"two columns are called {twice[0]!r}", where=file, remedy="Rename one of them.")
    return [name or f"column {number}" for number, name in enumerate(head, 1)]


def _parquet(data: bytes, file: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(pa.BufferReader(data)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"this is no Parquet file ({' '.join(str(error).split())[:120]})", where=file
        ) from None
    return Table([Row(line, values) for line, values in enumerate(rows, 1)], [])


_READERS: dict[str, Callable[[bytes, str], Table]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".xlsx": _xlsx,
    ".parquet": _parquet,
}
#: Files whose rows are examples; any other file that can be read is a text.
TABLE_SUFFIXES = tuple(_READERS)
