"""What is wrong where training and serving disagree: the fault whose making in torch gives the served numbers.

Each fault that is known is made on the trained side, on a few examples; the one that comes closest to what
was served is named, if it explains nearly all of the difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from homespun.engines.engine import FloatArray
from homespun.engines.row_order import interleaved_to_half
from homespun.models.config import ModelConfig
from homespun.tuning.receipt_rows import Sample, mean_kl
from homespun.tuning.receipt_torch import Change, TrainedSide, reordered, scaled, without

N_SAMPLES = 2
EXPLAINED = 0.1  # a fault is named when at most this share of the difference is left

_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Fault:
    """A fault by name, and what it is in words. Empty name: none of the known ones."""

    name: str
    text: str


def diagnose(
    trained: TrainedSide,
    config: ModelConfig,
    samples: Sequence[Sample],
    served: Sequence[FloatArray],
    base: Sequence[FloatArray],
) -> Fault:
    """Name the fault behind served log-probabilities that are not those of the trained side.

    Args:
        served, base: log-probabilities of the samples, as served with the adapter and as torch gives them
            without it.
    """
    order = sorted(range(len(samples)), key=lambda number: len(samples[number].token_ids))[:N_SAMPLES]
    few = [samples[number] for number in order]
    wanted = [served[number] for number in order]

    def left(change: Change) -> float:
        with trained.changed(change):
            return mean_kl(wanted, trained.rows(few, tuned=True))

    now = mean_kl(wanted, trained.rows(few, tuned=True))
    if mean_kl(wanted, [base[number] for number in order]) <= EXPLAINED * now:
        return Fault("not applied", "the adapter is not applied: what is served is the base model")
    found = min(
        (*_heads(config, left), *_scales(left), *_missing(trained.sites, left)), key=lambda item: item[0]
    )
    if found[0] <= EXPLAINED * now:
        return found[1]
    return Fault("", "no known fault gives these numbers")


_Tried = tuple[float, Fault]


def _heads(config: ModelConfig, left: Callable[[Change], float]) -> list[_Tried]:
    sizes = {"q_proj": config.n_heads, "k_proj": config.n_kv_heads}
    to_half = {name: interleaved_to_half(n * config.head_size, n) for name, n in sizes.items()}
    back = {name: np.argsort(order) for name, order in to_half.items()}
    fault = Fault(
        "permuted heads",
        "permuted heads: the rows of q and k stand in the other order of rotary pairs",
    )
    return [(left(reordered(orders)), fault) for orders in (to_half, back)]


def _scales(left: Callable[[Change], float]) -> list[_Tried]:
    """The factor that comes closest: a coarse look over powers of two, then a golden-section search."""
    exponents = np.arange(-6.0, 6.5, 1.0)
    values = [left(scaled(2.0**e)) for e in exponents]
    best = int(np.argmin(values))
    low, high = exponents[best] - 1, exponents[best] + 1
    ratio = (5**0.5 - 1) / 2
    for _ in range(9):
        one, two = high - ratio * (high - low), low + ratio * (high - low)
        if left(scaled(2.0**one)) < left(scaled(2.0**two)):
            high = two
        else:
            low = one
    tried = [(values[best], exponents[best]), (left(scaled(2.0 ** ((low + high) / 2))), (low + high) / 2)]
    value, exponent = min(tried)
    factor = 2.0**exponent
    return [
        (
            value,
            Fault(
                "wrong alpha",
                f"wrong alpha: what is served is {factor:.2g} times the trained change "
                "(look at lora_alpha, r and rslora)",
            ),
        )
    ]


def _missing(sites: Sequence[str], left: Callable[[Change], float]) -> list[_Tried]:
    layers = sorted({int(site.split(".")[2]) for site in sites if site.startswith("model.layers.")})
    tried = [
        (
            left(without(lambda site, n=layer: site.startswith(f"model.layers.{n}."))),  # type: ignore[misc]
            Fault("missing layer", f"missing layer: layer {layer} is served without the adapter"),
        )
        for layer in layers
    ]
    kinds = {site.rsplit(".", 1)[-1] for site in sites}
    if len(kinds) > 1:
        tried += [
            (
                left(without(lambda site, k=kind: site.endswith(k))),  # type: ignore[misc]
                Fault("missing layer", f"missing layer: every {kind} is served without the adapter"),
            )
            for kind in _MODULES
            if kind in kinds
        ]
    return tried
