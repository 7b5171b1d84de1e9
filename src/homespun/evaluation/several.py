"""Several ways on the same questions: which differ, and whether one is the best."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.statistics import Difference, holm, paired_difference

#: With fewer questions nothing is said to be better; the intervals were tried from here on.
MIN_QUESTIONS = 20
#: The risk of one wrong difference among all pairs.
ALPHA = 0.05


@dataclass(frozen=True)
class WayPair:
    """Two ways: `difference` is how far `first` lies above `second`, `p` is corrected for all pairs (Holm)."""

    first: str
    second: str
    difference: Difference
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether the two differ."""
        return self.difference.n >= MIN_QUESTIONS and self.p <= ALPHA and self.difference.excludes_zero

    @property
    def better(self) -> str | None:
        """The better one, if that is clear."""
        if not self.is_clear:
            return None
        return self.first if self.difference.mean > 0 else self.second


@dataclass(frozen=True)
class WayScores:
    """One way: how many questions were asked, how many have a score, and the mean of these (None: of none)."""

    name: str
    n_asked: int
    n_scored: int
    mean: float | None


@dataclass(frozen=True)
class Standing:
    """How several ways stand.

    Attributes:
        ways: best mean first.
        pairs: every two of them, over the questions that both have a score for.
        best: clearly better than each other way; None: none is.
        leading: those that no way is clearly better than.
        reason: why none is best; empty where one is.
    """

    ways: tuple[WayScores, ...]
    pairs: tuple[WayPair, ...]
    best: str | None
    leading: tuple[str, ...]
    reason: str = ""


def compare_all(
    scores: Mapping[str, Sequence[float | None]],
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    *,
    bound: float | None = 1.0,
) -> Standing:
    """Compare every two ways, larger scores being better.

    None is best while ways have scores for different questions: what failed may have been the hard ones.

    Args:
        scores: by way; one a question, in the same order; None: it has no score (a judge failed).
        clusters, seed, bound: as in `paired_difference`.

    Raises:
        EvaluationError: no ways, or different numbers of questions.
    """
    lengths = {len(values) for values in scores.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise EvaluationError("Ways compare only on the same questions, at least one.")
    ways = sorted((_way(name, values) for name, values in scores.items()), key=_order)
    found = []
    for one, other in combinations([way.name for way in ways], 2):
        difference = _difference(scores[one], scores[other], clusters, seed, bound)
        if difference is not None:
            found.append((one, other, difference))
    corrected = holm([difference.p for _, _, difference in found])
    pairs = tuple(
        WayPair(one, other, difference, p)
        for (one, other, difference), p in zip(found, corrected, strict=True)
    )
    beaten = {pair.second if pair.better == pair.first else pair.first for pair in pairs if pair.is_clear}
    leading = tuple(way.name for way in ways if way.name not in beaten)
    best, reason = _best(ways, pairs, scores)
    return Standing(tuple(ways), pairs, best, leading, reason)


def _best(
    ways: Sequence[WayScores], pairs: Sequence[WayPair], scores: Mapping[str, Sequence[float | None]]
) -> tuple[str | None, str]:
    if len(ways) == 1:
        return None, "there is nothing to compare it with"
    if len({tuple(value is None for value in values) for values in scores.values()}) > 1:
        counts = ", ".join(f"{way.name} {way.n_scored} of {way.n_asked}" for way in ways)
        return None, f"not all ways have a score for the same questions ({counts})"
    n = ways[0].n_scored
    if n < MIN_QUESTIONS:
        return None, f"{n} question{'' if n == 1 else 's'} cannot show a difference; {MIN_QUESTIONS} may"
    first = ways[0].name
    n_beaten = sum(pair.better == first for pair in pairs)
    if n_beaten == len(ways) - 1:
        return first, ""
    open_ = [
        _other(pair, first) for pair in pairs if first in (pair.first, pair.second) and not pair.is_clear
    ]
    return None, f"no difference is shown between {first} and {', '.join(open_)}"


def _other(pair: WayPair, name: str) -> str:
    return pair.second if pair.first == name else pair.first


def _way(name: str, values: Sequence[float | None]) -> WayScores:
    known = [value for value in values if value is not None]
    return WayScores(name, len(values), len(known), float(np.mean(known)) if known else None)


def _order(way: WayScores) -> float:
    return float("inf") if way.mean is None else -way.mean


def _difference(
    one: Sequence[float | None],
    other: Sequence[float | None],
    clusters: Sequence[Hashable] | None,
    seed: int,
    bound: float | None,
) -> Difference | None:
    """Over the questions that both have a score for; None where there are none."""
    both = [place for place in range(len(one)) if one[place] is not None and other[place] is not None]
    if not both:
        return None
    a = [value for place in both if (value := one[place]) is not None]
    b = [value for place in both if (value := other[place]) is not None]
    groups = None if clusters is None else [clusters[place] for place in both]
    return paired_difference(a, b, groups, seed, bound=bound)
