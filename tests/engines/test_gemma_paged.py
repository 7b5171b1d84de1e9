"""Sliding windows on the path that serves: parts of a prompt, known prefixes, batches and adapters.

Tiny random gemma3 models whose window of 32 tokens is passed many times, against transformers in float32
(and PEFT for the adapters).
"""

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.openvino.plan import STEP_TOKENS
from homespun.engines.probe import mean_kl_nats
from homespun.engines.torch_engine import TorchEngine

WINDOW = 32
SHAPE = Shape(
    "gemma3",
    n_layers=6,
    hidden=128,
    n_heads=4,
    n_kv_heads=2,
    ffn=128,
    head_size=64,
    context=2048,
    ggml_type="Q8_0",
    sliding_window=WINDOW,
)
OPTIONS = EngineOptions(mode="exact", threads=1, cache_tokens=8192)
MAX_KL = 1e-5
ALL = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def random_ids(n_tokens: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, 256, n_tokens).tolist()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("gemma") / "model.gguf", SHAPE)


@pytest.fixture(scope="module")
def engine(path):
    with OpenVINOEngine(path, OPTIONS) as engine:
        yield engine


@pytest.fixture(scope="module")
def reference(path):
    with TorchEngine(path, OPTIONS) as engine:
        yield engine


def check(got: np.ndarray, want: np.ndarray) -> None:
    assert abs(mean_kl_nats(want, got)) <= MAX_KL
    assert np.array_equal(got.argmax(-1), want.argmax(-1))


def test_a_prompt_of_several_steps(engine, reference):
    ids = random_ids(STEP_TOKENS + 5 * WINDOW + 3)
    check(engine.distributions(ids, last=400), reference.distributions(ids, last=400))


@pytest.mark.parametrize("n_tokens", [WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + 2, 2 * WINDOW])
def test_the_edge_of_the_window(engine, reference, n_tokens):
    ids = random_ids(n_tokens, seed=n_tokens)
    check(engine.distributions(ids, last=n_tokens), reference.distributions(ids, last=n_tokens))


def test_what_left_the_window_is_seen_by_one_layer_only(path, tmp_path):
    """All layers local: the first token does not reach the last one, over six windows; with one global it does."""
    near, far = ([*start, *random_ids(6 * WINDOW, seed=5)] for start in ([3], [77]))
    with OpenVINOEngine(path, OPTIONS) as engine:
        assert not np.array_equal(engine.distributions(near), engine.distributions(far))
    local = write_random(tmp_path / "local.gguf", Shape(**{**SHAPE.__dict__, "n_layers": 5}))
    with OpenVINOEngine(local, OPTIONS) as engine:
        assert np.array_equal(engine.distributions(near), engine.distributions(far))


def test_a_known_prefix_longer_than_the_window(engine, reference):
    prefix = random_ids(5 * WINDOW, seed=7)
    options = GenerateOptions(max_new_tokens=6, n_best=10)
    for seed in (1, 2):
        prompt = (*prefix, *random_ids(9, seed=seed))
        answer = engine.generate([Request(prompt, options)])[0]
        assert answer.n_cached_tokens == (5 * WINDOW if seed == 2 else 0)
        check_steps(answer, prompt, reference, None)


def test_many_lengths_at_once(engine, reference):
    prompts = [tuple(random_ids(n, seed=n)) for n in (5, 31, 33, 64, 100, 300, 700)]
    options = GenerateOptions(
        max_new_tokens=40, n_best=10
    )  # the shortest passes the window while it is written
    answers = engine.generate([Request(prompt, options) for prompt in prompts])
    for prompt, answer in zip(prompts, answers, strict=True):
        check_steps(answer, prompt, reference, None)


def test_adapters_give_the_numbers_of_peft(engine, reference, tmp_path):
    folders = {
        "attention": write_adapter(tmp_path / "a", adapter_tensors(SHAPE, ALL[:4], 4, seed=1), 4),
        "all": write_adapter(tmp_path / "b", adapter_tensors(SHAPE, ALL, 8, seed=2), 8, alpha=4.0),
    }
    ids = random_ids(4 * WINDOW, seed=9)
    rows = {None: reference.distributions(ids, last=WINDOW)}
    for name, folder in folders.items():
        for loaded in (engine, reference):
            loaded.load_adapter(name, folder)
        rows[name] = reference.distributions(ids, last=WINDOW, adapter=name)
        assert mean_kl_nats(rows[None], rows[name]) > 0.01
    for name, want in rows.items():
        check(engine.distributions(ids, last=WINDOW, adapter=name), want)
    options = GenerateOptions(max_new_tokens=4, n_best=10)
    prompt = tuple(ids)
    answers = engine.generate([Request(prompt, options, name) for name in rows])
    for name, answer in zip(rows, answers, strict=True):
        check_steps(answer, prompt, reference, name)


def check_steps(answer, prompt, reference, adapter) -> None:
    """Every step's alternatives have the log-probabilities of float32."""
    ids = [*prompt, *answer.token_ids]
    rows = reference.distributions(ids, last=len(answer.token_ids) + 1, adapter=adapter)
    assert answer.steps
    for step, row in zip(answer.steps, rows, strict=False):
        got = [candidate.log_probability for candidate in step.best]
        assert got == pytest.approx([row[c.token_id] for c in step.best], abs=5e-4)
