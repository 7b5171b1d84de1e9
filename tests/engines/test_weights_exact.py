"""Exactness of the GGUF import: of single weights, and of whole models on the graph that answers.

The weights are compared with `gguf.quants`, whole models with transformers in float32 (the torch engine on
tiny random models of each structure and format, transformers' own GGUF reader on the real one).
"""

from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, quantize, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.openvino.loop import blocks_for
from homespun.engines.openvino.measure import MAX_LOSS_NATS
from homespun.engines.openvino.paged import PagedModel, Part
from homespun.engines.openvino.settings import fast_candidates
from homespun.engines.openvino.weights import BLOCK_FORMATS, AffineWeight, FloatWeight
from homespun.engines.probe import mean_kl_nats, probe_text
from homespun.engines.sampling import log_softmax
from homespun.engines.torch_engine import TorchEngine
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer

FORMATS = ["F32", "F16", "BF16", *BLOCK_FORMATS]
MAX_KL = 1e-5
MIN_SAME = 0.999


def random_rows(seed: int = 0) -> np.ndarray:
    """(64, 512): normal rows, constant ones, zeros, huge and tiny ones, one-sided ones."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((64, 512)).astype(np.float32)
    rows[1] = 0
    rows[2] = 0.75
    rows[3] = -0.75
    rows[4] *= 1000
    rows[5] *= 1e-6
    rows[6] = np.abs(rows[6]) + 2
    rows[7] = -np.abs(rows[7]) - 2
    rows[8, 32:] = 0
    return rows


def zero_scales(blocks: np.ndarray, name: str) -> np.ndarray:
    """The same blocks with the scale of every seventh set to 0 and, where there is one, a minimum left."""
    places = {"Q8_0": 0, "Q4_0": 0, "Q4_1": 0, "Q5_0": 0, "Q5_1": 0, "Q2_K": 80, "Q3_K": 108, "Q4_K": 0}
    place = {**places, "Q5_K": 0, "Q6_K": 208}[name]
    form = BLOCK_FORMATS[name]
    changed = blocks.reshape(blocks.shape[0], -1, form.block_bytes).copy()
    changed[::7, :, place : place + 2] = 0
    return changed.reshape(blocks.shape)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
@pytest.mark.parametrize("with_zero_scales", [False, True])
def test_a_quantized_weight_stands_for_the_numbers_of_its_format(name, with_zero_scales):
    import gguf

    blocks = quantize(random_rows(), name)
    if with_zero_scales:
        blocks = zero_scales(blocks, name)
    form = BLOCK_FORMATS[name]
    weight = form.read(blocks.reshape(blocks.shape[0], -1, form.block_bytes))
    want = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name])
    got = weight.values()
    assert got.shape == want.shape == (64, 512)
    # scale * (q - minimum / scale) rounds thrice where scale * q + minimum rounds twice: a few units in
    # the last place of the larger of the two terms, which is at most q's range times the scale.
    codes = 1 << (8 if weight.bits == 8 else 4)
    largest = np.maximum(
        np.abs(weight.scales) * codes, np.abs(want).reshape(weight.codes.shape).max(-1)[..., None]
    )
    off = np.abs(got - want).reshape(weight.codes.shape)
    assert (off <= 4 * np.finfo(np.float32).eps * largest).all()
    if name in ("Q8_0", "Q4_0", "Q5_0", "Q6_K", "Q3_K"):  # no minimum: nothing to round
        assert np.array_equal(got, want)
    assert np.allclose(got, want, rtol=1e-6, atol=4e-7 * float(np.abs(want).max()))


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_any_bytes_are_read_as_the_format_says(name):
    """Blocks that no quantizer would write: random bytes, with scales kept finite."""
    import gguf

    form = BLOCK_FORMATS[name]
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, (64, 512 // form.block_weights, form.block_bytes), dtype=np.uint8)
    places = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
    for place in places.get(name, (0, 2) if name in ("Q4_1", "Q5_1") else (0,)):
        halves = rng.standard_normal(blocks.shape[:2]).astype(np.float16)
        blocks[..., place : place + 2] = halves[..., None].view(np.uint8)
    want = gguf.quants.dequantize(blocks.reshape(64, -1), gguf.GGMLQuantizationType[name])
    got = form.read(blocks).values()
    assert np.allclose(got, want, rtol=1e-6, atol=1e-6 * float(np.abs(want).max()))


def test_rows_in_another_order_are_the_same_rows():
    blocks = quantize(random_rows(), "Q4_1").reshape(64, -1, 20)
    weight = BLOCK_FORMATS["Q4_1"].read(blocks)
    order = np.random.default_rng(0).permutation(64)
    assert np.array_equal(weight.take_rows(order).values(), weight.values()[order])
    assert isinstance(weight, AffineWeight)
    floats = FloatWeight(random_rows())
    assert np.array_equal(floats.take_rows(order).values, floats.values[order])


# --- whole models ---------------------------------------------------------------------------------------

GEMMA = {"n_layers": 7, "hidden": 256, "n_heads": 4, "n_kv_heads": 2, "ffn": 256, "head_size": 128}
WIDE = {"hidden": 512, "n_heads": 8, "n_kv_heads": 4, "ffn": 512}
STRUCTURES = {
    **{f"llama {name}": Shape(ggml_type=name, **WIDE) for name in FORMATS},
    "llama untied": Shape(is_tied=False, ggml_type="Q8_0", **WIDE),
    "llama rope_freqs": Shape(has_rope_freqs=True, ggml_type="Q8_0", **WIDE),
    "llama biases": Shape(has_bias=True, ggml_type="F16", **WIDE),
    "llama all heads alike": Shape(ggml_type="F16", hidden=128, n_heads=4, n_kv_heads=4, ffn=160),
    "qwen2": Shape("qwen2", ggml_type="Q4_1", **WIDE),
    "qwen2 untied K": Shape("qwen2", is_tied=False, ggml_type="Q4_K", **WIDE),
    "qwen3": Shape("qwen3", ggml_type="Q5_0", **WIDE),
    "llama linear": Shape(linear_factor=4.0, ggml_type="Q8_0", **WIDE),
    **{f"gemma3 {name}": Shape("gemma3", ggml_type=name, sliding_window=32, **GEMMA) for name in FORMATS},
    "gemma3 untied, linear": Shape(
        "gemma3", is_tied=False, ggml_type="F16", sliding_window=96, linear_factor=8.0, **GEMMA
    ),
    "qwen3 untied K": Shape("qwen3", is_tied=False, ggml_type="Q6_K", **WIDE),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_model_gives_the_distributions_of_float32(name, tmp_path):
    shape = STRUCTURES[name]
    path = write_random(tmp_path / "model.gguf", shape)
    ids = np.random.default_rng(1).integers(0, 256, 320).tolist()
    options = EngineOptions(mode="exact", threads=1, cache_tokens=8192)
    with OpenVINOEngine(path, options) as engine, TorchEngine(path, options) as reference:
        want = reference.distributions(ids, last=300)
        check_same(engine.distributions(ids, last=300), want)
        check_sixteen_at_once(engine, reference)


def check_same(got: np.ndarray, want: np.ndarray) -> None:
    kl = mean_kl_nats(want, got)
    same = float((got.argmax(axis=1) == want.argmax(axis=1)).mean())
    print(f"KL {kl:.2e} nats, best token the same at {same:.2%} of {len(want)} positions")
    assert abs(kl) <= MAX_KL
    assert same >= MIN_SAME


def check_sixteen_at_once(engine: OpenVINOEngine, reference: TorchEngine) -> None:
    """The same model while it writes sixteen answers: each step's log-probabilities against float32."""
    prompts = [np.random.default_rng(seed).integers(0, 256, 9 + seed).tolist() for seed in range(16)]
    options = GenerateOptions(max_new_tokens=5, n_best=20)
    answers = engine.generate([Request(tuple(prompt), options) for prompt in prompts])
    for prompt, answer in list(zip(prompts, answers, strict=True))[::3]:
        ids = [*prompt, *answer.token_ids]
        rows = reference.distributions(ids, last=len(answer.token_ids) + 1)
        for step, row in zip(answer.steps, rows, strict=False):
            got = [candidate.log_probability for candidate in step.best]
            assert got == pytest.approx([row[c.token_id] for c in step.best], abs=5e-4)


# --- the real model -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_ids(starter_gguf: Path) -> list[int]:
    tokenizer = Tokenizer.from_gguf(read_gguf(starter_gguf))
    ids = tokenizer.encode(probe_text())
    return (ids + tokenizer.encode("\n\n" + probe_text().upper()))[:1024]


@pytest.fixture(scope="module")
def real_reference(starter_gguf: Path, real_ids: list[int]) -> np.ndarray:
    """Log-probabilities of transformers' own reader at the positions of the text (1024, n_vocab)."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(2)
    model = AutoModelForCausalLM.from_pretrained(
        str(starter_gguf.parent), gguf_file=starter_gguf.name, dtype=torch.float32
    )
    with torch.inference_mode():
        logits = model(torch.tensor([real_ids])).logits[0]
    # torch's own log_softmax sums 49,152 floats in float32: an error of 1e-5 by itself.
    return log_softmax(logits.numpy())


def test_the_real_model_is_exact(starter_gguf, real_ids, real_reference, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "graphs"
    options = EngineOptions(mode="exact", cache_tokens=40960)
    with OpenVINOEngine(starter_gguf, options, cache_path=cache) as engine:
        check_same(engine.distributions(real_ids, last=len(real_ids)), real_reference)
        # Sixteen texts at once, read and scored in shared steps.
        pieces = [tuple(real_ids[: 64 * (number + 1)]) for number in range(16)]
        scores = engine.score([ScoreRequest(piece, 20) for piece in pieces])
        for piece, score in zip(pieces, scores, strict=True):
            places = np.arange(len(piece) - 21, len(piece) - 1)
            assert score == pytest.approx(real_reference[places, list(piece[-20:])], abs=5e-4)


def test_every_fast_precision_loses_little(starter_gguf, real_ids, real_reference, tmp_path_factory):
    """Whichever of them is measured to be the fastest here, it may be taken."""
    cache = tmp_path_factory.getbasetemp() / "graphs"
    file = read_gguf(starter_gguf)
    config = ModelConfig.from_gguf(file)
    ids = real_ids[:512]
    for precision in fast_candidates():
        if precision.name == "f32":
            continue  # that is exact mode
        model = PagedModel(file, config, precision, 2, config.context_length, blocks_for(512), cache)
        rows = log_softmax(model.forward([Part(ids, 0, range(blocks_for(512)), range(512))]))
        kl = mean_kl_nats(real_reference[:512], rows)
        print(f"{model.effective_precision}: KL {kl:.2e} nats")
        assert 1e-6 < kl <= MAX_LOSS_NATS
