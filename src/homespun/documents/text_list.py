"""Short texts with their groups, typed one by one or out of files."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.documents.decode import decode_text
from homespun.documents.errors import DocumentError
from homespun.documents.readers.csv import find_delimiter, parse_rows

#: A last part of this kind is a file's name, so that a mistyped one is not taken for a text.
_FILE_SUFFIXES = (".txt", ".csv", ".jsonl")
_LABEL_CHARACTERS = 28


@dataclass(frozen=True)
class ListedText:
    """One text; `group` is empty where none was given."""

    text: str
    group: str = ""


def gather_texts(given: Sequence[str]) -> list[ListedText]:
    """Texts out of what was typed: the name of a file stands for its texts, anything else for itself.

    Raises:
        DocumentError: nothing but empty lines, a file that is not there or says something else, or only some
            of the texts have a group.
        UnreadableFile: a file that is no text.
    """
    found: list[ListedText] = []
    for one in given:
        if _names_a_file(one):
            found += read_texts(Path(one))
        elif one.strip():
            found.append(ListedText(one))
    if not found:
        raise DocumentError("There is no text.", remedy="Type texts, or name a file that holds some.")
    if len({bool(listed.group) for listed in found}) > 1:
        bare = next(listed.text for listed in found if not listed.group)
        raise DocumentError(
            f"Some texts have a group, and {shortened(bare)!r} has none.",
            remedy="Give all texts a group, or none.",
        )
    return found


def read_texts(path: Path) -> list[ListedText]:
    """The texts of a file. Empty lines are left out.

    Args:
        path: `.jsonl` has an object with `text` and perhaps `group` on each line; `.csv` has columns of these
            names; any other file has one text a line.

    Raises:
        DocumentError: no file, no text in it, or a line that says something else.
        UnreadableFile: no text.
    """
    try:
        text = decode_text(path.read_bytes()).text
    except OSError as error:
        raise DocumentError(f"The texts cannot be read ({error.strerror}).", where=str(path)) from error
    if path.suffix.lower() == ".csv":
        found = _of_table(text, path)
    elif path.suffix.lower() == ".jsonl":
        found = [_of_json(line, f"{path}, line {number}") for number, line in _lines(text)]
    else:
        found = listed_lines(text)
    if not found:
        raise DocumentError("There is no text in this file.", where=str(path))
    return found


def listed_lines(text: str) -> list[ListedText]:
    """The lines of a text that are not empty."""
    return [ListedText(line.strip()) for _, line in _lines(text)]


def shortened(text: str) -> str:
    """A text's beginning on one line, as a label."""
    line = " ".join(text.split())
    return line if len(line) <= _LABEL_CHARACTERS else line[: _LABEL_CHARACTERS - 1].rstrip() + "…"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Only line ends divide lines; a text may hold other characters that str.splitlines divides at.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if line.strip():
            yield number, line


def _names_a_file(given: str) -> bool:
    try:
        if Path(given).is_file():
            return True
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False
    if given.lower().endswith(_FILE_SUFFIXES) and len(given.split()) == 1:
        raise DocumentError("There is no such file.", where=given)
    return False


def _of_json(line: str, where: str) -> ListedText:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"This is no JSON ({error}).", where=where) from None
    text = entry.get("text") if isinstance(entry, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise DocumentError('Each line needs an object with a "text" that is not empty.', where=where)
    group = entry.get("group")
    if not isinstance(group, (str, int, type(None))):
        raise DocumentError('"group" must be a text or a whole number.', where=where)
    return ListedText(text, "" if group is None else str(group).strip())


def _of_table(text: str, path: Path) -> list[ListedText]:
    rows = parse_rows(text, find_delimiter(text))
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "text" not in head:
        raise DocumentError(
            f'The table has no column "text" (it has: {", ".join(head) or "nothing"}).', where=str(path)
        )
    places = [head.index("text"), head.index("group") if "group" in head else len(head)]
    found = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        content, group = (row[place].strip() if place < len(row) else "" for place in places)
        if not content:
            raise DocumentError("This row has no text.", where=f"{path}, row {number}")
        found.append(ListedText(content, group))
    return found
