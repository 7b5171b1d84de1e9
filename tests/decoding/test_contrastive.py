"""Contrastive search by hand, and hidden states out of log-probabilities against transformers' own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.decoding.contrastive import ContrastiveOptions, HiddenStates, contrastive_scores
from homespun.decoding.errors import DecodingError
from homespun.engines.sampling import log_softmax


def test_scores_by_hand():
    # The likelier token repeats the text's only direction; the other is at right angles to it.
    scores = contrastive_scores(
        np.array([0.7, 0.3]), np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([[1.0, 0.0]]), alpha=0.6
    )
    np.testing.assert_allclose(scores, [0.4 * 0.7 - 0.6, 0.4 * 0.3])
    assert scores.argmax() == 1


def test_without_contrast_it_is_greedy():
    rng = np.random.default_rng(0)
    odds = np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(
        contrastive_scores(odds, rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), 0.0), odds
    )


@given(st.integers(0, 1000))
def test_states_come_back_from_log_probabilities(seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(40, 6)) + rng.normal()
    states = rng.normal(size=(3, 6))
    found = HiddenStates(weights).of(log_softmax(states @ weights.T))
    np.testing.assert_allclose(found, states, atol=2e-4)


def test_a_layer_that_leaves_the_state_open_is_refused():
    with pytest.raises(DecodingError, match="does not determine"):
        HiddenStates(np.ones((40, 6)))


def test_options_out_of_range_are_refused():
    for wrong in ({"contrast_k": 0}, {"contrast_alpha": 1.5}):
        with pytest.raises(DecodingError, match=next(iter(wrong))):
            ContrastiveOptions(**wrong)
