"""The map of a library: its parts by hand, and a picture of real passages."""

import numpy as np
import pytest

from homespun.pictures.errors import PictureError
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.library_map import (
    draw_library_map,
    grouped,
    library_map,
    principal_plane,
    telling_words,
)
from homespun.retrieval.sync import ingest


def test_the_plane_is_where_the_vectors_differ_most():
    vectors = np.array([[3.0, 0, 1], [-3, 0, 1], [0, 1, 1], [0, -1, 1]])
    points, explained = principal_plane(vectors)
    np.testing.assert_allclose(points, [[3, 0], [-3, 0], [0, 1], [0, -1]], atol=1e-12)
    assert explained == pytest.approx((18 / 20, 2 / 20))


def test_groups_are_numbered_by_their_size():
    vectors = np.array([[0.0, 0], [9, 9], [0, 1], [9, 8], [1, 0]])
    assert grouped(vectors, 2).tolist() == [0, 1, 0, 1, 0]
    assert grouped(vectors, 1).tolist() == [0] * 5


def test_words_that_all_have_tell_nothing():
    texts = ["common apple apple", "common apple", "common zebra"]
    assert telling_words(texts, np.array([0, 0, 1])) == ("apple, common", "zebra, common")


def test_a_library_is_drawn(library, folder, tmp_path):
    with pytest.raises(LibraryError, match="three passages"):
        library_map(library)
    for number in range(6):
        (folder / f"bird{number}.txt").write_text(f"Robin number {number} sings in the garden hedge.")
        (folder / f"bread{number}.txt").write_text(f"Loaf number {number} is baked from rye and salt.")
    ingest(library, [folder])
    for name in ("map.png", "map.svg"):
        found = draw_library_map(library, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    assert "robin" in (tmp_path / "map.svg").read_text().lower() or len(found.names) == 1
    places = zip(found.documents, found.points[:, 0], strict=True)
    sides = {name[:4]: np.sign(place) for name, place in places}
    assert sides["bird"] != sides["brea"]  # the first direction parts birds from bread
    with pytest.raises(PictureError, match="png"):
        draw_library_map(library, tmp_path / "map.jpeg")
