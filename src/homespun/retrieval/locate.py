"""Where a stretch of a document's text stands, in the words that people find it by."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from homespun.documents.document import Place
from homespun.documents.split import Passage

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Location:
    """A place in a document; what a document has not is None or empty.

    Attributes:
        page: that the stretch begins on, from 1.
        heading: the headings above it, the highest first, joined by " > ".
        place: such as "sheet Prices, row 7" or "slide 3".
        first_line, last_line: of a document without pages, from 1; "\\r\\n" ends one line.
    """

    page: int | None
    heading: str
    place: str
    first_line: int | None
    last_line: int | None


def locate(text: str, passages: Sequence[Passage], places: Sequence[Place], start: int, end: int) -> Location:
    """Say where `text[start:end]` stands.

    Args:
        text: of the whole document.
        passages: of the document, by their start; the page and headings are theirs.
        places: of the document, by their start; the innermost one that holds `start` is named.
        start, end: in code points; bounds beyond the text are drawn in.
    """
    start = min(max(start, 0), len(text))
    end = min(max(end, start), len(text))
    # A stretch that was cut with space around it stands where its first and last letter do.
    cut = text[start:end]
    if cut.strip():
        start, end = start + len(cut) - len(cut.lstrip()), end - len(cut) + len(cut.rstrip())
    index = max(0, bisect_right(passages, start, key=lambda passage: passage.start) - 1)
    page = passages[index].page if passages else None
    heading = " > ".join(passages[index].headings) if passages else ""
    first = _line_at(text, start) if page is None else None
    last = _line_at(text, max(start, end - 1)) if page is None else None
    return Location(page, heading, place_at(places, start), first, last)


def place_at(places: Sequence[Place], offset: int) -> str:
    """The label of the place that starts last among those that hold `offset`; empty if none does."""
    for place in reversed(places[: bisect_right(places, offset, key=lambda place: place.start)]):
        if offset < place.end:
            return place.label
    return ""


def _line_at(text: str, offset: int) -> int:
    return 1 + sum(1 for _ in _LINE_END.finditer(text, 0, offset))
