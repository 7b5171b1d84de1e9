"""Options of `homespun quantize`."""

from dataclasses import dataclass, field

from homespun.planning.errors import PlanError


@dataclass(frozen=True)
class QuantizeOptions:
    """What is measured, and how much may be lost."""

    tokens: int = field(default=1024, metadata={"help": "tokens of text on which the loss is measured"})
    most_kl: float = field(
        default=0.02, metadata={"help": "nats of mean KL to the source that a recommended file may lose"}
    )
    speed: bool = field(
        default=True, metadata={"help": "measure reading, writing and memory of each file on this machine"}
    )

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise PlanError(f"tokens is {self.tokens}; it must be 1 or more")
        if not self.most_kl >= 0:
            raise PlanError(f"most_kl is {self.most_kl}; it must be 0 or more")
