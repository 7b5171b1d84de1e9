"""Paired differences: by hand, by property, and by a short simulation of what bench/intervals.py proves at length."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.paired_intervals import (
    flip_p_values,
    percentile_t_intervals,
    score_intervals,
    t_quantile,
)
from homespun.evaluation.power import n_more_for, n_needed, spread_right_or_wrong
from homespun.evaluation.several import compare_all
from homespun.evaluation.statistics import holm, paired_difference

SCORES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=40)


def test_the_score_interval_is_tangos() -> None:
    # No change among n: the ends solve n d / sqrt(n d (1 + d) - ...) = z, in closed form z^2 / (n + z^2).
    low, high = score_intervals(np.array([0.0]), np.array([0.0]), 50)
    assert high[0] == pytest.approx(1.959964**2 / (50 + 1.959964**2), abs=1e-6)
    assert low[0] == pytest.approx(-high[0])
    # 9 gained and 2 lost of 50: the ends found by scanning the score test itself, written out again here.
    low, high = score_intervals(np.array([9.0]), np.array([2.0]), 50)
    inside = [d for d in np.linspace(-0.1, 0.4, 501) if abs(_score(9, 2, 50, d)) <= 1.959964]
    assert (low[0], high[0]) == (pytest.approx(inside[0], abs=2e-3), pytest.approx(inside[-1], abs=2e-3))


def _score(b: int, c: int, n: int, delta: float) -> float:
    """The likelihood under the constraint gained - lost = delta, maximised by looking at every point."""
    lost = np.linspace(max(0.0, -delta) + 1e-9, (1 - delta) / 2 - 1e-9, 5001)
    gained = lost + delta
    best = np.argmax(b * np.log(gained) + c * np.log(lost) + (n - b - c) * np.log(1 - gained - lost))
    return float((b - c - n * delta) / np.sqrt(n * (gained[best] + lost[best] - delta**2)))


def flipped(a: list[float], b: list[float]) -> float:
    """The p value of sign changes, which scores other than 0 and 1 get."""
    return float(flip_p_values((np.array(a) - np.array(b))[None], seed=0)[0])


def test_mcnemar_by_hand() -> None:
    a = [True] * 9 + [False] * 1 + [True] * 10
    b = [False] * 9 + [True] * 1 + [True] * 10
    wanted = pytest.approx(2 * (1 + 10) / 2**10)
    assert paired_difference(a, b).p == wanted
    assert flipped([float(x) for x in a], [float(x) for x in b]) == wanted


def test_signs_are_all_tried_where_there_are_few() -> None:
    d = [0.5, 0.25, -0.1, 0.0]
    reached = [
        abs(sum(s * x for s, x in zip(signs, d[:3], strict=True))) for signs in product((1, -1), repeat=3)
    ]
    assert flipped(d, [0.0] * 4) == pytest.approx(np.mean([value >= 0.65 for value in reached]))
    assert flipped([1.0, 2.0], [1.0, 2.0]) == 1.0


def test_many_signs_are_drawn_near_the_exact_share() -> None:
    rng = np.random.default_rng(5)
    sums = rng.normal(0.35, 1.0, (1, 13))
    exact = flip_p_values(sums)[0]
    drawn = flip_p_values(np.concatenate([sums, np.full((1, 1), 1e-7)], axis=1))[0]
    assert drawn == pytest.approx(exact, abs=0.02)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(SCORES, st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_a_difference_turns_its_sign_with_the_ways(pairs: list[tuple[int, int]], seed: int) -> None:
    a, b = [x / 8 for x, _ in pairs], [y / 8 for _, y in pairs]
    one, other = paired_difference(a, b, seed=seed), paired_difference(b, a, seed=seed)
    assert one.mean == pytest.approx(-other.mean)
    assert one.p == pytest.approx(other.p)
    assert one.low <= one.mean <= one.high
    assert one.low >= -1 and one.high <= 1
    assert (one.low, one.high) == (pytest.approx(-other.high, abs=0.05), pytest.approx(-other.low, abs=0.05))


def test_equal_ways_have_an_interval_around_zero_and_no_difference() -> None:
    same = [0.0, 0.5, 1.0] * 20
    found = paired_difference(same, same)
    assert found.mean == 0 and found.p == 1.0
    assert found.low < 0 < found.high and found.high == pytest.approx(-found.low, abs=1e-9)
    assert found.high < 0.15  # 60 times nothing changed


def test_clusters_are_drawn_whole() -> None:
    rng = np.random.default_rng(1)
    effects = np.repeat(rng.normal(0.1, 0.3, 10), 10)
    b = rng.random(100) * 0.2 + 0.3
    a = b + np.clip(effects, -0.5, 0.5)
    names = [f"document {number // 10}" for number in range(100)]
    plain, grouped = paired_difference(a, b), paired_difference(a, b, names)
    assert (plain.n_clusters, grouped.n_clusters) == (100, 10)
    assert grouped.mean == pytest.approx(plain.mean)
    assert grouped.high - grouped.low > 2 * (plain.high - plain.low)
    lone = paired_difference(a, b, ["one"] * 100)
    assert (lone.low, lone.high, lone.p) == (-1, 1, 1.0)
    own = paired_difference(a, b, list(range(100)))
    assert (own.low, own.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_what_has_no_bound_keeps_its_unit() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(3.0, 1.0, 60), rng.normal(2.0, 1.0, 60)
    one = paired_difference(a, b, bound=None)
    thousand = paired_difference(a * 1000, b * 1000, bound=None)
    assert thousand.low == pytest.approx(one.low * 1000) and one.excludes_zero


def test_a_score_that_is_not_known_is_refused() -> None:
    with pytest.raises(EvaluationError, match="not known"):
        paired_difference([1.0, float("nan")], [0.0, 0.0])
    with pytest.raises(EvaluationError, match="each question"):
        paired_difference([], [])
    with pytest.raises(EvaluationError, match="each question"):
        paired_difference([1.0], [0.0], ["a", "b"])


def test_t_points() -> None:
    for degrees, value in ((1, 12.7062), (2, 4.3027), (5, 2.5706), (10, 2.2281), (60, 2.0003)):
        assert t_quantile(degrees) == pytest.approx(value, abs=5e-4)


def test_how_many_questions_are_needed() -> None:
    # ((1.95996 + 0.84162) * 0.3 / 0.05)^2 = 282.6
    assert n_needed(0.3, 0.05) == 283
    assert n_needed(spread_right_or_wrong(0.3), 0.1) == 236
    with pytest.raises(EvaluationError):
        n_needed(0.3, 0)
    rng = np.random.default_rng(3)
    n = n_needed(0.3, 0.1)
    shown = sum(
        paired_difference(d, np.zeros(n)).p <= 0.05 for d in np.clip(rng.normal(0.1, 0.3, (60, n)), -1, 1)
    )
    assert 0.62 <= shown / 60 <= 0.95  # 80% power


def test_how_many_more_would_show_it() -> None:
    rng = np.random.default_rng(4)
    b = rng.random(100) * 0.5
    a = b + rng.normal(0.02, 0.3, 100)
    found = paired_difference(np.clip(a, -1, 1), b)
    expected = n_needed(float(np.std(np.clip(a, -1, 1) - b, ddof=1)), 0.05) - 100
    assert n_more_for(found) == pytest.approx(expected, abs=2)
    assert n_more_for(found, 0.5) == 0


def test_a_way_that_is_better_than_all_is_the_best() -> None:
    rng = np.random.default_rng(6)
    base = rng.random(200) * 0.4
    scores = {"a": base, "b": base + rng.normal(0, 0.1, 200), "c": base + 0.3 + rng.normal(0, 0.1, 200)}
    found = compare_all({name: values.tolist() for name, values in scores.items()})
    assert found.best == "c" and found.leading == ("c",) and found.ways[0].name == "c"
    without = compare_all({name: scores[name].tolist() for name in "ab"})
    assert without.best is None and "no difference is shown" in without.reason
    assert set(without.leading) == {"a", "b"}


def test_no_way_is_best_while_scores_are_missing() -> None:
    """Field case E5: the score would rise as more rows fail."""
    good: list[float | None] = [1.0] * 30 + [0.0] * 10
    failed: list[float | None] = [1.0] * 30 + [None] * 10
    found = compare_all({"plain": [0.0] * 40, "whole": good, "failing": failed})
    assert found.best is None
    assert "failing 30 of 40" in found.reason and "whole 40 of 40" in found.reason
    means = {way.name: way.mean for way in found.ways}
    assert means == {"plain": 0.0, "whole": 0.75, "failing": 1.0}
    pair = next(pair for pair in found.pairs if {pair.first, pair.second} == {"whole", "failing"})
    assert pair.difference.n == 30 and pair.difference.mean == 0  # over what both have


def test_one_question_shows_nothing() -> None:
    found = compare_all({"a": [1.0], "b": [0.0]})
    assert found.best is None and "1 question cannot show" in found.reason
    with pytest.raises(EvaluationError, match="same questions"):
        compare_all({"a": [1.0], "b": [0.0, 1.0]})


@pytest.mark.parametrize("n", [20, 100])
def test_intervals_cover_in_a_short_simulation(n: int) -> None:
    rng = np.random.default_rng(n)
    right = rng.random((1000, n))
    gained, lost = (right < 0.15).sum(axis=1).astype(float), (right > 0.95).sum(axis=1).astype(float)
    low, high = score_intervals(gained, lost, n)
    assert ((low <= 0.1) & (high >= 0.1)).mean() >= 0.92
    changes = np.where(rng.random((1000, n)) < 0.3, rng.beta(1, 2, (1000, n)), 0.0)
    low, high = percentile_t_intervals(changes, np.ones_like(changes), n_resamples=500)
    assert ((low <= 0.1) & (high >= 0.1)).mean() >= 0.92
    plain = changes.mean(axis=1), changes.std(axis=1, ddof=1) / np.sqrt(n)
    if n == 20:  # where the plain interval fails
        assert (abs(plain[0] - 0.1) <= 1.96 * plain[1]).mean() < 0.92
