"""The text on which engines and formats are compared, and how far two of them are apart."""

from importlib import resources

import numpy as np
import numpy.typing as npt

from homespun.models.tokenizer import Tokenizer

Floats = npt.NDArray[np.floating]

#: Tokens less probable than this weigh nothing together; an engine may round them to none at all.
LEAST_WEIGHT = 1e-12


def probe_text() -> str:
    """The text on which numbers are compared; written for this project."""
    return resources.files("homespun.engines").joinpath("probe.txt").read_text(encoding="utf-8")


def probe_ids(tokenizer: Tokenizer, n_tokens: int) -> list[int]:
    """The first tokens of the probe text, behind the begin token where the model wants one."""
    return [*tokenizer.begin_ids, *tokenizer.encode(probe_text())][:n_tokens]


def mean_kl_nats(reference: Floats, other: Floats) -> float:
    """Mean over rows of KL(reference || other) of log-probabilities (rows, n_vocab), in nats.

    Both are normalized in float64 first: float32 leaves sums that are off by 1e-7, as much as is measured. Row
    by row, for all at once would be gigabytes with a large vocabulary.
    """
    return sum(_kl_nats(p, q) for p, q in zip(reference, other, strict=True)) / len(reference)


def _kl_nats(reference: Floats, other: Floats) -> float:
    p, q = (row.astype(np.float64) for row in (reference, other))
    p -= np.log(np.exp(p).sum())
    q -= np.log(np.exp(q).sum())
    weights = np.exp(p)
    counts = weights > LEAST_WEIGHT
    return float((weights[counts] * (p[counts] - q[counts])).sum())
