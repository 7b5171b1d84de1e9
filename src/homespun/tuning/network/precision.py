"""In which numbers the products of a training step are computed, and why."""

from dataclasses import dataclass
from typing import Any, Literal

from homespun.engines.torch_model import import_torch
from homespun.tuning.errors import TuneError

TrainPrecision = Literal["auto", "f32", "bf16", "fp16"]


@dataclass(frozen=True)
class ChosenPrecision:
    """What is in force.

    Attributes:
        dtype: torch's type of the products and of what flows between layers.
        scales_loss: the loss is multiplied before the backward pass so that fp16 gradients do not vanish.
        why: one sentence for the person.
    """

    name: str
    dtype: Any
    scales_loss: bool
    why: str


def choose_precision(asked: TrainPrecision, device: str) -> ChosenPrecision:
    """The precision in force on a device. What is trained always has float32 master copies.

    Raises:
        TuneError: fp16 on a processor, which computes it slowly and loses small gradients.
    """
    torch = import_torch()
    if asked == "fp16" and device == "cpu":
        raise TuneError("fp16 is for GPUs without bfloat16", remedy="Use --precision bf16 or f32 here.")
    if asked == "auto":
        asked = _best(torch, device)
    reasons = {
        "f32": "float32: every product exact to 24 bits; this processor has no faster bfloat16"
        if device == "cpu"
        else "float32, as asked for",
        "bf16": "bfloat16 products (8 bits of precision, float32's range: no loss scaling), float32 masters",
        "fp16": "float16 products (11 bits, small range: the loss is scaled), float32 masters",
    }
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[asked]
    return ChosenPrecision(asked, dtype, asked == "fp16", reasons[asked])


def _best(torch: Any, device: str) -> TrainPrecision:
    if device == "cpu":
        return "bf16" if _has_bf16() else "f32"
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "f32"


def _has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 by itself."""
    from homespun.engines.processor import processor_name

    return any(label in processor_name() for label in ("bf16", "AMX"))
