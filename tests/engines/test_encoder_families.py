"""Random tiny encoders of each family against transformers, and their pooling and dense modules."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from homespun.engines.errors import EngineError
from homespun.engines.openvino.encoder import EmbedderOptions, Encoder
from homespun.engines.openvino.encoder_choice import LOWEST_MEAN_COSINE, chosen_precision, measure_precisions
from homespun.engines.openvino.encoder_config import EncoderConfig

SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64}
IDS = [[5, 9, 17, 30, 6], [5, 40, 6], [5, *range(10, 70), 6]]


def save_random(kind: str, path: Path) -> object:
    import torch
    import transformers

    torch.manual_seed(0)
    common = {"vocab_size": 99, "max_position_embeddings": 80}
    made = {
        "bert": lambda: transformers.BertModel(transformers.BertConfig(**common, **SIZES)),
        "roberta": lambda: transformers.RobertaModel(
            transformers.RobertaConfig(**common, **SIZES, pad_token_id=1, type_vocab_size=1)
        ),
        "xlm-roberta": lambda: transformers.XLMRobertaModel(
            transformers.XLMRobertaConfig(**common, **SIZES, pad_token_id=1, type_vocab_size=1)
        ),
        "distilbert": lambda: transformers.DistilBertModel(
            transformers.DistilBertConfig(**common, dim=32, n_heads=4, n_layers=2, hidden_dim=64)
        ),
        "mpnet": lambda: transformers.MPNetModel(
            transformers.MPNetConfig(**common, **SIZES, pad_token_id=1, relative_attention_num_buckets=32)
        ),
    }[kind]().eval()
    with torch.no_grad():  # as spread as trained ones, so that a wrong position or bias is seen
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    made.save_pretrained(path)
    return made


def states(model: object, ids: list[int]) -> np.ndarray:
    import torch

    with torch.no_grad():
        return model(torch.tensor([ids])).last_hidden_state[0].numpy()


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "distilbert", "mpnet"])
def test_a_family_equals_transformers(kind: str, tmp_path: Path) -> None:
    model = save_random(kind, tmp_path)
    vectors = Encoder.open(tmp_path, EmbedderOptions(precision="f32", threads=1)).encode(IDS)
    for vector, ids in zip(vectors, IDS, strict=True):
        mean = states(model, ids).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=2e-5)


@pytest.mark.parametrize(
    ("key", "pooled"),
    [
        ("pooling_mode_cls_token", lambda s: s[0]),
        ("pooling_mode_max_tokens", lambda s: s.max(axis=0)),
        ("pooling_mode_lasttoken", lambda s: s[-1]),
        ("pooling_mode_mean_tokens", lambda s: s.mean(axis=0)),
    ],
)
def test_pooling_and_a_dense_module(key: str, pooled, tmp_path: Path) -> None:
    model = save_random("bert", tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({key: True}))
    dense = tmp_path / "2_Dense"
    dense.mkdir()
    weight = np.random.default_rng(1).standard_normal((12, 32)).astype(np.float32) * 0.3
    bias = np.linspace(-1, 1, 12, dtype=np.float32)
    save_file({"linear.weight": weight, "linear.bias": bias}, dense / "model.safetensors")
    (dense / "config.json").write_text(
        json.dumps({"out_features": 12, "activation_function": "torch.nn.modules.activation.Tanh"})
    )
    kinds = [
        ("", "Transformer"),
        ("1_Pooling", "Pooling"),
        ("2_Dense", "Dense"),
        ("3_Normalize", "Normalize"),
    ]
    listed = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    encoder = Encoder.open(tmp_path, EmbedderOptions(precision="f32", threads=1))
    assert encoder.dimensions == 12
    for vector, ids in zip(encoder.encode(IDS), IDS, strict=True):
        wanted = np.tanh(weight @ pooled(states(model, ids)) + bias)
        np.testing.assert_allclose(vector, wanted / np.linalg.norm(wanted), atol=3e-5)
    listed[2]["path"] = "../elsewhere"
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(EngineError, match="names the folder"):
        Encoder.open(tmp_path)


def test_int8_stays_close(starter_embedder: Path) -> None:
    config = EncoderConfig.from_folder(starter_embedder)
    measured = {
        row["precision"]: row for row in measure_precisions(starter_embedder, config, EmbedderOptions())
    }
    assert measured["f32"]["mean_cosine"] == pytest.approx(1, abs=1e-5)
    assert LOWEST_MEAN_COSINE <= measured["int8"]["mean_cosine"] < 0.99999, "int8 was not rounded"
    encoder = Encoder.open(starter_embedder, EmbedderOptions(precision="int8"))
    assert encoder.precision == "int8"


def test_a_precision_that_disagrees_is_not_chosen(
    starter_embedder: Path, tmp_path: Path, monkeypatch
) -> None:
    from homespun.engines.openvino import encoder_choice

    config = EncoderConfig.from_folder(starter_embedder)
    rows = [
        {"precision": "f32", "seconds": 4.0, "mean_cosine": 1.0},
        {"precision": "bf16", "seconds": 2.0, "mean_cosine": 0.9999},
        {"precision": "int8", "seconds": 1.0, "mean_cosine": 0.98},
    ]
    monkeypatch.setattr(encoder_choice, "_AGREE_IN_INT8", ())
    monkeypatch.setattr(encoder_choice, "measure_precisions", lambda *given: rows)
    assert chosen_precision(starter_embedder, config, EmbedderOptions(), tmp_path) == "bf16"
    rows[1]["seconds"] = 9.0  # what was found first is kept
    assert chosen_precision(starter_embedder, config, EmbedderOptions(), tmp_path) == "bf16"
    assert chosen_precision(starter_embedder, config, EmbedderOptions(), tmp_path / "other") == "f32"
