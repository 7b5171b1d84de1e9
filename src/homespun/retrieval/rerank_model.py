"""The language model as reranker: how probable is the question after the passage?

The query-likelihood model of Ponte and Croft (1998) with a neural language model, as in Sachan et al.,
"Improving Passage Retrieval with Zero-Shot Question Generation" (2022). The model reads only that part of a
passage that shares most with the question: reading is what costs.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from homespun.engines.likelihood import log_likelihoods
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.rerank_tokens import windows

if TYPE_CHECKING:
    from homespun.engines.engine import Engine

FloatArray = npt.NDArray[np.float32]

#: Tokens of a passage that the model reads. With 64 and 100 `python bench/calibrate_rerank.py DATA` finds the
#: same on covidqa's train split (60 questions, after the search and late interaction: hit@5 0.783 each).
PASSAGE_TOKENS = 64

#: Tokens of what stands above a passage (see `headed`) that are read besides.
_HEADING_TOKENS = 40

_BEFORE_PASSAGE = "Passage:"
_BEFORE_QUESTION = "\n\nQuestion:"


class QueryLikelihood:
    """Scores passages by the mean log-probability of the question's tokens after them. See `Reranker`.

    Attributes:
        name: `model`.
        weight: see `Reranker`.
        passage_tokens: tokens of each passage that are read.
    """

    name = "model"
    weight = 1.0

    def __init__(self, engine: "Engine", passage_tokens: int = PASSAGE_TOKENS) -> None:
        """Use an open engine; whoever opened it closes it.

        Args:
            passage_tokens: tokens of a passage to read at most; 0 reads all of it.
        """
        if passage_tokens < 0:
            raise RetrievalError(f"passage_tokens is {passage_tokens}; it must be 0 (all) or more.")
        self.passage_tokens = passage_tokens
        self._engine = engine
        tokenizer = engine.tokenizer
        # A model that wants no begin token gets its first words here from a prompt that is never empty.
        self._before = [*tokenizer.begin_ids, *tokenizer.encode(_BEFORE_PASSAGE)]
        self._between = tokenizer.encode(_BEFORE_QUESTION)

    def scores(self, query: str, texts: Sequence[str], progress: Progress = no_progress) -> FloatArray:
        """Mean log-probability of the question, in nats a token: float32 (n texts,). See `Reranker.scores`.

        A passage longer than `passage_tokens` is read in the window that holds most of the question's rare
        words, after its title and headings where a blank line sets them off (see `headed`). A question that
        leaves no room for passages is read in windows, and each counts by its length.
        """
        tokenizer = self._engine.tokenizer
        query_ids = tokenizer.encode(f" {query.strip()}") if query.strip() else []
        if not texts or not query_ids:
            return np.zeros(len(texts), np.float32)
        above, passages = zip(*(self._divided(text) for text in texts), strict=True)
        parts, room = self._question_parts(query_ids)
        keys = _token_keys(tokenizer.vocabulary.texts, [query_ids, *passages])
        weights = _rarity({keys[token] for token in query_ids}, [[keys[t] for t in ids] for ids in passages])
        prompts = []
        for heading, ids in zip(above, passages, strict=True):
            start = best_window([keys[token] for token in ids], weights, room)
            prompts.append([*self._before, *heading, *ids[start : start + room], *self._between])
        found = log_likelihoods(
            self._engine,
            [prompt for prompt in prompts for _ in parts],
            [part for _ in prompts for part in parts],
            progress=progress,
        )
        sums = np.array([values.sum() for values in found]).reshape(len(texts), len(parts))
        return (sums.sum(axis=1) / sum(map(len, parts))).astype(np.float32)

    def _divided(self, text: str) -> tuple[list[int], list[int]]:
        """Tokens of what a blank line sets off above, if it is short, and of the text."""
        encode = self._engine.tokenizer.encode
        above, gap, body = text.strip().partition("\n\n")
        heading = encode(f" {above}\n") if gap else []
        if not 0 < len(heading) <= _HEADING_TOKENS:
            return [], encode(f" {text.strip()}")
        return heading, encode(body.strip())

    def _question_parts(self, query_ids: Sequence[int]) -> tuple[list[list[int]], int]:
        """The question in as few parts as the window needs, and the passage's tokens that fit beside each.

        Raises:
            RetrievalError: a window too small for any passage.
        """
        free = self._engine.facts.window - len(self._before) - len(self._between) - _HEADING_TOKENS
        if free < 2:
            raise RetrievalError(
                f"The model's window of {self._engine.facts.window} tokens is too small to compare passages.",
                remedy="Load it with a larger window, or rerank in another way.",
            )
        part = min(len(query_ids), free // 2)
        spans = windows(len(query_ids), part, 0)
        room = free - part
        return [list(query_ids[a:b]) for a, b in spans], min(room, self.passage_tokens or room)


def best_window(tokens: Sequence[str], weights: Mapping[str, float], size: int) -> int:
    """Where the window begins that holds the greatest weight, each word counted once.

    Of equal windows, the one whose found words stand nearest to its middle, so that they keep their
    surroundings; then the first.

    Args:
        tokens: of the passage.
        weights: by token; one that is not there weighs nothing.
        size: tokens in the window.
    """
    last = len(tokens) - size
    if last <= 0:
        return 0
    inside: Counter[str] = Counter(token for token in tokens[:size] if token in weights)
    total = sum((weights[token] for token in inside), 0.0)
    totals = [total]
    for start in range(1, last + 1):
        gone, come = tokens[start - 1], tokens[start + size - 1]
        if gone in weights:
            inside[gone] -= 1
            if not inside[gone]:
                total -= weights[gone]
        if come in weights:
            inside[come] += 1
            if inside[come] == 1:
                total += weights[come]
        totals.append(total)
    best = max(totals)
    places = [start for start, value in enumerate(totals) if value >= best - 1e-9]
    held = [place for place, token in enumerate(tokens) if token in weights]
    if not held:
        return 0

    def distance(start: int) -> float:
        found = [place for place in held if start <= place < start + size]
        middle = start + (size - 1) / 2
        return abs(sum(found) / len(found) - middle) if found else 0.0

    return min(places, key=lambda start: (distance(start), start))


def _token_keys(vocabulary: Sequence[str], texts: Sequence[Sequence[int]]) -> dict[int, str]:
    """For each token id the letters that it stands for, without case and the mark of a space before it."""
    return {token: vocabulary[token].strip("\u0120\u2581 ").casefold() for ids in texts for token in ids}


def _rarity(words: set[str], passages: Sequence[Sequence[str]]) -> dict[str, float]:
    """BM25's inverse document frequency of the question's tokens among these passages."""
    n = len(passages)
    holders = Counter(token for passage in passages for token in set(passage) & words)
    return {word: math.log(1 + (n - holders[word] + 0.5) / (holders[word] + 0.5)) for word in words if word}
