"""Plans: hand-counted sums, llama.cpp's own log, and headers read from a hub within their bound."""

import json
from importlib import resources

import numpy as np
import pytest

from homespun.cli.main import exit_code
from homespun.planning.errors import PlanError
from homespun.planning.find_shape import shape_of_parameters
from homespun.planning.memory import adapter_values, cache_bytes, compute_bytes, count_parts
from homespun.planning.options import PlanOptions
from homespun.planning.plan import plan_model, plan_shape, published_error
from homespun.planning.shape import KeptLayer
from homespun.planning.shape_folder import shape_of_folder
from homespun.planning.shape_gguf import shape_of_gguf
from homespun.planning.vision import vision_part


@pytest.fixture(autouse=True)
def own_home(home, monkeypatch) -> None:
    """Plans look into a home of this test's own."""
    monkeypatch.setenv("HOMESPUN_HOME", str(home.root))


LLAMA = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 128,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "llama.context_length": 4096,
}
ROWS = [
    ("token_embd.weight", (1000, 64), "F16", 128_000),
    ("blk.0.attn_q.weight", (64, 64), "F16", 8192),
    ("blk.0.ffn_down.weight", (64, 128), "F16", 16_384),
]


def test_176_billion_parameters_in_bfloat16_are_352_gb(capsys) -> None:
    assert exit_code(["plan", "--params", "176B", "--precision", "bf16", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["weight_bytes"] == 352_000_000_000
    assert not shown["fits"] and "its layers" in shown["unknown"][0]


@pytest.mark.parametrize(
    ("params", "precision", "n_bytes"),
    [
        ("1.7b", "f32", 6_800_000_000),
        ("270M", "int8", 270_000_000),
        ("32", "Q4_0", 18),
        ("1,5B", "bf16", 3 * 10**9),
    ],
)
def test_parameters_times_bits(params: str, precision: str, n_bytes: int) -> None:
    assert shape_of_parameters(params, precision).weight_bytes == n_bytes


@pytest.mark.parametrize(
    ("params", "precision"), [("many", "bf16"), ("0", "bf16"), ("-3B", "bf16"), ("7B", "q99")]
)
def test_what_is_no_number_or_precision_is_refused(params: str, precision: str) -> None:
    with pytest.raises(PlanError):
        shape_of_parameters(params, precision)


def test_keys_and_values_counted_by_hand() -> None:
    shape = shape_of_gguf("x", "file", LLAMA, ROWS)
    assert shape.kept == (KeptLayer(2, 8, 8), KeptLayer(2, 8, 8))
    # 2 layers x 2 heads x (8 + 8) numbers x 2 bytes = 128 bytes a token.
    assert cache_bytes(shape, "llama.cpp", "f16", 1000, 3) == 3 * 1024 * 128  # cells of 256
    # u8: 64 numbers and 2 layers x 2 heads x 2 rows x 8 bytes of scales.
    assert cache_bytes(shape, "openvino", "u8", 1000, 1) == 1000 * (64 + 64)
    assert adapter_values(shape, 4) == 4 * (64 + 64) + 4 * (64 + 128)


def test_m1_heads_key_length_and_window_of_each_layer_count() -> None:
    """Per-layer heads, an own key length, and a window on all layers but each sixth."""
    metadata = {
        **{key.replace("llama", "gemma3"): value for key, value in LLAMA.items()},
        "general.architecture": "gemma3",
        "gemma3.block_count": 6,
        "gemma3.attention.head_count_kv": np.array([1, 1, 1, 1, 1, 2], np.int32),
        "gemma3.attention.key_length": 256,
        "gemma3.attention.value_length": 128,
        "gemma3.attention.sliding_window": 512,
    }
    shape = shape_of_gguf("x", "file", metadata, ROWS)
    assert shape.kept == (KeptLayer(1, 256, 128, 512),) * 5 + (KeptLayer(2, 256, 128),)
    # Five layers keep 512 tokens and a step of 512; one keeps all: 5 x 1024 x 384 + 8192 x 768 numbers.
    assert cache_bytes(shape, "llama.cpp", "f16", 8192, 1) == 2 * (5 * 1024 * 384 + 8192 * 768)
    assert not shape.unknown


def test_m1_a_window_whose_layers_are_not_stated_is_said_and_counted_as_none() -> None:
    shape = shape_of_gguf("x", "file", {**LLAMA, "llama.attention.sliding_window": 512}, ROWS)
    assert all(layer.window == 0 for layer in shape.kept)
    assert any("window" in what for what in shape.unknown)


def test_an_unknown_architecture_counts_what_is_known() -> None:
    shape = shape_of_gguf("x", "file", {"general.architecture": "quux"}, ROWS)
    plan = plan_shape(shape, PlanOptions(memory=8, engine="llama.cpp"))
    assert plan.weight_bytes == 152_576
    assert plan.cache_bytes_per_token == 0 and plan.best.window == 0
    assert "attention" in plan.unknown[0]


def test_m3_flash_attention_leaves_out_the_scores() -> None:
    shape = shape_of_gguf("x", "file", LLAMA, ROWS)
    flash = compute_bytes(shape, "llama.cpp", PlanOptions(window=4096))
    plain = compute_bytes(shape, "llama.cpp", PlanOptions(window=4096, flash_attention=False))
    # Scores of 8 heads and the mask, 512 rows of 4,096 in float32, instead of a mask in 16 bits.
    assert plain - flash > 4 * 512 * 4096 * 8
    exact = compute_bytes(shape, "llama.cpp", PlanOptions(window=4096, mode="exact"))
    assert exact == plain


def test_m4_a_vision_part_is_counted_and_its_buffer_named(starter_gguf, tmp_path) -> None:
    (tmp_path / "model.gguf").symlink_to(starter_gguf)
    (tmp_path / "mmproj-x.gguf").write_bytes(b"x" * 1000)
    plan = plan_model(str(tmp_path / "model.gguf"), PlanOptions(engine="llama.cpp"))
    assert ("vision part", 1000) in [(part.name, part.size_bytes) for part in plan.parts]
    assert any("vision" in what for what in plan.unknown)


def test_m4_an_image_takes_more_where_it_may_be_larger() -> None:
    metadata = {
        "clip.projector_type": "pixtral",
        "clip.vision.embedding_length": 64,
        "clip.vision.feed_forward_length": 128,
        "clip.vision.attention.head_count": 4,
        "clip.vision.patch_size": 16,
        "clip.vision.image_size": 160,
    }
    free = vision_part(metadata, 1000)
    # 10 x 10 patches: rows of 128 + 8 x 64 numbers, and 4 heads' scores of 100 x 100.
    assert free.buffer_bytes() == 4 * (100 * 640 + 4 * 100 * 100)
    assert free.buffer_bytes(320) == 4 * (400 * 640 + 4 * 400 * 400)
    fixed = vision_part({**metadata, "clip.projector_type": "mlp"}, 1000)
    assert fixed.buffer_bytes(320) == fixed.buffer_bytes() == free.buffer_bytes()
    other = vision_part({**metadata, "clip.projector_type": "brand-new"}, 1000)
    assert other.buffer_bytes() == 0 and "brand-new" in other.why_unknown


def test_m5_memory_from_all_experts_and_speed_from_the_active_ones() -> None:
    metadata = {**LLAMA, "llama.expert_count": 8, "llama.expert_used_count": 2}
    rows = [*ROWS, ("blk.0.ffn_up_exps.weight", (8, 128, 64), "F16", 131_072)]
    shape = shape_of_gguf("x", "file", metadata, rows)
    assert shape.weight_bytes == 152_576 + 131_072
    assert shape.active_bytes == 152_576 + 131_072 // 4
    assert shape.n_active == 76_288 + 65_536 // 4
    parts = {part.name: part.size_bytes for part in count_parts(shape, "llama.cpp", PlanOptions())}
    assert parts["weights"] == shape.weight_bytes


def test_tuning_counts_what_is_learnt_four_times() -> None:
    shape = shape_of_gguf("x", "file", LLAMA, ROWS)
    parts = {p.name: p.size_bytes for p in count_parts(shape, "torch", PlanOptions(use="tune", rank=4))}
    assert parts["learnt numbers"] == parts["gradients"] == 4 * 1280
    assert parts["optimizer states"] == 8 * 1280
    assert parts["weights"] == 2 * shape.n_parameters
    less = {
        p.name: p.size_bytes for p in count_parts(shape, "torch", PlanOptions(use="tune", recompute=True))
    }
    assert less["activations"] < parts["activations"]


def test_what_fits_at_most_is_the_last_that_fits() -> None:
    shape = shape_of_gguf("x", "file", LLAMA, ROWS)

    def total(window: int) -> int:
        return plan_shape(shape, PlanOptions(engine="llama.cpp", window=window)).total_bytes

    memory = total(2048) * 1.0001 / 0.95 / 1e9
    plan = plan_shape(shape, PlanOptions(engine="llama.cpp", memory=memory))
    assert plan.best.window == 2048
    assert total(2048) <= memory * 1e9 * 0.95 < total(2048 + 256)


def test_the_best_format_is_the_largest_that_fits_and_none_larger_than_the_source(starter_gguf) -> None:
    roomy = plan_model(str(starter_gguf), PlanOptions(engine="llama.cpp", window=2048))
    assert roomy.best.format == roomy.formats[0].name == "as it is"
    assert all(one.weight_bytes < roomy.weight_bytes for one in roomy.formats[1:])
    sizes = {one.name: one.total_bytes for one in roomy.formats}
    memory = (sizes["Q4_0"] + 1000) / 0.95 / 1e9
    tight = plan_model(str(starter_gguf), PlanOptions(engine="llama.cpp", window=2048, memory=memory))
    fitting = [one for one in tight.formats if one.fits]
    assert tight.best.format == max(fitting, key=lambda one: one.weight_bytes).name
    none = plan_model(str(starter_gguf), PlanOptions(engine="llama.cpp", window=2048, memory=0.01))
    assert none.best.format is None and none.best.window == 0 and not none.fits


def test_a_folder_of_safetensors_with_experts() -> None:
    config = {
        "model_type": "mixtral",
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 1,
        "vocab_size": 1000,
        "sliding_window": None,
    }
    rows = [
        ("model.embed_tokens.weight", (1000, 64), "BF16", 128_000),
        ("model.layers.0.self_attn.q_proj.weight", (64, 64), "BF16", 8192),
        ("model.layers.0.block_sparse_moe.experts.0.w1.weight", (128, 64), "BF16", 16_384),
    ]
    shape = shape_of_folder("x", "hub", config, rows)
    assert shape.kept == (KeptLayer(2, 8, 8),) * 2
    assert shape.active_bytes == 128_000 + 8192 + 4096
    assert shape.layer_matrices == ((64, 64),)


@pytest.mark.parametrize("use", ["run", "serve", "tune"])
def test_the_published_error_is_within_what_is_promised(use: str) -> None:
    stored = json.loads(resources.files("homespun.planning").joinpath("measured.json").read_text("utf-8"))
    rows = [row for row in stored["rows"] if row["use"] == use]
    assert rows and f"{len(rows)} measured run" in published_error(use)
    for row in rows:  # within 8%, never more than 3% under
        assert -0.03 <= row["predicted_bytes"] / row["measured_bytes"] - 1 <= 0.08


def test_a_recorded_prediction_is_what_the_plan_says_now(starter_gguf) -> None:
    stored = json.loads(resources.files("homespun.planning").joinpath("measured.json").read_text("utf-8"))
    for row in stored["rows"]:
        if row["model"].startswith("SmolLM2"):
            names = ("use", "window", "clients", "tokens_at_once")
            engine = "auto" if row["engine"] == "torch" else row["engine"]
            options = PlanOptions(engine=engine, **{name: row[name] for name in names})
            assert plan_model(str(starter_gguf), options).total_bytes == row["predicted_bytes"]


@pytest.mark.parametrize("options", [PlanOptions(window=-1), PlanOptions(rank=0), PlanOptions(memory=-2)])
def test_options_that_make_no_sense_are_refused(options: PlanOptions) -> None:
    with pytest.raises(PlanError):
        plan_model("x", options)
