"""Sizes and switches, against values known by hand."""

import numpy as np
import pytest

from homespun.models.config import ModelConfig
from homespun.models.errors import ModelFileError
from homespun.models.gguf import GGUFFile, TensorInfo, read_gguf


def file_with(tmp_path, metadata, tensors=()) -> GGUFFile:
    """A file as the parser gives it, without bytes behind it."""
    infos = {name: TensorInfo(name, (8, 8), "F32", 0, 256) for name in tensors}
    return GGUFFile(tmp_path / "x.gguf", 3, metadata, infos, 0)


def test_starter(starter_gguf):
    config = ModelConfig.from_gguf(read_gguf(starter_gguf))
    assert config.architecture == "llama"
    assert (config.n_layers, config.hidden_size, config.ffn_size) == (30, 576, 1536)
    assert (config.n_heads, config.n_kv_heads, config.head_size, config.rope_dim) == (9, 3, 64, 64)
    assert (config.vocab_size, config.context_length, config.rope_theta) == (49_152, 8192, 100_000.0)
    assert config.rms_eps == pytest.approx(1e-5)
    assert config.tied_head and not config.has_qkv_bias and not config.has_qk_norm
    assert config.rope_scaling is None and config.sliding_window is None


def test_unknown_architecture_can_be_inspected(tmp_path):
    config = ModelConfig.from_gguf(
        file_with(tmp_path, {"general.architecture": "mamba9", "mamba9.block_count": 3})
    )
    assert (config.architecture, config.n_layers, config.n_heads, config.head_size) == ("mamba9", 3, 0, 0)


def test_switches_come_from_the_tensors(tmp_path):
    metadata = {
        "general.architecture": "qwen3",
        "qwen3.embedding_length": 64,
        "qwen3.attention.head_count": 4,
        "qwen3.attention.key_length": 32,
        "qwen3.attention.value_length": 24,
        "qwen3.rope.freq_base": 1e6,
        "qwen3.attention.sliding_window": 128,
    }
    names = ["output.weight", "blk.0.attn_q.bias", "blk.0.attn_q_norm.weight", "rope_freqs.weight"]
    config = ModelConfig.from_gguf(file_with(tmp_path, metadata, names))
    assert (config.head_size, config.value_size, config.n_kv_heads) == (32, 24, 4)
    assert not config.tied_head and config.has_qkv_bias and config.has_qk_norm
    assert config.sliding_window == 128
    assert config.rope_scaling == {"type": "factors", "frequency_factors": True}


def test_yarn(tmp_path):
    metadata = {
        "general.architecture": "qwen2",
        "qwen2.rope.scaling.type": "yarn",
        "qwen2.rope.scaling.factor": 4.0,
        "qwen2.rope.scaling.original_context_length": 32_768,
    }
    config = ModelConfig.from_gguf(file_with(tmp_path, metadata))
    assert config.rope_scaling == {"type": "yarn", "factor": 4.0, "original_context_length": 32_768}


def test_heads_per_layer(tmp_path):
    metadata = {
        "general.architecture": "hybrid",
        "hybrid.embedding_length": 64,
        "hybrid.attention.head_count": 8,
        "hybrid.attention.head_count_kv": np.array([0, 0, 2, 0], dtype=np.uint32),
    }
    assert ModelConfig.from_gguf(file_with(tmp_path, metadata)).n_kv_heads == 2


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"llama.attention.head_count": 9, "llama.attention.head_count_kv": 2}, "cannot share"),
        ({"llama.rope.freq_base": "big"}, "rope.freq_base is 'big'"),
        ({"llama.rope.freq_base": float("nan")}, "not a number"),
    ],
)
def test_contradictions(tmp_path, metadata, says):
    with pytest.raises(ModelFileError, match=says):
        ModelConfig.from_gguf(file_with(tmp_path, {"general.architecture": "llama", **metadata}))


@pytest.mark.parametrize(
    ("pattern", "local"),
    [
        (None, [True] * 5 + [False, True]),  # Gemma 3's own: every sixth layer sees everything
        (3, [True, True, False, True, True, False, True]),
        (np.array([1, 0, 1, 1, 0, 1, 0], dtype=bool), [True, False, True, True, False, True, False]),
    ],
)
def test_gemma_layers_with_a_window(tmp_path, pattern, local):
    metadata = {
        "general.architecture": "gemma3",
        "gemma3.block_count": 7,
        "gemma3.attention.sliding_window": 512,
        "gemma3.rope.freq_base": 1e6,
    }
    if pattern is not None:
        metadata["gemma3.attention.sliding_window_pattern"] = pattern
    config = ModelConfig.from_gguf(file_with(tmp_path, metadata))
    assert [config.is_local(layer) for layer in range(7)] == local
    assert (config.sliding_window, config.rope_theta, config.local_rope_theta) == (512, 1e6, 10_000.0)


def test_gemma_pattern_of_another_length(tmp_path):
    metadata = {
        "general.architecture": "gemma3",
        "gemma3.block_count": 7,
        "gemma3.attention.sliding_window": 512,
        "gemma3.attention.sliding_window_pattern": [True, False],
    }
    with pytest.raises(ModelFileError, match="for 2 layers, and there are 7"):
        ModelConfig.from_gguf(file_with(tmp_path, metadata))


@pytest.mark.parametrize(
    ("entries", "scaling"),
    [
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, {"type": "linear", "factor": 4.0}),
        ({"rope.scale_linear": 2.0}, {"type": "linear", "factor": 2.0}),
        ({"rope.scaling.type": "none"}, None),
        ({"rope.scale_linear": 1.0}, None),
    ],
)
def test_linear_scaling(tmp_path, entries, scaling):
    metadata = {"general.architecture": "llama", **{f"llama.{key}": value for key, value in entries.items()}}
    assert ModelConfig.from_gguf(file_with(tmp_path, metadata)).rope_scaling == scaling
