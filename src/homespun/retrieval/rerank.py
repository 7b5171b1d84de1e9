"""A second look at the passages that a search found first: the interface, and how its scores are mixed in.

What a reranker costs is spent on the first few passages only; what it says is added to what the search
already knew, for each of the two is wrong on different questions.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from homespun.progress import Progress, no_progress

FloatArray = npt.NDArray[np.float32]


class Reranker(Protocol):
    """Whatever scores passages by reading each together with, or against, the question."""

    @property
    def name(self) -> str:
        """What people call it."""

    def scores(self, query: str, texts: Sequence[str], progress: Progress = no_progress) -> FloatArray:
        """How well each text answers the query: float32 (n texts,), higher is better.

        A text's score does not depend on the order of the texts. Nothing is cut silently: what is longer
        than the model's window is read in windows. Scores compare within one call only.
        """


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
