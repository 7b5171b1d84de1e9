"""A library as a picture: passages near each other mean alike; groups are named by their most telling words."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from homespun.pictures.canvas import check_suffix
from homespun.pictures.points import Panel, draw_points
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.library import Library
from homespun.retrieval.plane import component_labels, principal_plane

FloatArray = npt.NDArray[np.floating]

_MOST_GROUPS = 8
_PASSAGES_A_GROUP = 12
_WORDS = 3
_ROUNDS = 50


@dataclass(frozen=True)
class LibraryMap:
    """Where passages lie in the plane.

    Attributes:
        documents: of each passage, by name.
        points: (n passages, 2), the two directions in which the vectors differ most.
        groups: of each passage, 0 is the largest group.
        names: of each group, its most telling words.
        explained: share of the vectors' variance that each direction shows.
    """

    documents: tuple[str, ...]
    points: FloatArray
    groups: npt.NDArray[np.int64]
    names: tuple[str, ...]
    explained: tuple[float, float]


def library_map(library: Library, progress: Progress = no_progress) -> LibraryMap:
    """Lay out a library by principal components, and group its passages by k-means of their vectors.

    Raises:
        LibraryError: fewer than three passages, or a library that cannot be read.
    """
    names = library.documents_of_contents()
    rows = [
        row
        for batch in library.tables.all_passages(["content_id", "number", "text", "vector"])
        for row in batch.to_pylist()
        if row["content_id"] in names
    ]
    rows.sort(key=lambda row: (names[row["content_id"]][0].name, row["number"]))
    if len(rows) < 3:
        raise LibraryError("A map needs at least three passages.", remedy="Ingest more documents first.")
    vectors = np.array([row["vector"] for row in rows], np.float64)
    progress("Laying out", 0, 2)
    points, explained = principal_plane(vectors)
    progress("Grouping", 1, 2)
    n_groups = max(1, min(_MOST_GROUPS, len(rows) // _PASSAGES_A_GROUP))
    groups = grouped(vectors, n_groups)
    words = telling_words([row["text"] for row in rows], groups)
    documents = tuple(names[row["content_id"]][0].name for row in rows)
    progress("Grouping", 2, 2)
    return LibraryMap(documents, points, groups, words, explained)


def draw_library_map(library: Library, path: Path, progress: Progress = no_progress) -> LibraryMap:
    """The map as a PNG or SVG file, and what it shows.

    Raises:
        PictureError: the name ends otherwise, or the file cannot be written.
        LibraryError: see `library_map`.
    """
    check_suffix(path)
    found = library_map(library, progress)
    sizes = np.bincount(found.groups, minlength=len(found.names))
    names = [f"{name} ({size})" for name, size in zip(found.names, sizes, strict=True)]
    n_documents = len(set(found.documents))
    title = f"{library.name}: {len(found.documents)} passages of {n_documents} documents"
    panel = Panel(found.points, component_labels(found.explained))
    draw_points(
        {title: panel},
        [names[group] for group in found.groups],
        path,
        order=names,
        legend="groups, by their most telling words",
    )
    return found


def grouped(vectors: FloatArray, n_groups: int) -> npt.NDArray[np.int64]:
    """k-means (Lloyd 1957) from far apart starts; groups are numbered by falling size. (n,)."""
    centres = vectors[[0]]
    for _ in range(n_groups - 1):  # the next start is what lies farthest from all before
        distances = ((vectors[:, None] - centres[None]) ** 2).sum(-1).min(axis=1)
        centres = np.vstack([centres, vectors[distances.argmax()]])
    found = np.zeros(len(vectors), np.int64)
    for turn in range(_ROUNDS):
        lengths = (centres**2).sum(-1)
        nearest = (lengths[None] - 2 * vectors @ centres.T).argmin(axis=1)
        if turn and (nearest == found).all():
            break
        found = nearest
        centres = np.array(
            [
                vectors[found == g].mean(axis=0) if (found == g).any() else centres[g]
                for g in range(len(centres))
            ]
        )
    sizes = np.bincount(found, minlength=n_groups)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(n_groups, np.int64)
    rank[order] = np.arange(n_groups)
    numbered: npt.NDArray[np.int64] = rank[found]
    return numbered


def telling_words(texts: list[str], groups: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """For each group the words whose share of its texts exceeds that of all texts most (by tf-idf)."""
    of_text = [set(re.findall(r"[^\W\d_]{4,}", text.lower())) for text in texts]
    everywhere = Counter(word for words in of_text for word in words)
    names = []
    for group in range(int(groups.max()) + 1):
        members = [words for words, g in zip(of_text, groups, strict=True) if g == group]
        counts = Counter(word for words in members for word in words)

        def score(word: str, counts: Counter[str] = counts) -> float:
            return counts[word] * math.log((1 + len(texts)) / (1 + everywhere[word]))

        best = sorted(counts, key=lambda word: (-score(word), word))[:_WORDS]
        names.append(", ".join(best) or f"group {group + 1}")
    return tuple(names)
