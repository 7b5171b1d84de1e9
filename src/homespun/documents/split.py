"""Documents to passages: pieces of the text itself, sized by the tokenizers that will read them.

The text is tokenized once to plan the cuts; each passage is then tokenized alone, as its reader will
do, and shortened until it fits.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from homespun.documents.document import Document
from homespun.documents.errors import LimitTooSmall
from homespun.documents.structure import BREAK_COSTS, Section, find_breaks, find_sections

#: Gives the (start, end), in code points, of each token of a text, as the model would read it.
TokenCounter = Callable[[str], list[tuple[int, int]]]


@dataclass(frozen=True)
class TokenLimit:
    """A tokenizer (without truncation) and how many of its tokens a passage may have."""

    offsets: TokenCounter
    max_tokens: int


@dataclass(frozen=True)
class SplitOptions:
    """How long passages are."""

    target_tokens: int = field(
        default=90, metadata={"help": "Tokens a passage has at most, counted by the embedder."}
    )
    overlap_tokens: int = field(
        default=0, metadata={"help": "Tokens that a passage repeats from the end of the one before it."}
    )

    def __post_init__(self) -> None:
        if self.target_tokens < 1:
            raise LimitTooSmall(f"target_tokens is {self.target_tokens}; it must be at least 1.")
        if not 0 <= self.overlap_tokens <= self.target_tokens // 2:
            raise LimitTooSmall(
                f"overlap_tokens is {self.overlap_tokens}; it must be from 0 to half of target_tokens "
                f"({self.target_tokens // 2})."
            )


@dataclass(frozen=True)
class Passage:
    """A piece of a document: `document.text[start:end] == text`, always.

    `document` is the document's name, `page` the page that the passage begins on, `headings` the
    path of headings above it, the highest first.
    """

    document: str
    start: int
    end: int
    text: str
    page: int | None
    headings: tuple[str, ...]


#: Unknown words can be one token however long they are, so letters are bounded too.
_MAX_CHARS_PER_TOKEN = 12
#: Texts are tokenized in pieces of about this many code points.
_PIECE_CHARS = 100_000


def split_document(
    document: Document, options: SplitOptions, counters: Sequence[TokenLimit]
) -> list[Passage]:
    """Divide a document into passages, in order of their place.

    Passages end where a section does, else at the best of paragraph, row, sentence and word; table
    rows are divided only when one alone is too long. All text but whitespace is in some passage.

    Args:
        document: what `read_document` gave.
        options: the length; `target_tokens` is counted by the first of `counters`.
        counters: each tokenizer's limit holds for each passage tokenized alone.

    Raises:
        LimitTooSmall: a single character has more tokens than a limit allows.
    """
    if not document.text.strip():
        return []
    splitter = _Splitter(document.text, options, counters)
    passages = []
    for section in find_sections(document, splitter.count):
        for start, end in splitter.spans(section, document.rows):
            passages.append(
                Passage(
                    document.name,
                    start,
                    end,
                    document.text[start:end],
                    document.page_at(start),
                    section.headings,
                )
            )
    return passages


class _Splitter:
    """A text with the starts of its tokens, one sorted list for each limit."""

    def __init__(self, text: str, options: SplitOptions, limits: Sequence[TokenLimit]) -> None:
        self.text = text
        self.limits = limits
        self.overlap = options.overlap_tokens
        self.starts = [_token_starts(text, limit.offsets) for limit in limits] or [_word_starts(text)]
        self.caps = [limit.max_tokens for limit in limits] or [options.target_tokens]
        self.caps[0] = min(self.caps[0], options.target_tokens)
        self.max_chars = options.target_tokens * _MAX_CHARS_PER_TOKEN

    def count(self, start: int, end: int) -> int:
        """About how many tokens, by the first tokenizer, lie in a span."""
        return bisect_left(self.starts[0], end) - bisect_left(self.starts[0], start)

    def spans(self, section: Section, rows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """The passages of one section."""
        breaks = find_breaks(self.text, section.start, section.end, rows)
        places = [place for place, _ in breaks]
        spans: list[tuple[int, int]] = []
        start = self._skip_space(section.start, section.end)
        done = start  # the end of what is covered
        while done < section.end:
            end = self._fitting_end(start, section.end, breaks, places)
            if end <= done:  # the overlap left no room for anything new
                start = done
                continue
            last = start + len(self.text[start:end].rstrip())
            spans.append((start, last))
            done = self._skip_space(end, section.end)
            start = self._overlapped_start(start, last, done, places)
        return spans

    def _skip_space(self, start: int, end: int) -> int:
        while start < end and self.text[start].isspace():
            start += 1
        return start

    def _overlapped_start(self, start: int, end: int, done: int, places: list[int]) -> int:
        """Where the next passage begins, so that it repeats whole sentences from this one's end."""
        if not self.overlap:
            return done
        index = bisect_right(places, start)
        while index < len(places) and places[index] < end:
            place = self._skip_space(places[index], done)
            if self.count(place, end) <= self.overlap:
                return place
            index += 1
        return done

    def _fitting_end(
        self, start: int, section_end: int, breaks: list[tuple[int, int]], places: list[int]
    ) -> int:
        """The best end for a passage from `start`, checked with the passage tokenized alone."""
        caps = list(self.caps)
        bound = min(section_end, start + self.max_chars)
        while True:
            end = self._planned_end(start, section_end, bound, caps, breaks, places)
            piece = self.text[start:end].rstrip()
            excess = [len(limit.offsets(piece)) - limit.max_tokens for limit in self.limits]
            if not any(over > 0 for over in excess):
                return end
            if end - start <= 1:
                raise LimitTooSmall(
                    f"One character ({piece!r}) has more tokens than the limit of "
                    f"{min(limit.max_tokens for limit in self.limits)} allows."
                )
            for index, over in enumerate(excess):
                if over > 0:
                    caps[index] = max(1, caps[index] - over)
            # Tokens may be where the plan saw none; the bound makes sure that this ends.
            bound = min(bound, end - 1) if min(caps) > 1 else start + max(1, (end - start) // 2)

    def _planned_end(
        self,
        start: int,
        section_end: int,
        bound: int,
        caps: list[int],
        breaks: list[tuple[int, int]],
        places: list[int],
    ) -> int:
        limit = bound
        for starts, cap in zip(self.starts, caps, strict=True):
            first_beyond = bisect_left(starts, start) + cap
            if first_beyond < len(starts):
                limit = min(limit, starts[first_beyond])
        limit = max(limit, start + 1)
        if limit >= section_end:
            return section_end
        n_left = max(1, self.count(start, section_end))
        n_fitting = max(1, self.count(start, limit))
        n_passages = -(-n_left // n_fitting)
        goal = n_left / n_passages  # equal parts leave no scrap at the section's end
        best, best_cost = 0, float("inf")
        for index in range(bisect_right(places, start), bisect_right(places, limit)):
            place, kind = breaks[index]
            cost = abs(self.count(start, place) - goal) / goal + BREAK_COSTS[kind]
            if cost <= best_cost and self.text[start:place].strip():
                best, best_cost = place, cost
        return best or _word_end(self.text, start, limit)


def _word_end(text: str, start: int, limit: int) -> int:
    """The end of the last whole word before `limit`, else `limit` itself, outside a joined sign."""
    for end in range(limit, start + (limit - start) // 2, -1):
        if text[end - 1].isspace() or text[end].isspace():
            return end
    for end in range(limit, max(start, limit - 16), -1):
        if not _joins(text[end - 1], text[end]):
            return end
    return limit


def _joins(before: str, after: str) -> bool:
    """Whether two code points are seen as one sign: a mark, a variant, a joined emoji, CR LF."""
    return (
        before == "\u200d"
        or after in "\u200d\ufe0e\ufe0f"
        or unicodedata.combining(after) > 0
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or (before == "\r" and after == "\n")
    )


def _token_starts(text: str, offsets: TokenCounter) -> list[int]:
    starts: list[int] = []
    position = 0
    while position < len(text):
        end = min(len(text), position + _PIECE_CHARS)
        if end < len(text):
            end = _word_end(text, position, end)
        # Tokens of no width are the model's own marks, not the text's.
        starts.extend(position + start for start, stop in offsets(text[position:end]) if stop > start)
        position = end
    starts.sort()
    return starts


def _word_starts(text: str) -> list[int]:
    return [match.start() for match in re.finditer(r"\w+|[^\w\s]", text)]
