"""Texts as embedders see them: the real embedder on the example's products, files and pictures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from homespun.documents.text_list import ListedText, gather_texts
from homespun.pictures.errors import PictureError
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.embedding_files import draw_map, draw_similarities, save_vectors
from homespun.retrieval.embedding_views import EmbedOptions, reduced, view_embeddings
from homespun.retrieval.errors import EmbedderError

PRODUCTS = Path(__file__).parents[2] / "examples" / "products.jsonl"


@pytest.fixture(scope="module")
def seen(embedder):
    other = HashEmbedder("hash", 100)
    return view_embeddings([embedder, other], gather_texts([str(PRODUCTS)]), EmbedOptions(dimensions=75))


def test_the_products_form_their_three_groups(seen):
    assert len(set(seen.groups)) == 3 and len(seen.texts) == 9
    meaning, words = seen.views
    assert meaning.scores.silhouette > 0.2 and min(meaning.scores.silhouettes) > 0
    assert meaning.scores.n_nearest_same == meaning.scores.n_texts == 9
    assert words.scores.silhouette < 0.1  # words that are not the same have nothing to do with each other


def test_the_groups_stand_apart_in_75_dimensions_and_in_the_plane(seen):
    meaning = seen.views[0]
    pca, random, truncated = meaning.reductions
    assert [one.dimensions for one in meaning.reductions] == [8, 75, 75]
    assert "9 texts differ in at most 8 directions" in pca.note and "seed 0" in random.note
    assert all(one.scores.silhouette > 0.1 and one.scores.n_nearest_same == 9 for one in meaning.reductions)
    assert all(0 < one.mean_change < 0.4 and 0.5 < one.correlation < 1 for one in meaning.reductions)
    np.testing.assert_array_equal(truncated.vectors, meaning.vectors[:, :75])
    centres = [meaning.points[np.array(seen.groups) == group].mean(axis=0) for group in set(seen.groups)]
    gaps = [np.linalg.norm(a - b) for a in centres for b in centres if a is not b]
    assert min(gaps) > 0.5 and "variance" in meaning.axis_labels[0]


def test_losses_by_hand():
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 1, 0], [0.6, 0, 0.8]], np.float32)
    pca, _, truncated = reduced(vectors, ["a", "a", "b", "b"], 2)
    # The last becomes (0.6, 0), like the first: its cosines 0.6, 0.36, 0 to the others become 1, 0.6, 0.
    assert truncated.mean_change == pytest.approx((0.4 + 0.24 + 0) / 6, abs=1e-6)
    # Nearest before: 0.6 to the second (as to the last), 0.8, 0.8, 0.6 to the first.
    assert truncated.nearest_kept == pytest.approx(3 / 4)
    assert pca.dimensions == 2 and pca.vectors.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)


def test_principal_directions_of_other_texts_are_as_many_as_they_allow(seen):
    embedder = HashEmbedder("hash", 100)
    others = [ListedText(f"word{n}") for n in range(80)]
    texts = [ListedText(text) for text in seen.texts]
    found = view_embeddings([embedder], texts, EmbedOptions(dimensions=75), learn_from=others)
    pca = found.views[0].reductions[0]
    assert pca.dimensions == 75 and "learnt from 80 texts" in pca.note and "at most" not in pca.note
    assert pca.nearest_kept > 0.3
    for options, n in ((EmbedOptions(dimensions=75), 2), (EmbedOptions(), 80)):
        with pytest.raises(EmbedderError, match="3 texts or more"):
            view_embeddings([embedder], texts, options, learn_from=others[:n])


def test_files_hold_the_vectors(seen, tmp_path):
    import pyarrow.parquet as pq

    save_vectors(seen, tmp_path / "v.parquet")
    rows = pq.read_table(tmp_path / "v.parquet").to_pylist()
    assert len(rows) == 18 and set(rows[0]) == {"text", "group", "embedder", "vector"}
    assert (rows[17]["text"], rows[17]["embedder"], rows[17]["group"]) == (seen.texts[8], "hash", "garment")
    np.testing.assert_array_equal(np.array(rows[3]["vector"], np.float32), seen.views[0].vectors[3])
    save_vectors(seen, tmp_path / "v.json", "random")
    read = json.loads((tmp_path / "v.json").read_text("utf-8"))
    assert read["texts"][0] == seen.texts[0] and read["embedders"]["hash"]["dimensions"] == 75
    kept = np.array(read["embedders"]["hash"]["vectors"], np.float32)
    np.testing.assert_array_equal(kept, seen.views[1].reductions[1].vectors)
    with pytest.raises(EmbedderError, match="one embedder"):
        save_vectors(seen, tmp_path / "v.npy")
    alone = view_embeddings([HashEmbedder("hash", 10)], [ListedText("a \ud800 b"), ListedText("c")])
    for name in ("v.npy", "alone.parquet", "alone.json"):
        save_vectors(alone, tmp_path / name)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), alone.views[0].vectors)
    with pytest.raises(EmbedderError, match="not reduced"):
        save_vectors(alone, tmp_path / "v.npy", "pca")
    with pytest.raises(EmbedderError, match="no name"):
        save_vectors(alone, tmp_path / "v.txt")
    with pytest.raises(EmbedderError, match="cannot be written"):
        save_vectors(alone, tmp_path / "nowhere" / "v.npy")
    assert not list(tmp_path.glob("*.part"))


def test_pictures_name_texts_groups_and_embedders(seen, tmp_path):
    draw_similarities(seen, tmp_path / "heat.svg")
    draw_map(seen, tmp_path / "map.svg")
    for name in ("heat.svg", "map.svg"):
        drawn = (tmp_path / name).read_text("utf-8")
        assert all(word in drawn for word in (*seen.texts, "hash, 100 dimensions", "silhouette 0.3"))
    assert "similarity (cosine" in (tmp_path / "heat.svg").read_text("utf-8")
    many = [ListedText(f"text {number} costs $5 or $6") for number in range(130)]
    found = view_embeddings([HashEmbedder("hash", 10)], many)
    draw_similarities(found, tmp_path / "heat.png")
    draw_map(found, tmp_path / "map.png")
    draw_map(found, tmp_path / "crowded.svg")
    assert "labels had no room" in (tmp_path / "crowded.svg").read_text("utf-8")
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("heat.png", "map.png"))
    with pytest.raises(PictureError):
        draw_map(found, tmp_path / "map.gif")


def test_few_texts_have_what_they_can_have(tmp_path):
    embedder = HashEmbedder("hash", 10)
    (one,) = view_embeddings([embedder], [ListedText("alone")]).views
    assert one.similarities.tolist() == [[1]] and one.nearest is None and one.points is None
    two = view_embeddings([embedder], [ListedText("a", "x"), ListedText("b", "y")])
    assert two.views[0].nearest.tolist() == [1, 0] and two.views[0].scores is None
    with pytest.raises(EmbedderError, match="3 to"):
        draw_map(two, tmp_path / "map.png")
    same = view_embeddings([embedder], [ListedText("a", g) for g in "xxy"], EmbedOptions(dimensions=2))
    (view,) = same.views
    assert view.points.tolist() == [[0, 0]] * 3 and view.scores.silhouette == 0
    assert [one.correlation for one in view.reductions] == [None] * 3


def test_very_many_texts_have_vectors_only(monkeypatch, tmp_path):
    monkeypatch.setattr("homespun.retrieval.embedding_views.MOST_COMPARED", 5)
    found = view_embeddings([HashEmbedder("hash", 10)], [ListedText(str(n)) for n in range(6)])
    assert found.views[0].vectors.shape == (6, 10) and found.views[0].similarities is None
    save_vectors(found, tmp_path / "v.npy")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (EmbedOptions(dimensions=10), "10 are not fewer"),
        (EmbedOptions(dimensions=-1), "cannot be"),
        (EmbedOptions(layout="umap"), "pip install umap-learn"),
    ],
)
def test_what_cannot_be_is_refused(options, told, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    texts = [ListedText(word) for word in "abc"]
    with pytest.raises(EmbedderError, match=told):
        view_embeddings([HashEmbedder("hash", 10)], texts, options)


def test_a_long_text_is_never_cut(embedder):
    long = [ListedText("short"), ListedText("word " * 1000)]
    with pytest.raises(EmbedderError, match=r"number 2.* has 1000 tokens, and minilm reads 254"):
        view_embeddings([embedder], long)
    found = view_embeddings([embedder], long, EmbedOptions(kind="query"))
    assert np.linalg.norm(found.views[0].vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    with pytest.raises(EmbedderError, match="3 to"):
        view_embeddings([embedder], long, EmbedOptions(kind="query", dimensions=3))


def test_umap_where_it_is_installed():
    pytest.importorskip("umap")
    texts = [ListedText(f"{word} {n}", word) for word in ("apple", "saw") for n in range(15)]
    (view,) = view_embeddings([HashEmbedder("hash", 50)], texts, EmbedOptions(layout="umap")).views
    assert view.points.shape == (30, 2) and "UMAP" in view.axis_labels[0]
