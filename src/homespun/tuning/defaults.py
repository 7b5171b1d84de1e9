"""What is chosen where a person left it open, and the rule behind it."""

from dataclasses import dataclass

from homespun.tuning.batches import steps_per_epoch
from homespun.tuning.options import TuneOptions

#: Tokens computed together, within 1.5 GB for a small model; 4,096 are a quarter faster and take twice as much.
TOKENS_AT_ONCE = 640
_RATES = {"lora": 5e-4, "qlora": 5e-4, "dora": 4e-4, "full": 3e-5}


@dataclass(frozen=True)
class Chosen:
    """A run's lengths and rates, all settled.

    Attributes:
        n_steps: of the optimizer.
        look_every: steps between two looks at the held-out loss.
    """

    n_steps: int
    learning_rate: float
    tokens_at_once: int
    look_every: int


def chosen(options: TuneOptions, n_examples: int) -> Chosen:
    """Settle what is open.

    Few examples are seen more often (up to 6 times), many only once: about 120 steps or one epoch, whichever
    is more. The rate is that of small ranks on all linear layers; rank-stabilised scaling takes larger steps
    by itself, so it begins lower.
    """
    per_epoch = steps_per_epoch(n_examples, options.batch_examples)
    epochs = options.epochs or min(6.0, max(1.0, 120 / per_epoch))
    n_steps = max(1, round(epochs * per_epoch))
    if options.max_steps:
        n_steps = min(n_steps, options.max_steps)
    rate = options.learning_rate or _RATES[options.method] * (0.5 if options.rslora else 1.0)
    return Chosen(
        n_steps=n_steps,
        learning_rate=rate,
        tokens_at_once=options.tokens_at_once or TOKENS_AT_ONCE,
        look_every=options.evaluate_every or max(1, min(n_steps // 5, 50)),
    )
