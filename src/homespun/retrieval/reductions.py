"""Vectors of fewer dimensions, and how alike vectors are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def similarities(vectors: npt.NDArray[Any]) -> FloatArray:
    """Cosines between rows. (n, d) -> (n, n), from -1 to 1, the diagonal 1; rows of zeros are like nothing: 0."""
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9)
    found: FloatArray = np.clip(rows @ rows.T, -1, 1)
    np.fill_diagonal(found, 1)
    return found


@dataclass(frozen=True)
class PrincipalDirections:
    """The directions in which vectors differ most (Pearson 1901).

    Attributes:
        mean: (d,), of the vectors.
        directions: (k, d), of length 1 and at right angles. A direction's sign is chosen so that its largest
            weight is positive: the same vectors give the same points.
        shares: (k,), of the variance in each.
    """

    mean: FloatArray
    directions: FloatArray
    shares: FloatArray

    def points(self, vectors: npt.NDArray[Any]) -> FloatArray:
        """Where vectors lie along the directions, seen from the mean. (n, d) -> (n, k)."""
        found: FloatArray = (np.asarray(vectors, np.float64) - self.mean) @ self.directions.T
        return found


def principal_directions(vectors: npt.NDArray[Any], n_dimensions: int) -> PrincipalDirections:
    """Learn the k = min(n_dimensions, n - 1, d) principal directions of vectors (n, d).

    n vectors differ in at most n - 1 directions, because their mean is taken away.
    """
    rows = np.asarray(vectors, np.float64)
    n_kept = min(n_dimensions, len(rows) - 1, rows.shape[1])
    mean = rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(rows - mean, full_matrices=False)
    kept = directions[:n_kept]
    signs = np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])
    total = float((sizes**2).sum()) or 1.0
    return PrincipalDirections(mean, kept * signs[:, None], sizes[:n_kept] ** 2 / total)


def random_projection(vectors: npt.NDArray[Any], n_dimensions: int, seed: int = 0) -> FloatArray:
    """Products with random directions, which keep distances about as they are (Johnson, Lindenstrauss 1984).

    Args:
        vectors: (n, d).
        n_dimensions: k; the error of a cosine falls with its square root.
        seed: of the normal numbers that the directions are made of.

    Returns:
        (n, k); lengths stay the same in the mean over seeds.
    """
    rows = np.asarray(vectors, np.float64)
    directions = np.random.default_rng(seed).standard_normal((rows.shape[1], n_dimensions))
    return rows @ directions / np.sqrt(n_dimensions)


def truncation(vectors: npt.NDArray[Any], n_dimensions: int) -> FloatArray:
    """The first numbers of each vector. (n, d) -> (n, n_dimensions).

    Embedders trained for it have most of the meaning there (Kusupati and others 2022); in others the first
    numbers are as good as any.
    """
    return np.asarray(vectors, np.float64)[:, :n_dimensions]
