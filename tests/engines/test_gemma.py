"""Gemma 3 270M, the real file: every engine at twice its sliding window."""

import pytest

from homespun.engines.engine import EngineOptions
from homespun.engines.probe import mean_kl_nats, probe_ids
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer

pytestmark = pytest.mark.long

N_TOKENS = 1024
LAST = 128
FEW = 6  # llama.cpp takes seconds for the probabilities of 262,144 tokens at one position
OPTIONS = EngineOptions(mode="exact", window=2048, cache_tokens=2048)


@pytest.fixture(scope="module")
def token_ids(gemma_gguf) -> list[int]:
    """So many tokens that the first ones are out of sight of the layers with a window."""
    file = read_gguf(gemma_gguf)
    assert ModelConfig.from_gguf(file).sliding_window == N_TOKENS // 2
    start, *text = probe_ids(Tokenizer.from_gguf(file), N_TOKENS)
    return [start, *(text * (N_TOKENS // len(text) + 1))][:N_TOKENS]


@pytest.fixture(scope="module")
def reference(gemma_gguf, token_ids):
    from homespun.engines.torch_engine import TorchEngine

    with TorchEngine(gemma_gguf, OPTIONS) as engine:
        return engine.distributions(token_ids, last=LAST)


def test_openvino_is_exact_at_twice_the_window(gemma_gguf, token_ids, reference, tmp_path):
    from homespun.engines.openvino.engine import OpenVINOEngine

    with OpenVINOEngine(gemma_gguf, OPTIONS, cache_path=tmp_path) as engine:
        rows = engine.distributions(token_ids, last=LAST)
    assert rows.shape == reference.shape == (LAST, 262_144)
    assert mean_kl_nats(reference, rows) <= 1e-5


def test_llama_cpp_is_near_at_twice_the_window(gemma_gguf, token_ids, reference):
    from homespun.engines.llama_cpp import LlamaCppEngine

    with LlamaCppEngine(gemma_gguf, OPTIONS) as engine:
        rows = engine.distributions(token_ids, last=FEW)
    assert mean_kl_nats(reference[-FEW:], rows) <= 0.05


def test_the_window_counts(gemma_gguf, token_ids, reference):
    """Otherwise an engine that forgot the windows would pass the tests above."""
    from homespun.engines.torch_engine import TorchEngine

    with TorchEngine(gemma_gguf, OPTIONS) as engine:
        for layer in engine._model.model.layers:
            layer.self_attn.sliding_window = None
        engine._model.config.sliding_window = N_TOKENS
        engine._model.config.layer_types = ["full_attention"] * len(engine._model.model.layers)
        rows = engine.distributions(token_ids, last=FEW)
    assert mean_kl_nats(reference[-FEW:], rows) > 1e-4
