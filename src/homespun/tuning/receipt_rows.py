"""The positions at which training and serving are compared, and what an engine says there."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from homespun.engines.engine import Engine, FloatArray
from homespun.engines.probe import mean_kl_nats
from homespun.tuning.examples import EncodedExample

MOST_SAMPLES = 24
MOST_PLACES = 12  # of one example
MOST_TOKENS = 3072  # of all examples together
MOST_NUMBERS = 1 << 24  # log-probabilities that are kept for one side
BATCH = 16


@dataclass(frozen=True)
class Sample:
    """One example as it is compared: the odds of the tokens at `places`, each given all before it."""

    token_ids: tuple[int, ...]
    places: tuple[int, ...]


def choose_samples(examples: Sequence[EncodedExample], n_vocab: int, window: int) -> list[Sample]:
    """Examples spread evenly over those given, and labelled positions of each, its first and last among them.

    Long examples are cut behind some of their labelled tokens, and what would be too much work is left out.
    """
    n_samples = min(MOST_SAMPLES, len(examples))
    spread = np.linspace(0, max(len(examples) - 1, 0), n_samples).round().astype(int)
    n_places = max(2, min(MOST_PLACES, MOST_NUMBERS // n_vocab // max(n_samples, 1)))
    longest = min(window - 1, max(MOST_TOKENS // 4, 256))
    samples: list[Sample] = []
    n_tokens = 0
    for number in spread:
        sample = _sample(examples[number], n_places, longest)
        if sample is None or (samples and n_tokens + len(sample.token_ids) > MOST_TOKENS):
            continue
        samples.append(sample)
        n_tokens += len(sample.token_ids)
    return samples


def _sample(example: EncodedExample, n_places: int, longest: int) -> Sample | None:
    labelled = [place for place, is_labelled in enumerate(example.labelled) if is_labelled and place]
    labelled = [place for place in labelled if place < longest]
    if not labelled:
        return None
    chosen = np.linspace(0, len(labelled) - 1, min(n_places, len(labelled))).round().astype(int)
    places = tuple(labelled[number] for number in chosen)
    return Sample(example.token_ids[: places[-1] + 1], places)


def rows_of(engine: Engine, sample: Sample, adapter: str | None) -> FloatArray:
    """Log-probabilities (places, n_vocab) before each of the sample's places."""
    first, last = sample.places[0], sample.places[-1]
    rows = engine.distributions(sample.token_ids[:last], last=last - first + 1, adapter=adapter)
    return rows[[place - first for place in sample.places]]


def rows_at(engine: Engine, sample: Sample, adapter: str | None) -> FloatArray:
    """The same, place by place: for an engine that computes one position at a time."""
    ids = sample.token_ids
    return np.concatenate(
        [engine.distributions(ids[:place], last=1, adapter=adapter) for place in sample.places]
    )


def mixed_rows(
    engine: Engine, samples: Sequence[Sample], adapter: str
) -> tuple[list[FloatArray], list[FloatArray]]:
    """All samples with the adapter and without it, side by side in batches of `BATCH`."""
    asked = [(sample, name) for sample in samples for name in (adapter, None)]
    with ThreadPoolExecutor(BATCH) as pool:
        rows = list(pool.map(lambda item: rows_of(engine, *item), asked))
    return rows[0::2], rows[1::2]


def mean_kl(reference: Sequence[FloatArray], other: Sequence[FloatArray]) -> float:
    """Mean over all positions of KL(reference || other), in nats, computed in float64."""
    n_rows = sum(len(rows) for rows in reference)
    total = sum(mean_kl_nats(one, two) * len(one) for one, two in zip(reference, other, strict=True))
    return max(total / n_rows, 0.0)
