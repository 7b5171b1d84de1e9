"""Writes tiny GGUF models and PEFT adapters for the tests of `engines`.

Two kinds of model: `write_random` (any structure and format, random weights) and `write_script`, whose
every token is followed by one certain next token, so that what it answers is known beforehand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
MARKERS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["t h", "th e", "Ġ ð", "Ġð Ł", "Ġ Ã", "a n"]
NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """The structure of a tiny model. `ggml_type` is the format of its matrices."""

    architecture: str = "llama"
    n_layers: int = 2
    hidden: int = 64
    n_heads: int = 2
    n_kv_heads: int = 1
    ffn: int = 96
    context: int = 512
    ggml_type: str = "F32"
    is_tied: bool = True
    has_rope_freqs: bool = False
    has_bias: bool = False
    head_size: int = 0
    sliding_window: int = 0
    linear_factor: float = 0.0
    seed: int = 0

    @property
    def head(self) -> int:
        return self.head_size or self.hidden // self.n_heads

    @property
    def is_gemma(self) -> bool:
        return self.architecture == "gemma3"

    def sizes(self) -> dict[str, tuple[int, int]]:
        """(rows, columns) of each linear layer."""
        q, kv = self.n_heads * self.head, self.n_kv_heads * self.head
        return {
            "attn_q": (q, self.hidden),
            "attn_k": (kv, self.hidden),
            "attn_v": (kv, self.hidden),
            "attn_output": (self.hidden, q),
            "ffn_gate": (self.ffn, self.hidden),
            "ffn_up": (self.ffn, self.hidden),
            "ffn_down": (self.hidden, self.ffn),
        }


def vocabulary() -> list[str]:
    """All bytes in the byte-level alphabet, the merged tokens, then the markers."""
    spelled = {byte: chr(byte) for byte in BYTES}
    for number, byte in enumerate(byte for byte in range(256) if byte not in spelled):
        spelled[byte] = chr(256 + number)
    return [*(spelled[byte] for byte in range(256)), *(m.replace(" ", "") for m in MERGES), *MARKERS]


def quantize(values: np.ndarray, ggml_type: str) -> np.ndarray:
    """Rows in a GGUF format: numpy for the simple ones, libgguf for K-quants."""
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType[ggml_type]
    if ggml_type == "F32":
        return values.astype(np.float32)
    if ggml_type == "F16":
        return values.astype(np.float16)
    if not ggml_type.endswith("_K") and not ggml_type.startswith("IQ"):
        return quants.quantize(np.ascontiguousarray(values, np.float32), kind)
    import libgguf

    rows = libgguf.quantize_rows(
        np.ascontiguousarray(values, np.float32), libgguf.GGMLQuantizationType[ggml_type]
    )
    return np.asarray(rows).view(np.uint8)


def write_random(path: Path, shape: Shape = Shape()) -> Path:
    """A model with random weights of which every layer matters."""
    rng = np.random.default_rng(shape.seed)
    # gemma multiplies the rows by the root of the width; the head would be certain of everything
    scale = 1.2 / np.sqrt(shape.hidden) if shape.is_gemma else 0.3
    tensors = {"token_embd.weight": scale * rng.standard_normal((len(vocabulary()), shape.hidden))}
    if not shape.is_tied:
        tensors["output.weight"] = 0.3 * rng.standard_normal((len(vocabulary()), shape.hidden))
    vectors = {"output_norm.weight": rng.uniform(0.5, 1.5, shape.hidden)}
    if shape.has_rope_freqs:
        vectors["rope_freqs.weight"] = rng.uniform(1, 8, shape.head // 2)
    for layer in range(shape.n_layers):
        for name, (rows, columns) in shape.sizes().items():
            weight = rng.standard_normal((rows, columns)) / np.sqrt(columns)
            tensors[f"blk.{layer}.{name}.weight"] = weight * (3 if name in ("attn_q", "attn_k") else 1.5)
            has_bias = name in ("attn_q", "attn_k", "attn_v") and (
                shape.architecture == "qwen2" or shape.has_bias
            )
            if has_bias:
                vectors[f"blk.{layer}.{name}.bias"] = rng.standard_normal(rows)
        after = ("post_attention_norm", "post_ffw_norm") if shape.is_gemma else ()
        for name in ("attn_norm", "ffn_norm", *after):
            vectors[f"blk.{layer}.{name}.weight"] = rng.uniform(0.5, 1.5, shape.hidden)
        if shape.architecture in ("qwen3", "gemma3"):
            for name in ("attn_q_norm", "attn_k_norm"):
                vectors[f"blk.{layer}.{name}.weight"] = rng.uniform(0.5, 1.5, shape.head)
    return _write(path, shape, tensors, vectors)


def write_script(path: Path, shape: Shape, chain: Sequence[int]) -> Path:
    """A model that continues chain[i] with chain[i + 1], whatever came before."""
    shape = replace(shape, is_tied=False)
    rng = np.random.default_rng(shape.seed)
    embedding = rng.standard_normal((len(vocabulary()), shape.hidden))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    head = np.zeros_like(embedding)
    for token, following in pairwise(chain):
        head[following] = 4 * embedding[token]
    tensors = {"token_embd.weight": embedding, "output.weight": head}
    vectors = {"output_norm.weight": np.ones(shape.hidden)}
    for layer in range(shape.n_layers):
        for name, size in shape.sizes().items():
            is_silent = name in ("attn_output", "ffn_down")
            tensors[f"blk.{layer}.{name}.weight"] = np.zeros(size) if is_silent else rng.standard_normal(size)
        for name in ("attn_norm", "ffn_norm"):
            vectors[f"blk.{layer}.{name}.weight"] = np.ones(shape.hidden)
    return _write(path, shape, tensors, vectors)


def add_tokenizer(writer: Any) -> None:
    """The tiny tokenizer and its chat template."""
    tokens = vocabulary()
    n_plain = len(tokens) - len(MARKERS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * n_plain + [3] * len(MARKERS))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(n_plain)
    writer.add_eos_token_id(n_plain)  # not what ends a turn: that is <|im_end|>
    writer.add_chat_template(TEMPLATE)


def _write(path: Path, shape: Shape, tensors: Mapping[str, Any], vectors: Mapping[str, Any]) -> Path:
    import gguf

    writer = gguf.GGUFWriter(str(path), shape.architecture)
    writer.add_block_count(shape.n_layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(1_000_000.0 if shape.is_gemma else 10_000.0)
    if shape.head_size:
        writer.add_key_length(shape.head)
        writer.add_value_length(shape.head)
    if shape.sliding_window:
        writer.add_sliding_window(shape.sliding_window)
    if shape.linear_factor:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(shape.linear_factor)
    add_tokenizer(writer)
    kind = gguf.GGMLQuantizationType[shape.ggml_type]
    for name, values in tensors.items():
        writer.add_tensor(name, quantize(values, shape.ggml_type), raw_dtype=kind)
    for name, values in vectors.items():
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def adapter_tensors(shape: Shape, modules: Sequence[str], rank: int, seed: int) -> dict[str, np.ndarray]:
    """Random A and B matrices under PEFT's names, large enough to change every answer."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(shape.n_layers):
        for name, (rows, columns) in shape.sizes().items():
            if name in modules:
                stem = f"base_model.model.model.layers.{layer}.{NAMES[name]}"
                tensors[f"{stem}.lora_A.weight"] = (
                    rng.standard_normal((rank, columns)) / np.sqrt(columns)
                ).astype(np.float32)
                tensors[f"{stem}.lora_B.weight"] = (rng.standard_normal((rows, rank)) / np.sqrt(rank)).astype(
                    np.float32
                )
    return tensors


def write_adapter(
    folder: Path, tensors: Mapping[str, np.ndarray], rank: int, alpha: float = 8.0, **changes: Any
) -> Path:
    """A PEFT LoRA folder; `changes` go into its config."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    modules = sorted({name.split(".lora_")[0].rsplit(".", 1)[-1] for name in tensors})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "target_modules": modules,
        "bias": "none",
        "lora_dropout": 0.0,
        "base_model_name_or_path": None,
        **changes,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(dict(tensors), str(folder / "adapter_model.safetensors"))
    return folder
