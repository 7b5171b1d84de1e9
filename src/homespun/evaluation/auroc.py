"""How well a number tells two kinds apart: the area under the ROC curve, with a bootstrap interval."""

from collections.abc import Sequence

import numpy as np

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import N_RESAMPLES, Interval, Numbers

#: Resamples at once: bounds the memory.
_CHUNK = 500


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The chance that a positive case has a higher score than a negative one, equal scores counting half.

    0.5 tells nothing, 1 tells all (Hanley and McNeil 1982).

    Raises:
        EvaluationError: no positive or no negative case, or as many labels as scores are not given.
    """
    return float(_wins(scores, labels).mean())


def auroc_interval(
    scores: Sequence[float], labels: Sequence[bool], *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Interval:
    """The same with its 95% interval when cases are drawn anew (percentile bootstrap).

    Draws without a case of each kind are left out.

    Raises:
        EvaluationError: as `auroc`.
    """
    wins = _wins(scores, labels)
    n_positive, n_negative = wins.shape
    n = n_positive + n_negative
    random = np.random.default_rng(seed)
    drawn: list[Numbers] = []
    for start in range(0, n_resamples, _CHUNK):
        counts = random.multinomial(n, np.full(n, 1 / n), size=min(_CHUNK, n_resamples - start))
        positive, negative = counts[:, :n_positive].astype(float), counts[:, n_positive:].astype(float)
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        total = np.einsum("rp,rp->r", positive, negative @ wins.T)
        drawn.append(np.divide(total, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0))
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975])
    return Interval(float(wins.mean()), float(low), float(high))


def _wins(scores: Sequence[float], labels: Sequence[bool]) -> Numbers:
    """(n positive, n negative): 1 where the positive scores higher, 0.5 where equal, else 0."""
    if len(scores) != len(labels):
        raise EvaluationError(f"{len(scores)} scores need as many labels, not {len(labels)}.")
    values, positive = np.asarray(scores, float), np.asarray(labels, bool)
    if not positive.any() or positive.all():
        raise EvaluationError("An AUROC needs cases of both kinds.")
    first, second = values[positive][:, None], values[~positive][None, :]
    result: Numbers = (first > second) + 0.5 * (first == second)
    return result
