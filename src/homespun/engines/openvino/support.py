"""Which GGUF files this engine runs exactly; every other one is refused by name, with the reason."""

from homespun.engines.errors import EngineError
from homespun.engines.openvino.graph import SUPPORTED_ARCHITECTURES
from homespun.engines.openvino.weights import SUPPORTED_FORMATS
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile


def unsupported_reason(file: GGUFFile, config: ModelConfig) -> str | None:
    """Why this engine does not take the file; None where it does."""
    if config.architecture not in SUPPORTED_ARCHITECTURES:
        return f"architecture {config.architecture!r} is not one of {', '.join(SUPPORTED_ARCHITECTURES)}"
    if config.rope_scaling and set(config.rope_scaling) - {"frequency_factors"}:
        return f"rotary scaling {config.rope_scaling} is not supported"
    if config.sliding_window:
        return f"a sliding window of {config.sliding_window} tokens is not supported"
    if config.rope_dim != config.head_size or config.value_size != config.head_size:
        return "heads that are rotated in part, or whose values have another width, are not supported"
    for name, tensor in file.tensors.items():
        if tensor.ggml_type not in SUPPORTED_FORMATS:
            return f"tensor {name} has format {tensor.ggml_type}; supported: {', '.join(SUPPORTED_FORMATS)}"
    return _unknown_tensor(file)


def _unknown_tensor(file: GGUFFile) -> str | None:
    """A tensor that the graph would leave out would change the numbers without a word."""
    kinds = {"attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"}
    kinds |= {"ffn_down", "attn_q_norm", "attn_k_norm"}
    plain = {"token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight"}
    for name in file.tensors:
        parts = name.split(".")
        is_layer = len(parts) == 4 and parts[0] == "blk" and parts[2] in kinds
        if name not in plain and not (is_layer and parts[3] in ("weight", "bias")):
            return f"tensor {name} is not one that this engine knows"
    return None


def check_supported(file: GGUFFile, config: ModelConfig) -> None:
    """Refuse a file that this engine cannot run exactly.

    Raises:
        EngineError: with the reason and the engine to use instead.
    """
    reason = unsupported_reason(file, config)
    if reason:
        raise EngineError(reason, where=str(file.path), remedy="Run it with --engine llama.cpp.")
