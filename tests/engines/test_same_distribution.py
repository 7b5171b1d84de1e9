"""Every engine draws from the same distribution: 200 prompts, each engine within its own bound.

The model is tiny and random, so that nothing is certain; what real models lose is printed by
`bench/exactness.py`.
"""

from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, vocabulary, write_random

from homespun.engines.choose import EngineChoice, open_engine
from homespun.engines.engine import EngineOptions, Mode
from homespun.engines.probe import mean_kl_nats
from homespun.engines.torch_engine import TorchEngine

N_PROMPTS = 200
#: Most that a mean over the prompts may be off, in nats. llama.cpp rounds activations to 8 bits on Q8_0.
BOUNDS: dict[tuple[EngineChoice, Mode], float] = {
    ("openvino", "exact"): 1e-6,
    ("openvino", "fast"): 0.01,
    ("llama.cpp", "exact"): 0.05,
    ("llama.cpp", "fast"): 0.05,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_random(tmp_path_factory.mktemp("same") / "model.gguf", Shape(ggml_type="Q8_0", seed=4))


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    random = np.random.default_rng(0)
    n_plain = len(vocabulary()) - 3
    return [random.integers(0, n_plain, random.integers(1, 120)).tolist() for _ in range(N_PROMPTS)]


@pytest.fixture(scope="module")
def reference(model, prompts) -> np.ndarray:
    """Log-probabilities of transformers in float32 after each prompt: (prompts, n_vocab)."""
    with TorchEngine(model, EngineOptions(window=256, threads=1)) as engine:
        return np.concatenate([engine.distributions(ids) for ids in prompts])


@pytest.mark.parametrize(("name", "mode"), BOUNDS)
def test_each_engine_is_within_its_bound(name, mode, model, prompts, reference):
    options = EngineOptions(mode=mode, window=256, threads=1, cache_tokens=1024)
    with open_engine(model, options, engine=name) as engine:
        got = np.concatenate([engine.distributions(ids) for ids in prompts])
    kl = mean_kl_nats(reference, got)
    print(f"{name} {mode}: {kl:.1e} nats")
    assert abs(kl) <= BOUNDS[name, mode]
    shuffled = np.roll(got, 1, axis=0)  # the bound can be missed: by the answer to another prompt
    assert mean_kl_nats(reference, shuffled) > 10 * max(BOUNDS.values())
