"""A model as judge, read from its own probabilities of "yes" and "no" (or "A" and "B"): no text to parse, no JSON.

Two corrections: what the model would say to an empty case is taken off (contextual calibration, Zhao et al.
2021), and of two answers both orders are asked; where they disagree it is a tie.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from homespun.decoding.next import prompt_ids
from homespun.engines.engine import Engine, GenerateOptions, Request
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.questions import Question

_SPELLINGS = {
    "yes": ("yes", "Yes", " yes", " Yes", "YES"),
    "no": ("no", "No", " no", " No", "NO"),
    "A": ("A", " A"),
    "B": ("B", " B"),
}
#: Stands in an empty case.
_NOTHING = "N/A"

Choice = Literal["first", "second", "tie"]


@dataclass(frozen=True)
class Preference:
    """Which of two answers is better.

    Attributes:
        first_odds: log-odds that the first is, over both orders; above 0 the first.
        is_flipped: the two orders disagree, so it is a tie: the judge chose a place, not an answer.
    """

    choice: Choice
    first_odds: float
    is_flipped: bool


class Judge:
    """Asks a model. On a server, which tells no whole distribution, its first word is read, and nothing corrected.

    Args:
        engine: the judge's model; one that is larger than those judged, and of another family, judges better.
        adapter: a loaded adapter's name.
    """

    def __init__(self, engine: Engine, *, adapter: str | None = None) -> None:
        self.engine = engine
        self._adapter = adapter
        self._ids = {} if engine.facts.engine == "remote" else _choice_ids(engine)
        self._empty: dict[str, float] = {}

    def right(self, question: Question, answer: str) -> float:
        """How probable it is that an answer says what an accepted one says, 0 to 1.

        Raises:
            EvaluationError: a server says neither yes nor no.
            EngineError: as the engine says.
        """
        return _probability(
            self._odds("right", _right_prompt(question, answer), _right_prompt(None, _NOTHING))
        )

    def supported(self, sentence: str, passage: str) -> float:
        """How probable it is that a passage says what a sentence says, 0 to 1.

        Raises:
            as `right`.
        """
        empty = _support_prompt(_NOTHING, _NOTHING)
        return _probability(self._odds("supported", _support_prompt(sentence, passage), empty))

    def prefer(self, question: Question, first: str, second: str) -> Preference:
        """Which of two answers is better, asked in both orders; the same answer twice is always a tie.

        Raises:
            as `right`.
        """
        if first.strip() == second.strip():
            return Preference("tie", 0.0, False)
        ahead = self._between(_prefer_prompt(question, first, second))
        behind = self._between(_prefer_prompt(question, second, first))
        odds = (ahead - behind) / 2
        if ahead > 0 > behind:
            return Preference("first", odds, False)
        if behind > 0 > ahead:
            return Preference("second", odds, False)
        return Preference("tie", odds, True)

    def _between(self, prompt: str) -> float:
        """Log-odds of A over B; what the model prefers by place cancels over both orders."""
        if not self._ids:
            return self._of_server(prompt, "a", "b")
        return self._difference(prompt, "A", "B")

    def _odds(self, kind: str, prompt: str, empty: str) -> float:
        if not self._ids:
            return self._of_server(prompt, "yes", "no")
        if kind not in self._empty:
            self._empty[kind] = self._difference(empty, "yes", "no")
        return self._difference(prompt, "yes", "no") - self._empty[kind]

    def _difference(self, prompt: str, one: str, other: str) -> float:
        ids = prompt_ids(self.engine, prompt, chat=True)
        row = self.engine.distributions(ids, adapter=self._adapter)[-1].astype(np.float64)
        return float(np.logaddexp.reduce(row[self._ids[one]]) - np.logaddexp.reduce(row[self._ids[other]]))

    def _of_server(self, prompt: str, one: str, other: str) -> float:
        """Log-odds of a word that a server wrote: as sure as one can be of one word."""
        ids = prompt_ids(self.engine, prompt, chat=True)
        made = self.engine.generate([Request(ids, GenerateOptions(max_new_tokens=4), self._adapter)])[0]
        word = made.text.strip(" \n.,:;!*\"'()").split(None, 1)
        said = word[0].strip(".,:;!*\"'()").lower() if word else ""
        if said not in (one, other):
            raise EvaluationError(f"The judge was to say {one} or {other}, and said {made.text[:40]!r}.")
        return 2.0 if said == one else -2.0


def _choice_ids(engine: Engine) -> dict[str, list[int]]:
    """The first token of each spelling, where it is the same choice's alone."""
    found = {
        choice: {ids[0] for text in spellings if (ids := list(engine.tokenizer.encode(text)))}
        for choice, spellings in _SPELLINGS.items()
    }
    for one, other in (("yes", "no"), ("A", "B")):
        common = found[one] & found[other]
        found[one], found[other] = found[one] - common, found[other] - common
        if not found[one] or not found[other]:
            raise EvaluationError(
                f"This model's tokens cannot tell {one!r} from {other!r}, so it cannot judge."
            )
    return {choice: sorted(ids) for choice, ids in found.items()}


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, odds))))


def _right_prompt(question: Question | None, answer: str) -> str:
    asked = question.question if question is not None else _NOTHING
    accepted: Sequence[str] = question.answers if question is not None else (_NOTHING,)
    told = " / ".join(accepted) if accepted else "The documents do not answer this."
    return (
        f"Question: {asked}\nRight answer: {told}\nGiven answer: {answer}\n\n"
        "Does the given answer say what the right answer says? Answer yes or no."
    )


def _support_prompt(sentence: str, passage: str) -> str:
    return f"Passage: {passage}\n\nStatement: {sentence}\n\nDoes the passage say this? Answer yes or no."


def _prefer_prompt(question: Question, a: str, b: str) -> str:
    right = f"\nRight answer: {' / '.join(question.answers)}" if question.answers else ""
    return (
        f"Question: {question.question}{right}\n\nAnswer A: {a}\n\nAnswer B: {b}\n\n"
        "Which answer is better? Answer A or B."
    )
