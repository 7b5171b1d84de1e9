"""Whether two short texts say the same in other words, or nearly the same with other values."""

import re

import numpy as np

from homespun.evaluation.metrics import normalize_answer
from homespun.rag.embeds import Embeds
from homespun.rag.quantities import Quantity, find_quantities
from homespun.rag.words import content_terms, find_words

#: Cosines of an embedder from which two answers say the same; two sentences say nearly the same.
SAME_ANSWER = 0.75
NEAR_SENTENCE = 0.8
#: Share of the words of both that two sentences that say nearly the same have in common.
_SHARED_WORDS = 0.5
#: Small models go on with the prompt that they read; its numbers are no claims.
_PASSAGE_NUMBER = re.compile(r"\bpassage \d+\b", re.IGNORECASE)
_NEGATIONS = frozenset(("not", "no", "never", "none", "without", "cannot", "neither", "nor"))


class AnswerLikeness:
    """Compares texts by words, values and, where there is an embedder, meaning."""

    def __init__(self, embedder: Embeds | None) -> None:
        self._embedder = embedder

    def says_the_same(self, text: str, accepted: tuple[str, ...]) -> bool:
        """Whether a text seems to say one of the accepted answers in other words.

        All of the answer's content words are there, or its meaning is; all of its values are there in some
        form; and neither denies what the other says.
        """
        return any(self._same(text, answer) for answer in accepted)

    def _same(self, text: str, answer: str) -> bool:
        if _is_denied(text) != _is_denied(answer):
            return False
        values, there = find_quantities(answer), find_quantities(text)
        if not all(any(value.equals(other) for other in there) for value in values):
            return False
        terms = content_terms(answer)
        if values and len(terms - _terms_of(values)) == 0:
            return True  # nothing but values, and they are there
        if terms and terms <= content_terms(text):
            return True
        if self._embedder is None or not text.strip():
            return False
        return self._cosine(text, answer) >= SAME_ANSWER

    def differ_in_values(self, first: str, second: str) -> bool:
        """Whether two sentences say nearly the same, and a value, or a denial, differs."""
        one, other = content_terms(first), content_terms(second)
        values, others = find_quantities(first), find_quantities(second)
        plain, plain_other = one - _terms_of(values), other - _terms_of(others)
        shared = len(plain & plain_other) / max(1, min(len(plain), len(plain_other)))
        if shared < _SHARED_WORDS:
            return False
        if self._embedder is not None and self._cosine(first, second) < NEAR_SENTENCE:
            return False
        is_changed = bool(values and others) and not all(
            any(value.equals(other_value) for other_value in others) for value in values
        )
        return is_changed or _is_denied(first) != _is_denied(second)

    def _cosine(self, first: str, second: str) -> float:
        assert self._embedder is not None
        vectors = np.asarray(self._embedder.embed([first, second], "query"))
        return float(vectors[0] @ vectors[1])


def other_values(text: str, accepted: tuple[str, ...], question: str) -> str:
    """A value in a text that stands where an accepted answer has another of the same kind; empty: none."""
    wanted = [value for answer in accepted for value in find_quantities(answer)]
    asked = find_quantities(question)
    for value in find_quantities(_PASSAGE_NUMBER.sub(" ", text)):
        if any(value.equals(one) for one in (*wanted, *asked)):
            continue
        if any(value.kind == one.kind for one in wanted):
            return value.text
    if wanted or not accepted:
        return ""
    is_denied = _is_denied(text)
    return "the opposite" if all(_is_denied(answer) != is_denied for answer in accepted) and is_denied else ""


def normal_words(text: str) -> str:
    """A question's words, for telling whether two are the same."""
    return normalize_answer(text)


def _terms_of(values: list[Quantity]) -> set[str]:
    return {word.term for value in values for word in find_words(value.text)}


def _is_denied(text: str) -> bool:
    return any(
        word.text.lower() in _NEGATIONS or word.text.lower().endswith("n't") for word in find_words(text)
    )
