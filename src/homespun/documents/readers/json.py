"""JSON: each value as a line that names its path; a list of records as rows.

Numbers stay as they are written.
"""

import json
from collections.abc import Iterator
from typing import Any

from homespun.documents.decode import decode_text
from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder

#: Deeper values are written as JSON.
_MAX_DEPTH = 30


def read(data: bytes) -> Reading:
    """The file's values; records of the outermost list are places, "item 7".

    Lists of records below that are "orders, item 7". A large value that is neither a record nor a
    list of records is a paragraph `path: value`.
    """
    builder = TextBuilder()
    _add(builder, parse_json(decode_text(data).text), "", 1)
    return builder.reading()


def parse_json(text: str) -> Any:
    """A JSON value with its numbers as strings.

    Raises:
        UnreadableFile: it is no JSON, or nested too deep.
    """
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            f"It is no valid JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise UnreadableFile("It is no usable JSON: it is nested too deep.") from error


def cells_of(record: Any) -> list[tuple[str, str]]:
    """A record as (name, value) pairs; names below others are joined by dots."""
    return [(name, shown(value)) for name, value in _flat(record, "", 0)]


def shown(value: Any) -> str:
    """A value as a word: null, true and false as JSON writes them, a short list with commas."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ", ".join(shown(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def _flat(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for name, below in value.items():
            yield from _flat(below, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH and any(isinstance(i, list | dict) for i in value):
        for index, below in enumerate(value):
            yield from _flat(below, f"{path}[{index}]", depth + 1)
    elif value not in ("", [], {}):
        yield path, value


def _add(builder: TextBuilder, value: Any, path: str, level: int) -> None:
    """A record's own values first as one row, then what lies below it under headings of its own."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        builder.end_block()
        for number, item in enumerate(value, 1):
            label = f"{path}, item {number}" if path else f"item {number}"
            builder.add_row(cells_of(item) if isinstance(item, dict) else [("", shown(item))], label)
        builder.end_block()
    elif isinstance(value, dict) and level <= 4:
        parts = {name: below for name, below in value.items() if _is_large(below)}
        for name, below in _flat({n: b for n, b in value.items() if n not in parts}, path, 0):
            builder.add_item(f"{name}: {shown(below)}")
        for name, below in parts.items():
            builder.add_heading(level, str(name))
            _add(builder, below, f"{path}.{name}" if path else str(name), level + 1)
    else:
        for name, below in _flat(value, path, 0):
            builder.add_item(f"{name}: {shown(below)}" if name else shown(below))


def _is_large(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) > 3 or any(_is_large(below) for below in value.values())
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)
