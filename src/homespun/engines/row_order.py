"""The order of the rows of llama's q and k, which ggml and transformers keep differently."""

import numpy as np
import numpy.typing as npt

from homespun.models.config import ModelConfig

Order = npt.NDArray[np.intp]


def interleaved_to_half(n_rows: int, n_heads: int) -> Order:
    """Row order that turns ggml's interleaved rotary layout of llama q and k into halves.

    llama.cpp stores each head's rows as pairs (0, d/2, 1, d/2+1, ...); the half layout is the one of
    transformers, and so of every PEFT adapter.
    """
    half = n_rows // n_heads // 2
    return np.arange(n_rows).reshape(n_heads, half, 2).swapaxes(1, 2).reshape(-1)


def to_half_order(config: ModelConfig, gguf_name: str, n_rows: int) -> Order | None:
    """The row order for a weight or bias of the file; None where the rows stay as they are.

    Args:
        gguf_name: the layer's name, without `.weight` or `.bias`.
    """
    kind = gguf_name.rsplit(".", 1)[-1]
    if config.architecture != "llama" or kind not in ("attn_q", "attn_k"):
        return None
    return interleaved_to_half(n_rows, config.n_heads if kind == "attn_q" else config.n_kv_heads)
