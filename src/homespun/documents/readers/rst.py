"""reStructuredText: the decoded file itself, with the offsets of its headings and table rows."""

import re

from homespun.documents.decode import decode_text
from homespun.documents.document import Heading, Reading

_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+[ \t]*$")
_MARKUP = re.compile(r":[\w.+-]+:(?=`)|``?|\*\*?|`_{1,2}")


def read(data: bytes) -> Reading:
    """The file's text. A heading's level is the order in which its kind of line first came."""
    text = decode_text(data).text
    headings: list[Heading] = []
    rows: list[tuple[int, int]] = []
    styles: list[tuple[str, bool]] = []
    lines: list[tuple[int, str]] = []
    position = 0
    while position < len(text):
        match = _LINE.match(text, position)
        assert match is not None
        lines.append((position, match[1]))
        position = match.end()
    for index, (start, line) in enumerate(lines):
        if line.lstrip().startswith("|") and line.rstrip().endswith("|") and len(line.strip()) > 1:
            rows.append((start, start + len(line)))
        under = _ADORNMENT.match(lines[index + 1][1]) if index + 1 < len(lines) else None
        if not line.strip() or under is None or _ADORNMENT.match(line):
            continue
        over = _ADORNMENT.match(lines[index - 1][1]) if index else None
        is_over = over is not None and over[0].rstrip() == under[0].rstrip()
        before = lines[index - 1][1] if index else ""
        # A line too short below a paragraph is no heading but a mistake or a table's border.
        is_long = len(under[0].rstrip()) >= len(line.rstrip())
        if not is_long or line[0].isspace() != (is_over and line[0].isspace()):
            continue
        if before.strip() and not is_over:
            continue
        style = (under[1], is_over)
        if style not in styles:
            styles.append(style)
        title = " ".join(_MARKUP.sub("", line).split())
        headings.append(Heading(start, styles.index(style) + 1, title))
    return Reading(text, headings=tuple(headings), rows=tuple(rows))
