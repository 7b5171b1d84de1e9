"""How many questions it takes to see a difference."""

from math import ceil, sqrt
from statistics import NormalDist

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.statistics import Difference

#: With so many questions changing between two ways, as is usual here, a right-or-wrong score spreads by 0.55.
CHANGED_SHARE = 0.3
#: The spread of differences of token F1, as measured between ways here.
F1_SPREAD = 0.3
POWER = 0.8


def spread_right_or_wrong(changed: float = CHANGED_SHARE, difference: float = 0.0) -> float:
    """The standard deviation of a question's difference where `changed` of the answers turn right or wrong."""
    return sqrt(max(changed - difference**2, 0.0))


def n_needed(spread: float, difference: float, *, power: float = POWER, alpha: float = 0.05) -> int:
    """Questions with which a true difference is shown with the chance `power`.

    Args:
        spread: standard deviation of a question's difference.
        difference: to be seen, 0.05 for 5 points.
        alpha: two-sided; divide it by the number of comparisons.

    Raises:
        EvaluationError: a difference of 0, which no number of questions shows.
    """
    if not difference:
        raise EvaluationError("A difference of 0 cannot be shown with any number of questions.")
    z = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
    return max(2, ceil((z * spread / difference) ** 2))


def n_more_for(
    difference: Difference, size: float = 0.05, *, power: float = POWER, alpha: float = 0.05
) -> int:
    """How many more questions like these would show a difference of `size`; 0: these would have.

    The spread is the measured one, clusters and all, so the new questions are thought of as spread over
    documents like these.
    """
    spread = difference.standard_error * sqrt(difference.n)
    if not spread:  # nothing changed: as if one more question had
        spread = sqrt(1 / (difference.n + 1))
    return max(0, n_needed(spread, size, power=power, alpha=alpha) - difference.n)
