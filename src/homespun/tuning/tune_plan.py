"""What a run will take, said before its first step: from a measured warm-up, not from a table."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from homespun.sizing.memory import BACKWARD_SHARE, TUNING_RUNTIME_BYTES, activation_bytes
from homespun.tuning.batches import step_places
from homespun.tuning.defaults import Chosen
from homespun.tuning.examples import EncodedExample
from homespun.tuning.options import TuneOptions
from homespun.tuning.prepare import Prepared
from homespun.tuning.trainer import Trainer


@dataclass(frozen=True)
class TunePlan:
    """Sizes, time and memory of a run.

    Attributes:
        n_tokens: of all training examples, once.
        n_trained, n_frozen: numbers that are learnt, and that are not.
        tokens_per_s: measured in the warm-up.
        seconds: of all steps and looks, by that speed.
        memory_bytes: of the process at most; disk_bytes: adapter and checkpoint.
    """

    n_examples: int
    n_heldout: int
    n_left_out: int
    n_tokens: int
    n_steps: int
    learning_rate: float
    n_trained: int
    n_frozen: int
    precision: str
    tokens_per_s: float
    seconds: float
    memory_bytes: int
    disk_bytes: int


def plan_run(
    trainer: Trainer, prepared: Prepared, chosen: Chosen, options: TuneOptions, precision: str
) -> TunePlan:
    """Measure one batch (twice: the first one warms up) and work out the rest; nothing is learnt."""
    places = step_places(len(prepared.train), options.batch_examples, 0, options.seed)
    batch = [prepared.train[place] for place in places]
    speed = _speed(trainer, batch)
    n_tokens = sum(len(example.token_ids) for example in prepared.train)
    per_step = n_tokens / len(prepared.train) * min(options.batch_examples, len(prepared.train))
    n_looks = 1 + -(-chosen.n_steps // chosen.look_every) if prepared.heldout else 0
    look_tokens = n_looks * sum(len(example.token_ids) for example in prepared.heldout)
    weights = trainer.network.weights
    n_learnt = trainer.learnt.n_trained
    return TunePlan(
        n_examples=len(prepared.train),
        n_heldout=len(prepared.heldout),
        n_left_out=len(prepared.left_out),
        n_tokens=n_tokens,
        n_steps=chosen.n_steps,
        learning_rate=chosen.learning_rate,
        n_trained=n_learnt,
        n_frozen=weights.file.n_parameters,
        precision=precision,
        tokens_per_s=speed,
        seconds=(chosen.n_steps * per_step + look_tokens / 2.5) / speed,  # a look has no backward pass
        memory_bytes=_memory_bytes(trainer, min(chosen.tokens_at_once, max(int(per_step), 1))),
        disk_bytes=4 * n_learnt * 5,
    )


def _memory_bytes(trainer: Trainer, n_tokens: int) -> int:
    """Of the process at most: what `homespun plan --for tune` counts, from the weights that are loaded now."""
    weights = trainer.network.weights
    config = weights.config
    kept = activation_bytes(config.hidden_size, config.ffn_size, config.n_layers) * n_tokens
    # Matrices that are not packed are packed once more for the processor's products, and their file is mapped.
    held = weights.n_bytes if weights.is_packed else 2 * weights.n_bytes + weights.file.size_bytes
    return TUNING_RUNTIME_BYTES + held + 16 * trainer.learnt.n_trained + round(BACKWARD_SHARE * kept)


def _speed(trainer: Trainer, batch: Sequence[EncodedExample]) -> float:
    """Tokens a second of forward and backward passes."""
    seconds = 1.0
    for _ in range(2):
        begun = time.perf_counter()
        figures = trainer.gradient(batch, number=0)
        seconds = time.perf_counter() - begun
        assert trainer.learnt.flat.grad is not None
        trainer.learnt.flat.grad.zero_()
    return figures.n_tokens / seconds
