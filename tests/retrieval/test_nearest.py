"""Exact nearest vectors, and keeping them through changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.retrieval.nearest import PassageVectors, nearest


def vector_of(content: str, number: int) -> np.ndarray:
    return np.array([hash((content, number)) % 1000, number, 1], np.float32)


@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=40),
    st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    st.integers(1, 50),
)
def test_nearest_is_what_sorting_all_products_gives(rows, vector, n):
    products = [sum(a * b for a, b in zip(row, vector, strict=True)) for row in rows]
    wanted = sorted(range(len(rows)), key=lambda row: (-products[row], row))[:n]
    found, values = nearest(np.array(rows, np.float32), np.array(vector, np.float32), n)
    assert found.tolist() == wanted
    assert values.tolist() == [products[row] for row in wanted]


@given(
    st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 4)), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_after_any_changes_each_passage_has_its_own_vector(states, random):
    vectors = PassageVectors.empty(3)
    fetched: set[tuple[str, int]] = set()
    for generation, state in enumerate(states):
        keys = [(content, number) for content, n in state.items() for number in range(n)]
        random.shuffle(keys)
        contents = random.sample(list(state), len(state))
        ids = {1000 * generation + place: key for place, key in enumerate(keys)}
        kept = set(vectors.keys(range(len(vectors.codes))))
        asked: list[tuple[str, int]] = []

        def fetch(places, ids=ids, asked=asked):
            asked.extend(ids[place] for place in places.tolist())
            return np.array([vector_of(*ids[place]) for place in places.tolist()])

        vectors = vectors.renewed(
            contents,
            np.array([contents.index(content) for content, _ in keys], np.int64),
            np.array([number for _, number in keys], np.int64),
            np.array(list(ids), np.int64),
            fetch,
        )
        assert not kept & set(asked), "a known vector was read again"
        fetched |= set(asked)
        assert sorted(vectors.keys(range(len(keys)))) == sorted(keys)
        rows = vectors.rows(keys)
        for place, (key, row) in enumerate(zip(keys, rows, strict=True)):
            assert vectors.matrix[row].tolist() == vector_of(*key).tolist()
            assert vectors.rows_of_ids(np.array([1000 * generation + place]))[0] == row
    assert vectors.rows([("nowhere", 0), ("a", 99)]).tolist() == [-1, -1]


def test_no_passages():
    vectors = PassageVectors.empty(3)
    rows, products = nearest(vectors.matrix, np.ones(3, np.float32), 5)
    assert rows.tolist() == [] and products.tolist() == []
    assert vectors.rows([("a", 0)]).tolist() == [-1]


def test_fetching_fails_loudly_when_the_store_gives_other_rows():
    with pytest.raises(ValueError):
        PassageVectors.empty(3).renewed(
            ["a"],
            np.zeros(2, np.int64),
            np.arange(2),
            np.arange(2),
            lambda ids: np.zeros((3, 3), np.float32),
        )
