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
    """A place in a document: its stored text from `start` to `end` (code points) is `text`, exactly."""

    document: str
    page: int | None
    heading: str
    start: int
    end: int
    text: str


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

    def to_json(self) -> dict[str, Any]:
        """The answer for other programs; only values that JSON knows."""
        return {
            "question": self.question,
            "answer": self.answer,
            "abstained": self.abstained,
            "style": self.style,
            "finish": self.finish,
            "style_reason": self.style_reason,
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
            "citations": [
                {
                    "document": citation.document,
                    "page": citation.page,
                    "heading": citation.heading,
                    "start": citation.start,
                    "end": citation.end,
                    "text": citation.text,
                }
                for citation in self.citations
            ],
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
