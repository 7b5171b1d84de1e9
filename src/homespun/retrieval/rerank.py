"""A second look at the passages that a search found first: the interface, and how its scores are mixed in.

What a reranker costs is spent on the first few passages only; what it says is added to what the search
already knew, for each of the two is wrong on different questions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from homespun.progress import Progress, no_progress

FloatArray = npt.NDArray[np.float32]

#: Passages that every reranker but the first reads: `python bench/calibrate_rerank.py DATA` finds what 20 find.
LATER_PASSAGES = 12


class Reranker(Protocol):
    """Whatever scores passages by reading each together with, or against, the question."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def weight(self) -> float:
        """How much its z-scores count where those of the search count 1.

        Chosen by `python bench/calibrate_rerank.py DATA` on covidqa's train split, never its test split.
        """

    def scores(self, query: str, texts: Sequence[str], progress: Progress = no_progress) -> FloatArray:
        """How well each text answers the query: float32 (n texts,), higher is better.

        A text's score does not depend on the order of the texts. Nothing is cut silently: what is longer
        than the model's window is read in windows. Scores compare within one call only.
        """


def headed(headings: Sequence[str], text: str) -> str:
    """What rerankers should read of a passage: its headings in one line, a blank line, the text.

    A passage seldom repeats what it stands under, and questions ask for it. A title that is no heading (the
    first line of plain text) gains nothing there.
    """
    above = " > ".join(dict.fromkeys(line.strip() for line in headings if line.strip()))
    return f"{above}\n\n{text}" if above else text


def z_scores(values: Sequence[float] | FloatArray) -> FloatArray:
    """Values less their mean, in standard deviations; all 0 where they are all equal."""
    numbers = np.asarray(values, np.float64)
    if not len(numbers):
        return numbers.astype(np.float32)
    spread = numbers.std()
    # Equal values differ by rounding only: that is no order.
    if spread <= 1e-9 * max(1.0, float(np.abs(numbers).max())):
        return np.zeros(len(numbers), np.float32)
    return ((numbers - numbers.mean()) / spread).astype(np.float32)


def blended(stages: Mapping[str, Sequence[float] | FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """The weighted sum of the z-scores of several stages over the same passages: float32 (n,).

    Args:
        stages: scores by the stage's name, all of one length.
        weights: by the same names; a stage without one counts nothing.
    """
    lengths = {len(values) for values in stages.values()}
    if len(lengths) > 1:
        raise ValueError(f"stages scored different numbers of passages: {sorted(lengths)}")
    total = np.zeros(lengths.pop() if lengths else 0, np.float32)
    for name, values in stages.items():
        if weight := weights.get(name, 0.0):
            total += np.float32(weight) * z_scores(values)
    return total


@dataclass(frozen=True)
class Reranked:
    """Passages in a new order.

    Attributes:
        order: places of the passages before, the best first; every place once.
        stages: raw scores by reranker, by the passage's place before; what it did not read is missing.
        blend: what the order was made from, by place before; compares among passages that the same read.
    """

    order: tuple[int, ...]
    stages: Mapping[str, Mapping[int, float]]
    blend: Mapping[int, float]


def rerank(
    query: str,
    texts: Sequence[str],
    first_scores: Sequence[float] | FloatArray,
    rerankers: Sequence[Reranker],
    *,
    n_first: Sequence[int] = (),
    progress: Progress = no_progress,
) -> Reranked:
    """Order passages by the search's scores and those of rerankers, each adding its z-scores by its weight.

    The rerankers work one after the other, cheap ones first: each reads the best passages of the order so
    far, and none that it did not read overtakes one that it read.

    Args:
        query: the question.
        texts: of the passages, the search's best first.
        first_scores: of the search, as many.
        rerankers: in the order in which they work.
        n_first: passages that each reads at most; none given: the first reads all, the others `LATER_PASSAGES`.

    Raises:
        ValueError: unequal numbers of texts and scores, or of rerankers and n_first.
    """
    if len(texts) != len(first_scores) or (n_first and len(n_first) != len(rerankers)):
        raise ValueError("each text needs one first score, and each reranker one n_first")
    order = list(range(len(texts)))
    blend = dict(enumerate(map(float, z_scores(first_scores))))
    stages: dict[str, dict[int, float]] = {}
    n_first = n_first or [len(texts), *[LATER_PASSAGES] * len(rerankers)][: len(rerankers)]
    for reranker, n_read in zip(rerankers, n_first, strict=True):
        read = order[: max(0, n_read)]
        scores = reranker.scores(query, [texts[place] for place in read], progress)
        stages[reranker.name] = {place: float(score) for place, score in zip(read, scores, strict=True)}
        for place, score in zip(read, z_scores(scores), strict=True):
            blend[place] += reranker.weight * float(score)
        order[: len(read)] = sorted(read, key=lambda place: (-blend[place], place))
    return Reranked(tuple(order), stages, blend)
