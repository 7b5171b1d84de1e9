"""What a person may choose about a run. A value of 0 (or "auto") means: chosen from the data and this machine."""

from dataclasses import dataclass, field
from typing import Literal

from homespun.tuning.network.precision import TrainPrecision

Method = Literal["lora", "dora", "qlora", "full"]
Schedule = Literal["linear", "cosine", "constant"]


@dataclass(frozen=True)
class TuneOptions:
    """How a model is tuned."""

    method: Method = field(
        default="lora",
        metadata={
            "help": "lora; qlora (the base stays packed: least memory); dora (served merged); full (small models)"
        },
    )
    rank: int = field(default=16, metadata={"help": "rank of the learnt matrices"})
    alpha: float = field(
        default=0.0, metadata={"help": "the change is scaled by alpha / rank; 0: twice the rank"}
    )
    rslora: bool = field(default=False, metadata={"help": "scale by alpha / sqrt(rank) instead"})
    targets: tuple[str, ...] = field(
        default=(), metadata={"help": "linear layers to tune, such as q_proj; none: all of them"}
    )
    layers: str = field(
        default="all", metadata={"help": "all, or FIRST-LAST, or upper:N (the last N: faster)"}
    )
    dropout: float = field(
        default=0.0, metadata={"help": "share of the inputs of A that is left out at random"}
    )
    epochs: float = field(
        default=0.0, metadata={"help": "passes over the examples; 0: chosen by their number"}
    )
    max_steps: int = field(
        default=0, metadata={"help": "end after this many steps; 0: no limit but the epochs"}
    )
    batch_examples: int = field(default=8, metadata={"help": "examples behind one step of the optimizer"})
    tokens_at_once: int = field(
        default=0,
        metadata={"help": "tokens computed together: a larger batch is computed in parts; 0: chosen"},
    )
    learning_rate: float = field(default=0.0, metadata={"help": "largest step; 0: chosen by method and data"})
    find_learning_rate: bool = field(
        default=False,
        metadata={"help": "try rising learning rates first, and take the one that measures best"},
    )
    schedule: Schedule = field(
        default="linear", metadata={"help": "how the rate falls: linear, cosine, constant"}
    )
    warmup: float = field(default=0.05, metadata={"help": "share of the steps in which the rate rises"})
    weight_decay: float = field(default=0.0, metadata={"help": "pull of the learnt numbers towards 0"})
    clip: float = field(default=1.0, metadata={"help": "longest gradient; longer ones are shortened to it"})
    precision: TrainPrecision = field(
        default="auto", metadata={"help": "of the products: auto, bf16, f32, fp16"}
    )
    max_tokens: int = field(
        default=2048, metadata={"help": "longest example; longer ones are left out, counted and named"}
    )
    heldout: float = field(default=0.1, metadata={"help": "share of the examples that is never trained on"})
    evaluate_every: int = field(
        default=0, metadata={"help": "steps between two looks at the held-out loss; 0: chosen"}
    )
    patience: int = field(
        default=3,
        metadata={"help": "end when the held-out loss has not fallen for this many looks; 0: never"},
    )
    save_every: float = field(default=30.0, metadata={"help": "seconds between two checkpoints"})
    recompute: bool = field(
        default=False,
        metadata={"help": "keep one row a layer and compute the rest again (less memory, slower)"},
    )
    replay: float = field(
        default=0.0, metadata={"help": "share of general examples mixed in, so that less is forgotten"}
    )
    samples: int = field(
        default=2, metadata={"help": "held-out questions answered by base and tuned at each look"}
    )
    receipt: bool = field(
        default=True, metadata={"help": "compare what was trained with what is served, at the end"}
    )
    forgetting: bool = field(default=True, metadata={"help": "measure what was forgotten, at the end"})
    seed: int = field(default=0, metadata={"help": "of the order, the split and the start"})
    threads: int = field(default=0, metadata={"help": "processor threads; 0: all that this process may use"})
    device: Literal["auto", "cpu", "cuda"] = field(default="auto", metadata={"help": "auto, cpu or cuda"})
