"""How large a step is: the rate rises in the warm-up and then falls."""

import math

from homespun.tuning.options import Schedule


def rate_at(step: int, n_steps: int, *, largest: float, warmup: float, schedule: Schedule) -> float:
    """The learning rate of a step (from 0). Linear and cosine reach 0 one step after the last."""
    n_rising = int(warmup * n_steps)
    if step < n_rising:
        return largest * (step + 1) / n_rising
    share = (step - n_rising) / max(1, n_steps - n_rising)
    if schedule == "linear":
        return largest * (1 - share)
    if schedule == "cosine":
        return largest * (1 + math.cos(math.pi * share)) / 2
    return largest
