"""Every sampler draws from the odds that the stages show: chi-square over 20,000 draws with a fixed seed."""

from collections import Counter

import numpy as np
import pytest

from homespun.decoding.stages import stages
from homespun.decoding.strategies import generate_options
from homespun.engines.engine import GenerateOptions
from homespun.engines.sampling import choose_token

N_DRAWS = 20_000


def chi_square_999(freedom: int) -> float:
    """The 0.999 quantile, by the approximation of Wilson and Hilferty (1931)."""
    return freedom * (1 - 2 / (9 * freedom) + 3.0902 * (2 / (9 * freedom)) ** 0.5) ** 3


def statistic(drawn: Counter, odds: np.ndarray) -> tuple[float, int]:
    """Pearson's, over tokens with five expected draws or more; the others are one cell."""
    expected = odds * sum(drawn.values())
    cells = np.flatnonzero(expected >= 5)
    seen = np.array([drawn[int(cell)] for cell in cells], float)
    wanted = expected[cells]
    rest = expected.sum() - wanted.sum()
    if rest >= 5:
        seen, wanted = np.append(seen, sum(drawn.values()) - seen.sum()), np.append(wanted, rest)
    return float(((seen - wanted) ** 2 / wanted).sum()), len(wanted) - 1


@pytest.mark.parametrize("strategy", ["sample", "temperature", "top-k", "top-p", "min-p"])
def test_draws_have_the_odds_of_the_last_stage(strategy):
    logits = np.random.default_rng(1).normal(0, 2, 200).astype(np.float32)
    options = generate_options(strategy, GenerateOptions())
    odds = stages(logits, options)[-1].probabilities
    random = np.random.default_rng(0)
    drawn = Counter(choose_token(logits, options, (), random) for _ in range(N_DRAWS))
    assert all(odds[token] > 0 for token in drawn)
    found, freedom = statistic(drawn, odds)
    assert found < chi_square_999(freedom)


def test_the_test_sees_wrong_odds():
    logits = np.random.default_rng(1).normal(0, 2, 200).astype(np.float32)
    random = np.random.default_rng(0)
    warm = generate_options("sample", GenerateOptions())
    drawn = Counter(choose_token(logits, warm, (), random) for _ in range(N_DRAWS))
    other = stages(logits, GenerateOptions(temperature=1.1))[-1].probabilities
    found, freedom = statistic(drawn, other)
    assert found > chi_square_999(freedom)
