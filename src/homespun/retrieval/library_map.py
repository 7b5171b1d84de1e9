"""A library as a picture: passages near each other mean alike; groups are named by their most telling words."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from homespun.pictures.canvas import COLOUR_SCALE, MARKERS, canvas, check_suffix
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.library import Library
from homespun.retrieval.reductions import principal_components

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
    with canvas(path, 9.0, 6.5) as (_, axes):
        from matplotlib import colormaps

        for group, name in enumerate(found.names):
            there = found.groups == group
            shade = 0.1 + 0.8 * group / max(len(found.names) - 1, 1)
            axes.scatter(
                *found.points[there].T, s=22, marker=MARKERS[group % len(MARKERS)], edgecolors="black",
                linewidths=0.3, color=colormaps[COLOUR_SCALE](shade), label=f"{name} ({int(there.sum())})",
            )  # fmt: skip
        n_documents = len(set(found.documents))
        axes.set_title(
            f"{library.name}: {len(found.documents)} passages of {n_documents} documents", fontsize=10
        )
        axes.set_xlabel(f"first principal component ({found.explained[0]:.0%} of the variance)")
        axes.set_ylabel(f"second principal component ({found.explained[1]:.0%})")
        axes.legend(
            fontsize=8,
            title="groups, by their most telling words",
            loc="center left",
            bbox_to_anchor=(1, 0.5),
        )
    return found


def principal_plane(vectors: FloatArray) -> tuple[FloatArray, tuple[float, float]]:
    """The two principal components: points (n, 2), and the share of variance of each."""
    points, shares = principal_components(vectors, 2)
    n_missing = 2 - points.shape[1]
    first, second = [*shares.tolist(), 0.0, 0.0][:2]
    return np.pad(points, ((0, 0), (0, n_missing))), (first, second)


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
