"""Which examples each step learns from: the same order on every machine and after every restart."""

from collections.abc import Iterator, Sequence

import numpy as np

from homespun.tuning.examples import EncodedExample


def step_places(n_examples: int, batch_examples: int, step: int, seed: int) -> list[int]:
    """Places of the examples behind a step (from 0), each epoch in a new order; the last batch of one is short."""
    per_epoch = steps_per_epoch(n_examples, batch_examples)
    epoch, within = divmod(step, per_epoch)
    order = np.random.default_rng((seed, epoch)).permutation(n_examples)
    found: list[int] = order[within * batch_examples : (within + 1) * batch_examples].tolist()
    return found


def steps_per_epoch(n_examples: int, batch_examples: int) -> int:
    """Steps that see every example once."""
    return -(-n_examples // batch_examples)


def parts(examples: Sequence[EncodedExample], tokens_at_once: int) -> Iterator[list[EncodedExample]]:
    """The examples of a batch in parts that are computed together: longest first, as many as the tokens allow.

    Only memory depends on the cut: the loss is the mean over all labelled tokens of the batch, not of parts.
    """
    part: list[EncodedExample] = []
    n_tokens = 0
    for example in sorted(examples, key=lambda e: -len(e.token_ids)):
        if part and n_tokens + len(example.token_ids) > tokens_at_once:
            yield part
            part, n_tokens = [], 0
        part.append(example)
        n_tokens += len(example.token_ids)
    if part:
        yield part
