"""What a file becomes: one text, and where its pages, headings and table rows lie in it.

Every offset in this room is a count of code points into `Document.text`; ends are exclusive.
"""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["read", "partly read", "not read"]


@dataclass(frozen=True)
class Page:
    """One page of a paged file; `number` counts from 1."""

    number: int
    start: int
    end: int


@dataclass(frozen=True)
class Heading:
    """A heading whose line starts at `start`; level 1 is the highest."""

    start: int
    level: int
    text: str


@dataclass(frozen=True)
class Place:
    """A part that people know by a name that is no page and no heading: "sheet Prices, row 7", "slide 3"."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Reading:
    """What a reader of one format found in a file.

    `rows` are the (start, end) of table rows, which are not to be split; `places` are sorted by their
    start. `missing` is a plain sentence about what could not be read, empty when all was.
    """

    text: str
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    rows: tuple[tuple[int, int], ...] = ()
    missing: str = ""
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Document:
    """A file and its text.

    For txt and md, `text` is the decoded file itself, line ends too (a byte order mark is no text).
    `reason` says in one sentence why a file is partly read or not read; `digest` is the sha256 of the
    file's bytes in hex, empty when the bytes could not be had.
    """

    path: Path
    name: str
    text: str
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...]
    status: Status
    reason: str
    digest: str
    rows: tuple[tuple[int, int], ...] = ()
    places: tuple[Place, ...] = ()

    def page_at(self, offset: int) -> int | None:
        """The number of the page that holds the code point at `offset`; None for unpaged files."""
        index = bisect_right(self.pages, offset, key=lambda page: page.start) - 1
        if index < 0:
            return None
        return self.pages[index].number

    def headings_at(self, offset: int) -> tuple[str, ...]:
        """The path of headings above `offset`, the highest first."""
        path: list[Heading] = []
        for heading in self.headings:
            if heading.start > offset:
                break
            path = [above for above in path if above.level < heading.level]
            path.append(heading)
        return tuple(heading.text for heading in path)

    def place_at(self, offset: int) -> str:
        """The label of the innermost place that holds the code point at `offset`; empty if none does."""
        for place in reversed(
            self.places[: bisect_right(self.places, offset, key=lambda place: place.start)]
        ):
            if offset < place.end:
                return place.label
        return ""
