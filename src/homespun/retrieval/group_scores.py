"""How well vectors keep groups of texts together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GroupScores:
    """How well groups hold together.

    Attributes:
        silhouette: mean over texts, from -1 to 1; above 0, texts are nearer to their own group than to others.
        silhouettes: of each text.
        n_nearest_same: texts whose nearest neighbour is of their own group.
        n_texts: in all.
    """

    silhouette: float
    silhouettes: tuple[float, ...]
    n_nearest_same: int
    n_texts: int


def group_scores(similar: FloatArray, groups: Sequence[str]) -> GroupScores | None:
    """Scores of groups from cosines (n, n); None where there are no two groups or no group has two texts."""
    if not 2 <= len(set(groups)) < len(groups):
        return None
    each = silhouettes(1 - similar, groups)
    n_same = sum(groups[near] == groups[row] for row, near in enumerate(nearest_neighbours(similar)))
    return GroupScores(float(each.mean()), tuple(each.tolist()), n_same, len(groups))


def silhouettes(distances: FloatArray, groups: Sequence[str]) -> FloatArray:
    """(b - a) / max(a, b) of each row (Rousseeuw 1987).

    a is the mean distance to the others of its group, b that to the nearest other group; 0 for a row that is
    alone in its group.

    Args:
        distances: (n, n), 0 on the diagonal.
        groups: n names, at least two different ones.

    Returns:
        (n,), from -1 to 1.
    """
    names = list(dict.fromkeys(groups))
    own = np.array([names.index(group) for group in groups])
    belongs = np.eye(len(names))[own]  # (n, groups)
    sums, sizes = distances @ belongs, belongs.sum(axis=0)
    rows = np.arange(len(own))
    a = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    b = means.min(axis=1)
    largest = np.maximum(a, b)
    each = np.divide(b - a, largest, out=np.zeros_like(a), where=largest > 0)
    each[sizes[own] == 1] = 0
    return each


def nearest_neighbours(similar: FloatArray) -> npt.NDArray[np.int64]:
    """The row most like each row, itself left out; the first of several. (n, n) with n > 1 -> (n,)."""
    others = similar.copy()
    np.fill_diagonal(others, -np.inf)
    nearest: npt.NDArray[np.int64] = others.argmax(axis=1)
    return nearest
