"""Markdown: the decoded file itself, with the offsets of its headings and table rows."""

import re

from homespun.documents.decode import decode_text
from homespun.documents.document import Heading, Reading

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TABLE_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$|\s*\|\s*:?-+:?\s*\|\s*$")
_NO_PARAGRAPH = re.compile(r"\s*$| {0,3}(?:[-*+>|]|\d+[.)])| {4}|\t")


def read(data: bytes) -> Reading:
    """The file's text; front matter and code blocks are text, but hold no headings."""
    text = decode_text(data).text
    headings: list[Heading] = []
    rows: list[tuple[int, int]] = []
    fence = ""
    previous: tuple[int, str] | None = None  # the line above, where it can be a setext heading
    above: tuple[int, str] = (0, "")
    in_table = False
    for start, line in _lines(text, _front_matter_end(text)):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
            continue
        if mark:
            fence, previous, in_table = mark[1], None, False
            continue
        line_above, above = above, (start, line)
        if _TABLE_RULE.match(line) and "|" in line_above[1] and not in_table:
            # A table need not begin its lines with a bar.
            in_table, previous = True, None
            if not line_above[1].lstrip().startswith("|"):
                rows.append((line_above[0], line_above[0] + len(line_above[1])))
        in_table = in_table and "|" in line
        underline = _SETEXT.match(line)
        if previous and underline:
            headings.append(Heading(previous[0], 1 if "=" in underline[1] else 2, _plain(previous[1])))
            previous = None
            continue
        title = _ATX.match(line)
        if title:
            headings.append(Heading(start, len(title[1]), _plain(title[2] or "")))
        if in_table or line.lstrip().startswith("|"):
            rows.append((start, start + len(line)))
        starts_paragraph = previous is None and not title and not _NO_PARAGRAPH.match(line)
        previous = (start, line) if starts_paragraph else None
    return Reading(text, headings=tuple(headings), rows=tuple(rows))


def _lines(text: str, position: int) -> list[tuple[int, str]]:
    found = []
    while position < len(text):
        match = _LINE.match(text, position)
        assert match is not None
        found.append((position, match[0].rstrip("\r\n")))
        position = match.end()
    return found


def _front_matter_end(text: str) -> int:
    match = re.match(r"---[ \t]*\r?\n(?:.*\r?\n)*?(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", text)
    return match.end() if match else 0


def _plain(markup: str) -> str:
    """A heading's words without emphasis, code and link marks."""
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markup)
    return " ".join(re.sub(r"[*`]+|(?<!\w)_+|_+(?!\w)", "", words).split())
