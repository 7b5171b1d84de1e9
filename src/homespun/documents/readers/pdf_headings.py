"""The headings of a PDF: lines that its bookmarks name, or that are set larger or bolder than its text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from homespun.documents.readers.pdf_layout import Line

#: Headings are so much larger than the text, at most so long, and at most this part of all text.
_HEADING_SIZE = 1.1
_MAX_HEADING = 160
_MAX_BOLD_HEADING = 80
_MAX_HEADING_SHARE = 0.3
_MAX_LEVEL = 6


@dataclass(frozen=True)
class OutlineEntry:
    """A bookmark: what it is called, the page that it points to (from 0), its depth (1 the highest)."""

    title: str
    page: int
    level: int


@dataclass(frozen=True)
class MarkedLine:
    """A line of a page; `level` of a heading, 0 for none."""

    line: Line
    level: int = 0


def with_headings(pages: Sequence[list[Line]], outline: Sequence[OutlineEntry]) -> list[list[MarkedLine]]:
    """Lines with the level of those that are headings: by the bookmarks, by size, by weight."""
    named = _outline_levels(pages, outline)
    deepest = max(named.values(), default=0)
    body = _body_size(pages)
    kinds: dict[tuple[int, int], float] = {}  # size of a heading; 0 for one that is only bold
    for page, lines in enumerate(pages):
        for index, line in enumerate(lines):
            if body and (page, index) not in named:
                size = _heading_size(line, lines[index - 1] if index else None, body)
                if size is not None:
                    kinds[page, index] = size
    kinds = _without_large_text(kinds, pages)
    n_all = sum(len(line.text) for lines in pages for line in lines)
    if sum(len(pages[page][index].text) for page, index in kinds) > _MAX_HEADING_SHARE * n_all:
        kinds = {}
    ranks = _size_ranks(kinds.values())
    marked = []
    for page, lines in enumerate(pages):
        levels = [
            named.get((page, index)) or _level(kinds.get((page, index)), ranks, deepest)
            for index in range(len(lines))
        ]
        marked.append(_joined_headings([MarkedLine(*pair) for pair in zip(lines, levels, strict=True)]))
    return marked


def _level(size: float | None, ranks: dict[float, int], deepest: int) -> int:
    return 0 if size is None else min(_MAX_LEVEL, deepest + ranks[size])


def _body_size(pages: Sequence[list[Line]]) -> float:
    """The height that most characters have, in half points."""
    counts: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            counts[round(line.size * 2) / 2] += len(line.text)
    return counts.most_common(1)[0][0] if counts else 0.0


def _heading_size(line: Line, above: Line | None, body: float) -> float | None:
    text = line.text
    if line.is_row or not any(sign.isalpha() for sign in text) or len(text) > _MAX_HEADING:
        return None
    if line.size >= _HEADING_SIZE * body and not re.search(r"[,;]\Z", text):
        return round(line.size * 2) / 2
    stands_alone = above is None or line.opens or above.is_bold
    is_title = text[0].isupper() or text[0].isdigit()
    if line.is_bold and stands_alone and is_title and len(text) <= _MAX_BOLD_HEADING:
        return None if re.search(r"[.,;:]\Z", text) else 0.0
    return None


def _without_large_text(
    kinds: dict[tuple[int, int], float], pages: Sequence[list[Line]]
) -> dict[tuple[int, int], float]:
    """Headings without paragraphs that are set a little larger, such as a summary: too long, or sentences."""
    runs: list[list[tuple[int, int]]] = []
    for page, index in sorted(kinds):
        last = runs[-1][-1] if runs else None
        if last == (page, index - 1) and kinds[last] == kinds[page, index] and not pages[page][index].opens:
            runs[-1].append((page, index))
        else:
            runs.append([(page, index)])
    kept: dict[tuple[int, int], float] = {}
    for run in runs:
        texts = [pages[page][index].text for page, index in run]
        is_sentence = len(run) > 1 and texts[-1].endswith(".")
        if not is_sentence and sum(map(len, texts)) <= _MAX_HEADING:
            kept.update((place, kinds[place]) for place in run)
    return kept


def _size_ranks(sizes: Iterable[float]) -> dict[float, int]:
    """1 for the largest size; sizes that hardly differ are the same."""
    ranks: dict[float, int] = {}
    rank, last = 0, 0.0
    for size in sorted(set(sizes), reverse=True):
        if not rank or size < 0.94 * last:
            rank, last = rank + 1, size
        ranks[size] = rank
    return ranks


def _plain(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _outline_levels(
    pages: Sequence[list[Line]], outline: Sequence[OutlineEntry]
) -> dict[tuple[int, int], int]:
    """(page, line) of the lines that bookmarks name, with the bookmark's depth.

    A title may take up to three lines, and may stand there with its number or without.
    """
    levels: dict[tuple[int, int], int] = {}
    plain_of = cache(lambda page: [_plain(line.text) for line in pages[page]])
    for entry in outline:
        title = _plain(entry.title)
        if not title or not 0 <= entry.page < len(pages):
            continue
        bare = title.lstrip("0123456789")
        lines = plain_of(entry.page)
        for index, first in enumerate(lines):
            shown, n = first, 1
            if not first or first.isdigit():
                continue  # a page number is no part of a title
            while n < 3 and index + n < len(lines) and len(shown) < len(title):
                shown += lines[index + n]
                n += 1
            if shown and (shown == title or (bare and shown.lstrip("0123456789") == bare)):
                for further in range(n):
                    levels.setdefault((entry.page, index + further), min(entry.level, _MAX_LEVEL))
                break
    return levels


def _joined_headings(lines: list[MarkedLine]) -> list[MarkedLine]:
    """A heading over several lines is one."""
    joined: list[MarkedLine] = []
    for marked in lines:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.level == marked.level > 0
            and last.line.flow == marked.line.flow
            and last.line.bottom - marked.line.top < 0.6 * marked.line.size
            and abs(last.line.size - marked.line.size) < 0.1 * marked.line.size
            and len(last.line.text) + len(marked.line.text) < 2 * _MAX_HEADING
            and len(last.line.text) > 25
        ):
            segments = (*last.line.segments, *marked.line.segments)
            text = f"{last.line.text} {marked.line.text}"
            joined[-1] = replace(last, line=replace(last.line, segments=segments, text=text))
        else:
            joined.append(marked)
    return joined
