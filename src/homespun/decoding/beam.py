"""Beam search over any model that gives log-probabilities, and the tree of what it looked at.

The rules are those of transformers: at each step the best `2 x n_beams` continuations of all beams are
looked at, those that end go to the finished ones with their score, the rest go on; a sequence's score is its
log-probability divided by its length to the power of the length penalty (Wu et al. 2016 without coverage).
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
    search = _Search(prompt, options, stop_ids)
    for length in range(1, max_new_tokens + 1):
        rows = next_log_probabilities([prompt + beam.token_ids for beam in search.running])
        search.advance(np.asarray(rows, np.float64), length, is_last=length == max_new_tokens)
        if search.is_over(length):
            break
    return search.result()


@dataclass(frozen=True)
class _Beam:
    token_ids: tuple[int, ...]
    log_probability: float
    node: int


class _Search:
    def __init__(self, prompt: tuple[int, ...], options: BeamOptions, stop_ids: frozenset[int]) -> None:
        self._options = options
        self._stop_ids = stop_ids
        self._tree = TreeBuilder()
        self.running = [_Beam((), 0.0, self._tree.root)]
        self._finished: list[tuple[BeamSequence, int]] = []

    def advance(self, rows: Floats, length: int, *, is_last: bool) -> None:
        """One token further; rows are (n running, n_vocab) log-probabilities."""
        n_beams = self._options.n_beams
        totals = rows + np.array([[beam.log_probability] for beam in self.running])
        flat = totals.reshape(-1)
        n_looked = min(2 * n_beams, flat.size)
        best = np.argpartition(-flat, n_looked - 1)[:n_looked]
        best = best[np.lexsort((best, -flat[best]))]
        going: list[_Beam] = []
        for place, index in enumerate(best):
            parent, token_id = divmod(int(index), rows.shape[1])
            if not np.isfinite(flat[index]):
                continue
            beam = self.running[parent]
            ends = token_id in self._stop_ids
            if (ends or is_last) and place >= n_beams:
                continue
            if not ends and len(going) >= n_beams:
                continue
            score = float(flat[index]) / length**self._options.length_penalty
            node = self._tree.add(beam.node, token_id, float(rows[parent, token_id]), score)
            ids = (*beam.token_ids, token_id)
            if ends or is_last:
                self._finish(BeamSequence(ids, float(flat[index]), score, ends), node)
            else:
                going.append(_Beam(ids, float(flat[index]), node))
        self.running = going

    def _finish(self, sequence: BeamSequence, node: int) -> None:
        self._finished.append((sequence, node))
        self._finished.sort(key=lambda item: -item[0].score)
        del self._finished[self._options.n_beams :]

    def is_over(self, length: int) -> bool:
        """Whether no running text can still beat the worst finished one, by its score at this length."""
        if not self.running:
            return True
        if len(self._finished) < self._options.n_beams:
            return False
        best = self.running[0].log_probability / length**self._options.length_penalty
        return best <= self._finished[-1][0].score

    def result(self) -> BeamResult:
        if self._finished:
            self._tree.keep(self._finished[0][1])
        return BeamResult(tuple(sequence for sequence, _ in self._finished), self._tree.nodes())
