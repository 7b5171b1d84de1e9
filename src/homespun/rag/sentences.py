"""Passages as sentences with their place in the document and what stands around them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homespun.documents.sentences import split_sentences
from homespun.documents.split import Passage

_RULE_LINE = re.compile(r"[\s|:+=_*–—-]*\Z")


@dataclass(frozen=True)
class PassageSentence:
    """A sentence (or table row) of a passage; `text` is the document's text from `start` to `end`.

    Attributes:
        rank: which passage, counted from 0 in the order of the search.
        header: (start, end) of the header row above a table row, None elsewhere.
        context: what else says what the sentence is about: headings, document name, header row, and the
            sentence before it.
        is_heading: a heading's own line, which says nothing itself.
    """

    rank: int
    passage: Passage
    start: int
    end: int
    text: str
    header: tuple[int, int] | None
    context: str
    is_heading: bool


def passage_sentences(passages: Sequence[Passage], text_of: Callable[[str], str]) -> list[PassageSentence]:
    """All sentences of some passages, in order.

    Args:
        passages: best first.
        text_of: gives a document's whole text by its name; the header of a table may stand before the passage.
    """
    found: list[PassageSentence] = []
    for rank, passage in enumerate(passages):
        name = re.sub(r"[\W_]+", " ", passage.document.rsplit(".", 1)[0])
        above = f"{name} {' '.join(passage.headings)}"
        before = ""
        for first, last in split_sentences(passage.text):
            text = passage.text[first:last]
            if _RULE_LINE.match(text):
                continue
            start = passage.start + first
            header = _header_row(text, start, text_of(passage.document))
            header_text = text_of(passage.document)[slice(*header)] if header else ""
            is_heading = _is_heading(text, passage)
            found.append(
                PassageSentence(
                    rank,
                    passage,
                    start,
                    passage.start + last,
                    text,
                    header,
                    f"{above} {header_text or before}",
                    is_heading,
                )
            )
            before = text
    return found


def _is_heading(text: str, passage: Passage) -> bool:
    plain = text.strip("#* _=\t")
    return text.startswith("#") or any(plain == heading.strip() for heading in passage.headings)


def _header_row(row: str, start: int, document: str) -> tuple[int, int] | None:
    """The first row of the table that a row stands in; None if it is that row or in no table.

    Cells stand apart by "|", as in Markdown, or by a tab, as readers write the tables of a PDF.
    """
    sign = "|" if "|" in row else "\t"
    if sign not in row.strip():
        return None
    first_start = line_start = document.rfind("\n", 0, start) + 1
    while line_start > 0:
        above_start = document.rfind("\n", 0, line_start - 1) + 1
        if sign not in document[above_start : line_start - 1].strip(" \t\r"):
            break
        first_start = line_start = above_start
    if first_start >= document.rfind("\n", 0, start) + 1:
        return None
    end = document.find("\n", first_start)
    header = document[first_start:end]
    stripped = header.strip()
    begin = first_start + header.index(stripped[0])
    return begin, begin + len(stripped)
