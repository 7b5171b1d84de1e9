"""Whether the passages found hold an answer, judged before anything is answered.

Neighbours always exist, so a good rank proves nothing. What tells is how near the best passage is to the
question, and which words of the question it lacks. How much a lacking word matters is measured by taking
it out of the question: if the question then means something else (its vector turns) or comes nearer to the
passages, that word was the point of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p

import numpy as np

from homespun.rag.asked import answer_kind, holds_kind, holds_unit
from homespun.rag.embeds import Embeds, FloatArray
from homespun.rag.evidence import Evidence, passage_text
from homespun.rag.presence import WordVectors, word_presence
from homespun.rag.quantities import find_quantities
from homespun.rag.quote import sentence_probabilities
from homespun.rag.words import Word, content_words

#: Logistic regression on `RELEVANCE_FEATURES`, by bench/calibrate_abstain.py on training questions only.
INTERCEPT = -8.557
COEFFICIENTS: dict[str, float] = {
    "passage_cosine": 2.067,
    "sentence_cosine": 0.955,
    "gap": 2.268,
    "n_words": 3.007,
    "turn": 1.406,
    "missing_turn": -5.452,
    "gain": -3.045,
    "missing_gain": -4.643,
    "missing_number": 0.269,
    "coverage": 1.275,
    "kind": 0.762,
    "unit": 0.407,
}
#: Below this probability of an answer, none is given.
THRESHOLD = 0.376

RELEVANCE_FEATURES = (
    "passage_cosine",  # the best passage's
    "sentence_cosine",  # of the sentence that fits best
    "gap",  # between the best and the second passage's cosine
    "n_words",  # of the question, as log(1 + n): with few words, near ones are found by chance
    "turn",  # 1 - cosine of the question and itself without the word that matters most
    "missing_turn",  # the same, for words that the passage lacks, times how far it lacks them
    "gain",  # how much nearer the passages come when the most disturbing word is left out
    "missing_gain",  # the same, only among words that the passage lacks
    "missing_number",  # a number or code of the question that no passage has
    "coverage",  # share of the question's words, by weight, in the best sentence and what is above it
    "kind",  # the sentence holds the kind of answer asked for
    "unit",  # and in the unit asked for; 0.75, about the mean, where none is asked for
)
_LACKS = 0.3
_NO_UNIT = 0.75


@dataclass(frozen=True)
class Relevance:
    """How likely the passages hold the answer, 0 to 1, and the words of the question that they lack."""

    probability: float
    missing_words: tuple[str, ...]


def judge_relevance(evidence: Evidence, embedder: Embeds) -> Relevance:
    """Judge whether what was found can answer the question.

    Args:
        evidence: the question and the passages.
        embedder: the library's own.
    """
    words = _different_words(evidence.question)
    if not len(evidence.sentences) or not words:
        return Relevance(0.0, ())
    features, presence = _measure(evidence, embedder, words)
    weights = np.array([COEFFICIENTS[name] for name in RELEVANCE_FEATURES])
    logit = float(features @ weights) + INTERCEPT
    missing = tuple(word.text for word, there in zip(words, presence, strict=True) if 1 - there > _LACKS)
    return Relevance(1 / (1 + exp(-max(-50.0, min(50.0, logit)))), missing)


def relevance_features(evidence: Evidence, embedder: Embeds) -> FloatArray:
    """The numbers that the judgement stands on, in the order of `RELEVANCE_FEATURES`; all 0 without words."""
    words = _different_words(evidence.question)
    if not len(evidence.sentences) or not words:
        return np.zeros(len(RELEVANCE_FEATURES), dtype=np.float32)
    return _measure(evidence, embedder, words)[0]


def _measure(evidence: Evidence, embedder: Embeds, words: Sequence[Word]) -> tuple[FloatArray, FloatArray]:
    """The features, and how far the passage of the best sentence has each word."""
    question = evidence.question
    best = int(np.argmax(sentence_probabilities(evidence)))
    sentence = evidence.sentences[best]
    presence = word_presence(words, [_all_text(evidence, sentence.rank)], WordVectors(embedder))[0]
    without = [" ".join((question[: word.start].rstrip(), question[word.end :].lstrip())) for word in words]
    vectors = embedder.embed(without, "query")
    turns = 1 - vectors @ evidence.query_vector
    gains = (vectors @ evidence.passage_vectors.T).max(axis=1) - evidence.passage_cosines.max()
    lacking = 1 - presence
    cosines = np.sort(evidence.passage_cosines)[::-1]
    given = find_quantities(question)
    unit = holds_unit(question, sentence.text, given)
    features = (
        cosines[0],
        evidence.sentence_cosines[best],
        cosines[0] - cosines[1] if len(cosines) > 1 else 0.0,
        log1p(len(words)),
        turns.max(),
        (turns * lacking).max(),
        gains.max(),
        (gains * (lacking > _LACKS)).max(),
        _missing_number(evidence, words),
        evidence.features[:, 1].max(),
        float(holds_kind(answer_kind(question), sentence.text, given)),
        _NO_UNIT if unit is None else unit,
    )
    return np.array(features, dtype=np.float32), presence


def _missing_number(evidence: Evidence, words: Sequence[Word]) -> float:
    numbers = {word.term for word in words if word.has_digit}
    there = {word.term for passage in evidence.passages for word in content_words(passage_text(passage))}
    return float(bool(numbers - there))


def _different_words(question: str) -> list[Word]:
    return list({word.term: word for word in content_words(question)}.values())


def _all_text(evidence: Evidence, rank: int) -> str:
    """A passage, its headings and its document's name."""
    passage = evidence.passages[rank]
    return f"{passage.document} {passage_text(passage)}"
