"""What an answer is: its sentences, where each comes from, and what it took."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from homespun.documents.split import Passage

Style = Literal["quote", "write"]

#: Why an answer ended: by itself, at the token limit, by the caller, or because it began to repeat itself.
AnswerFinish = Literal["stop", "length", "cancelled", "repeats"]


@dataclass(frozen=True)
class Citation:
    """A place in a document: its stored text from `start` to `end` (code points) is `text`, exactly.

    Attributes:
        page: that it begins on, from 1; None for documents without pages.
        heading: the headings above it, joined by " > ".
        place: such as "sheet Prices, row 7" or "slide 3"; empty where the document has no such names.
        first_line, last_line: from 1, for documents without pages.
    """

    document: str
    page: int | None
    heading: str
    start: int
    end: int
    text: str
    place: str = ""
    first_line: int | None = None
    last_line: int | None = None

    @property
    def where(self) -> str:
        """The place in words: "prices.xlsx, sheet Prices, row 7", "guide.md - Fees, lines 12-14"."""
        said = self.document
        if self.page is not None:
            said += f", page {self.page}"
        if self.place:
            said += f", {self.place}"
        if self.heading and not (self.place and self.heading in self.place):
            said += f" - {self.heading}"
        if self.first_line is not None and not self.place:
            last = self.last_line or self.first_line
            is_one = last == self.first_line
            said += f", line {last}" if is_one else f", lines {self.first_line}-{last}"
        return said

    def to_json(self) -> dict[str, Any]:
        """The citation for other programs."""
        return {
            "document": self.document,
            "page": self.page,
            "heading": self.heading,
            "place": self.place,
            "first_line": self.first_line,
            "last_line": self.last_line,
            "where": self.where,
            "start": self.start,
            "end": self.end,
            "text": self.text,
        }


@dataclass(frozen=True)
class AnswerSentence:
    """A sentence of the answer.

    Attributes:
        start, end: its place in the answer, in code points.
        citation: index into `Answer.citations`; None when no passage supports it.
        reason: why it is not supported, in plain words; empty when it is.
    """

    text: str
    start: int
    end: int
    citation: int | None
    is_supported: bool
    reason: str = ""


@dataclass(frozen=True)
class UsedPassage:
    """A passage that was found, and how many tokens it takes (or would have taken) in the prompt."""

    passage: Passage
    score: float
    n_tokens: int


@dataclass(frozen=True)
class PromptTokens:
    """Where the tokens of the model's window went. All 0 in style quote, which reads no prompt."""

    window: int = 0
    template: int = 0
    instructions: int = 0
    question: int = 0
    history: int = 0
    passages: tuple[int, ...] = ()
    left_for_answer: int = 0
    written: int = 0

    @property
    def prompt(self) -> int:
        """All that the model reads."""
        return self.template + self.instructions + self.question + self.history + sum(self.passages)


@dataclass(frozen=True)
class Answer:
    """An answer with its sources. See the parts' own descriptions.

    Attributes:
        style_reason: why this style: asked for, or which measured better.
        searched: the query that was searched; differs from the question in a follow-up.
        passages: given to the model (write) or chosen from (quote), best first.
        dropped: found, but the window had no room for them.
        timings: seconds by what was done.
        adapter: the adapter that wrote it; None: the model itself, or nothing was written.
    """

    question: str
    answer: str
    abstained: bool
    style: Style
    style_reason: str
    searched: str
    sentences: tuple[AnswerSentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    passages: tuple[UsedPassage, ...] = ()
    dropped: tuple[UsedPassage, ...] = ()
    tokens: PromptTokens = PromptTokens()
    finish: AnswerFinish = "stop"
    timings: Mapping[str, float] = field(default_factory=dict)
    adapter: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer for other programs; only values that JSON knows."""
        return {
            "question": self.question,
            "answer": self.answer,
            "abstained": self.abstained,
            "style": self.style,
            "finish": self.finish,
            "style_reason": self.style_reason,
            "adapter": self.adapter,
            "searched": self.searched,
            "sentences": [
                {
                    "text": sentence.text,
                    "start": sentence.start,
                    "end": sentence.end,
                    "citation": sentence.citation,
                    "supported": sentence.is_supported,
                    "reason": sentence.reason,
                }
                for sentence in self.sentences
            ],
            "citations": [citation.to_json() for citation in self.citations],
            "passages": [_passage_json(used) for used in self.passages],
            "dropped": [_passage_json(used) for used in self.dropped],
            "tokens": {
                "window": self.tokens.window,
                "prompt": self.tokens.prompt,
                "template": self.tokens.template,
                "instructions": self.tokens.instructions,
                "question": self.tokens.question,
                "history": self.tokens.history,
                "passages": list(self.tokens.passages),
                "left_for_answer": self.tokens.left_for_answer,
                "written": self.tokens.written,
            },
            "timings": {name: round(seconds, 4) for name, seconds in self.timings.items()},
        }


def _passage_json(used: UsedPassage) -> dict[str, Any]:
    passage = used.passage
    return {
        "document": passage.document,
        "page": passage.page,
        "heading": " > ".join(passage.headings),
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "score": used.score,
        "n_tokens": used.n_tokens,
    }
