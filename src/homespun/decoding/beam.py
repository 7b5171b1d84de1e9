"""Beam search over any model that gives log-probabilities, and the tree of what it looked at.

The rules are those of transformers: at each step the best `2 x n_beams` continuations of all beams are
looked at, those that end go to the finished ones with their score, the rest go on; a sequence's score is its
log-probability divided by its length to the power of the length penalty (Wu et al. 2016 without coverage).

These rules alone may drop the greedy text early and end below it. So that text is followed aside, outside
the competition of the beams, and is the result where its score is higher.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from homespun.decoding.errors import DecodingError
from homespun.decoding.stages import Floats
from homespun.decoding.tree import TreeBuilder, TreeNode

#: Log-probabilities of the next token after each of some texts (token ids): (n texts, n_vocab).
NextLogProbabilities = Callable[[Sequence[tuple[int, ...]]], Floats]


@dataclass(frozen=True)
class BeamOptions:
    """How wide and how long to search."""

    n_beams: int = field(default=4, metadata={"help": "texts kept at each step of beam search"})
    length_penalty: float = field(
        default=1.0,
        metadata={"help": "above 0 favours long texts: the score is divided by length to this power"},
    )

    keep_greedy: bool = field(
        default=True,
        metadata={"help": "follow the greedy text aside, so that beam search never ends below it"},
    )

    def __post_init__(self) -> None:
        if self.n_beams < 1:
            raise DecodingError(f"n_beams is {self.n_beams}; it must be 1 or more.")


@dataclass(frozen=True)
class BeamSequence:
    """One finished text.

    Attributes:
        token_ids: written, the end token too if it ended by itself.
        log_probability: of all of them, in nats.
        score: what finished texts are ordered by.
        is_ended: False where the token limit cut it.
    """

    token_ids: tuple[int, ...]
    log_probability: float
    score: float
    is_ended: bool


@dataclass(frozen=True)
class BeamResult:
    """The best texts, the best first, and the tree of all that were kept at some step."""

    sequences: tuple[BeamSequence, ...]
    tree: tuple[TreeNode, ...]


def beam_search(
    next_log_probabilities: NextLogProbabilities,
    prompt: tuple[int, ...],
    options: BeamOptions = BeamOptions(),
    *,
    max_new_tokens: int,
    stop_ids: frozenset[int],
) -> BeamResult:
    """Search the most probable texts after a prompt.

    Args:
        next_log_probabilities: asked with prompt and continuation together, all beams at once.
        prompt: token ids.
        options: width and length penalty.
        max_new_tokens: tokens to write at most, the end token counted.
        stop_ids: tokens that end a text.
    """
    search = _Search(prompt, options, stop_ids, max_new_tokens)
    for length in range(1, max_new_tokens + 1):
        rows = next_log_probabilities([prompt + text for text in search.texts])
        search.advance(np.asarray(rows, np.float64), length)
        if not search.texts:
            break
    return search.result()


@dataclass(frozen=True)
class _Beam:
    token_ids: tuple[int, ...]
    log_probability: float
    node: int


class _Search:
    def __init__(
        self, prompt: tuple[int, ...], options: BeamOptions, stop_ids: frozenset[int], max_new_tokens: int
    ) -> None:
        self._options = options
        self._stop_ids = stop_ids
        self._limit = max_new_tokens
        self._tree = TreeBuilder()
        self._running = [_Beam((), 0.0, self._tree.root)]
        self._greedy: _Beam | None = self._running[0] if options.keep_greedy else None
        self._finished: list[tuple[BeamSequence, int]] = []
        self._greedy_end: tuple[BeamSequence, int] | None = None

    @property
    def texts(self) -> list[tuple[int, ...]]:
        """What the next tokens are wanted of: the running texts, then the greedy one if it is none of them."""
        texts = [beam.token_ids for beam in self._running]
        if self._greedy is not None and self._greedy.token_ids not in texts:
            texts.append(self._greedy.token_ids)
        return texts

    def advance(self, rows: Floats, length: int) -> None:
        """One token further; rows are log-probabilities (texts, n_vocab)."""
        texts, n_running = self.texts, len(self._running)
        added: dict[tuple[int, ...], int] = {}
        if n_running:
            self._advance_beams(rows[:n_running], length, added)
        if self._greedy is not None:
            self._advance_greedy(self._greedy, rows[texts.index(self._greedy.token_ids)], length, added)
        if self._is_over(length):
            self._running = []
            if self._greedy is not None and not self._may_win(self._greedy):
                self._greedy = None

    def _advance_beams(self, rows: Floats, length: int, added: dict[tuple[int, ...], int]) -> None:
        n_beams = self._options.n_beams
        totals = rows + np.array([[beam.log_probability] for beam in self._running])
        flat = totals.reshape(-1)
        n_looked = min(2 * n_beams, flat.size)
        best = np.argpartition(-flat, n_looked - 1)[:n_looked]
        best = best[np.lexsort((best, -flat[best]))]
        going: list[_Beam] = []
        for place, index in enumerate(best):
            parent, token_id = divmod(int(index), rows.shape[1])
            if not np.isfinite(flat[index]):
                continue
            beam = self._running[parent]
            is_end = token_id in self._stop_ids or length == self._limit
            if place >= n_beams if is_end else len(going) >= n_beams:
                continue
            ids = (*beam.token_ids, token_id)
            total = float(flat[index])
            step = float(rows[parent, token_id])
            added[ids] = node = self._tree.add(beam.node, token_id, step, self._score(total, length))
            if is_end:
                self._finished.append((self._ended(ids, total), node))
            else:
                going.append(_Beam(ids, total, node))
        self._running = going
        self._finished.sort(key=lambda item: -item[0].score)
        del self._finished[n_beams:]

    def _advance_greedy(
        self, greedy: _Beam, row: Floats, length: int, added: dict[tuple[int, ...], int]
    ) -> None:
        token_id = int(np.argmax(row))
        ids = (*greedy.token_ids, token_id)
        total = greedy.log_probability + float(row[token_id])
        node = added.get(ids)
        if node is None:
            node = self._tree.add(greedy.node, token_id, float(row[token_id]), self._score(total, length))
        if token_id in self._stop_ids or length == self._limit:
            self._greedy, self._greedy_end = None, (self._ended(ids, total), node)
        else:
            self._greedy = _Beam(ids, total, node)

    def _score(self, total: float, length: int) -> float:
        return float(total / length**self._options.length_penalty)

    def _ended(self, ids: tuple[int, ...], total: float) -> BeamSequence:
        return BeamSequence(ids, total, self._score(total, len(ids)), ids[-1] in self._stop_ids)

    def _is_over(self, length: int) -> bool:
        """Whether no running text can still beat the worst finished one, by its score at this length."""
        if not self._running:
            return True
        if len(self._finished) < self._options.n_beams:
            return False
        best = self._score(self._running[0].log_probability, length)
        return best <= self._finished[-1][0].score

    def _may_win(self, greedy: _Beam) -> bool:
        """Whether a text can still beat the best finished one: its next tokens being certain, at best."""
        lengths = (len(greedy.token_ids) + 1, self._limit)
        best = max(self._score(greedy.log_probability, length) for length in lengths)
        return not self._finished or best > self._finished[0][0].score

    def result(self) -> BeamResult:
        found = list(self._finished)
        if self._greedy_end is not None and (not found or self._greedy_end[0].score > found[0][0].score):
            others = [item for item in found if item[0].token_ids != self._greedy_end[0].token_ids]
            found = [self._greedy_end, *others][: self._options.n_beams]
        if found:
            self._tree.keep(found[0][1])
        return BeamResult(tuple(sequence for sequence, _ in found), self._tree.nodes())
