"""AUROC by hand, and what counts as a wrong answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.evaluation.auroc import auroc, auroc_interval
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.signals import SignalCase, is_wrong, power_of
from homespun.rag.signals import Signals

SCORES = [0.9, 0.8, 0.4, 0.4, 0.1]
LABELS = [True, False, True, False, False]


def test_auroc_by_hand():
    # 6 pairs: .9 beats .8 .4 .1; .4 loses to .8, ties with .4, beats .1: (3 + 0 + .5 + 1) / 6.
    assert auroc(SCORES, LABELS) == pytest.approx(4.5 / 6)
    assert auroc([2, 1], [True, False]) == 1.0
    assert auroc([1, 2], [True, False]) == 0.0
    assert auroc([1, 1, 1], [True, False, False]) == 0.5


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    random = np.random.default_rng(1)
    for _ in range(20):
        labels = [True, False, *(random.random(30) < 0.4).tolist()]
        scores = np.round(random.normal(size=32) + np.array(labels), 1).tolist()
        pairs = [
            (score > other) + (score == other) / 2
            for score, positive in zip(scores, labels, strict=True)
            for other, is_other in zip(scores, labels, strict=True)
            if positive and not is_other
        ]
        assert auroc(scores, labels) == pytest.approx(sum(pairs) / len(pairs))


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=2, max_size=30))
def test_turning_the_scores_round_turns_the_auroc_round(cases):
    scores, labels = [score for score, _ in cases], [label for _, label in cases]
    if len(set(labels)) < 2:
        with pytest.raises(EvaluationError):
            auroc(scores, labels)
        return
    assert auroc([-score for score in scores], labels) == pytest.approx(1 - auroc(scores, labels))


def test_the_interval_holds_the_value_and_shrinks_with_more_cases():
    few = auroc_interval(SCORES, LABELS, n_resamples=500)
    assert few.value == pytest.approx(0.75) and few.low <= few.value <= few.high
    many = auroc_interval(SCORES * 40, LABELS * 40, n_resamples=500)
    assert many.value == pytest.approx(0.75) and many.high - many.low < few.high - few.low
    assert auroc_interval(SCORES, LABELS, n_resamples=500) == few
    with pytest.raises(EvaluationError):
        auroc_interval(SCORES, LABELS[:-1])


def test_what_counts_as_wrong():
    assert not is_wrong("The second one costs €6.00, and no more.", ["6 euros", "€6"])
    assert is_wrong("It costs €60.", ["€6"])
    assert is_wrong("It costs €60.", [])
    assert not is_wrong("The passages do not say it.", [])
    assert is_wrong("The passages do not say it.", ["€6"])


def test_the_power_of_each_signal():
    def case(wrong, entropy):
        return SignalCase(
            "q", "a", wrong, Signals(-1.0, entropy, None, None, None, (), 0.5, 0.0, 0.5, (), ())
        )

    cases = [case(wrong, score) for wrong, score in zip(LABELS, SCORES, strict=True)]
    found = {power.name: power for power in power_of(cases)}
    assert found["mean entropy"].auroc.value == pytest.approx(0.75)
    assert (found["mean entropy"].n_wrong, found["mean entropy"].n_right) == (2, 3)
    assert found["weak support"].auroc.value == 0.5  # the same for all: tells nothing
    assert "semantic entropy" not in found  # known for none
    with pytest.raises(EvaluationError):
        power_of([case(True, 1.0)])
