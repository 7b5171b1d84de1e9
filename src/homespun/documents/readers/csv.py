"""Tables as text files: each row becomes a line that names its columns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from homespun.documents.decode import decode_text
from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder

_DELIMITERS = ",;\t|"
_TOLD_DELIMITER = re.compile(r"sep=(.)(?=[\r\n]|\Z)")
_LINE_END = re.compile(r"\r\n|\r|\n")


def read(data: bytes) -> Reading:
    """The rows below the header, one `Header: value; Header: value` line each.

    Rows are places, "row 7", counted as spreadsheet programs do: the header is row 1.
    """
    text = decode_text(data).text
    numbered = [
        (number, row)
        for number, row in enumerate(parse_rows(text, find_delimiter(text)), 1)
        if any(cell.strip() for cell in row)
    ]
    rows = [row for _, row in numbered]
    if not rows:
        raise UnreadableFile("It is empty: it has no rows.")
    if len(rows) == 1:
        raise UnreadableFile("It is empty: it has a header but no rows.")
    builder = TextBuilder()
    builder.add_table(rows, has_header=True, labels=[f"row {number}" for number, _ in numbered])
    return builder.reading()


def find_delimiter(text: str) -> str:
    """The sign that divides the first rows into the same number of several cells; else a comma."""
    # Excel writes the delimiter so, as a line before the header.
    told = _TOLD_DELIMITER.match(text)
    if told:
        return told[1]
    sample = text[:20_000]

    def evenness(delimiter: str) -> tuple[float, int]:
        rows = [row for row in parse_rows(sample, delimiter) if any(row)][:50]
        if len(sample) < len(text) and len(rows) > 1:
            rows = rows[:-1]  # may be cut
        widths = [len(row) for row in rows]
        if not widths or widths[0] < 2:
            return (0.0, 0)
        return (widths.count(widths[0]) / len(widths), widths[0])

    best = max(_DELIMITERS, key=evenness)
    return best if evenness(best)[0] > 0 else ","


def parse_rows(text: str, delimiter: str) -> list[list[str]]:
    """Rows of cells. A quote that no quote before a delimiter or a line end closes is a plain sign.

    A quoted cell may hold delimiters, line ends and doubled quotes.
    """
    return [row.cells for row in numbered_rows(text, delimiter)]


@dataclass(frozen=True)
class NumberedRow:
    """A row: the line of the file on which it begins, from 1, and whether a quote in it was left open."""

    line: int
    cells: list[str]
    has_lone_quote: bool


def numbered_rows(text: str, delimiter: str) -> Iterator[NumberedRow]:
    """The rows as `parse_rows` reads them, each with its place in the file."""
    sign = re.escape(delimiter)
    quoted = re.compile(rf'[ ]*"([^"]*+(?:""[^"]*+)*+)"[ ]*(?={sign}|\r|\n|\Z)')
    plain = re.compile(rf"[^{sign}\r\n]*")
    line = 1
    if _TOLD_DELIMITER.match(text):
        text = _LINE_END.sub("", text[5:], count=1)
        line = 2
    row: list[str] = []
    has_lone_quote = False
    n_line_ends = 0  # inside the row's quoted cells
    position = 0
    while True:
        match = quoted.match(text, position)
        if match:
            row.append(match[1].replace('""', '"'))
            n_line_ends += len(_LINE_END.findall(match[1]))
        else:
            match = plain.match(text, position)
            assert match is not None
            row.append(match[0])
            has_lone_quote |= match[0].lstrip(" ").startswith('"')
        position = match.end()
        if position < len(text) and text[position] == delimiter:
            position += 1
            continue
        yield NumberedRow(line, row, has_lone_quote)
        line += n_line_ends + 1
        row, has_lone_quote, n_line_ends = [], False, 0
        line_end = _LINE_END.match(text, position)
        if not line_end:
            return
        position = line_end.end()
        if position == len(text):
            return
