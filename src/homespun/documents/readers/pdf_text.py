"""The lines of a PDF's pages as one text: running lines out, broken words whole, headings and rows marked."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from homespun.documents.document import Heading, Page, Reading
from homespun.documents.readers.pdf_headings import MarkedLine, OutlineEntry, with_headings
from homespun.documents.readers.pdf_layout import Line
from homespun.documents.readers.pdf_page import BROKEN

#: A line on this part of all pages, at the same edge, is a running header or footer.
_RUNNING_SHARE = 0.7
_MIN_RUNNING_PAGES = 4
#: A page's number begins or ends its line, follows such a word or is followed by how many there are.
_BEFORE_NUMBER = re.compile(r"(?:\A|\b(?:page|seite|página|pagina|pag|p|s|стр))\W*\Z", re.IGNORECASE)
_BEHIND_NUMBER = re.compile(r"\W*(?:\Z|(?:/|of|von|de|di|sur)\s*\d)", re.IGNORECASE)

_HYPHEN = re.compile(rf"(\w{{1,60}})(?:{BROKEN}|[-\u00ad\u2010])\Z")
_FIRST_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?:;。！？]\W*\Z")


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
    marked = with_headings(pages, outline)
    text = " ".join(line.text for lines in pages for line in lines).lower()
    maker = _TextMaker(Counter(re.findall(r"\w+(?:-\w+)*", text)))
    for number, lines in enumerate(marked, 1):
        maker.add_page(number, lines)
    return maker.reading(missing)


class _TextMaker:
    """A growing text. `whole_words` counts the words of the file, broken ones apart."""

    def __init__(self, whole_words: Counter[str]) -> None:
        self.whole_words = whole_words
        self.parts: list[str] = []
        self.length = 0
        self.pages: list[Page] = []
        self.headings: list[Heading] = []
        self.rows: list[tuple[int, int]] = []

    def add_page(self, number: int, lines: list[MarkedLine]) -> None:
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

    def _page_text(self, lines: list[MarkedLine]) -> "_PageMade":
        made = _PageMade()
        before: MarkedLine | None = None
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

    def _broken_word(self, last: str, text: str, before: MarkedLine | None, marked: MarkedLine) -> str | None:
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


def _separator(before: MarkedLine | None, marked: MarkedLine) -> str:
    if before is None:
        return ""
    if before.level or marked.level or marked.line.opens:
        return "\n\n"
    if before.line.flow != marked.line.flow and _SENTENCE_END.search(before.line.text):
        return "\n\n"
    if before.line.is_row != marked.line.is_row:
        return "\n\n"
    return "\n"
