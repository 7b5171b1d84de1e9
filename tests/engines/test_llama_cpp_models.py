"""Models that only llama.cpp takes: other architectures, experts, formats. Against transformers and torch.

Field case G4: the window shown is the one that each of several slots accepts.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_writer import Shape, add_tokenizer, vocabulary, write_random

from homespun.engines.choose import explain_choice
from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.errors import EngineError, WindowError
from homespun.engines.llama_cpp import MAX_CHUNK, LlamaCppEngine, chunk_tokens
from homespun.engines.probe import mean_kl_nats
from homespun.engines.torch_engine import TorchEngine

IDS = np.random.default_rng(5).integers(0, 256, 40).tolist()
HIDDEN, FFN, N_LAYERS, N_HEADS, N_KV, N_EXPERTS = 64, 96, 2, 4, 2, 4
HEAD = HIDDEN // N_HEADS
OPTIONS = EngineOptions(mode="exact", window=128, threads=1, cache_tokens=512)


def _writer(path: Path, architecture: str) -> Any:
    import gguf

    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_block_count(N_LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(N_KV)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(10_000.0)
    add_tokenizer(writer)
    return writer


def _close(writer: Any, tensors: dict[str, np.ndarray]) -> None:
    for name, values in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _common(random: np.random.Generator) -> dict[str, np.ndarray]:
    n_vocab = len(vocabulary())
    tensors = {
        "token_embd.weight": 0.3 * random.standard_normal((n_vocab, HIDDEN)),
        "output.weight": 0.3 * random.standard_normal((n_vocab, HIDDEN)),
        "output_norm.weight": random.uniform(0.5, 1.5, HIDDEN),
    }
    for layer in range(N_LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"blk.{layer}.{name}.weight"] = random.uniform(0.5, 1.5, HIDDEN)
        tensors[f"blk.{layer}.attn_output.weight"] = _matrix(random, HIDDEN, HIDDEN)
    return tensors


def _matrix(random: np.random.Generator, *shape: int) -> np.ndarray:
    return 2 * random.standard_normal(shape) / np.sqrt(shape[-1])


def _transformers_rows(model: Any, state: dict[str, np.ndarray]) -> np.ndarray:
    import torch

    given = {name: torch.from_numpy(np.ascontiguousarray(v, np.float32)) for name, v in state.items()}
    missing, surplus = model.load_state_dict(given, strict=False)
    assert not surplus and not [name for name in missing if "rotary" not in name], (missing, surplus)
    with torch.inference_mode():
        logits = model.eval()(torch.tensor([IDS])).logits[0].double()
    rows: np.ndarray = logits.log_softmax(-1).float().numpy()
    return rows


def _hf_common(tensors: dict[str, np.ndarray], second_norm: str) -> dict[str, np.ndarray]:
    state = {
        "model.embed_tokens.weight": tensors["token_embd.weight"],
        "lm_head.weight": tensors["output.weight"],
        "model.norm.weight": tensors["output_norm.weight"],
    }
    for layer in range(N_LAYERS):
        ours, theirs = f"blk.{layer}", f"model.layers.{layer}"
        state[f"{theirs}.input_layernorm.weight"] = tensors[f"{ours}.attn_norm.weight"]
        state[f"{theirs}.{second_norm}.weight"] = tensors[f"{ours}.ffn_norm.weight"]
        state[f"{theirs}.self_attn.o_proj.weight"] = tensors[f"{ours}.attn_output.weight"]
    return state


def write_phi3(path: Path) -> np.ndarray:
    """A tiny random Phi-3 as GGUF; transformers' log-probabilities of the same weights."""
    from transformers import Phi3Config, Phi3ForCausalLM

    random = np.random.default_rng(1)
    tensors = _common(random)
    state = _hf_common(tensors, "post_attention_layernorm")
    for layer in range(N_LAYERS):
        parts = {
            "attn_qkv": ("self_attn.qkv_proj", (N_HEADS + 2 * N_KV) * HEAD, HIDDEN),
            "ffn_up": ("mlp.gate_up_proj", 2 * FFN, HIDDEN),
            "ffn_down": ("mlp.down_proj", HIDDEN, FFN),
        }
        for name, (theirs, n_rows, n_columns) in parts.items():
            matrix = _matrix(random, n_rows, n_columns)
            tensors[f"blk.{layer}.{name}.weight"] = matrix
            state[f"model.layers.{layer}.{theirs}.weight"] = matrix
    _close(_writer(path, "phi3"), tensors)
    config = Phi3Config(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        intermediate_size=FFN,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS,
        num_key_value_heads=N_KV,
        max_position_embeddings=256,
        original_max_position_embeddings=256,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    return _transformers_rows(Phi3ForCausalLM(config), state)


def write_qwen3moe(path: Path) -> np.ndarray:
    """A tiny random Qwen3 with experts, the same way."""
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    random = np.random.default_rng(2)
    tensors = _common(random)
    state = _hf_common(tensors, "post_attention_layernorm")
    for layer in range(N_LAYERS):
        ours, theirs = f"blk.{layer}", f"model.layers.{layer}"
        for name, hf_name, n_heads in (("q", "q", N_HEADS), ("k", "k", N_KV), ("v", "v", N_KV)):
            matrix = _matrix(random, n_heads * HEAD, HIDDEN)
            tensors[f"{ours}.attn_{name}.weight"] = matrix
            state[f"{theirs}.self_attn.{hf_name}_proj.weight"] = matrix
        for name in ("q", "k"):
            norm = random.uniform(0.5, 1.5, HEAD)
            tensors[f"{ours}.attn_{name}_norm.weight"] = norm
            state[f"{theirs}.self_attn.{name}_norm.weight"] = norm
        router = _matrix(random, N_EXPERTS, HIDDEN)
        gate, up = _matrix(random, N_EXPERTS, FFN, HIDDEN), _matrix(random, N_EXPERTS, FFN, HIDDEN)
        down = _matrix(random, N_EXPERTS, HIDDEN, FFN)
        tensors |= {
            f"{ours}.ffn_gate_inp.weight": router,
            f"{ours}.ffn_gate_exps.weight": gate,
            f"{ours}.ffn_up_exps.weight": up,
            f"{ours}.ffn_down_exps.weight": down,
        }
        state[f"{theirs}.mlp.gate.weight"] = router
        state[f"{theirs}.mlp.experts.gate_up_proj"] = np.concatenate([gate, up], axis=1)
        state[f"{theirs}.mlp.experts.down_proj"] = down
    writer = _writer(path, "qwen3moe")
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_expert_count(N_EXPERTS)
    writer.add_expert_used_count(2)
    writer.add_expert_feed_forward_length(FFN)
    _close(writer, tensors)
    config = Qwen3MoeConfig(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        intermediate_size=FFN,
        moe_intermediate_size=FFN,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS,
        num_key_value_heads=N_KV,
        head_dim=HEAD,
        num_experts=N_EXPERTS,
        num_experts_per_tok=2,
        norm_topk_prob=True,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    return _transformers_rows(Qwen3MoeForCausalLM(config), state)


@pytest.mark.parametrize("write", [write_phi3, write_qwen3moe])
def test_other_architectures_give_transformers_numbers(write, tmp_path):
    path = tmp_path / "model.gguf"
    want = write(path)[-8:]
    choice = explain_choice(path)
    assert choice.engine == "llama.cpp"
    assert choice.alternatives["openvino"] is not None
    with LlamaCppEngine(path, OPTIONS) as engine:
        got = engine.distributions(IDS, last=8)
        answer = engine.generate([Request(tuple(IDS), GenerateOptions(max_new_tokens=3))])[0]
    assert abs(mean_kl_nats(want, got)) < 1e-4  # float32 with sums in another order
    assert got.argmax(axis=1).tolist() == want.argmax(axis=1).tolist()
    assert answer.token_ids[0] == want[-1].argmax()


def test_a_format_that_only_llama_cpp_has(tmp_path):
    path = write_random(tmp_path / "model.gguf", Shape(ggml_type="IQ4_NL"))
    choice = explain_choice(path)
    assert choice.engine == "llama.cpp" and "IQ4_NL" in str(choice.alternatives["openvino"])
    with LlamaCppEngine(path, OPTIONS) as engine, TorchEngine(path, OPTIONS) as reference:
        got, want = engine.distributions(IDS, last=6), reference.distributions(IDS, last=6)
    assert 0 < mean_kl_nats(want, got) < 0.05  # its activations are rounded to 8 bits


# --- windows and chunks ---------------------------------------------------------------------------------


def test_g4_each_of_four_slots_has_the_window_that_is_shown(tmp_path):
    path = write_random(tmp_path / "model.gguf", Shape())
    options = EngineOptions(window=200, threads=1, cache_tokens=800)
    with LlamaCppEngine(path, options) as engine:
        assert engine._settings.n_slots == 4
        assert engine.facts.window == 200
        full = np.random.default_rng(0).integers(0, 256, 199).tolist()
        requests = [Request((*full[i:], *full[:i]), GenerateOptions(max_new_tokens=9)) for i in range(4)]
        for answer in engine.generate(requests):
            assert (answer.n_prompt_tokens, len(answer.steps), answer.finish) == (199, 1, "length")
        with pytest.raises(WindowError, match="200"):
            engine.generate([Request((*full, 1), GenerateOptions(max_new_tokens=1))])


def test_chunks_grow_and_never_pass_the_limit():
    assert [chunk_tokens(n, 100) for n in (0, 1, 4, 5, 12, 13, 99)] == [1, 4, 4, 8, 8, MAX_CHUNK, MAX_CHUNK]
    assert [chunk_tokens(n, 3) for n in (0, 1, 50)] == [1, 3, 3]


def test_the_length_asked_for_does_not_change_the_text(tmp_path):
    path = write_random(tmp_path / "model.gguf", Shape())
    with LlamaCppEngine(path, OPTIONS) as engine:
        long = engine.generate([Request(tuple(IDS), GenerateOptions(max_new_tokens=30))])[0]
        short = engine.generate([Request(tuple(IDS), GenerateOptions(max_new_tokens=7))])[0]
        assert long.token_ids[:7] == short.token_ids
        for step, row in zip(long.steps[:20:6], (0, 6, 12, 18), strict=True):
            ids = [*IDS, *long.token_ids[:row]]
            assert step.log_probability == pytest.approx(engine.distributions(ids)[0].max(), abs=2e-3)


def test_a_constraint_holds_here_too(tmp_path):
    path = write_random(tmp_path / "model.gguf", Shape())
    with LlamaCppEngine(path, OPTIONS) as engine:
        options = GenerateOptions(regex="[ab]{3}c", max_new_tokens=12, temperature=1.0, seed=3)
        answer = engine.generate([Request(tuple(IDS), options)])[0]
        assert re.fullmatch("[ab]{3}c", answer.text) and answer.finish == "stop"
        options = GenerateOptions(regex="a+", repeat_penalty=1.1)
        with pytest.raises(EngineError, match="penalty"):
            engine.generate([Request(tuple(IDS), options)])


def test_a_gpu_that_is_not_there_is_refused_in_a_sentence(tmp_path):
    path = write_random(tmp_path / "model.gguf", Shape())
    with pytest.raises(EngineError, match="no mps device"):
        LlamaCppEngine(path, EngineOptions(window=64, device="mps"))


def test_a_whole_window_can_be_read(tmp_path):
    path = write_random(tmp_path / "model.gguf", Shape())
    with LlamaCppEngine(path, EngineOptions(window=256, threads=1, cache_tokens=256)) as engine:
        ids = np.random.default_rng(0).integers(0, 256, 256).tolist()
        assert engine.distributions(ids).shape == (1, len(vocabulary()))
        assert engine.generate([Request(tuple(ids[:255]), GenerateOptions(max_new_tokens=5))])[0].steps
