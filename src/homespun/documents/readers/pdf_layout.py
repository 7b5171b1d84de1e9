"""The order in which a page is read: its columns, its lines, the rows of its tables.

Pages without columns keep the order of the file, which its maker chose. Columns are taken for columns only
where both sides of the white between them are filled with lines of prose, for tables have white between
their columns too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import median

from homespun.documents.readers.pdf_page import Segment

#: White between columns is at least so wide, in points.
_MIN_GUTTER = 6.0
#: At least so many lines have the white beside them.
_MIN_VOTES = 4
#: A page with more stretches of text than this is a drawing or a table, and columns are not looked for.
_MAX_SEGMENTS = 800
#: So many whites are tried, and columns are looked for in columns so often.
_MAX_GUTTERS = 6
_MAX_DEPTH = 4
#: Columns of prose have at least this mean of characters a line, and this part of lines that fill them.
_PROSE_CHARACTERS = 14
_FILLED_SHARE = 0.4

#: What stands before a list item; the item's text goes on behind it.
_ITEM_MARK = re.compile(r"[•◦▪▫‣∙·●○■□–—*-]|\(?(?:\d{1,2}|[A-Za-z]|[ivxIVX]{1,4})[.)]")


@dataclass(frozen=True)
class Line:
    """A line of text as it is read.

    Attributes:
        segments: from left to right; cells where `is_row`.
        text: of all segments; cells stand apart by a tab.
        flow: number of the column or band that it belongs to; between flows, distances mean nothing.
        opens: begins a paragraph, as the white above it tells.
    """

    segments: tuple[Segment, ...]
    text: str
    flow: int = 0
    is_row: bool = False
    opens: bool = False

    @cached_property
    def top(self) -> float:
        return max(segment.top for segment in self.segments)

    @cached_property
    def bottom(self) -> float:
        return min(segment.bottom for segment in self.segments)

    @cached_property
    def size(self) -> float:
        """The height of its longest segment, in points."""
        return max(self.segments, key=lambda segment: len(segment.text)).height

    @property
    def is_bold(self) -> bool:
        return all(segment.is_bold for segment in self.segments)


def lay_out(page_lines: Sequence[Sequence[Segment]]) -> list[Line]:
    """The lines of a page in reading order; `page_lines` are PDFium's."""
    segments = [segment for line in page_lines for segment in line]
    flows = _column_flows(segments) or [list(page_lines)]
    lines: list[Line] = []
    for number, flow in enumerate(flows):
        grouped = _same_height_joined(flow)
        lines += _with_paragraphs(_with_rows(grouped, number))
    return lines


# --- columns -----------------------------------------------------------------------------------


def _column_flows(segments: list[Segment], depth: int = 0) -> list[list[Sequence[Segment]]]:
    """The text as bands from top to bottom, columns in them one after the other; empty without columns.

    The clearest white between columns divides first, then each part is looked at by itself.
    """
    if len(segments) > _MAX_SEGMENTS or depth > _MAX_DEPTH:
        return []
    for gutter in _gutters(segments):
        bands = [_columns(band, gutter) for band in _bands(segments, gutter)]
        if all(len(parts) == 1 for parts in bands):
            continue
        flows: list[list[Sequence[Segment]]] = []
        for parts in bands:
            for part in parts:
                flows += _column_flows(part, depth + 1) or [_by_height(part)]
        return flows
    return []


def _bands(segments: list[Segment], gutter: float) -> list[list[Segment]]:
    """Stretches of lines that keep the gutter free, and stretches that run across it, from the top."""
    bands: list[list[Segment]] = []
    crossed = None
    for segment in sorted(segments, key=lambda segment: (-segment.top, segment.left)):
        crosses = segment.left < gutter - 2 and segment.right > gutter + 2
        if crosses != crossed:
            bands.append([])
            crossed = crosses
        bands[-1].append(segment)
    return bands


def _gutters(segments: list[Segment]) -> list[float]:
    """Where vertical white is that at least four lines have on their right, the white of most lines first."""
    edges: list[tuple[float, int]] = []
    for segment in segments:
        beside = [
            other.left
            for other in segments
            if other.left >= segment.right - 1
            and min(other.top, segment.top) - max(other.bottom, segment.bottom)
            > 0.3 * min(other.height, segment.height)
        ]
        if beside and min(beside) - segment.right >= _MIN_GUTTER:
            edges += [(segment.right, 1), (min(beside), -1)]
    gutters: list[tuple[int, float]] = []
    n = 0
    begin, is_rising = 0.0, False
    for edge, step in sorted(edges):
        if step > 0:
            begin = edge
        elif is_rising and n >= _MIN_VOTES:
            # Short lines make the white wider in places; its right edge is where the next column begins.
            gutters.append((n, edge - min(_MIN_GUTTER, edge - begin) / 2))
        is_rising = step > 0
        n += step
    return [gutter for _, gutter in sorted(gutters, reverse=True)[:_MAX_GUTTERS]]


def _columns(band: list[Segment], gutter: float) -> list[list[Segment]]:
    """A band divided at the gutter; one part if its parts are no columns of prose."""
    left = [segment for segment in band if segment.left <= gutter - 1]
    right = [segment for segment in band if segment.left > gutter - 1]
    return [left, right] if _is_prose(left) and _is_prose(right) else [band]


def _is_prose(column: list[Segment]) -> bool:
    if len(column) < 3:
        return False
    left = min(segment.left for segment in column)
    width = max(segment.right for segment in column) - left
    n_filled = sum(segment.right >= left + 0.75 * width for segment in column)
    if n_filled < _FILLED_SHARE * len(column):
        return False
    if any("\u3040" <= sign <= "\u9fff" for sign in column[0].text):
        return True  # written without spaces
    characters = sum(len(segment.text) for segment in column) / len(column)
    words = sum(len(segment.text.split()) for segment in column) / len(column)
    return characters >= _PROSE_CHARACTERS and words >= 2.5


def _by_height(column: list[Segment]) -> list[Sequence[Segment]]:
    return [[segment] for segment in sorted(column, key=lambda segment: (-segment.top, segment.left))]


# --- lines and rows ----------------------------------------------------------------------------


def _same_height_joined(flow: Sequence[Sequence[Segment]]) -> list[list[Segment]]:
    """Lines whose text stands side by side at one height are one line."""
    lines: list[list[Segment]] = []
    for segments in flow:
        if lines and _stands_beside(lines[-1][-1], segments[0]):
            lines[-1].extend(segments)
        else:
            lines.append(list(segments))
    return [_with_mark(line) for line in lines]


def _with_mark(line: list[Segment]) -> list[Segment]:
    """A line whose first segment is the mark of a list item has it before its text, not in a cell."""
    if len(line) < 2 or not _ITEM_MARK.fullmatch(line[0].text):
        return line
    mark, text = line[0], line[1]
    joined = replace(
        text,
        start=mark.start,
        text=f"{mark.text} {text.text}",
        left=mark.left,
        bottom=min(mark.bottom, text.bottom),
        top=max(mark.top, text.top),
    )
    return [joined, *line[2:]]


def _stands_beside(one: Segment, other: Segment) -> bool:
    overlap = min(one.top, other.top) - max(one.bottom, other.bottom)
    return other.left >= one.right - 1 and overlap > 0.6 * min(one.height, other.height)


def _with_rows(lines: list[list[Segment]], flow: int) -> list[Line]:
    """Lines of several segments that stand below each other are the rows of a table."""
    is_row = [False] * len(lines)
    for index in range(1, len(lines)):
        above, below = lines[index - 1], lines[index]
        if len(above) > 1 and len(below) > 1 and _has_same_columns(above, below):
            is_row[index - 1] = is_row[index] = True
    return [
        Line(
            tuple(segments),
            ("\t" if row else " ").join(segment.text for segment in segments),
            flow=flow,
            is_row=row,
        )
        for segments, row in zip(lines, is_row, strict=True)
    ]


def _has_same_columns(above: list[Segment], below: list[Segment]) -> bool:
    """Whether at least two cells of the shorter line stand under cells: left, right or middle at one place."""
    shorter, longer = sorted((above, below), key=len)
    near = 0.5 * shorter[0].height
    n_same = sum(
        any(
            abs(one.left - other.left) < near
            or abs(one.right - other.right) < near
            or abs(one.left + one.right - other.left - other.right) < 2 * near
            for other in longer
        )
        for one in shorter
    )
    return n_same >= 2


def _with_paragraphs(lines: list[Line]) -> list[Line]:
    """Lines with `opens` where more white than usual is above them."""
    steps = [
        above.top - below.top
        for above, below in pairwise(lines)
        if 0 < above.top - below.top < 3 * above.size and abs(above.size - below.size) < 0.1 * above.size
    ]
    usual = median(steps) if steps else 0.0
    opened = []
    for index, line in enumerate(lines):
        above = lines[index - 1] if index else None
        opens = False
        if above is not None and usual:
            step = above.top - line.top
            opens = step > 1.3 * max(usual, min(above.size, line.size)) or step < -line.size
        elif above is not None:
            opens = above.top - line.top > 2 * line.size
        opened.append(replace(line, opens=opens))
    return opened
