"""What each option makes of the odds of the next token, one stage after the other, as pure functions.

The stages are those of `homespun.engines.sampling.next_probabilities`, in its order; the last one is what
is drawn from.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homespun.engines.engine import GenerateOptions
from homespun.engines.sampling import (
    keep_min_p,
    keep_top_k,
    keep_top_p,
    next_probabilities,
    penalize_repeats,
)

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Stage:
    """Odds after one option.

    Attributes:
        name: of the option with its value; "model" is before all.
        probabilities: float64 (n_vocab,), summing to 1.
        n_left: tokens that may still be drawn.
    """

    name: str
    probabilities: Floats

    @property
    def n_left(self) -> int:
        return int(np.count_nonzero(self.probabilities))

    @property
    def entropy_nats(self) -> float:
        return entropy_nats(self.probabilities)

    @property
    def n_effective(self) -> float:
        """The number of equally likely tokens with the same entropy."""
        return float(np.exp(self.entropy_nats))


def softmax(logits: Floats | Sequence[float]) -> Floats:
    """Probabilities of logits along the last axis, float64."""
    values = np.asarray(logits, np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def entropy_nats(probabilities: Floats) -> float:
    """Shannon's entropy of one distribution, in nats; impossible outcomes add nothing."""
    some = probabilities[probabilities > 0]
    return float(-(some * np.log(some)).sum()) + 0.0


def stages(logits: Floats, options: GenerateOptions, seen: Collection[int] = ()) -> list[Stage]:
    """The odds before and after each option that changes them.

    Args:
        logits: (n_vocab,); log-probabilities serve as well, for softmax takes no notice of a shift.
        options: penalty, temperature, top-k, top-p and min-p are looked at.
        seen: tokens that the repeat penalty is for.

    Returns:
        The model's own odds first; then one stage for each option that is on.
    """
    found = [Stage("model", softmax(logits))]
    changed = penalize_repeats(np.asarray(logits), seen, options.repeat_penalty)
    if options.repeat_penalty != 1.0:
        found.append(Stage(f"repeat penalty {options.repeat_penalty:g}", softmax(changed)))
    if options.temperature == 0:
        found.append(Stage("most probable", next_probabilities(logits, options, seen)))
        return found
    odds = softmax(np.asarray(changed, np.float64) / options.temperature)
    if options.temperature != 1.0:
        found.append(Stage(f"temperature {options.temperature:g}", odds))
    for name, value, is_on, keep in (
        ("top-k", options.top_k, options.top_k > 0, lambda p: keep_top_k(p, options.top_k)),
        ("top-p", options.top_p, options.top_p < 1, lambda p: keep_top_p(p, options.top_p)),
        ("min-p", options.min_p, options.min_p > 0, lambda p: keep_min_p(p, options.min_p)),
    ):
        if is_on:
            kept = keep(odds)
            odds = kept / kept.sum()
            found.append(Stage(f"{name} {value:g}", odds))
    return found
