"""How sure a mean over prompts or questions is: the percentile bootstrap (Efron 1979), paired where it can be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homespun.evaluation.errors import EvaluationError

N_RESAMPLES = 5000
#: Resamples at once: bounds the memory.
_CHUNK = 500

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with the 95% interval of it over resampled prompts."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Shares:
    """What each prompt adds to a measure: the measure is the sum of `parts` over that of `weights`.

    A plain mean has weights 1. A prompt of weight 0 says nothing (an empty text, no reference).
    """

    parts: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.weights) or min(self.weights, default=0.0) < 0:
            raise EvaluationError("Each prompt needs one part and one weight, the weight 0 or more.")

    @property
    def says_something(self) -> bool:
        """Whether any prompt counts."""
        return sum(self.weights) > 0


def interval(shares: Shares, *, seed: int = 0, n_resamples: int = N_RESAMPLES) -> Interval:
    """The measure, and its 95% interval when prompts are drawn anew.

    Raises:
        EvaluationError: no prompt counts.
    """
    return _interval(_arrays(shares), None, seed, n_resamples)


def difference(shares: Shares, base: Shares, *, seed: int = 0, n_resamples: int = N_RESAMPLES) -> Interval:
    """How far a measure lies above the same measure of another strategy, both over the same drawn prompts.

    Raises:
        EvaluationError: no prompt counts in one of both, or they are of different numbers of prompts.
    """
    if len(shares.parts) != len(base.parts):
        raise EvaluationError("Only measures over the same prompts can be compared in pairs.")
    return _interval(_arrays(shares), _arrays(base), seed, n_resamples)


def mean_shares(values: Sequence[float | None]) -> Shares:
    """Of a plain mean; None says nothing."""
    return Shares(
        tuple(0.0 if value is None else float(value) for value in values),
        tuple(0.0 if value is None else 1.0 for value in values),
    )


def _arrays(shares: Shares) -> Numbers:
    if not shares.says_something:
        raise EvaluationError("No prompt says anything about this measure.")
    return np.array([shares.parts, shares.weights])


def _interval(first: Numbers, second: Numbers | None, seed: int, n_resamples: int) -> Interval:
    n = first.shape[1]
    random = np.random.default_rng(seed)
    drawn: list[Numbers] = []
    for start in range(0, n_resamples, _CHUNK):
        counts = random.multinomial(n, np.full(n, 1 / n), size=min(_CHUNK, n_resamples - start))
        drawn.append(_above(counts.astype(np.float64), first, second))
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975])
    value = _above(np.ones((1, n)), first, second)[0]
    return Interval(float(value), float(low), float(high))


def _above(counts: Numbers, first: Numbers, second: Numbers | None) -> Numbers:
    values = _ratio(counts, first)
    return values if second is None else values - _ratio(counts, second)


def _ratio(counts: Numbers, shares: Numbers) -> Numbers:
    parts, weights = counts @ shares[0], counts @ shares[1]
    empty = np.full_like(parts, np.nan)
    result: Numbers = np.divide(parts, weights, out=empty, where=weights > 0)
    return result
