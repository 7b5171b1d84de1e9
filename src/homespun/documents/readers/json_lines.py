"""JSON Lines: one record a line of the file, each a row that names its values."""

from homespun.documents.decode import decode_text
from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder
from homespun.documents.readers.json import cells_of, parse_json, shown


def read(data: bytes) -> Reading:
    """One line a record; each is a place, "line 7". Lines that are no JSON are left out and told."""
    builder = TextBuilder()
    broken = []
    n_records = 0
    for number, line in enumerate(decode_text(data).text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except UnreadableFile:
            broken.append(number)
            continue
        n_records += 1
        builder.add_row(
            cells_of(record) if isinstance(record, dict) else [("", shown(record))], f"line {number}"
        )
    if broken and not n_records:
        raise UnreadableFile("It is no JSON Lines file: none of its lines is valid JSON.")
    first = ", ".join(map(str, broken[:5])) + (", ..." if len(broken) > 5 else "")
    return builder.reading(f"Lines that are no valid JSON and not read: {first}." if broken else "")
