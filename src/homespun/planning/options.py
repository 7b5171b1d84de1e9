"""What a plan is asked for."""

from dataclasses import dataclass, field
from typing import Literal

Use = Literal["run", "serve", "tune"]
PlannedEngine = Literal["auto", "openvino", "llama.cpp"]


@dataclass(frozen=True)
class PlanOptions:
    """What the model is planned for. A value of 0 means: chosen."""

    use: Use = field(default="run", metadata={"flag": False})
    window: int = field(
        default=0, metadata={"help": "tokens of prompt and answer; 0: 8192, or the model's own"}
    )
    clients: int = field(default=0, metadata={"help": "texts at once; 0: 1, or 4 to serve"})
    engine: PlannedEngine = field(default="auto", metadata={"help": "auto, openvino or llama.cpp"})
    mode: Literal["fast", "exact"] = field(default="fast", metadata={"help": "fast or exact"})
    cache: Literal["auto", "f32", "f16", "u8"] = field(
        default="auto", metadata={"help": "keys and values kept in: auto, f32, f16 or u8"}
    )
    flash_attention: bool = field(
        default=True, metadata={"help": "llama.cpp computes attention piece by piece (exact mode does not)"}
    )
    adapters: int = field(default=0, metadata={"help": "adapters loaded beside the model"})
    method: Literal["lora", "qlora", "full"] = field(
        default="lora", metadata={"help": "of tuning: lora, qlora or full"}
    )
    rank: int = field(default=16, metadata={"help": "of adapters"})
    tokens_at_once: int = field(default=0, metadata={"help": "tokens that tuning computes together; 0: 640"})
    recompute: bool = field(default=False, metadata={"help": "tuning keeps one row a layer (less memory)"})
    passages: int = field(default=0, metadata={"help": "passages of the library that is asked too"})
    image_size: int = field(
        default=0,
        metadata={"help": "pixels of an image's side, for vision parts that read any; 0: their own"},
    )
    memory: float = field(
        default=0.0, metadata={"help": "GB of the machine to plan for; 0: what is free here"}
    )
