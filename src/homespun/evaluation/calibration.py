"""Whether stated probabilities come true."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homespun.evaluation.errors import EvaluationError


@dataclass(frozen=True)
class CalibrationBin:
    """Answers of like confidence: how sure they were on the mean, and what share was right."""

    n: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """How far confidence and correctness lie apart.

    Attributes:
        error: expected calibration error (Naeini et al. 2015): the mean gap over bins, by their counts.
        bins: of equal counts, least sure first.
        brier: mean squared gap to 1 or 0 (Brier 1950).
    """

    error: float
    bins: tuple[CalibrationBin, ...]
    brier: float


def calibration(confidences: Sequence[float], right: Sequence[bool], n_bins: int = 10) -> Calibration:
    """Compare probabilities with what came true.

    Bins have equal counts, so that none is empty; answers of the same confidence stay in one bin.

    Raises:
        EvaluationError: no answers, lists of different lengths, or a number that is no probability.
    """
    sure, came = np.asarray(confidences, float), np.asarray(right, float)
    if not len(sure) or len(sure) != len(came):
        raise EvaluationError("A calibration needs a confidence and a verdict for each answer.")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise EvaluationError("A confidence is a probability, from 0 to 1.")
    order = np.argsort(sure, kind="stable")
    edges = np.unique(np.searchsorted(sure[order], sure[order][(np.arange(n_bins) * len(sure)) // n_bins]))
    bins = [
        CalibrationBin(len(some), float(sure[some].mean()), float(came[some].mean()))
        for some in np.split(order, edges[1:])
    ]
    error = sum(one.n * abs(one.confidence - one.right) for one in bins) / len(sure)
    return Calibration(float(error), tuple(bins), float(((sure - came) ** 2).mean()))
