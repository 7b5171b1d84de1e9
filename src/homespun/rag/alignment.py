"""A claim laid over a passage, word on word: what is the same, what stands there instead.

Semi-global alignment (Needleman and Wunsch 1970, free ends in the passage): matches count by how much the
word tells, a replaced word costs less than a skipped one, skipped passage words cost little unless they are values: so
the value that a claim changes stays under the one that it changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from homespun.rag.quantities import Quantity, find_quantities
from homespun.rag.words import find_words

_SKIP_STOP = 0.05
_SKIP_WORD = 0.2
_SKIP_QUANTITY = 0.8
_SKIP_SENTENCE_END = 3.0
_SKIP_CLAIM = 0.5
_REPLACE = 0.45
_STOP_MATCH = 0.25


@dataclass(frozen=True)
class Token:
    """A word, or a whole quantity with its unit as one token; `start` and `end` are code points."""

    text: str
    term: str
    start: int
    end: int
    quantity: Quantity | None
    is_stop: bool

    def equals(self, other: "Token") -> bool:
        """Whether the two are the same word or say the same value."""
        if self.quantity and other.quantity:
            return self.quantity.equals(other.quantity)
        return self.term == other.term


def tokenize(text: str) -> list[Token]:
    """The words of a text, quantities as one token each."""
    quantities = find_quantities(text)
    tokens = [Token(q.text, q.text.lower(), q.start, q.end, q, False) for q in quantities]
    tokens.extend(
        Token(word.text, word.term, word.start, word.end, None, word.is_stop)
        for word in find_words(text)
        if not any(q.start < word.end and word.start < q.end for q in quantities)
    )
    return sorted(tokens, key=lambda token: token.start)


def sentence_stop(at: int) -> Token:
    """What stands between two sentences: equal to no word."""
    return Token(".", ".", at, at, None, True)


def _skip_cost(token: Token) -> float:
    if token.quantity:
        return _SKIP_QUANTITY
    if token.term == ".":
        return _SKIP_SENTENCE_END
    return _SKIP_STOP if token.is_stop else _SKIP_WORD


@dataclass(frozen=True)
class Alignment:
    """Pairs of claim token and the passage token under it (None: nothing stands there).

    Attributes:
        pairs: one for each claim token, in order.
        score: the sum of the rules above.
        matched: share, by weight, of the claim's tokens that are the same.
    """

    pairs: tuple[tuple[Token, Token | None], ...]
    score: float
    matched: float


def align(claim: Sequence[Token], passage: Sequence[Token], weight: Callable[[Token], float]) -> Alignment:
    """Lay a claim over a passage; O(len(claim) x len(passage))."""
    n_claim, n_passage = len(claim), len(passage)
    weights = [_STOP_MATCH if token.is_stop else weight(token) for token in claim]
    skips = [_skip_cost(token) for token in passage]
    best = np.zeros((n_claim + 1, n_passage + 1))
    move = np.zeros((n_claim + 1, n_passage + 1), dtype=np.int8)  # 0 diagonal, 1 skip claim, 2 skip passage
    for row in range(1, n_claim + 1):
        best[row, 0] = best[row - 1, 0] - _SKIP_CLAIM
        move[row, 0] = 1
        for column in range(1, n_passage + 1):
            same = claim[row - 1].equals(passage[column - 1])
            diagonal = best[row - 1, column - 1] + (weights[row - 1] if same else -_REPLACE)
            skip_claim = best[row - 1, column] - _SKIP_CLAIM
            # After the claim's last word the rest of the passage is free.
            skip_passage = best[row, column - 1] - (skips[column - 1] if row < n_claim else 0.0)
            scores = (diagonal, skip_claim, skip_passage)
            choice = int(np.argmax(scores))
            best[row, column], move[row, column] = scores[choice], choice
    pairs: list[tuple[Token, Token | None]] = []
    row, column = n_claim, n_passage
    while row > 0:
        choice = move[row, column]
        if choice == 0:
            pairs.append((claim[row - 1], passage[column - 1]))
            row, column = row - 1, column - 1
        elif choice == 1:
            pairs.append((claim[row - 1], None))
            row -= 1
        else:
            column -= 1
    pairs.reverse()
    total = sum(weights)
    same_weight = sum(
        value
        for value, (token, under) in zip(weights, pairs, strict=True)
        if under is not None and token.equals(under)
    )
    return Alignment(tuple(pairs), float(best[n_claim, n_passage]), same_weight / total if total else 0.0)
