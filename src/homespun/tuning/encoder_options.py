"""What a person may choose about the tuning of an embedder."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EncoderTuneOptions:
    """How an embedder is tuned."""

    epochs: int = field(default=1, metadata={"help": "passes over the questions"})
    learning_rate: float = field(default=5e-5, metadata={"help": "largest step; it rises, then falls to 0"})
    batch_pairs: int = field(
        default=32, metadata={"help": "questions at once: each one's passage is told from the others'"}
    )
    hard_negatives: int = field(
        default=1, metadata={"help": "passages a question that keywords find but that do not answer it"}
    )
    heldout: float = field(
        default=0.25, metadata={"help": "share of the questions that is never learnt, to measure the gain by"}
    )
    seed: int = field(default=0, metadata={"help": "of the split, the order and the draws"})
    threads: int = field(default=0, metadata={"help": "processor threads; 0: all that this process may use"})
