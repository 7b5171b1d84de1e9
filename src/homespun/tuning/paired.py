"""How sure a difference is when the same questions were asked before and after. Pure functions of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

N_RESAMPLES = 5000


@dataclass(frozen=True)
class PairedInterval:
    """A difference, after less before, with its 95% interval over resampled questions."""

    value: float
    low: float
    high: float


def paired_difference(
    before: Sequence[float], after: Sequence[float], weights: Sequence[float] | None = None, *, seed: int = 0
) -> PairedInterval:
    """Sum of (after - before) over the sum of weights: with weights 1 the difference of means.

    The interval is the percentile bootstrap over questions (Efron 1979): each resample takes both answers
    to a question or neither, so that what makes a question hard cancels.

    Args:
        before, after: one number a question, in the same order.
        weights: what each question counts for, such as its tokens where the numbers are sums over tokens.

    Raises:
        ValueError: no questions, or lists of different lengths.
    """
    n = len(before)
    counts = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if not n or len(after) != n or len(counts) != n:
        raise ValueError("a paired difference needs one number before and one after for each question")
    changes = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(np.float64)
    low, high = np.quantile(drawn @ changes / (drawn @ counts), [0.025, 0.975])
    return PairedInterval(float(changes.sum() / counts.sum()), float(low), float(high))


def mcnemar_p(n_lost: int, n_gained: int) -> float:
    """Two-sided exact p of McNemar's test (1947): as many lost as gained, if nothing changed.

    Args:
        n_lost: questions right before and wrong after. n_gained: the reverse. Others say nothing.
    """
    n = n_lost + n_gained
    tail = sum(comb(n, k) for k in range(min(n_lost, n_gained) + 1))
    return min(1.0, 2 * tail / 2**n)
