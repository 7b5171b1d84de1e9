"""A GGUF's header as a `ModelShape`: per-layer heads, key lengths, windows, experts, recurrent states.

Key names are those of the GGUF specification; which layers a window holds for is stated by few files and
fixed in llama.cpp by architecture (`llama-model.cpp`, `set_swa_pattern`).
"""

import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from homespun.planning.shape import KeptLayer, ModelShape, TensorRow, bytes_by_format

#: Every how manieth layer sees everything, where the file does not say; the last of each such group.
_WINDOW_PATTERNS = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "cohere2": 4,
    "gpt-oss": 2,
    "exaone4": 4,
    "olmo2": 4,
}
#: Whose window holds for each layer.
_ALL_LOCAL = ("phi3", "starcoder2", "mistral")
_EXPERT = re.compile(r"_exps\.(weight|bias)$")


def shape_of_gguf(
    name: str, source: str, metadata: Mapping[str, Any], tensors: Iterable[TensorRow], known_bytes: int = 0
) -> ModelShape:
    """Count a model from its header.

    Args:
        name, source: as in `ModelShape`.
        metadata: all entries.
        tensors: their names, shapes, formats and bytes.
        known_bytes: of files whose tensors are not among these.
    """
    rows = list(tensors)
    entries = _Entries(metadata)
    unknown: list[str] = []
    share = _active_share(entries, rows, unknown)
    n_layers = entries.whole("block_count")
    by_name = {row[0]: row for row in rows}
    embedding = by_name.get("token_embd.weight")
    head = by_name.get("output.weight")
    weight_bytes = sum(row[3] for row in rows)
    n_parameters = sum(prod(row[1]) for row in rows)
    if known_bytes > weight_bytes and rows:
        unknown.append("the formats of tensors in files whose headers were not read")
        n_parameters = round(n_parameters * known_bytes / weight_bytes)
        weight_bytes = known_bytes
    expert_rows = [row for row in rows if _EXPERT.search(row[0])]
    idle_bytes = sum(row[3] for row in expert_rows) * (1 - share)
    idle_values = sum(prod(row[1]) for row in expert_rows) * (1 - share)
    return ModelShape(
        name=name,
        architecture=entries.architecture,
        source=source,
        n_parameters=n_parameters,
        n_active=n_parameters - round(idle_values),
        weight_bytes=weight_bytes,
        active_bytes=weight_bytes - round(idle_bytes),
        formats=bytes_by_format((row[2], row[3]) for row in rows),
        n_layers=n_layers,
        hidden_size=entries.whole("embedding_length"),
        ffn_size=max(entries.layers("feed_forward_length", n_layers), default=0)
        or entries.whole("expert_feed_forward_length"),
        vocab_size=embedding[1][0] if embedding and len(embedding[1]) == 2 else _listed_tokens(metadata),
        context_length=entries.whole("context_length"),
        n_heads=max(entries.layers("attention.head_count", n_layers), default=0),
        has_merges="tokenizer.ggml.merges" in metadata,
        kept=_kept_layers(entries, n_layers, unknown),
        state_bytes=_state_bytes(entries, n_layers, rows, unknown),
        tensors=tuple(rows),
        embedding_values=prod(embedding[1]) if embedding else 0,
        head_values=prod(head[1]) if head else 0,
        unknown=tuple(unknown),
    )


class _Entries:
    """Metadata under the architecture's own name; what is no believable number counts as not stated."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self.metadata = metadata
        self.architecture = str(metadata.get("general.architecture", ""))

    def get(self, key: str) -> Any:
        value: Any = self.metadata.get(f"{self.architecture}.{key}")
        return value.tolist() if hasattr(value, "tolist") else value

    def whole(self, key: str) -> int:
        value = self.get(key)
        if isinstance(value, list):
            value = max((item for item in value if isinstance(item, int)), default=0)
        return value if isinstance(value, int) and 0 <= value < 2**40 else 0

    def layers(self, key: str, n_layers: int) -> list[int]:
        """One number for each layer, however the file states them; empty: not stated."""
        value = self.get(key)
        if isinstance(value, list):
            numbers = [int(item) if isinstance(item, int | bool) else 0 for item in value]
            return numbers if len(numbers) == n_layers else []
        return [self.whole(key)] * min(n_layers, 100_000) if value is not None else []


def _kept_layers(entries: _Entries, n_layers: int, unknown: list[str]) -> tuple[KeptLayer, ...]:
    n_heads = entries.layers("attention.head_count", n_layers)
    hidden = entries.whole("embedding_length")
    if not n_layers or not any(n_heads):
        unknown.append("its attention (heads, key length): what a token keeps is not counted")
        return ()
    n_kv = entries.layers("attention.head_count_kv", n_layers) or n_heads
    key = entries.whole("attention.key_length") or hidden // max(n_heads)
    value = entries.whole("attention.value_length") or key
    swa_key = entries.whole("attention.key_length_swa") or key
    swa_value = entries.whole("attention.value_length_swa") or value
    if not key:
        unknown.append("its key length: what a token keeps is not counted")
        return ()
    windows = _windows(entries, n_layers, unknown)
    return tuple(
        KeptLayer(heads, swa_key if window else key, swa_value if window else value, window)
        for heads, window in zip(n_kv, windows, strict=True)
        if heads
    )


def _windows(entries: _Entries, n_layers: int, unknown: list[str]) -> list[int]:
    """Tokens that each layer sees; 0: all."""
    window = entries.whole("attention.sliding_window")
    if not window:
        return [0] * n_layers
    stated = entries.get("attention.sliding_window_pattern")
    if isinstance(stated, list) and len(stated) == n_layers:
        return [window if local else 0 for local in stated]
    if entries.architecture in _ALL_LOCAL:
        return [window] * n_layers
    every = stated if isinstance(stated, int) and not isinstance(stated, bool) else 0
    every = every or _WINDOW_PATTERNS.get(entries.architecture, 0)
    if every <= 0:
        unknown.append(
            f"which layers its window of {window:,} tokens holds for: all count as seeing everything"
        )
        return [0] * n_layers
    return [window if (layer + 1) % every else 0 for layer in range(n_layers)]


def _active_share(entries: _Entries, rows: list[TensorRow], unknown: list[str]) -> float:
    """Which share of the experts a token goes through."""
    if not any(_EXPERT.search(row[0]) for row in rows):
        return 1.0
    n_experts, n_used = entries.whole("expert_count"), entries.whole("expert_used_count")
    if not n_experts or not n_used or n_used > n_experts:
        unknown.append("how many of its experts a token goes through: speed is counted as if all")
        return 1.0
    return n_used / n_experts


def _state_bytes(entries: _Entries, n_layers: int, rows: list[TensorRow], unknown: list[str]) -> int:
    """What recurrent layers keep, in float32: the last inputs of the convolution, and the state (Mamba)."""
    recurrent = {row[0].split(".")[1] for row in rows if re.match(r"blk\.\d+\.(ssm|time_mix)_", row[0])}
    if not recurrent:
        return 0
    inner, state = entries.whole("ssm.inner_size"), entries.whole("ssm.state_size")
    kernel, groups = entries.whole("ssm.conv_kernel"), entries.whole("ssm.group_count")
    if not (inner and state and kernel):
        unknown.append("the state that its recurrent layers keep")
        return 0
    return 4 * len(recurrent) * ((kernel - 1) * (inner + 2 * groups * state) + state * inner)


def _listed_tokens(metadata: Mapping[str, Any]) -> int:
    tokens = metadata.get("tokenizer.ggml.tokens")
    return len(tokens) if isinstance(tokens, list) else 0
