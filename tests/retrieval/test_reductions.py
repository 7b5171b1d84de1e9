"""Reductions and group scores: by hand, by their properties, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from homespun.retrieval.group_scores import group_scores, nearest_neighbours, silhouettes
from homespun.retrieval.reductions import principal_directions, random_projection, similarities, truncation

ROWS = arrays(
    np.float64,
    st.tuples(st.integers(3, 9), st.integers(2, 6)),
    elements=st.floats(-5, 5, allow_nan=False).map(lambda value: round(value, 2)),
)


def components(vectors, n_dimensions):
    learnt = principal_directions(vectors, n_dimensions)
    return learnt.points(vectors), learnt.shares


def test_similarities_by_hand():
    found = similarities(np.array([[1, 0], [3, 3], [0, -2], [0, 0]], np.float32))
    half = 2**-0.5
    np.testing.assert_allclose(
        found, [[1, half, 0, 0], [half, 1, -half, 0], [0, -half, 1, 0], [0, 0, 0, 1]], atol=1e-12
    )


def test_principal_components_by_hand():
    vectors = np.array([[3.0, 0, 1], [-3, 0, 1], [0, 1, 1], [0, -1, 1]])
    points, shares = components(vectors, 2)
    np.testing.assert_allclose(points, [[3, 0], [-3, 0], [0, 1], [0, -1]], atol=1e-12)
    np.testing.assert_allclose(shares, [0.9, 0.1])
    learnt = principal_directions(vectors, 1)
    np.testing.assert_allclose(learnt.points(np.array([[5.0, 9, 9]])), [[5]], atol=1e-12)
    # Four vectors differ in at most three directions, however many are asked for.
    assert components(np.eye(4, 50), 75)[0].shape == (4, 3)
    assert components(np.eye(9, 2), 75)[0].shape == (9, 2)


def test_silhouettes_by_hand():
    points = np.array([0.0, 1, 5, 7, 20])
    distances = np.abs(points[:, None] - points)
    found = silhouettes(distances, ["a", "a", "b", "b", "c"])
    # The first: 1 to its own, 6 to b. The third: 2 to its own, 4.5 to a. The last is alone.
    np.testing.assert_allclose(found, [5 / 6, 4 / 5, 2.5 / 4.5, 4.5 / 6.5, 0])
    assert silhouettes(np.zeros((4, 4)), list("aabb")).tolist() == [0] * 4


def test_nearest_neighbours_by_hand():
    similar = np.array([[1, 0.2, 0.2], [0.2, 1, 0.9], [0.2, 0.9, 1]])
    assert nearest_neighbours(similar).tolist() == [1, 2, 1]
    scores = group_scores(similar, ["a", "b", "b"])
    assert (scores.n_nearest_same, scores.n_texts) == (2, 3)
    assert scores.silhouette == pytest.approx((0 + 2 * 0.7 / 0.8) / 3)
    assert group_scores(similar, ["a", "a", "a"]) is None
    assert group_scores(similar, ["a", "b", "c"]) is None


@settings(max_examples=50, deadline=None)
@given(ROWS, st.data())
def test_silhouettes_are_scikit_learns(vectors, data):
    from sklearn.metrics import silhouette_samples

    groups = data.draw(st.lists(st.sampled_from("abc"), min_size=len(vectors), max_size=len(vectors)))
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    if 2 <= len(set(groups)) < len(groups):
        ours = silhouettes(distances, groups)
        assert np.abs(ours).max() <= 1
        np.testing.assert_allclose(
            ours, silhouette_samples(distances, groups, metric="precomputed"), atol=1e-9
        )


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_all_principal_components_keep_all_distances(vectors):
    points, shares = components(vectors, 99)
    before = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points, axis=-1), before, atol=1e-9)
    assert (np.diff(shares) <= 1e-12).all() and shares.sum() == pytest.approx(1 if before.any() else 0)
    np.testing.assert_allclose(components(vectors + 7, 99)[1], shares, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(ROWS, st.integers(0, 9))
def test_random_projection_is_linear_and_repeatable(vectors, seed):
    found = random_projection(vectors, 4, seed)
    np.testing.assert_array_equal(found, random_projection(vectors, 4, seed))
    np.testing.assert_allclose(found * 2, random_projection(vectors * 2, 4, seed))
    np.testing.assert_allclose(found[0] + found[1], random_projection(vectors[[0]] + vectors[1], 4, seed)[0])


def test_random_projection_keeps_lengths_and_angles_on_average():
    vectors = np.array([[1.0, 0, 0], [0.6, 0.8, 0]])
    products = [
        vectors_of @ vectors_of.T for vectors_of in (random_projection(vectors, 8, s) for s in range(3000))
    ]
    # A product's spread is at most sqrt(2 / 8) for one draw, so 0.05 is five of the mean's.
    np.testing.assert_allclose(np.mean(products, axis=0), [[1, 0.6], [0.6, 1]], atol=0.05)


def test_truncation_keeps_the_first():
    np.testing.assert_array_equal(truncation(np.arange(6.0).reshape(2, 3), 2), [[0, 1], [3, 4]])
