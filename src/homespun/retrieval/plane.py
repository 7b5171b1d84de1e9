"""Vectors laid out in the plane."""

from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.retrieval.errors import EmbedderError
from homespun.retrieval.reductions import FloatArray, principal_directions

_NEIGHBOURS = 15


def principal_plane(vectors: npt.NDArray[Any]) -> tuple[FloatArray, tuple[float, float]]:
    """The two principal components: points (n, 2), and the share of variance of each."""
    learnt = principal_directions(vectors, 2)
    points = learnt.points(vectors)
    first, second = [*learnt.shares.tolist(), 0.0, 0.0][:2]
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1]))), (first, second)


def component_labels(explained: tuple[float, float]) -> tuple[str, str]:
    """What the axes of a principal plane are."""
    first, second = explained
    return (
        f"first principal component ({first:.0%} of the variance)",
        f"second principal component ({second:.0%})",
    )


def umap_plane(vectors: npt.NDArray[Any], seed: int = 0) -> FloatArray:
    """Points (n, 2) that keep neighbours together (McInnes and others 2018); distances far apart mean little.

    Raises:
        EmbedderError: the package umap-learn is not installed.
    """
    check_umap()
    from umap import UMAP

    n = len(vectors)
    # Its usual start, the graph's eigenvectors, needs more rows than it has directions.
    layout = UMAP(
        n_neighbors=min(_NEIGHBOURS, n - 1),
        metric="cosine",
        random_state=seed,
        n_jobs=1,
        init="random" if n < 10 else "spectral",
    )
    return np.asarray(layout.fit_transform(vectors), np.float64)


def check_umap() -> None:
    """Refuse before any work.

    Raises:
        EmbedderError: the package umap-learn is not installed.
    """
    from importlib.util import find_spec

    if find_spec("umap") is None:
        raise EmbedderError(
            "The layout umap needs the package umap-learn, which is not installed.",
            remedy="Run `pip install umap-learn`, or leave the layout pca.",
        )
