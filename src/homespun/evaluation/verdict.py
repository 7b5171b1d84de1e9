"""Who wins, in plain words that say no more than the numbers."""

from collections.abc import Hashable, Sequence
from itertools import combinations

from homespun.evaluation.comparison import Measure, Pair, WayResult
from homespun.evaluation.power import n_more_for
from homespun.evaluation.statistics import Difference, holm, paired_difference
from homespun.evaluation.way_options import ORACLES

#: A difference that matters, in shares: 5 points of 100.
MATTERS = 0.05
#: With fewer questions nothing is concluded.
MIN_QUESTIONS = 20


def values_of(way: WayResult, by: Measure) -> list[float]:
    """The score of each question; an unanswerable one has no F1, so being right stands for it."""
    if by == "correct":
        return [row.correct for row in way.rows]
    return [row.correct if row.f1 is None else row.f1 for row in way.rows]


def compared_pairs(
    ways: Sequence[WayResult], by: Measure, clusters: Sequence[Hashable] | None, seed: int = 0
) -> tuple[Pair, ...]:
    """Each two ways over the same questions, the better one first; oracles are compared with nobody."""
    found: list[tuple[WayResult, WayResult, Difference]] = []
    for one, other in combinations([way for way in ways if way.options.kind not in ORACLES], 2):
        first, second = values_of(one, by), values_of(other, by)
        if sum(second) > sum(first):
            one, other, first, second = other, one, second, first
        found.append((one, other, paired_difference(first, second, clusters, seed)))
    corrected = holm([difference.p for _, _, difference in found])
    alpha = 0.05 / max(1, len(found))
    pairs = []
    for (one, other, difference), p in zip(found, corrected, strict=True):
        scores = list(zip(values_of(one, by), values_of(other, by), strict=True))
        pairs.append(
            Pair(
                one.name,
                other.name,
                difference,
                p,
                n_more_for(difference, MATTERS, alpha=alpha),
                sum(a > b for a, b in scores),
                sum(a < b for a, b in scores),
            )
        )
    return tuple(pairs)


def judge(ways: Sequence[WayResult], pairs: Sequence[Pair], by: Measure) -> tuple[str, tuple[str, ...]]:
    """The winner (empty: none is shown) and the sentences that say what is shown.

    A way wins only if it is clearly better than every other one, all of them answered every question, and
    there are enough questions.
    """
    asked = [way for way in ways if way.options.kind not in ORACLES]
    broken = [way for way in asked if not way.is_whole]
    said = [
        f"{way.name} answered {way.n_scored} of {way.n_attempted} questions"
        + (f" ({way.crashed.rstrip('.')})" if way.crashed else "")
        + "; each of the others counts as wrong."
        for way in broken
    ]
    n = asked[0].n_attempted if asked else 0
    if len(asked) < 2:
        return "", (*said, "One way alone is compared with nothing.")
    if n < MIN_QUESTIONS:
        return "", (
            *said,
            f"{n} question{'s are' if n != 1 else ' is'} too few: nothing is concluded from fewer than "
            f"{MIN_QUESTIONS}.",
        )
    best = max(asked, key=lambda way: sum(values_of(way, by)))
    of_best = [pair for pair in pairs if best.name in (pair.first, pair.second)]
    clear = [pair for pair in of_best if pair.is_clear]
    unclear = [pair for pair in of_best if not pair.is_clear]
    winner = best.name if not unclear and not broken else ""
    if winner:
        said.append(f"{best.name} wins: {_score(best, by)}, and better than every other way.")
    elif not unclear:
        said.append(
            f"{best.name} scores best ({_score(best, by)}), but no winner is named while ways answered different "
            "numbers of questions."
        )
    else:
        said.append(
            f"No way is shown to be better than all others; {best.name} scores most ({_score(best, by)})."
        )
    said += [f"{pair.first} is better than {pair.second}: {_told(pair)}." for pair in clear]
    said += [_open(pair) for pair in unclear]
    said += [
        f"{pair.first} is better than {pair.second}: {_told(pair)}."
        for pair in pairs
        if pair.is_clear and pair not in of_best
    ]
    return winner, tuple(said)


def _score(way: WayResult, by: Measure) -> str:
    value = way.correct if by == "correct" else way.f1
    if by == "f1":
        return f"token F1 {value.value:.3f} [{value.low:.3f} to {value.high:.3f}]"
    return f"{100 * value.value:.0f}% right [{100 * value.low:.0f}% to {100 * value.high:.0f}%]"


def _told(pair: Pair) -> str:
    d = pair.difference
    return (
        f"{_signed(d.mean)} points [{_signed(d.low)} to {_signed(d.high)}], p = {pair.p_holm:.2g} after Holm, "
        f"{pair.n_first} questions better and {pair.n_second} worse"
    )


def _open(pair: Pair) -> str:
    more = (
        f"; {pair.n_more:,} more questions would show one of {100 * MATTERS:.0f} points"
        if pair.n_more
        else f"; one of {100 * MATTERS:.0f} points would have shown"
    )
    return f"No difference shown between {pair.first} and {pair.second} ({_told(pair)}){more}."


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")
