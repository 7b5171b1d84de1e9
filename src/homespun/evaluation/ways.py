"""What a way of answering is, and what it answers with: the one form that everything is measured in."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from homespun.evaluation.questions import Question
from homespun.progress import Progress


@dataclass(frozen=True)
class CitedPlace:
    """What an answer cites: a document's stored text from `start` to `end` (code points) is `text`.

    Attributes:
        where: the place in words.
    """

    document: str
    start: int
    end: int
    text: str
    where: str = ""


@dataclass(frozen=True)
class GivenPassage:
    """A passage that an answer had before it.

    Attributes:
        start, end: offsets into the document's stored text, in code points.
        rank: its place in what was found, from 1.
        also_in: other documents with the same text.
    """

    document: str
    start: int
    end: int
    rank: int
    also_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """A way's answer to one question.

    Attributes:
        refused: it says that there is no answer, and gives none.
        passages: found and read (or chosen from), best first; also where it was refused.
        dropped: found, but without room in the prompt.
        n_prompt_tokens, n_new_tokens: read and written; 0 where no model wrote.
        seconds: of this question, where several are answered at once its share of their time.
        error: why there is no answer, in a sentence; None: there is one.
        cost_usd: what a remote server charges for it, where its prices are known.
        finish: why the text ended, such as "stop" or "length".
    """

    question_id: str
    text: str
    refused: bool = False
    citations: tuple[CitedPlace, ...] = ()
    passages: tuple[GivenPassage, ...] = ()
    n_prompt_tokens: int = 0
    n_new_tokens: int = 0
    seconds: float = 0.0
    error: str | None = None
    dropped: tuple[GivenPassage, ...] = ()
    cost_usd: float | None = None
    finish: str = "stop"


class Way(Protocol):
    """A way of answering questions, ready to be asked."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that can change an answer."""

    def answer(self, questions: Sequence[Question], progress: Progress) -> Iterator[Answered]:
        """Each question's answer, in their order. A question that fails has an `error`; the rest go on."""


def to_row(answered: Answered) -> dict[str, Any]:
    """As JSON."""
    return asdict(answered)


def from_row(row: Mapping[str, Any]) -> Answered:
    """From `to_row`.

    Raises:
        TypeError, KeyError, AttributeError: another form.
    """
    values = dict(row)
    values["citations"] = tuple(CitedPlace(**one) for one in values["citations"])
    for name in ("passages", "dropped"):
        values[name] = tuple(
            GivenPassage(**{**one, "also_in": tuple(one.get("also_in", ()))}) for one in values[name]
        )
    return Answered(**values)


def same_answer(first: Answered, second: Answered) -> bool:
    """Whether two are the same to a reader: text, refusal, failure and cited places; times do not count."""

    def shown(one: Answered) -> str:
        return json.dumps([one.text, one.refused, one.error, [asdict(place) for place in one.citations]])

    return shown(first) == shown(second)
