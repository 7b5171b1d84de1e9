"""95% intervals of paired differences: a score interval where answers are right or wrong, a percentile-t
bootstrap elsewhere. Many sets at once, so that bench/intervals.py simulates the very code that is used.

Chosen by simulation (bench/intervals.py has all of them side by side): with 20 to 50 questions of which few
change, the plain t, percentile, BCa and percentile-t intervals cover 53% to 92% instead of 95%.
"""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

N_RESAMPLES = 2000
Z = NormalDist().inv_cdf(0.975)
#: Percentile-t is at least this share of the t interval wide on each side: few changes look too skewed.
FLOOR = 0.95
#: Changes of the largest possible size added when the size of changes is judged, so that a few small ones
#: are not taken for the size of all.
_N_PRIOR = 2.0
#: Sign changes drawn where there are too many to try them all; up to so many units all are tried.
N_FLIPS = 10_000
_MOST_EXACT = 13
#: Numbers held at once.
_CHUNK = 4_000_000


def score_intervals(n_gained: Numbers, n_lost: Numbers, n: int) -> tuple[Numbers, Numbers]:
    """Tango's (1998) score interval of (gained - lost) / n, for answers that are right or wrong.

    Args:
        n_gained, n_lost: (n sets,); questions that only the first, or only the second, got right.
        n: questions of each set.

    Returns:
        low and high, (n sets,) each, within -1 to 1.
    """
    mean = (n_gained - n_lost) / n
    below, above = np.full_like(mean, -1.0), mean.copy()
    for _ in range(50):
        middle = (below + above) / 2
        is_out = _tango(middle, n_gained, n_lost, n) > Z
        below, above = np.where(is_out, middle, below), np.where(is_out, above, middle)
    low = (below + above) / 2
    below, above = mean.copy(), np.full_like(mean, 1.0)
    for _ in range(50):
        middle = (below + above) / 2
        is_out = _tango(middle, n_gained, n_lost, n) < -Z
        below, above = np.where(is_out, below, middle), np.where(is_out, middle, above)
    return low, (below + above) / 2


def _tango(delta: Numbers, n_gained: Numbers, n_lost: Numbers, n: int) -> Numbers:
    """How many standard errors the difference lies above `delta`, these as they would be if it were `delta`."""
    b = -n_gained - n_lost + (2 * n - n_gained + n_lost) * delta
    c = -n_lost * delta * (1 - delta)
    lost = (np.sqrt(np.maximum(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = np.maximum(n * (2 * lost + delta * (1 - delta)), 1e-300)
    found: Numbers = (n_gained - n_lost - n * delta) / np.sqrt(variance)
    return found


def standard_errors(sums: Numbers, sizes: Numbers) -> Numbers:
    """Of sum(sums) / sum(sizes) when units (questions or clusters) are drawn: (n sets,).

    Args:
        sums: (n sets, n units); the differences of each unit's questions, added.
        sizes: as `sums`; the questions of each unit.
    """
    n_units = sums.shape[1]
    total = sizes.sum(axis=1)
    rest = sums - (sums.sum(axis=1) / total)[:, None] * sizes
    found: Numbers = np.sqrt((rest**2).sum(axis=1) * n_units / max(n_units - 1, 1)) / total
    return found


def percentile_t_intervals(
    sums: Numbers, sizes: Numbers, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> tuple[Numbers, Numbers]:
    """Percentile-t bootstrap (Hall 1988) over units, made steady for few changes.

    To the variance, of the set and of every resample, the same amount is added: the mean square of a change
    (that of the units that changed and `_N_PRIOR` largest possible ones), over the number of units. No side
    is nearer than `FLOOR` of a t interval's.

    Args:
        sums, sizes: as in `standard_errors`; differences of at most 1 a question.
        seed: of the draws, which all sets share.

    Returns:
        low and high, (n sets,) each.
    """
    n_sets, n_units = sums.shape
    total = sizes.sum(axis=1)
    mean = sums.sum(axis=1) / total
    share = sums * (n_units / total)[:, None]
    n_changed = (share != 0).sum(axis=1)
    prior = _N_PRIOR * n_units / total  # the mean of a cluster's questions moves less than one question
    added = ((share**2).sum(axis=1) + prior) / (n_changed + _N_PRIOR) / n_units**2
    drawn = np.empty((n_resamples, n_sets))
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(n_units, n_sets))
    for start in range(0, n_resamples, step):
        size = min(step, n_resamples - start)
        counts = random.multinomial(n_units, np.full(n_units, 1 / n_units), size=size).astype(np.float64)
        drawn[start : start + size] = _studentized(counts, sums, sizes, mean, added)
    least = FLOOR * t_quantile(n_units - 1)
    first, last = np.quantile(drawn, [0.025, 0.975], axis=0)
    error = np.sqrt(standard_errors(sums, sizes) ** 2 + added)
    return mean - np.maximum(last, least) * error, mean - np.minimum(first, -least) * error


def _studentized(counts: Numbers, sums: Numbers, sizes: Numbers, mean: Numbers, added: Numbers) -> Numbers:
    """(n resamples, n sets): how many standard errors each resample's mean lies above the set's."""
    n_units = sums.shape[1]
    is_plain = bool((sizes == 1).all())
    n_drawn = np.full(counts.shape[:1] + sums.shape[:1], float(n_units)) if is_plain else counts @ sizes.T
    means = counts @ sums.T / n_drawn
    squares = counts @ (sums**2).T
    crossed = means * n_drawn if is_plain else counts @ (sums * sizes).T
    weights = n_drawn if is_plain else counts @ (sizes**2).T
    rest = np.maximum(squares - 2 * means * crossed + means**2 * weights, 0.0)
    variance = rest * n_units / max(n_units - 1, 1) / n_drawn**2 + added
    found: Numbers = (means - mean) / np.sqrt(variance)
    return found


def flip_p_values(sums: Numbers, *, seed: int = 0, n_flips: int = N_FLIPS) -> Numbers:
    """Two-sided p of no difference, by changed signs: (n sets,).

    Were two ways alike, each unit's difference could as well have the other sign (Fisher 1935). Up to 13 units
    that differ all signs are tried, else `n_flips` are drawn, the observed ones among them.

    Args:
        sums: (n sets, n units).
        seed: of the draws, which all sets share.
    """
    found = np.ones(len(sums))
    n_changed = (sums != 0).sum(axis=1)
    for place in np.flatnonzero((n_changed > 0) & (n_changed <= _MOST_EXACT)):
        some = sums[place][sums[place] != 0]
        signs = ((np.arange(2 ** len(some))[:, None] >> np.arange(len(some))) & 1) * 2.0 - 1.0
        found[place] = (np.abs(signs @ some) >= _reached(some[None])[0]).mean()
    many = np.flatnonzero(n_changed > _MOST_EXACT)
    if not len(many):
        return found
    some, least = sums[many], _reached(sums[many])
    random = np.random.default_rng(seed)
    n_reached = np.zeros(len(many))
    step = max(1, _CHUNK // max(some.shape))
    for start in range(0, n_flips, step):
        size = (min(step, n_flips - start), some.shape[1])
        signs = random.integers(0, 2, size, dtype=np.int8) * 2.0 - 1.0
        n_reached += (np.abs(signs @ some.T) >= least).sum(axis=0)
    found[many] = (n_reached + 1) / (n_flips + 1)
    return found


def _reached(sums: Numbers) -> Numbers:
    """From where on a sum counts as large as the observed one; rounding aside."""
    found: Numbers = np.abs(sums.sum(axis=1)) - 1e-9 * np.abs(sums).sum(axis=1)
    return found


def t_quantile(degrees: int) -> float:
    """The 97.5% point of Student's t (Hill's expansion around the normal; exact for 1 and 2 degrees)."""
    if degrees <= 2:
        return {1: 12.7062, 2: 4.30265}.get(degrees, float("inf"))
    z = Z
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / degrees**power for power, term in enumerate(terms)))
