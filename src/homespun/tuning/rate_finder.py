"""A learning rate by trial (Smith 2017): steps with rising rates, until the loss turns up."""

import math
from collections.abc import Sequence

from homespun.progress import Progress, no_progress
from homespun.tuning.batches import step_places
from homespun.tuning.errors import TuneError
from homespun.tuning.examples import EncodedExample
from homespun.tuning.trainer import Trainer

LOWEST, HIGHEST, N_STEPS = 1e-5, 1e-1, 24
#: The loss of a step is smoothed by this share of the one before.
SMOOTHING = 0.7
#: A loss this much above the lowest has turned up for good.
TURNED_UP = 1.3


def find_rate(
    trainer: Trainer,
    examples: Sequence[EncodedExample],
    batch_examples: int,
    seed: int,
    *,
    progress: Progress = no_progress,
) -> float:
    """Try rising rates from the start; everything is put back as it was."""
    before = {name: tensor.clone() for name, tensor in trainer.state().items()}
    rates = [LOWEST * (HIGHEST / LOWEST) ** (step / (N_STEPS - 1)) for step in range(N_STEPS)]
    losses: list[float] = []
    try:
        for step, rate in enumerate(rates):
            progress("Trying learning rates", step, N_STEPS)
            places = step_places(len(examples), batch_examples, step, seed)
            try:
                losses.append(trainer.step([examples[p] for p in places], number=step, rate=rate).loss)
            except TuneError:  # the loss is not a number any more: far too fast
                break
            if has_turned_up(losses):
                break
    finally:
        trainer.restore(before)
    return picked_rate(rates[: len(losses)], losses)


def smoothed(losses: Sequence[float]) -> list[float]:
    """Exponential averages, corrected for their start."""
    found: list[float] = []
    average = 0.0
    for place, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        found.append(average / (1 - SMOOTHING**place))
    return found


def has_turned_up(losses: Sequence[float]) -> bool:
    """Whether the smoothed loss is far above its lowest."""
    steady = smoothed(losses)
    return bool(steady) and (steady[-1] > TURNED_UP * min(steady) or not math.isfinite(steady[-1]))


def picked_rate(rates: Sequence[float], losses: Sequence[float]) -> float:
    """A third of the rate at which the smoothed loss was lowest: large, and still far from the turn.

    Raises:
        TuneError: no rate lowered the loss.
    """
    steady = smoothed(losses)
    if not steady or min(steady) >= steady[0]:
        raise TuneError(
            "no learning rate lowered the loss", remedy="Leave --find-learning-rate out, or look at the data."
        )
    return rates[steady.index(min(steady))] / 3
