"""The kinds of models whose structure is built here, layer by layer, by the OpenVINO and torch engines."""

from dataclasses import dataclass
from typing import Any, Literal

from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile


@dataclass(frozen=True)
class Family:
    """Where architectures of the same plan differ.

    Attributes:
        activation: of the gate in the feed-forward part.
        scales_embedding: token rows are multiplied by the root of the hidden size.
        norms_add_one: transformers stores a norm's weight less 1; the file has it ready to multiply.
        windowed: layers may see only a sliding window.
    """

    activation: Literal["silu", "gelu_tanh"] = "silu"
    scales_embedding: bool = False
    norms_add_one: bool = False
    windowed: bool = False


FAMILIES = {
    "llama": Family(),
    "qwen2": Family(),
    "qwen3": Family(),
    "gemma3": Family("gelu_tanh", scales_embedding=True, norms_add_one=True, windowed=True),
}
SUPPORTED_ARCHITECTURES = tuple(FAMILIES)
GEMMA3_27B_LAYERS = 62

_LAYER_KINDS = frozenset(
    ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm", "ffn_norm")
) | frozenset(("ffn_gate", "ffn_up", "ffn_down"))
_GEMMA_KINDS = frozenset(("post_attention_norm", "post_ffw_norm"))
_PLAIN = frozenset(("token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight"))


def unknown_structure(file: GGUFFile, config: ModelConfig) -> str | None:
    """Why a file's model is not one that is built here; None where it is."""
    if config.architecture not in SUPPORTED_ARCHITECTURES:
        return f"architecture {config.architecture!r} is not one of {', '.join(SUPPORTED_ARCHITECTURES)}"
    if not _is_plain_rotary(config.rope_scaling):
        return f"rotary scaling {config.rope_scaling} is not supported"
    if config.architecture == "gemma3" and config.n_layers == GEMMA3_27B_LAYERS:
        return "gemma3 of 27B scales its attention in a way of its own, which is not supported"
    if config.unknown_factor:
        return f"{config.unknown_factor} bends the numbers in a way that is not supported"
    if config.architecture == "gemma3" and "rope_freqs.weight" in file.tensors:
        return "rotary factors of its own in a gemma3 file are not supported"
    if config.sliding_window and not FAMILIES[config.architecture].windowed:
        return f"a sliding window of {config.sliding_window} tokens is not supported"
    if config.rope_dim != config.head_size or config.value_size != config.head_size:
        return "heads that are rotated in part, or whose values have another width, are not supported"
    if not (config.n_layers and config.context_length and config.hidden_size and config.n_heads):
        return "the file does not state its layers, heads, width and context length"
    if config.head_size % 2 or config.rope_theta <= 0:
        return (
            f"heads of {config.head_size} values and a rotary base of {config.rope_theta:g} have no rotation"
        )
    return _unknown_tensor(file, config) or _wrong_shape(file, config)


def _is_plain_rotary(scaling: dict[str, Any] | None) -> bool:
    """Unscaled, scaled by one factor, or with the file's own factor for each frequency and nothing else."""
    if scaling is None:
        return True
    if scaling.get("type") == "linear" and scaling.get("factor"):
        return set(scaling) <= {"type", "factor", "original_context_length", "finetuned"}
    return scaling.get("type") in ("factors", "none") and set(scaling) <= {"type", "frequency_factors"}


def _unknown_tensor(file: GGUFFile, config: ModelConfig) -> str | None:
    """A tensor that the graph would leave out would change the numbers without a word."""
    kinds = _LAYER_KINDS | _GEMMA_KINDS if config.architecture == "gemma3" else _LAYER_KINDS
    for name in file.tensors:
        parts = name.split(".")
        is_layer = len(parts) == 4 and parts[0] == "blk" and parts[2] in kinds
        if name not in _PLAIN and not (is_layer and parts[3] in ("weight", "bias")):
            return f"tensor {name} is not one that this engine knows"
    return None


def _wrong_shape(file: GGUFFile, config: ModelConfig) -> str | None:
    """A tensor that is not as large as the metadata says, or that is not there."""
    hidden, ffn, head = config.hidden_size, config.ffn_size, config.head_size
    q, kv = config.n_heads * head, config.n_kv_heads * head
    matrices = {
        "attn_q": (q, hidden),
        "attn_k": (kv, hidden),
        "attn_v": (kv, hidden),
        "attn_output": (hidden, q),
        "ffn_gate": (ffn, hidden),
        "ffn_up": (ffn, hidden),
        "ffn_down": (hidden, ffn),
    }
    expected: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (config.vocab_size, hidden),
        "output_norm.weight": (hidden,),
    }
    for layer in range(config.n_layers):
        for kind, shape in {**matrices, "attn_norm": (hidden,), "ffn_norm": (hidden,)}.items():
            expected[f"blk.{layer}.{kind}.weight"] = shape
    optional: dict[str, tuple[int, ...]] = {
        "output.weight": (config.vocab_size, hidden),
        "rope_freqs.weight": (head // 2,),
    }
    for name, shape in (expected | optional).items():
        info = file.tensors.get(name)
        if info is None and name in expected:
            return f"tensor {name} is missing"
        if info is not None and info.shape != shape:
            return f"tensor {name} is {info.shape} large, and the metadata makes it {shape}"
    return None
