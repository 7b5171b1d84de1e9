"""The options' effect on the odds, by hand and against what the engine draws from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.decoding.stages import entropy_nats, softmax, stages
from homespun.engines.engine import GenerateOptions
from homespun.engines.sampling import next_probabilities

TALK = np.array([-1.806, -2.499, -2.786, -3.885, -5.494])


def test_softmax_of_the_five_logits():
    assert softmax(TALK).round(3).tolist() == [0.494, 0.247, 0.185, 0.062, 0.012]


def test_temperature_divides_the_logits():
    # Halved logits: square roots of the odds, scaled to 1.
    roots = np.sqrt(softmax(TALK))
    found = stages(TALK, GenerateOptions(temperature=2.0))
    assert [stage.name for stage in found] == ["model", "temperature 2"]
    np.testing.assert_allclose(found[1].probabilities, roots / roots.sum(), atol=1e-12)


def test_cuts_come_in_their_order_and_keep_what_they_say():
    found = stages(TALK, GenerateOptions(temperature=1.0, top_k=4, top_p=0.9, min_p=0.4))
    assert [(stage.name, stage.n_left) for stage in found] == [
        ("model", 5),
        ("top-k 4", 4),
        ("top-p 0.9", 3),  # .500 .250 .188 of the four reach 0.9
        ("min-p 0.4", 2),  # .200 of 1 is below 0.4 times .533
    ]
    np.testing.assert_allclose(found[-1].probabilities[:2], [2 / 3, 1 / 3], atol=1e-3)


def test_repeats_are_penalised_by_dividing_and_multiplying():
    found = stages(
        np.array([2.0, -1.0, 0.0]), GenerateOptions(temperature=1.0, repeat_penalty=2.0), seen=[0, 1]
    )
    np.testing.assert_allclose(found[1].probabilities, softmax(np.array([1.0, -2.0, 0.0])), atol=1e-7)


def test_entropy_counts_choices():
    even = stages(np.zeros(8), GenerateOptions(temperature=1.0))[0]
    assert even.n_effective == pytest.approx(8)
    assert entropy_nats(np.array([1.0, 0.0])) == 0.0


@given(
    st.lists(st.floats(-20, 20), min_size=2, max_size=30),
    st.sampled_from([0.0, 0.3, 1.0, 1.7]),
    st.integers(0, 5),
    st.sampled_from([0.3, 0.9, 1.0]),
    st.sampled_from([0.0, 0.05, 0.5]),
    st.sampled_from([1.0, 1.3]),
)
def test_the_last_stage_is_what_the_engine_draws_from(logits, temperature, top_k, top_p, min_p, penalty):
    options = GenerateOptions(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repeat_penalty=penalty
    )
    array = np.array(logits, np.float32)
    found = stages(array, options, [0])
    expected = next_probabilities(array, options, [0])
    np.testing.assert_allclose(found[-1].probabilities, expected, atol=1e-6)
    for stage in found:
        assert stage.probabilities.sum() == pytest.approx(1)
