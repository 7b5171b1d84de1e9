"""What rerankers have in common: how scores are mixed, how long texts are divided."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.retrieval.rerank import LATER_PASSAGES, blended, headed, rerank, z_scores
from homespun.retrieval.rerank_model import best_window
from homespun.retrieval.rerank_tokens import windows


def test_z_scores_by_hand():
    np.testing.assert_allclose(z_scores([1, 2, 3]), [-1.2247449, 0, 1.2247449], rtol=1e-6)
    np.testing.assert_array_equal(z_scores([0.1 + 0.2, 0.3, 0.3]), [0, 0, 0])
    assert z_scores([]).shape == (0,)


def test_blended_by_hand():
    stages = {"first": [1, 2, 3], "late": [3, 1, 2], "unused": [9, 0, 0]}
    np.testing.assert_allclose(
        blended(stages, {"first": 1, "late": 2}), 1.2247449 * np.array([1, -2, 1]), atol=1e-6
    )
    assert blended({}, {"first": 1}).shape == (0,)
    with pytest.raises(ValueError, match="different numbers"):
        blended({"a": [1], "b": [1, 2]}, {"a": 1})


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.floats(0.1, 50), st.floats(-100, 100))
def test_a_scale_changes_no_z_score(values, factor, offset):
    if np.std(values) > 1e-3:
        np.testing.assert_allclose(z_scores(values), z_scores(np.array(values) * factor + offset), atol=1e-3)


@given(st.integers(0, 3000), st.integers(2, 300), st.integers(0, 40))
def test_windows_cover_every_token(n_tokens, room, overlap):
    spans = windows(n_tokens, room, overlap)
    covered = set().union(*(range(start, end) for start, end in spans)) if spans else set()
    assert covered == set(range(n_tokens))
    assert all(0 < end - start <= room for start, end in spans)
    shared = [before[1] - after[0] for before, after in itertools.pairwise(spans)]
    assert all(n >= min(overlap, room - 1) for n in shared)


def test_best_window_by_hand():
    tokens = ["a", "b", "dose", "c", "d", "child", "e", "dose", "f", "g", "h"]
    weights = {"dose": 1.0, "child": 1.0}
    # Of the windows of 4 with both words, the one in whose middle they stand.
    assert best_window(tokens, weights, 4) == 2  # dose c d child
    assert best_window(tokens, {"dose": 1.0}, 3) == 1
    assert best_window(tokens, {"dose": 1.0, "child": 0.5}, 3) == 5
    assert best_window(tokens, {}, 3) == 0
    assert best_window(tokens, weights, 11) == best_window(tokens, weights, 99) == 0
    assert best_window([], weights, 4) == 0


@given(st.lists(st.sampled_from("abcde"), max_size=40), st.integers(1, 15))
def test_no_window_holds_more(tokens, size):
    weights = {"a": 1.0, "b": 0.7, "c": 0.2}

    def held(start):
        return sum(weights[token] for token in set(tokens[start : start + size]) & set(weights))

    start = best_window(tokens, weights, size)
    assert held(start) >= max(held(other) for other in range(max(1, len(tokens) - size + 1))) - 1e-9


class Stated:
    """Scores that are known beforehand."""

    def __init__(self, name, weight, scores):
        self.name, self.weight, self.stated = name, weight, scores
        self.read = []

    def scores(self, query, texts, progress=None):
        self.read.append(list(texts))
        return np.array([self.stated[text] for text in texts], np.float32)


def test_rerank_by_hand():
    cheap = Stated("cheap", 1.0, {"a": 0, "b": 2, "c": 1, "d": 9})
    dear = Stated("dear", 2.0, {"a": 5, "b": 0})
    found = rerank("q", ["a", "b", "c", "d"], [4, 3, 2, 1], [cheap, dear], n_first=[3, 2])
    # z of 4, 3, 2, 1: 1.34, .45, -.45, -1.34; of 0, 2, 1: -1.22, 1.22, 0. So b, a, c; then a by the dear one.
    assert cheap.read == [["a", "b", "c"]] and dear.read == [["b", "a"]]
    assert found.order == (0, 1, 2, 3)
    assert found.stages == {"cheap": {0: 0, 1: 2, 2: 1}, "dear": {1: 0, 0: 5}}
    assert found.blend[0] == pytest.approx(1.3416408 - 1.2247449 + 2, abs=1e-5)
    assert found.blend[3] == pytest.approx(-1.3416408, abs=1e-5)
    assert rerank("q", ["a", "b", "c", "d"], [4, 3, 2, 1], [cheap], n_first=[3]).order == (1, 0, 2, 3)


def test_later_rerankers_read_fewer():
    texts = [f"{number:02}" for number in range(20)]
    scores = {text: -float(text) for text in texts}
    cheap, dear = Stated("cheap", 1.0, scores), Stated("dear", 1.0, scores)
    assert rerank("q", texts, [-float(n) for n in range(20)], [cheap, dear]).order == tuple(range(20))
    assert cheap.read == [texts] and dear.read == [texts[:LATER_PASSAGES]]


def test_rerank_of_little():
    assert rerank("q", [], [], []).order == ()
    assert rerank("q", ["a", "b"], [1, 1], []).order == (0, 1)
    with pytest.raises(ValueError):
        rerank("q", ["a"], [], [])


def test_headed_by_hand():
    assert headed(["Doses", " Children ", "Doses"], "250 mg") == "Doses > Children\n\n250 mg"
    assert headed([""], "250 mg") == "250 mg"
