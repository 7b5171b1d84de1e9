"""The bootstrap's intervals: exact cases, coverage, and pairing."""

import numpy as np
import pytest

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import Shares, difference, interval, mean_shares


def test_a_constant_has_no_width():
    found = interval(mean_shares([2.0] * 30))
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
    assert found.excludes_zero and not interval(mean_shares([0.0] * 30)).excludes_zero


def test_the_value_is_the_ratio_of_sums_and_weight_zero_says_nothing():
    assert interval(Shares((1.0, 3.0), (2.0, 2.0))).value == 1.0
    assert interval(mean_shares([1.0, None, 3.0])).value == 2.0
    with pytest.raises(EvaluationError, match="No prompt says"):
        interval(mean_shares([None, None]))
    with pytest.raises(EvaluationError, match="same prompts"):
        difference(mean_shares([1.0]), mean_shares([1.0, 2.0]))
    with pytest.raises(EvaluationError, match="weight"):
        Shares((1.0,), (1.0, 2.0))


def test_the_width_is_the_normal_one():
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = interval(mean_shares(list(values)))
    error = values.std() / 20
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.03)


def test_pairs_show_what_two_wide_intervals_hide():
    random = np.random.default_rng(1)
    base = random.normal(0, 10, 40)
    better = base + random.normal(1, 0.5, 40)
    alone, other = interval(mean_shares(list(better))), interval(mean_shares(list(base)))
    assert alone.low < other.high
    assert difference(mean_shares(list(better)), mean_shares(list(base))).low > 0


def test_it_covers_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(1, 40)
        found = interval(mean_shares(list(values)), seed=seed, n_resamples=500)
        hits += found.low <= 1 <= found.high
    assert 0.88 < hits / 200 < 0.98


def test_the_same_seed_gives_the_same_interval():
    shares = mean_shares([1.0, 2.0, 4.0])
    assert interval(shares, seed=3) == interval(shares, seed=3)
