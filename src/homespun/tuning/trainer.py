"""One step of training: gradients of a batch part by part, then one step of the optimizer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from homespun.tuning.batches import parts
from homespun.tuning.errors import TuneError
from homespun.tuning.examples import EncodedExample
from homespun.tuning.network.batch import pack
from homespun.tuning.network.full import FullParameters
from homespun.tuning.network.head import SummedLoss, token_log_probabilities
from homespun.tuning.network.network import Network
from homespun.tuning.network.parameters import LoraParameters
from homespun.tuning.network.precision import ChosenPrecision

#: What frozen lower layers gave is kept up to here; examples beyond it are computed at every step.
BELOW_BYTES = 1 << 30


@dataclass(frozen=True)
class StepFigures:
    """What one step did.

    Attributes:
        loss: nats a labelled token, the mean over all of the batch, before the step.
        gradient_norm: length of the gradient before it was clipped.
        n_tokens: of the batch, all of them useful.
    """

    loss: float
    gradient_norm: float
    n_tokens: int
    n_labelled: int


class Trainer:
    """AdamW (Loshchilov and Hutter 2019) on what is learnt beside a frozen network."""

    def __init__(
        self,
        network: Network,
        learnt: LoraParameters | FullParameters,
        precision: ChosenPrecision,
        *,
        tokens_at_once: int,
        weight_decay: float,
        clip: float,
        seed: int,
    ) -> None:
        self.network, self.learnt = network, learnt
        self._tokens_at_once, self._clip, self._seed = tokens_at_once, clip, seed
        self._optimizer = torch.optim.AdamW([learnt.flat], lr=0.0, weight_decay=weight_decay, foreach=False)
        self._scale = 2.0**15 if precision.scales_loss else 1.0
        self._grows_scale = precision.scales_loss
        self._below: dict[tuple[int, ...], torch.Tensor] = {}
        self._below_bytes = 0

    def step(self, examples: Sequence[EncodedExample], *, number: int, rate: float) -> StepFigures:
        """Learn from one batch.

        Args:
            number: of the step, from 0: seeds what is left out at random.
            rate: the learning rate.

        Raises:
            TuneError: the loss is not a number; nothing was changed.
        """
        self.network.seed_dropout(self._seed * 1_000_003 + number)
        figures = self.gradient(examples, number=number)
        flat = self.learnt.flat
        assert flat.grad is not None
        if not math.isfinite(figures.gradient_norm):
            if not self._grows_scale:
                raise _not_a_number(number, examples, "gradient")
            self._scale /= 2  # fp16 overflowed: this batch is left out, the next is scaled less
            flat.grad.zero_()
            return figures
        if self._clip and figures.gradient_norm > self._clip:
            flat.grad.mul_(self._clip / figures.gradient_norm)
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.step()
        flat.grad.zero_()
        return figures

    def gradient(self, examples: Sequence[EncodedExample], *, number: int) -> StepFigures:
        """Add a batch's gradient to what is there (mean over its labelled tokens), without a step.

        Raises:
            TuneError: the loss is not a number.
        """
        n_labelled = sum(sum(example.labelled[1:]) for example in examples)
        total = 0.0
        for part in parts(examples, self._tokens_at_once):
            batch = pack(part, self.network.weights.device)
            hidden = self.network.hidden(batch, self._known_below(part))
            loss = SummedLoss.apply(hidden, batch.targets, self.network.weights.head_parts)
            total += float(loss.detach())
            if not math.isfinite(total):
                assert self.learnt.flat.grad is not None
                self.learnt.flat.grad.zero_()
                raise _not_a_number(number, part, "loss")
            (loss * (self._scale / n_labelled)).backward()
        flat = self.learnt.flat
        assert flat.grad is not None
        if self._scale != 1:
            flat.grad.div_(self._scale)
        norm = float(flat.grad.double().norm()) if flat.device.type == "cpu" else float(flat.grad.norm())
        return StepFigures(total / n_labelled, norm, sum(len(e.token_ids) for e in examples), n_labelled)

    def loss(self, examples: Sequence[EncodedExample]) -> float:
        """Nats a labelled token over examples, without learning: the mean over all their labelled tokens."""
        total, n_labelled = 0.0, 0
        with torch.no_grad():
            for part in parts(examples, self._tokens_at_once):
                batch = pack(part, self.network.weights.device)
                hidden = self.network.hidden(batch, self._known_below(part))
                found = token_log_probabilities(hidden, batch.targets, self.network.weights.head_parts)
                total -= float(found.double().sum())
                n_labelled += batch.n_labelled
        return total / n_labelled

    def state(self) -> dict[str, torch.Tensor]:
        """All that the next step depends on, but for the data and the step's number."""
        moments = self._optimizer.state.get(self.learnt.flat, {})
        empty = torch.zeros_like(self.learnt.flat.data)
        return {
            "flat": self.learnt.flat.data,
            "mean": moments.get("exp_avg", empty),
            "square": moments.get("exp_avg_sq", empty),
            "n_steps": torch.as_tensor(float(moments.get("step", 0.0))),
            "scale": torch.tensor(self._scale),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a state.

        Raises:
            TuneError: it belongs to another set of trained numbers.
        """
        if state["flat"].shape != self.learnt.flat.shape:
            raise TuneError("the checkpoint belongs to other options or another model")
        self.learnt.flat.data.copy_(state["flat"])
        self._scale = float(state["scale"])
        self._optimizer.state[self.learnt.flat] = {
            "step": state["n_steps"].clone(),
            "exp_avg": state["mean"].clone().to(self.learnt.flat.device),
            "exp_avg_sq": state["square"].clone().to(self.learnt.flat.device),
        }

    def _known_below(self, part: Sequence[EncodedExample]) -> torch.Tensor | None:
        """What enters the first trained layer: computed once an example where lower layers are frozen."""
        if not self.network.first_trained:
            return None
        unknown = [example for example in part if example.token_ids not in self._below]
        new: dict[tuple[int, ...], torch.Tensor] = {}
        if unknown:
            batch = pack(unknown, self.network.weights.device)
            rows = self.network.below(batch).split(batch.lengths)
            new = {e.token_ids: its.clone() for e, its in zip(unknown, rows, strict=True)}
            if self._below_bytes < BELOW_BYTES:
                self._below |= new
                self._below_bytes += sum(its.numel() * its.element_size() for its in new.values())
        return torch.cat([new[e.token_ids] if e.token_ids in new else self._below[e.token_ids] for e in part])


def _not_a_number(number: int, examples: Sequence[EncodedExample], what: str) -> Any:
    places = ", ".join(f"{e.file}:{e.line}" for e in examples if e.file) or "examples without a file"
    return TuneError(
        f"the {what} of step {number + 1} is not a number (its batch: {places})",
        remedy="Lower --learning-rate, or look at these rows with `homespun data check`.",
    )
