"""Folders written as GGUF: the same numbers, the same tokens, and an honest loss."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from folder_writer import TEXTS, write_folder
from homespun.engines.convert_loss import convert_and_measure
from homespun.engines.engine import EngineOptions
from homespun.engines.probe import mean_kl_nats
from homespun.engines.reference import reference_log_probabilities
from homespun.engines.torch_engine import TorchEngine
from homespun.errors import HomespunError
from homespun.models.config import ModelConfig
from homespun.models.convert import convert_folder
from homespun.models.convert_formats import fitting_format
from homespun.models.errors import ModelFileError, TokenizerError
from homespun.models.folder import read_folder
from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate, Message
from homespun.models.tokenizer import Tokenizer

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
MODELS = {
    "llama": ("llama", {}),
    "llama 3.1": ("llama", {"rope_parameters": LLAMA3, "attention_bias": True}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {}),
    "gemma3": ("gemma3_text", {}),
}
EXACT = EngineOptions(mode="exact", threads=1)
IDS = np.random.default_rng(3).integers(5, 250, 90).tolist()


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("folders")
    return {
        name: write_folder(root / name.replace(" ", ""), kind, **changes)
        for name, (kind, changes) in MODELS.items()
    }


def folder_rows(folder: Path) -> np.ndarray:
    with TorchEngine(folder, EXACT) as engine:
        return engine.distributions(IDS, last=60)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("target", "largest_kl"), [("F32", 1e-8), ("F16", 1e-5)])
def test_a_written_file_has_the_numbers_of_its_folder(folders, tmp_path, name, target, largest_kl):
    conversion = convert_folder(read_folder(folders[name]), target, tmp_path / "model.gguf")
    assert set(conversion.formats) == {"F32", target} and not conversion.fallbacks
    file = read_gguf(conversion.path)
    written = reference_log_probabilities(file, ModelConfig.from_gguf(file), IDS, 60)
    assert abs(mean_kl_nats(folder_rows(folders[name]), written)) < largest_kl


@pytest.mark.parametrize("name", ["llama 3.1", "qwen2", "qwen3"])
def test_openvino_and_torch_run_what_was_written(folders, tmp_path, name):
    from homespun.engines.openvino.engine import OpenVINOEngine

    path = convert_folder(read_folder(folders[name]), "F16", tmp_path / "model.gguf").path
    want = folder_rows(folders[name])
    for engine in (TorchEngine(path, EXACT), OpenVINOEngine(path, EXACT)):
        with engine:
            assert abs(mean_kl_nats(want, engine.distributions(IDS, last=60))) < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_both_tokenizers_and_templates_are_the_same(folders, tmp_path, name):
    folder = read_folder(folders[name])
    file = read_gguf(convert_folder(folder, "Q8_0", tmp_path / "model.gguf").path)
    ours, written = Tokenizer.from_folder(folder), Tokenizer.from_gguf(file)
    for text in TEXTS:
        assert ours.encode(text) == written.encode(text)
    assert (ours.bos_id, ours.eos_id, ours.add_bos) == (written.bos_id, written.eos_id, written.add_bos)
    assert ours.stop_ids == written.stop_ids and ours.control_ids == written.control_ids
    messages = [Message("user", "Hi <|im_end|> there")]
    assert ChatTemplate.from_folder(folder, ours).encode(messages) == ChatTemplate.from_gguf(
        file, written
    ).encode(messages)


@pytest.mark.parametrize("target", ["BF16", "Q8_0", "Q5_1", "Q4_0", "Q4_K_M"])
def test_the_reported_loss_is_what_an_own_measurement_finds(tmp_path, target):
    folder = write_folder(tmp_path / "wide", "llama", hidden_size=256, head_dim=64, intermediate_size=256)
    conversion, loss = convert_and_measure(folder, target, tmp_path / "model.gguf")
    assert not conversion.fallbacks
    if target == "Q4_K_M":
        assert conversion.formats == {"Q4_K": 13, "Q6_K": 3, "F32": 5}
    file = read_gguf(conversion.path)
    found = reference_log_probabilities(file, ModelConfig.from_gguf(file), IDS, 60)
    own = mean_kl_nats(folder_rows(folder), found)  # on other tokens, so only near
    assert own / 2.5 < loss.mean_kl_nats < own * 2.5
    assert 0 < loss.best_agreement <= 1 and loss.n_positions == 192


def test_rows_that_are_no_whole_blocks_get_what_llama_cpp_gives_them(folders, tmp_path):
    assert [fitting_format("Q4_K", n) for n in (512, 96, 100)] == ["Q4_K", "Q5_0", "F16"]
    assert [fitting_format(kind, 64) for kind in ("Q5_K", "Q6_K", "Q4_0")] == ["Q5_1", "Q8_0", "Q4_0"]
    conversion = convert_folder(read_folder(folders["qwen2"]), "Q4_K_M", tmp_path / "model.gguf")
    assert "token_embd.weight: Q8_0 instead of Q6_K" in conversion.fallbacks
    assert "blk.0.ffn_up.weight: Q5_0 instead of Q4_K" in conversion.fallbacks


def edited(folder: Path, copy: Path, file: str, **changes: object) -> Path:
    shutil.copytree(folder, copy)
    content = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps({**content, **changes}))
    return copy


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("llama", {"hidden_act": "gelu"}, "activation gelu"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "yarn"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window"),
        ("gemma3", {"query_pre_attn_scalar": 8}, "query_pre_attn_scalar"),
        ("gemma3", {"layer_types": ["full_attention"] * 7}, "order of layers"),
        ("llama", {"model_type": "bloom"}, "bloom"),
        ("llama", {"num_hidden_layers": 3}, "no tensor for blk.2"),
        ("llama", {"num_hidden_layers": -3}, "makes no sense"),
    ],
)
def test_what_a_gguf_cannot_say_is_refused(folders, tmp_path, name, changes, reason):
    folder = edited(folders[name], tmp_path / "copy", "config.json", **changes)
    with pytest.raises(ModelFileError, match=reason):
        convert_folder(read_folder(folder), "F16", tmp_path / "model.gguf")
    assert not list(tmp_path.glob("*.gguf")) + list(tmp_path.glob(".*"))


def test_an_unknown_way_of_cutting_words_is_refused(folders, tmp_path):
    cutter = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False, "trim_offsets": True}
    folder = edited(folders["llama"], tmp_path / "copy", "tokenizer.json", pre_tokenizer=cutter)
    with pytest.raises(TokenizerError, match="cuts words"):
        convert_folder(read_folder(folder), "F16", tmp_path / "model.gguf")
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_overwritten_and_a_failure_leaves_nothing(folders, tmp_path):
    folder = read_folder(folders["llama"])
    path = tmp_path / "model.gguf"
    path.write_text("mine")
    with pytest.raises(ModelFileError, match="already"):
        convert_folder(folder, "F16", path)
    assert path.read_text() == "mine"
    with pytest.raises(ModelFileError, match="Q3_X"):
        convert_folder(folder, "Q3_X", tmp_path / "other.gguf")
    with pytest.raises(HomespunError, match="no such folder"):
        convert_folder(folder, "F16", tmp_path / "nowhere" / "model.gguf")

    def interrupt(what: str, done: float, total: float | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_folder(folder, "F16", tmp_path / "other.gguf", interrupt)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.gguf"]


def test_values_beyond_f16_are_refused(folders, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(folders["llama"], tmp_path / "copy"))
    path = str(folder / "model.safetensors")
    tensors = load_file(path)
    tensors["lm_head.weight"] = tensors["lm_head.weight"] * np.float32(1e9)
    save_file(tensors, path)
    with pytest.raises(ModelFileError, match="beyond what F16"):
        convert_folder(read_folder(folder), "F16", tmp_path / "model.gguf")
    tensors["lm_head.weight"][0, 0] = np.nan
    save_file(tensors, path)
    with pytest.raises(ModelFileError, match="not finite"):
        convert_folder(read_folder(folder), "BF16", tmp_path / "model.gguf")
