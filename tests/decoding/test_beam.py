"""Beam search against all texts of a small world, and by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.decoding.beam import BeamOptions, beam_search
from homespun.decoding.errors import DecodingError
from homespun.decoding.stages import softmax
from homespun.decoding.tree import path


def world(seed: int, n_vocab: int = 4):
    """A model whose odds depend on the whole text so far."""

    def rows(texts):
        return np.stack(
            [np.log(softmax(np.random.default_rng([seed, len(t), *t]).normal(0, 2, n_vocab))) for t in texts]
        )

    return rows


def test_by_hand_the_second_best_first_token_leads_to_the_best_text():
    # A: .6 then .5/.5; B: .4 then .9/.1. Greedy takes A (.30); two beams find B (.36).
    table = {(): [0.6, 0.4], (0,): [0.5, 0.5], (1,): [0.9, 0.1]}

    def rows(texts):
        return np.log([table[t] for t in texts])

    greedy = beam_search(rows, (), BeamOptions(1), max_new_tokens=2, stop_ids=frozenset())
    assert greedy.sequences[0].token_ids == (0, 0)
    found = beam_search(rows, (), BeamOptions(2), max_new_tokens=2, stop_ids=frozenset())
    best = found.sequences[0]
    assert best.token_ids == (1, 0)
    assert np.exp(best.log_probability) == pytest.approx(0.36)
    assert best.score == pytest.approx(np.log(0.36) / 2)
    kept = [index for index, node in enumerate(found.tree) if node.is_kept]
    assert path(found.tree, kept[-1]) == (1, 0)
    assert sum(node.token_id is not None for node in found.tree) == 4  # two at each step


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_wide_enough_it_is_exhaustive(seed):
    rows = world(seed)
    found = beam_search(
        rows, (7,), BeamOptions(64, length_penalty=0.0), max_new_tokens=3, stop_ids=frozenset({3})
    )
    texts = {}
    for text in itertools.product(range(4), repeat=3):
        end = text.index(3) + 1 if 3 in text else 3
        short = text[:end]
        texts[short] = sum(rows([(7, *short[:i])])[0][token] for i, token in enumerate(short))
    best = max(texts, key=texts.__getitem__)
    assert found.sequences[0].token_ids == best
    assert found.sequences[0].log_probability == pytest.approx(texts[best])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_no_text_comes_twice_and_the_best_is_first(seed, n_beams):
    found = beam_search(world(seed), (), BeamOptions(n_beams), max_new_tokens=6, stop_ids=frozenset({0}))
    texts = [sequence.token_ids for sequence in found.sequences]
    scores = [sequence.score for sequence in found.sequences]
    assert len(set(texts)) == len(texts) <= n_beams
    assert scores == sorted(scores, reverse=True)
    for sequence in found.sequences:
        assert sequence.is_ended == (sequence.token_ids[-1] == 0)
        assert 0 not in sequence.token_ids[:-1]


def greedy_of(rows, limit, end):
    ids, total = (), 0.0
    while len(ids) < limit and end not in ids:
        row = rows([ids])[0]
        ids, total = (*ids, int(row.argmax())), total + float(row.max())
    return ids, total


def test_by_hand_the_greedy_text_that_two_beams_drop_is_the_result():
    # A .4, B .31, C .29; behind A each token has a third, behind B two have .45. So the two beams go on with
    # B's two of .1395 and drop A's first of .133, which one certain token follows; B's are followed by .34.
    table = {(): [0.4, 0.31, 0.29], (0,): [1 / 3] * 3, (1,): [0.45, 0.45, 0.1], (0, 0): [1.0, 1e-9, 1e-9]}

    def rows(texts):
        return np.log([table.get(text, [0.34, 0.33, 0.33]) for text in texts])

    def best(n_beams, keeps):
        options = BeamOptions(n_beams, length_penalty=0.0, keep_greedy=keeps)
        return beam_search(rows, (), options, max_new_tokens=3, stop_ids=frozenset()).sequences[0]

    assert best(2, False).token_ids == (1, 0, 0)
    assert np.exp(best(2, False).log_probability) == pytest.approx(0.31 * 0.45 * 0.34)
    assert best(2, True).token_ids == best(1, False).token_ids == (0, 0, 0)
    assert np.exp(best(2, True).log_probability) == pytest.approx(0.4 / 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(2, 3), st.sampled_from([0.0, 1.0, 2.0, -0.5]))
def test_it_never_ends_below_greedy_and_else_changes_nothing(seed, n_beams, penalty):
    rows = world(seed)
    options = BeamOptions(n_beams, length_penalty=penalty)
    found = beam_search(rows, (), options, max_new_tokens=7, stop_ids=frozenset({0}))
    greedy, total = greedy_of(rows, 7, 0)
    score = total / len(greedy) ** penalty
    assert found.sequences[0].score >= score - 1e-9
    alone = beam_search(
        rows, (), BeamOptions(n_beams, penalty, keep_greedy=False), max_new_tokens=7, stop_ids=frozenset({0})
    )
    if alone.sequences[0].score >= score:
        assert found.sequences == alone.sequences
    else:
        assert found.sequences[0].token_ids == greedy
    kept = [index for index, node in enumerate(found.tree) if node.is_kept]
    assert path(found.tree, kept[-1]) == found.sequences[0].token_ids


def test_the_rules_alone_do_end_below_greedy():
    """Else the test before could not fail."""
    below = 0
    for seed in range(300):
        rows = world(seed)
        options = BeamOptions(2, length_penalty=0.0, keep_greedy=False)
        found = beam_search(rows, (), options, max_new_tokens=7, stop_ids=frozenset())
        below += found.sequences[0].log_probability < greedy_of(rows, 7, None)[1] - 1e-9
    assert below


def test_no_beam_is_refused():
    with pytest.raises(DecodingError, match="n_beams is 0"):
        BeamOptions(0)
