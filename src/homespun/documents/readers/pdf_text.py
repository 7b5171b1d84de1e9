"""The lines of a PDF's pages as one text: running lines out, broken words whole, headings and rows marked."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from homespun.documents.document import Heading, Page, Reading
from homespun.documents.readers.pdf_layout import Line
from homespun.documents.readers.pdf_page import BROKEN

#: A line on this part of all pages, at the same edge, is a running header or footer.
_RUNNING_SHARE = 0.7
_MIN_RUNNING_PAGES = 4
#: A page's number begins or ends its line, follows such a word or is followed by how many there are.
_BEFORE_NUMBER = re.compile(r"(?:\A|\b(?:page|seite|página|pagina|pag|p|s|стр))\W*\Z", re.IGNORECASE)
_BEHIND_NUMBER = re.compile(r"\W*(?:\Z|(?:/|of|von|de|di|sur)\s*\d)", re.IGNORECASE)

#: Headings are so much larger than the text, at most so long, and at most this part of all text.
_HEADING_SIZE = 1.1
_MAX_HEADING = 160
_MAX_BOLD_HEADING = 80
_MAX_HEADING_SHARE = 0.3
_MAX_LEVEL = 6

_HYPHEN = re.compile(rf"(\w{{1,60}})(?:{BROKEN}|[-\u00ad\u2010])\Z")
_FIRST_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?:;。！？]\W*\Z")


@dataclass(frozen=True)
class OutlineEntry:
    """A bookmark: what it is called, the page that it points to (from 0), its depth (1 the highest)."""

    title: str
    page: int
    level: int


def without_running_lines(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Pages without the first and last lines that nearly all of them share.

    Lines are the same when they are equal, or equal but for one number that counts with the pages.
    """
    kept = [list(lines) for lines in pages]
    if len(kept) < _MIN_RUNNING_PAGES:
        return kept
    for edge in (0, -1):
        for _ in range(3):  # headers of at most three lines
            keys = [_edge_keys(lines, edge, number) for number, lines in enumerate(kept, 1)]
            counts = Counter(key for page_keys in keys for key in page_keys)
            shared = {key for key, count in counts.items() if count >= _RUNNING_SHARE * len(kept)}
            if not shared:
                break
            for lines, page_keys in zip(kept, keys, strict=True):
                if page_keys & shared:
                    del lines[edge]
    return kept


def _edge_keys(lines: list[Line], edge: int, number: int) -> set[str]:
    """The edge line itself, and with its page number, if it has one, written as what it is above the page's."""
    if not lines:
        return set()
    line = " ".join(lines[edge].text.split())
    keys = {line}
    for found in re.finditer(r"\d{1,6}", line):
        before, after = line[: found.start()], line[found.end() :]
        if _BEFORE_NUMBER.search(before) or _BEHIND_NUMBER.match(after):
            keys.add(f"{before}\x00{int(found[0]) - number}\x00{after}")
    return keys


def put_together(pages: Sequence[list[Line]], outline: Sequence[OutlineEntry], missing: str = "") -> Reading:
    """All pages as one text; a sentence that runs on to the next page is not torn apart."""
    marked = _with_headings(pages, outline)
    text = " ".join(line.text for lines in pages for line in lines).lower()
    maker = _TextMaker(Counter(re.findall(r"\w+(?:-\w+)*", text)))
    for number, lines in enumerate(marked, 1):
        maker.add_page(number, lines)
    return maker.reading(missing)


# --- headings ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Marked:
    line: Line
    level: int = 0  # of a heading; 0 is none


def _with_headings(pages: Sequence[list[Line]], outline: Sequence[OutlineEntry]) -> list[list[_Marked]]:
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
        marked.append(_joined_headings([_Marked(*pair) for pair in zip(lines, levels, strict=True)]))
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


def _joined_headings(lines: list[_Marked]) -> list[_Marked]:
    """A heading over several lines is one."""
    joined: list[_Marked] = []
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


# --- the text ----------------------------------------------------------------------------------


class _TextMaker:
    """A growing text. `whole_words` counts the words of the file, broken ones apart."""

    def __init__(self, whole_words: Counter[str]) -> None:
        self.whole_words = whole_words
        self.parts: list[str] = []
        self.length = 0
        self.pages: list[Page] = []
        self.headings: list[Heading] = []
        self.rows: list[tuple[int, int]] = []

    def add_page(self, number: int, lines: list[_Marked]) -> None:
        page = self._page_text(lines)
        text = page.text
        if text and self.parts:
            runs_on = text[0].islower() and not re.search(r"[.!?:。]\W*\Z", self.parts[-1])
            self._append("\n" if runs_on and not page.starts_with_heading else "\n\n")
        start = self.length
        self.headings += [replace(heading, start=start + heading.start) for heading in page.headings]
        self.rows += [(start + first, start + last) for first, last in page.rows]
        if text:
            self._append(text)
        self.pages.append(Page(number, start, self.length))

    def reading(self, missing: str) -> Reading:
        return Reading(
            "".join(self.parts),
            pages=tuple(self.pages),
            headings=tuple(self.headings),
            rows=tuple(self.rows),
            missing=missing,
        )

    def _append(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def _page_text(self, lines: list[_Marked]) -> "_PageMade":
        made = _PageMade()
        before: _Marked | None = None
        for marked in lines:
            text = marked.line.text
            if not text:
                continue
            joined = self._broken_word(made.last, text, before, marked)
            if joined is not None:
                made.last = joined
            else:
                made.begin_line(_separator(before, marked))
                if marked.level:
                    made.headings.append(Heading(made.length, marked.level, _visible(text)))
                if marked.line.is_row:
                    made.rows.append((made.length, made.length + len(_visible(text))))
                made.last = _visible(text, keep_last=True)
            before = marked
        made.begin_line("")
        return made

    def _broken_word(self, last: str, text: str, before: _Marked | None, marked: _Marked) -> str | None:
        """The last line with the next one behind the word that it goes on with; None if no word is broken.

        The hyphen stays where the file writes it elsewhere too, and in "10-day" and "Anti-D".
        """
        broken = _HYPHEN.search(last)
        rest = _FIRST_WORD.match(text)
        if before is None or broken is None or rest is None or before.line.is_row or marked.line.is_row:
            return None
        if bool(before.level) != bool(marked.level) or (last[-1] != BROKEN and not rest[0][0].isalpha()):
            return None
        first = broken[1]
        hyphenated = f"{first}-{rest[0]}".lower()
        is_word = first[-1].isalpha() and rest[0][0].islower()
        keeps = self.whole_words[hyphenated] > 0 and not self.whole_words[(first + rest[0]).lower()]
        return f"{last[:-1]}{'-' if not is_word or keeps else ''}{_visible(text, keep_last=True)}"


class _PageMade:
    """The text of one page as it grows: `last` is the line that may still change."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0  # of all parts
        self.last = ""
        self.headings: list[Heading] = []
        self.rows: list[tuple[int, int]] = []

    def begin_line(self, separator: str) -> None:
        for part in (_visible(self.last), separator):
            self.parts.append(part)
            self.length += len(part)
        self.last = ""

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def starts_with_heading(self) -> bool:
        return bool(self.headings) and self.headings[0].start == 0


def _visible(text: str, *, keep_last: bool = False) -> str:
    """Without soft hyphens; a mark of PDFium that joined nothing is the hyphen that it stands for."""
    last = text[-1:] if keep_last and text[-1:] in (BROKEN, "\u00ad") else ""
    body = text[: len(text) - len(last)]
    if BROKEN in body or "\u00ad" in body:
        body = body.replace(BROKEN, "-").replace("\u00ad", "")
    return body + last


def _separator(before: _Marked | None, marked: _Marked) -> str:
    if before is None:
        return ""
    if before.level or marked.level or marked.line.opens:
        return "\n\n"
    if before.line.flow != marked.line.flow and _SENTENCE_END.search(before.line.text):
        return "\n\n"
    if before.line.is_row != marked.line.is_row:
        return "\n\n"
    return "\n"
