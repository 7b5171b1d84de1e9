"""The plain numpy reference against transformers in float32."""

import os
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.engines.errors import EngineError
from homespun.engines.probe import mean_kl_nats
from homespun.engines.reference import reference_log_probabilities, why_no_reference
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf

SHAPES = [
    Shape(),
    Shape("llama", n_heads=4, n_kv_heads=2, has_rope_freqs=True, has_bias=True, ggml_type="Q4_1"),
    Shape("qwen2", is_tied=False, ggml_type="Q8_0"),
    Shape("qwen3", ggml_type="Q5_0"),
    Shape("gemma3", n_layers=7, head_size=48, sliding_window=8),
    Shape("gemma3", n_layers=6, sliding_window=8, linear_factor=8.0, ggml_type="Q8_0"),
]


def theirs(path: Path, token_ids: list[int], last: int) -> np.ndarray:
    """transformers' log-probabilities on transformers' own unpacking of the file, in float64."""
    import torch
    from transformers import AutoModelForCausalLM, logging

    logging.set_verbosity_error()
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([token_ids]), logits_to_keep=last).logits[0]
    return logits.double().log_softmax(-1).numpy()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.architecture}-{shape.ggml_type}")
def test_it_equals_torch_in_float32(tmp_path, shape):
    from homespun.engines.torch_engine import TorchEngine

    path = write_random(tmp_path / "model.gguf", shape)
    file = read_gguf(path)
    token_ids = np.random.default_rng(0).integers(0, 262, 40).tolist()
    rows = reference_log_probabilities(file, ModelConfig.from_gguf(file), token_ids, 17)
    with TorchEngine(path) as engine:
        other = engine.distributions(token_ids, last=17)
    assert rows.shape == other.shape
    assert mean_kl_nats(other, rows) < 1e-9
    assert np.abs(rows - other).max() < 1e-3


def test_every_tensor_counts(tmp_path):
    """A reference that left something out would agree with itself: each tensor must move the numbers."""
    path = write_random(tmp_path / "model.gguf", Shape("qwen3", n_layers=1))
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    before = reference_log_probabilities(file, config, [5, 9, 70, 3], 2)
    raw = path.read_bytes()
    for name, tensor in file.tensors.items():
        changed = bytearray(raw)
        values = np.frombuffer(raw, np.float32, tensor.size_bytes // 4, tensor.offset)
        changed[tensor.offset : tensor.offset + tensor.size_bytes] = (
            (values * np.linspace(0.5, 1.5, values.size)).astype(np.float32).tobytes()
        )
        other = tmp_path / "changed.gguf"
        other.write_bytes(changed)
        after = reference_log_probabilities(read_gguf(other), config, [5, 9, 70, 3], 2)
        assert np.abs(after - before).max() > 1e-3, name


def test_the_future_is_not_seen(tmp_path):
    file = read_gguf(write_random(tmp_path / "model.gguf"))
    config = ModelConfig.from_gguf(file)
    long = reference_log_probabilities(file, config, [5, 9, 70, 3, 8], 5)
    short = reference_log_probabilities(file, config, [5, 9, 70], 3)
    np.testing.assert_allclose(long[:3], short, atol=1e-5)


def test_what_it_does_not_know_is_refused(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(
        write_random(tmp_path / "q.gguf", Shape("qwen3")).read_bytes().replace(b"qwen3", b"gemma")
    )
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    assert "'gemma' has no reference" in (why_no_reference(file, config) or "")
    with pytest.raises(EngineError, match="'gemma' has no reference"):
        reference_log_probabilities(file, config, [1, 2], 1)


@pytest.mark.long
def test_gemma_at_twice_its_window():
    given = os.environ.get("HOMESPUN_TEST_GEMMA")
    if not given:
        pytest.skip("HOMESPUN_TEST_GEMMA names no file")
    file = read_gguf(Path(given))
    config = ModelConfig.from_gguf(file)
    token_ids = [2, *np.random.default_rng(0).integers(1000, 200_000, 1100).tolist()]
    rows = reference_log_probabilities(file, config, token_ids, 16)
    assert mean_kl_nats(theirs(Path(given), token_ids, 16), rows) < 1e-9


@pytest.mark.long
def test_the_starter(starter_gguf):
    file = read_gguf(starter_gguf)
    token_ids = np.random.default_rng(0).integers(1000, 40_000, 200).tolist()
    rows = reference_log_probabilities(file, ModelConfig.from_gguf(file), token_ids, 16)
    assert mean_kl_nats(theirs(starter_gguf, token_ids, 16), rows) < 1e-9
