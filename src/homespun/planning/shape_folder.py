"""A Hugging Face folder's config.json and safetensors headers as a `ModelShape`."""

import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from homespun.planning.shape import KeptLayer, ModelShape, TensorRow, bytes_by_format

_EXPERT = re.compile(r"\.experts\.")
_LAYER = re.compile(r".*layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)\.(weight|bias)$")
_GGUF_NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}  # fmt: skip
_EMBEDDING = re.compile(r"(embed_tokens|wte|word_embeddings|shared)\.weight$")
_VISION = re.compile(r"(^|\.)(vision|visual|multi_modal|mm_projector|audio)")


def shape_of_folder(
    name: str, source: str, config: Mapping[str, Any], tensors: Iterable[TensorRow], known_bytes: int = 0
) -> ModelShape:
    """Count a model from its folder; see `shape_of_gguf`."""
    inner = config.get("text_config")
    sizes = _Sizes(inner if isinstance(inner, dict) else config)
    rows = list(tensors)
    unknown: list[str] = []
    weight_bytes, n_parameters = sum(row[3] for row in rows), sum(prod(row[1]) for row in rows)
    if known_bytes > 1.01 * weight_bytes + 1_000_000 and weight_bytes:  # headers that were not read
        unknown.append("the tensors of files whose headers were not read: counted by their size")
        n_parameters, weight_bytes = round(n_parameters * known_bytes / weight_bytes), known_bytes
    share = _active_share(sizes, rows, unknown)
    expert_rows = [row for row in rows if _EXPERT.search(row[0])]
    vision_bytes = sum(row[3] for row in rows if _VISION.search(row[0]))
    if vision_bytes:
        unknown.append("the buffer of its vision or audio part, which grows with what is attached")
    embedding = next((row for row in rows if _EMBEDDING.search(row[0])), None)
    head = next((row for row in rows if row[0].endswith("lm_head.weight")), None)
    return ModelShape(
        name=name,
        architecture=str(config.get("model_type", "")),
        source=source,
        n_parameters=n_parameters,
        n_active=n_parameters - round(sum(prod(row[1]) for row in expert_rows) * (1 - share)),
        weight_bytes=weight_bytes,
        active_bytes=weight_bytes - round(sum(row[3] for row in expert_rows) * (1 - share)),
        formats=bytes_by_format((row[2], row[3]) for row in rows),
        n_layers=sizes.whole("num_hidden_layers", "n_layer", "num_layers"),
        hidden_size=sizes.whole("hidden_size", "n_embd", "d_model"),
        ffn_size=sizes.whole("intermediate_size", "n_inner", "d_ff"),
        vocab_size=sizes.whole("vocab_size"),
        context_length=sizes.whole("max_position_embeddings", "n_positions", "n_ctx"),
        n_heads=sizes.whole("num_attention_heads", "n_head", "num_heads"),
        kept=_kept_layers(sizes, unknown),
        state_bytes=_no_state(sizes, rows, unknown),
        tensors=tuple((_gguf_name(row[0]), *row[1:]) for row in rows),
        embedding_values=prod(embedding[1]) if embedding else 0,
        head_values=prod(head[1]) if head else 0,
        unknown=tuple(unknown),
    )


def _gguf_name(name: str) -> str:
    """A tensor's name as GGUF has it, where it has one; formats are given by these names."""
    layer = _LAYER.match(name)
    if layer and layer[2] in _GGUF_NAMES:
        return f"blk.{layer[1]}.{_GGUF_NAMES[layer[2]]}.{layer[3]}"
    if name.endswith("lm_head.weight"):
        return "output.weight"
    return "token_embd.weight" if _EMBEDDING.search(name) else name


class _Sizes:
    """Whole numbers of config.json, under the names that makers give them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def whole(self, *keys: str) -> int:
        values = [self.config.get(key) for key in keys]
        whole = [v for v in values if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**40]
        return whole[0] if whole else 0


def _kept_layers(sizes: _Sizes, unknown: list[str]) -> tuple[KeptLayer, ...]:
    n_layers, n_heads = (
        sizes.whole("num_hidden_layers", "n_layer"),
        sizes.whole("num_attention_heads", "n_head"),
    )
    rank, rope = sizes.whole("kv_lora_rank"), sizes.whole("qk_rope_head_dim")
    if n_layers and rank:  # latent attention keeps one compressed row a token, and its position part
        return (KeptLayer(1, rank + rope, 0),) * min(n_layers, 100_000)
    if not n_layers or not n_heads:
        unknown.append("its attention (heads, key length): what a token keeps is not counted")
        return ()
    n_kv = sizes.whole("num_key_value_heads") or (1 if sizes.config.get("multi_query") else n_heads)
    key = sizes.whole("head_dim") or sizes.whole("hidden_size", "n_embd") // n_heads
    return tuple(KeptLayer(n_kv, key, key, window) for window in _windows(sizes, n_layers, unknown))


def _windows(sizes: _Sizes, n_layers: int, unknown: list[str]) -> list[int]:
    window = sizes.whole("sliding_window")
    if not window or sizes.config.get("use_sliding_window") is False:
        return [0] * n_layers
    kinds = sizes.config.get("layer_types")
    if isinstance(kinds, list) and len(kinds) == n_layers:
        return [window if kind == "sliding_attention" else 0 for kind in kinds]
    every = sizes.whole("sliding_window_pattern")
    if every:
        return [window if (layer + 1) % every else 0 for layer in range(n_layers)]
    if sizes.config.get("model_type") in ("mistral", "phi3", "starcoder2"):
        return [window] * n_layers
    unknown.append(f"which layers its window of {window:,} tokens holds for: all count as seeing everything")
    return [0] * n_layers


def _active_share(sizes: _Sizes, rows: list[TensorRow], unknown: list[str]) -> float:
    if not any(_EXPERT.search(row[0]) for row in rows):
        return 1.0
    n_experts = sizes.whole("num_local_experts", "num_experts", "n_routed_experts")
    n_used = sizes.whole("num_experts_per_tok", "num_experts_per_token", "moe_topk")
    if not n_experts or not n_used or n_used > n_experts:
        unknown.append("how many of its experts a token goes through: speed is counted as if all")
        return 1.0
    return n_used / n_experts


def _no_state(sizes: _Sizes, rows: list[TensorRow], unknown: list[str]) -> int:
    if any(re.search(r"\.(mamba|mixer|linear_attn|ssm)\.", row[0]) for row in rows):
        unknown.append("the state that its recurrent layers keep; they count as attention")
    return 0
