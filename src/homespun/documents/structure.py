"""Where a text may be divided: its sections, and the breaks inside them with their worth."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homespun.documents.document import Document, Heading
from homespun.documents.sentences import split_sentences

#: What ending a passage at a kind of break costs, in parts of a passage's length off the goal.
PARAGRAPH, LINE, SENTENCE = 0, 1, 2
BREAK_COSTS = (0.0, 0.15, 0.25)

#: Sections up to this many tokens are joined with their neighbours under the same heading.
_TINY_SECTION_TOKENS = 24

_PARAGRAPH_BREAK = re.compile(r"(?:\r\n|\r|\n)[^\S\r\n]*(?:\r\n|\r|\n)\s*|\f\s*")


@dataclass(frozen=True)
class Section:
    """The text from one heading to the next, and the path of headings above it."""

    start: int
    end: int
    headings: tuple[str, ...]


def find_sections(document: Document, count: Callable[[int, int], int]) -> list[Section]:
    """Divide a document at its headings.

    A heading with nothing under it goes with the first section below it; tiny sections under the
    same parent go together, and then have their parent's path.
    """
    text = document.text
    starts = [(heading.start, heading) for heading in document.headings if heading.start < len(text)]
    sections: list[Section] = []
    depth_path: list[Heading] = []
    kept_from: int | None = None  # the start of headings that wait for a section below them
    if not starts or text[: starts[0][0]].strip():
        sections.append(Section(0, starts[0][0] if starts else len(text), ()))
    for index, (start, heading) in enumerate(starts):
        end = starts[index + 1][0] if index + 1 < len(starts) else len(text)
        depth_path = [above for above in depth_path if above.level < heading.level] + [heading]
        first_line = re.compile(r"[^\r\n]*").match(text, start)
        assert first_line is not None
        # A setext heading has its underline on a second line.
        rest = re.sub(r"\A\s*(?:=+|-+)[ \t]*(?=[\r\n]|\Z)", "", text[first_line.end() : end])
        goes_deeper = index + 1 < len(starts) and starts[index + 1][1].level > heading.level
        if not rest.strip() and goes_deeper:
            kept_from = start if kept_from is None else kept_from
            continue
        path = tuple(above.text for above in depth_path)
        sections.append(Section(start if kept_from is None else kept_from, end, path))
        kept_from = None
    return _join_tiny(sections, count)


def _join_tiny(sections: list[Section], count: Callable[[int, int], int]) -> list[Section]:
    joined: list[Section] = []
    group: list[Section] = []  # tiny neighbours under one heading

    def close_group() -> None:
        if len(group) == 1:
            joined.append(group[0])
        elif group:
            joined.append(Section(group[0].start, group[-1].end, group[0].headings[:-1]))
        group.clear()

    for section in sections:
        is_tiny = bool(section.headings) and count(section.start, section.end) <= _TINY_SECTION_TOKENS
        if group and not (
            is_tiny
            and len(group[0].headings) == len(section.headings)
            and group[0].headings[:-1] == section.headings[:-1]
            and count(group[0].start, section.end) <= 4 * _TINY_SECTION_TOKENS
        ):
            close_group()
        if is_tiny:
            group.append(section)
        else:
            joined.append(section)
    close_group()
    return joined


def find_breaks(text: str, start: int, end: int, rows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The (place, kind) where text[start:end] may be divided, sorted; a place begins the next part."""
    kinds: dict[int, int] = {}
    for first, _ in split_sentences(text[start:end]):
        place = start + first
        kinds[place] = LINE if place == start or text[place - 1] in "\r\n" else SENTENCE
    for match in _PARAGRAPH_BREAK.finditer(text, start, end):
        kinds[match.end()] = PARAGRAPH
    for row_start, _ in rows[bisect_left(rows, (start, start)) : bisect_right(rows, (end, end))]:
        kinds[row_start] = min(kinds.get(row_start, LINE), LINE)
    _drop_breaks_in_rows(kinds, text, rows, start, end)
    return sorted((place, kind) for place, kind in kinds.items() if start < place < end)


def _drop_breaks_in_rows(
    kinds: dict[int, int], text: str, rows: Sequence[tuple[int, int]], start: int, end: int
) -> None:
    for place in list(kinds):
        index = bisect_left(rows, (place, place)) - 1
        if index >= 0 and rows[index][0] < place < rows[index][1]:
            del kinds[place]
