"""Two rankings into one, as pure functions of scores."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def fuse_scores(
    keyword_scores: Mapping[Key, float], vector_scores: Mapping[Key, float], keyword_weight: float
) -> dict[Key, float]:
    """A weighted sum of two scores for each passage that either search found.

    A passage's keyword score is divided by the best one of this question, so that it lies in 0 to 1 as the
    vectors' product does for most texts; BM25 has no scale of its own. What a search did not find counts
    as 0 there. Weighted sums of normalised scores beat the fusion of ranks when the weight is chosen on
    examples (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).

    Args:
        keyword_scores: BM25 by passage, not negative.
        vector_scores: the product of unit vectors by passage, -1 to 1.
        keyword_weight: 0 uses vectors alone, 1 keywords alone.
    """
    best = max(keyword_scores.values(), default=0.0) or 1.0
    keys = dict.fromkeys([*keyword_scores, *vector_scores])
    return {
        key: keyword_weight * (keyword_scores.get(key, 0.0) / best)
        + (1 - keyword_weight) * vector_scores.get(key, 0.0)
        for key in keys
    }


def ranks(scores: Mapping[Key, float]) -> dict[Key, int]:
    """The place of each key by falling score, from 1; equal scores keep the mapping's order."""
    ordered = sorted(scores, key=lambda key: -scores[key])
    return {key: place for place, key in enumerate(ordered, start=1)}


def exact_first(scores: Mapping[Key, float], n_held: Mapping[Key, int], most: int) -> dict[Key, float]:
    """Scores with 2 added for each rare code or quotation of the question that a passage holds exactly.

    Fused scores lie in -1 to 1, so whatever holds more of them comes first. When more than `most` passages
    hold any, they tell nothing apart and nothing is added.

    Args:
        scores: fused, by passage.
        n_held: how many a passage holds; passages without any may be left out.
        most: passages that may hold one.
    """
    holders = [key for key in scores if n_held.get(key)]
    if len(holders) > most:
        return dict(scores)
    return {key: score + 2.0 * n_held.get(key, 0) for key, score in scores.items()}
