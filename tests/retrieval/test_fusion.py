"""Fusion against sums done by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.retrieval.fusion import fuse_scores, ranks


def test_the_sum_is_weighted_and_keywords_are_scaled_by_the_best():
    fused = fuse_scores({"a": 10.0, "b": 5.0}, {"a": 0.2, "b": 0.6, "c": 0.9}, keyword_weight=0.25)
    # a: 0.25 * 10/10 + 0.75 * 0.2; b: 0.25 * 5/10 + 0.75 * 0.6; c: 0.75 * 0.9
    assert fused == pytest.approx({"a": 0.4, "b": 0.575, "c": 0.675})


def test_one_side_alone():
    assert fuse_scores({}, {"a": 0.3}, 0.5) == pytest.approx({"a": 0.15})
    assert fuse_scores({"a": 2.0}, {}, 0.5) == pytest.approx({"a": 0.5})
    assert fuse_scores({"a": 0.0}, {}, 0.5) == {"a": 0.0}
    assert fuse_scores({"a": 2e-311}, {}, 0.5) == {"a": 0.5}  # a score whose inverse is infinite
    assert fuse_scores({}, {}, 0.5) == {}


def test_places_count_from_one_and_keep_the_order_of_equals():
    assert ranks({"a": 0.1, "b": 0.7, "c": 0.7, "d": 0.9}) == {"d": 1, "b": 2, "c": 3, "a": 4}


@given(
    st.dictionaries(st.integers(0, 9), st.just(0.0) | st.floats(1e-300, 50)),
    st.dictionaries(st.integers(0, 9), st.floats(-1, 1)),
    st.floats(0, 1),
    st.floats(0.001, 1000),
)
def test_the_scale_of_bm25_does_not_matter(keywords, vectors, weight, scale):
    fused = fuse_scores(keywords, vectors, weight)
    scaled = fuse_scores({key: value * scale for key, value in keywords.items()}, vectors, weight)
    assert set(fused) == set(keywords) | set(vectors)
    assert scaled == pytest.approx(fused, abs=1e-6)
