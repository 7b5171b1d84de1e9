"""Contrastive search: likely tokens that do not repeat what the text already says.

Su et al., "A Contrastive Framework for Neural Text Generation" (2022): of the k most probable tokens, take
the one with the largest (1 - alpha) x probability - alpha x (largest cosine between its hidden state and
those of all tokens before).
"""

from dataclasses import dataclass, field

import numpy as np

from homespun.decoding.errors import DecodingError
from homespun.decoding.stages import Floats


@dataclass(frozen=True)
class ContrastiveOptions:
    """How contrastive search weighs."""

    contrast_k: int = field(
        default=4, metadata={"help": "tokens that contrastive search looks at in each step"}
    )
    contrast_alpha: float = field(
        default=0.6, metadata={"help": "weight of being unlike the text so far in contrastive search, 0 to 1"}
    )

    def __post_init__(self) -> None:
        if self.contrast_k < 1:
            raise DecodingError(f"contrast_k is {self.contrast_k}; it must be 1 or more.")
        if not 0 <= self.contrast_alpha <= 1:
            raise DecodingError(f"contrast_alpha is {self.contrast_alpha}; it must be from 0 to 1.")


def contrastive_scores(probabilities: Floats, candidates: Floats, context: Floats, alpha: float) -> Floats:
    """What contrastive search orders candidates by.

    Args:
        probabilities: (k,) under the model.
        candidates: hidden states (k, n) of the candidates, each read after the text.
        context: hidden states (n tokens, n) of the text so far.
        alpha: weight of the degeneration penalty.

    Returns:
        (k,), higher is better.
    """
    cosines = _unit(candidates) @ _unit(context).T
    result: Floats = (1 - alpha) * np.asarray(probabilities) - alpha * cosines.max(axis=1)
    return result


def _unit(rows: Floats) -> Floats:
    values = np.asarray(rows, np.float64)
    result: Floats = values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)
    return result


class HiddenStates:
    """The state that the output layer reads, from the log-probabilities that it wrote.

    logits = W h, and log-probabilities are the logits less one number for each position. With many more
    tokens than dimensions, least squares gives h (and that number) exactly, up to the engine's rounding, for
    any engine that gives whole distributions.
    """

    def __init__(self, output_weights: Floats) -> None:
        """Prepare.

        Args:
            output_weights: W, (n_vocab, n): the output layer's matrix.

        Raises:
            DecodingError: fewer tokens than dimensions, or a matrix that leaves the state open.
        """
        n_vocab, n = output_weights.shape
        weights = np.asarray(output_weights, np.float32)
        self._mean = weights.mean(axis=0, dtype=np.float64)
        # The shift drops out of centred equations: (W - mean) h = l - mean(l).
        normal = weights.T.astype(np.float64) @ weights - n_vocab * np.outer(self._mean, self._mean)
        if n_vocab <= n or np.linalg.matrix_rank(normal, hermitian=True) < n:
            raise DecodingError("The output layer of this model does not determine its hidden states.")
        self._weights = weights
        self._inverse = np.linalg.inv(normal)

    def of(self, log_probabilities: Floats) -> Floats:
        """Hidden states (rows, n) of rows of log-probabilities (rows, n_vocab)."""
        centred = log_probabilities - log_probabilities.mean(axis=1, keepdims=True)
        right = centred.astype(np.float32) @ self._weights - centred.sum(axis=1, keepdims=True) * self._mean
        result: Floats = right @ self._inverse
        return result
