"""Whether one way is better than another on the same questions, and how sure that is."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.paired_intervals import (
    Numbers,
    flip_p_values,
    percentile_t_intervals,
    score_intervals,
    standard_errors,
)
from homespun.tuning.paired import mcnemar_p


@dataclass(frozen=True)
class Difference:
    """How far a way lies above another on the same questions.

    Attributes:
        mean: of the questions' differences.
        low, high: its 95% interval over questions (over clusters, where there are any).
        p: two-sided, of no difference: exact McNemar where all scores are 0 or 1, else by changed signs.
        n: questions.
        n_clusters: units that were drawn; `n` where there are no clusters.
        standard_error: of the mean.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int
    n_clusters: int
    standard_error: float = 0.0

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    *,
    bound: float | None = 1.0,
) -> Difference:
    """How far `a` lies above `b`, question by question.

    Without clusters and with scores of 0 and 1 the interval is Tango's, else percentile-t (see
    `paired_intervals`). Questions of one cluster (a document) stand or fall together, so clusters are drawn.

    Args:
        a, b: a score a question, in the same order, all known.
        clusters: for each question the name of its cluster.
        bound: the largest possible difference; None: there is none (seconds, tokens).

    Raises:
        EvaluationError: no questions, lists of different lengths, or a score that is not known.
    """
    differences = _differences(a, b, clusters)
    n = len(differences)
    scale = bound if bound is not None else max(float(np.abs(differences).max()), 1e-12)
    sums, sizes = _units(differences / scale, clusters)
    n_units = len(sums)
    mean = float(differences.mean())
    error = float(standard_errors(sums[None], sizes[None])[0]) * scale
    is_right_or_wrong = n_units == n and bool(
        np.isin(np.asarray(a, float), (0, 1)).all() and np.isin(np.asarray(b, float), (0, 1)).all()
    )
    if is_right_or_wrong:
        gained, lost = np.array([(differences > 0).sum()], float), np.array([(differences < 0).sum()], float)
        low, high = score_intervals(gained, lost, n)
        p = mcnemar_p(int(lost[0]), int(gained[0]))
        return Difference(mean, float(low[0]), float(high[0]), p, n, n, error)
    p = float(flip_p_values(sums[None], seed=seed)[0])
    if n_units == 1:  # one cluster tells nothing about others
        reach = float("inf") if bound is None else bound
        return Difference(mean, -reach, reach, 1.0, n, 1, error)
    lows, highs = percentile_t_intervals(sums[None], sizes[None], seed=seed)
    low_, high_ = float(lows[0]) * scale, float(highs[0]) * scale
    if bound is not None:
        low_, high_ = max(low_, -bound), min(high_, bound)
    return Difference(mean, low_, high_, p, n, n_units, error)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979): each still below 0.05 may be believed with 5% risk in all."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        found[place] = largest
    return found


def _differences(a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None) -> Numbers:
    if not len(a) or len(a) != len(b) or (clusters is not None and len(clusters) != len(a)):
        raise EvaluationError("A paired difference needs a score of both ways for each question.")
    found: Numbers = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if not np.isfinite(found).all():
        raise EvaluationError("A score is not known; only questions that both ways have a score for compare.")
    return found


def _units(differences: Numbers, clusters: Sequence[Hashable] | None) -> tuple[Numbers, Numbers]:
    """What is drawn: the differences of each cluster added, and its questions counted."""
    if clusters is None:
        return differences, np.ones_like(differences)
    places: dict[Hashable, int] = {}
    numbers = [places.setdefault(name, len(places)) for name in clusters]
    sums = np.bincount(numbers, weights=differences).astype(np.float64)
    return sums, np.bincount(numbers).astype(np.float64)
