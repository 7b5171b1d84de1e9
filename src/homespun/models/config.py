"""The sizes and switches of a model, from its file's metadata.

Key names are those of the GGUF specification. A file of an architecture that no engine here runs
still has a config, so that it can be shown; a size that it does not state is 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from homespun.models.errors import ModelFileError
from homespun.models.gguf import GGUFFile

#: Factors that bend scores or logits. Nothing here computes with them, and leaving one out would be wrong.
_UNKNOWN_FACTORS = ("attn_logit_softcapping", "final_logit_softcapping", "attention.scale", "logit_scale")


@dataclass(frozen=True)
class ModelConfig:
    """What an engine must know to run a decoder, and a planner to size it.

    Attributes:
        architecture: such as "llama".
        n_layers: blocks.
        hidden_size: width of the residual stream.
        n_heads: query heads (of the first layer that has attention).
        n_kv_heads: key and value heads.
        head_size: width of one key head.
        value_size: width of one value head.
        ffn_size: inner width of the feed-forward part.
        vocab_size: rows of the embedding table.
        context_length: tokens that the model was trained on in one window.
        rope_theta: base of the rotary position angles.
        rope_dim: how many of a head's values are rotated.
        rope_scaling: None, or {"type", "factor", "original_context_length", ...} as the file has it;
            "frequency_factors": True when the file brings its own factor for each frequency.
        rms_eps: what RMS norm adds before the root.
        tied_head: the output head is the embedding table.
        has_qkv_bias: query, key and value projections add a bias.
        has_qk_norm: queries and keys are normalized per head.
        sliding_window: tokens that a layer with a local window sees, itself included, or None.
        local_layers: which layers see only that window; empty where none does.
        local_rope_theta: base of the rotary angles in these layers.
        unknown_factor: a factor on scores or logits that the file states and nothing here computes with.
    """

    architecture: str
    n_layers: int
    hidden_size: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    ffn_size: int
    vocab_size: int
    context_length: int
    rope_theta: float
    rope_dim: int
    rope_scaling: dict[str, Any] | None
    rms_eps: float
    tied_head: bool
    has_qkv_bias: bool
    has_qk_norm: bool
    sliding_window: int | None
    value_size: int = 0
    local_layers: tuple[bool, ...] = ()
    local_rope_theta: float = 0.0
    unknown_factor: str | None = None

    @classmethod
    def from_gguf(cls, file: GGUFFile) -> "ModelConfig":
        """Read the config of a verified file.

        Raises:
            ModelFileError: sizes that contradict each other, such as heads that do not divide.
        """
        entries = _Entries(file)
        n_heads = entries.whole("attention.head_count")
        hidden_size = entries.whole("embedding_length")
        head_size = entries.whole("attention.key_length", hidden_size // n_heads if n_heads else 0)
        n_kv_heads = entries.whole("attention.head_count_kv", n_heads)
        if n_kv_heads and n_heads % n_kv_heads:
            raise ModelFileError(
                f"{n_heads} query heads cannot share {n_kv_heads} key heads evenly", where=str(file.path)
            )
        names = file.tensors
        return cls(
            architecture=file.architecture,
            n_layers=entries.whole("block_count"),
            hidden_size=hidden_size,
            n_heads=n_heads,
            n_kv_heads=n_kv_heads,
            head_size=head_size,
            value_size=entries.whole("attention.value_length", head_size),
            ffn_size=entries.whole("feed_forward_length"),
            vocab_size=_vocab_size(file, entries),
            context_length=entries.whole("context_length"),
            rope_theta=entries.real("rope.freq_base", 10_000.0),
            rope_dim=entries.whole("rope.dimension_count", head_size),
            rope_scaling=_rope_scaling(file, entries),
            rms_eps=entries.real("attention.layer_norm_rms_epsilon", 0.0),
            tied_head="output.weight" not in names,
            has_qkv_bias="blk.0.attn_q.bias" in names or "blk.0.attn_qkv.bias" in names,
            has_qk_norm="blk.0.attn_q_norm.weight" in names,
            sliding_window=entries.whole("attention.sliding_window") or None,
            local_layers=_local_layers(entries),
            local_rope_theta=entries.real("rope.freq_base_swa", 10_000.0),
            unknown_factor=next((key for key in _UNKNOWN_FACTORS if entries.get(key)), None),
        )

    def is_local(self, layer: int) -> bool:
        """Whether a layer sees only the sliding window."""
        return bool(self.local_layers) and self.local_layers[layer]


class _Entries:
    """The metadata under the architecture's own name."""

    def __init__(self, file: GGUFFile) -> None:
        self.metadata: Mapping[str, Any] = file.metadata
        self.architecture = file.architecture
        self.where = str(file.path)

    def get(self, key: str) -> Any:
        value = self.metadata.get(f"{self.architecture}.{key}")
        if isinstance(value, np.ndarray):
            # One value a layer: layers without attention state 0.
            used = [number for number in value.tolist() if number]
            return used[0] if used else None
        return value

    def whole(self, key: str, default: int = 0) -> int:
        return int(self._number(key, default))

    def real(self, key: str, default: float) -> float:
        return float(self._number(key, default))

    def _number(self, key: str, default: float) -> float:
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, int | float) or value != value or value < 0:
            raise ModelFileError(f"{self.architecture}.{key} is {value!r}, not a number", where=self.where)
        return value


def _local_layers(entries: _Entries) -> tuple[bool, ...]:
    """Gemma 3: five layers with a window, then one that sees everything, unless the file says otherwise."""
    n_layers = entries.whole("block_count")
    if entries.architecture != "gemma3" or not entries.whole("attention.sliding_window"):
        return ()
    pattern = entries.metadata.get("gemma3.attention.sliding_window_pattern", 6)
    if isinstance(pattern, int) and pattern > 0:
        return tuple((layer + 1) % pattern != 0 for layer in range(n_layers))
    flags = np.asarray(pattern).reshape(-1)
    if len(flags) != n_layers:
        raise ModelFileError(
            f"gemma3.attention.sliding_window_pattern is for {len(flags)} layers, and there are {n_layers}",
            where=entries.where,
        )
    return tuple(bool(flag) for flag in flags)


def _vocab_size(file: GGUFFile, entries: _Entries) -> int:
    embedding = file.tensors.get("token_embd.weight")
    if embedding is not None and len(embedding.shape) == 2:
        return embedding.shape[0]
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    return entries.whole("vocab_size", len(tokens) if isinstance(tokens, list) else 0)


def _rope_scaling(file: GGUFFile, entries: _Entries) -> dict[str, Any] | None:
    kind = entries.get("rope.scaling.type")
    factor = entries.get("rope.scaling.factor") or entries.get("rope.scale_linear")
    own_factors = any(name in file.tensors for name in ("rope_freqs.weight", "rope_factors_long.weight"))
    if kind in (None, "none") and (factor is None or factor in (0, 1)) and not own_factors:
        return None
    scaling: dict[str, Any] = {"type": kind or ("linear" if factor else "factors")}
    if factor:
        scaling["factor"] = float(factor)
    original = entries.get("rope.scaling.original_context_length")
    if original:
        scaling["original_context_length"] = int(original)
    for name in ("attn_factor", "yarn_log_multiplier", "finetuned"):
        value = entries.get(f"rope.scaling.{name}")
        if value is not None:
            scaling[name] = value
    if own_factors:
        scaling["frequency_factors"] = True
    return scaling
