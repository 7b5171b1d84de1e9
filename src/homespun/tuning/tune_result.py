"""What a run left behind."""

from dataclasses import dataclass
from pathlib import Path

from homespun.tuning.adapters import Losses
from homespun.tuning.forgetting import ForgettingReport
from homespun.tuning.receipt import Receipt
from homespun.tuning.tune_plan import TunePlan


@dataclass(frozen=True)
class TuneResult:
    """What a run left behind.

    Attributes:
        stopped: why it ended: "steps" (all done) or "patience" (the held-out loss no longer fell).
        left_out: rows that were not trained on, each "FILE:LINE: why".
        losses: nats a learnt token; the adapter is that of the best held-out loss.
        model: the file of the model that it made, where it did not make a live adapter.
        receipt: whether it is served as it was trained; None where it was not asked for or cannot be.
        forgetting: what the model lost by it.
    """

    name: str
    path: Path
    n_steps: int
    stopped: str
    plan: TunePlan
    losses: Losses
    seconds: float
    n_resumed: int
    left_out: tuple[str, ...]
    model: Path | None = None
    receipt: Receipt | None = None
    forgetting: ForgettingReport | None = None
