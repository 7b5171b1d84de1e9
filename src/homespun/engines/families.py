"""The kinds of models whose structure is built here, layer by layer, by the OpenVINO and torch engines."""

from typing import Any

from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile

SUPPORTED_ARCHITECTURES = ("llama", "qwen2", "qwen3")

_LAYER_KINDS = frozenset(
    ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm", "ffn_norm")
) | frozenset(("ffn_gate", "ffn_up", "ffn_down"))
_PLAIN = frozenset(("token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight"))


def unknown_structure(file: GGUFFile, config: ModelConfig) -> str | None:
    """Why a file's model is not one that is built here; None where it is."""
    if config.architecture not in SUPPORTED_ARCHITECTURES:
        return f"architecture {config.architecture!r} is not one of {', '.join(SUPPORTED_ARCHITECTURES)}"
    if not _is_plain_rotary(config.rope_scaling):
        return f"rotary scaling {config.rope_scaling} is not supported"
    if config.sliding_window:
        return f"a sliding window of {config.sliding_window} tokens is not supported"
    if config.rope_dim != config.head_size or config.value_size != config.head_size:
        return "heads that are rotated in part, or whose values have another width, are not supported"
    return _unknown_tensor(file)


def _is_plain_rotary(scaling: dict[str, Any] | None) -> bool:
    """Unscaled, or with the file's own factor for each frequency and nothing else."""
    if scaling is None:
        return True
    return scaling.get("type") in ("factors", "none") and set(scaling) <= {"type", "frequency_factors"}


def _unknown_tensor(file: GGUFFile) -> str | None:
    """A tensor that the graph would leave out would change the numbers without a word."""
    for name in file.tensors:
        parts = name.split(".")
        is_layer = len(parts) == 4 and parts[0] == "blk" and parts[2] in _LAYER_KINDS
        if name not in _PLAIN and not (is_layer and parts[3] in ("weight", "bias")):
            return f"tensor {name} is not one that this engine knows"
    return None
