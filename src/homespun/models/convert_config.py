"""What a GGUF must say about a model, out of a folder's config.json; what cannot be said is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from homespun.models.errors import ModelFileError
from homespun.models.folder import ModelFolder

#: model_type -> the GGUF's name of the architecture and the activation that its graph has.
_ARCHITECTURES = {
    "llama": ("llama", ("silu",)),
    "qwen2": ("qwen2", ("silu",)),
    "qwen3": ("qwen3", ("silu",)),
    "gemma3_text": ("gemma3", ("gelu_pytorch_tanh",)),
}
CONVERTED = tuple(_ARCHITECTURES)
_GEMMA_PERIOD = 6


@dataclass(frozen=True)
class FolderConfig:
    """The sizes and switches that a GGUF states.

    Attributes:
        rope_factors: a divisor for each rotary frequency (Llama 3.1), or None.
        rope_linear: a divisor of all positions, or None.
        rope_theta_local: base of the layers with a sliding window (Gemma 3), or None.
    """

    architecture: str
    n_layers: int
    hidden_size: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    ffn_size: int
    context_length: int
    rms_eps: float
    rope_theta: float
    rope_theta_local: float | None
    rope_factors: Any
    rope_linear: float | None
    sliding_window: int | None
    is_tied: bool


def read_config(folder: ModelFolder) -> FolderConfig:
    """The config of a folder that can be converted.

    Raises:
        ModelFileError: another architecture, or a switch that a GGUF of it cannot express.
    """
    if folder.architecture not in _ARCHITECTURES:
        raise ModelFileError(
            f"a model of the kind {folder.architecture!r} is not converted "
            f"(only {', '.join(_ARCHITECTURES)} are)",
            where=str(folder.path),
            remedy="Run the folder itself with the torch engine, or get the model's GGUF.",
        )
    architecture, activations = _ARCHITECTURES[folder.architecture]
    config = folder.config
    activation = config.get("hidden_activation") or config.get("hidden_act") or activations[0]
    _refuse(folder, activation not in activations, f"activation {activation}")
    _refuse(folder, bool(config.get("use_sliding_window")), "use_sliding_window")
    _refuse(folder, config.get("partial_rotary_factor", 1) != 1, "partial_rotary_factor")
    n_heads, hidden_size = _whole(folder, "num_attention_heads"), _whole(folder, "hidden_size")
    head_size = config.get("head_dim") or hidden_size // n_heads
    theta, scaling = _rope(config)
    local = None
    if architecture == "gemma3":
        _check_gemma(folder, head_size)
        local = _local_theta(config)
    factors, linear = _scaling(folder, scaling, theta, head_size)
    return FolderConfig(
        architecture=architecture,
        n_layers=_whole(folder, "num_hidden_layers"),
        hidden_size=hidden_size,
        n_heads=n_heads,
        n_kv_heads=config.get("num_key_value_heads") or n_heads,
        head_size=int(head_size),
        ffn_size=_whole(folder, "intermediate_size"),
        context_length=_whole(folder, "max_position_embeddings"),
        rms_eps=float(config.get("rms_norm_eps", 1e-6)),
        rope_theta=theta,
        rope_theta_local=local,
        rope_factors=factors,
        rope_linear=linear,
        sliding_window=_whole(folder, "sliding_window") if architecture == "gemma3" else None,
        is_tied=_is_tied(folder),
    )


def _refuse(folder: ModelFolder, is_so: bool, what: str) -> None:
    if is_so:
        raise ModelFileError(
            f"a GGUF of the kind {folder.architecture} cannot express this model's {what}",
            where=str(folder.path),
            remedy="Run the folder itself with the torch engine.",
        )


def _whole(folder: ModelFolder, key: str) -> int:
    value = folder.config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelFileError(
            f"config.json says {key} {value!r}, which makes no sense", where=str(folder.path)
        )
    return value


def _is_tied(folder: ModelFolder) -> bool:
    has_head = "lm_head.weight" in folder.tensors
    if folder.config.get("tie_word_embeddings") is False and not has_head:
        raise ModelFileError("the folder has no tensor lm_head.weight", where=str(folder.path))
    return bool(folder.config.get("tie_word_embeddings", not has_head)) or not has_head


def _rope(config: Mapping[str, Any]) -> tuple[float, Mapping[str, Any]]:
    """Base and scaling; older configs keep them apart, newer ones together or by kind of layer."""
    parameters = config.get("rope_parameters")
    if isinstance(parameters, dict):
        parameters = parameters.get("full_attention", parameters)
        return float(parameters.get("rope_theta", 10_000.0)), parameters
    return float(config.get("rope_theta", 10_000.0)), config.get("rope_scaling") or {}


def _local_theta(config: Mapping[str, Any]) -> float:
    parameters = config.get("rope_parameters")
    local = parameters.get("sliding_attention", {}) if isinstance(parameters, dict) else {}
    return float(local.get("rope_theta") or config.get("rope_local_base_freq") or 10_000.0)


def _scaling(
    folder: ModelFolder, scaling: Mapping[str, Any], theta: float, head_size: int
) -> tuple[Any, float | None]:
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind == "default":
        return None, None
    if kind == "linear":
        return None, float(scaling["factor"])
    _refuse(folder, kind != "llama3", f"rotary scaling {kind}")
    return llama3_factors(scaling, theta, head_size), None


def llama3_factors(scaling: Mapping[str, Any], theta: float, head_size: int) -> Any:
    """The divisor of each rotary frequency that Llama 3.1's scaling amounts to: (head_size / 2,) float32.

    Waves that fit often into the original window stay, those longer than it are divided by the factor, and
    in between it is a blend (Grattafiori et al. 2024).
    """
    factor, low, high = (float(scaling[f"{k}factor"]) for k in ("", "low_freq_", "high_freq_"))
    original = float(scaling["original_max_position_embeddings"])
    frequencies = theta ** -(np.arange(0, head_size, 2, dtype=np.float64) / head_size)
    turns = original * frequencies / (2 * pi)
    blend = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - blend) / factor + blend)).astype(np.float32)


def _check_gemma(folder: ModelFolder, head_size: int) -> None:
    config = folder.config
    scalar = config.get("query_pre_attn_scalar", 256)
    _refuse(folder, scalar != head_size, f"query_pre_attn_scalar {scalar}")
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        _refuse(folder, bool(config.get(key)), key)
    layers = config.get("layer_types")
    if layers is not None:
        usual = [
            "full_attention" if (i + 1) % _GEMMA_PERIOD == 0 else "sliding_attention"
            for i in range(len(layers))
        ]
        _refuse(folder, layers != usual, "order of layers with a sliding window")
    else:
        _refuse(
            folder,
            config.get("sliding_window_pattern", _GEMMA_PERIOD) != _GEMMA_PERIOD,
            "sliding_window_pattern",
        )
