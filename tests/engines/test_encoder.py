"""The encoder against sentence-transformers, and what it refuses."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from homespun.engines.errors import EngineError, WindowError
from homespun.engines.openvino.encoder import EmbedderOptions, Encoder
from homespun.engines.openvino.encoder_graph import EncoderConfig, build_encoder, read_tensors
from homespun.engines.openvino.settings import core

PASSAGES = (
    "Paracetamol for children of 6 to 12 years: 250 mg every six hours, at most four doses in a day.",
    "The fee is due on arrival; it is waived for people who hold a blue card.",
    "Mother-to-child transmission is the main cause of HIV-1 infection in children worldwide. " * 9,
    "naïve café, 東京の病院, привет, हिन्दी, 🙂👩‍⚕️",
    "x",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 9,
)


@pytest.fixture(scope="module")
def token_ids(starter_embedder: Path) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(starter_embedder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [encoding.ids for encoding in tokenizer.encode_batch(list(PASSAGES))]


@pytest.fixture(scope="module")
def reference(starter_embedder: Path) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(starter_embedder), device="cpu")
    return model.encode(list(PASSAGES), normalize_embeddings=True)


def test_float32_equals_sentence_transformers(starter_embedder, token_ids, reference):
    encoder = Encoder.open(starter_embedder, EmbedderOptions(precision="f32"))
    vectors = encoder.encode(token_ids)
    assert encoder.precision == "f32"
    assert vectors.shape == (len(PASSAGES), 384) and vectors.dtype == np.float32
    assert (vectors * reference).sum(axis=1).min() >= 0.9999
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_bf16_stays_close(starter_embedder, token_ids, reference):
    if "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(EngineError, match="does not compute in bf16"):
            Encoder.open(starter_embedder, EmbedderOptions(precision="bf16"))
        return
    encoder = Encoder.open(starter_embedder, EmbedderOptions(precision="bf16"))
    assert encoder.precision == "bf16"
    assert (encoder.encode(token_ids) * reference).sum(axis=1).min() >= 0.9995


def test_a_vector_does_not_depend_on_its_batch(starter_embedder, token_ids):
    encoder = Encoder.open(starter_embedder, EmbedderOptions(precision="f32", threads=1, batch_size=3))
    together = encoder.encode(token_ids)
    assert encoder.threads == 1
    for row, ids in enumerate(token_ids):
        np.testing.assert_allclose(encoder.encode([ids])[0], together[row], atol=1e-5)


def test_kept_graph_gives_the_same_and_a_damaged_one_is_replaced(starter_embedder, token_ids, tmp_path):
    options = EmbedderOptions(precision="f32")
    built = Encoder.open(starter_embedder, options, tmp_path).encode(token_ids)
    (kept_path,) = tmp_path.glob("*.encoder")
    whole = kept_path.read_bytes()
    kept = Encoder.open(starter_embedder, options, tmp_path).encode(token_ids)
    np.testing.assert_array_equal(built, kept)
    kept_path.write_bytes(whole[: len(whole) // 2])
    again = Encoder.open(starter_embedder, options, tmp_path).encode(token_ids)
    np.testing.assert_array_equal(built, again)
    assert kept_path.stat().st_size == len(whole)


def test_too_long_and_empty_texts_are_refused(starter_embedder):
    encoder = Encoder.open(starter_embedder)
    assert encoder.encode([]).shape == (0, 384)
    with pytest.raises(WindowError, match="513 tokens"):
        encoder.encode([[101] * 513])
    with pytest.raises(WindowError):
        encoder.encode([[101, 102], []])
    with pytest.raises(EngineError, match="vocabulary"):
        encoder.encode([[101, 30522]])


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"model_type": "gpt2"}, "only 'bert'"),
        ("config.json", {"hidden_act": "swish"}, "swish"),
        ("config.json", {"num_hidden_layers": 7}, "has no tensor 'encoder.layer.6"),
        ("config.json", {"hidden_size": 768}, "shape"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False}, "pooling"),
    ],
)
def test_a_folder_of_another_kind_is_refused(starter_embedder, tmp_path, file, change, message):
    folder_path = tmp_path / "embedder"
    shutil.copytree(starter_embedder, folder_path, copy_function=lambda a, b: Path(b).symlink_to(a))
    config = json.loads((folder_path / file).read_text()) | change
    (folder_path / file).unlink()
    (folder_path / file).write_text(json.dumps(config))
    with pytest.raises(EngineError, match=message):
        Encoder.open(folder_path)


@pytest.mark.parametrize("damage", [b"", b"<html>", struct.pack("<Q", 1 << 40) + b"{}"])
def test_damaged_weights_are_refused(starter_embedder, tmp_path, damage):
    for name in ("config.json", "1_Pooling"):
        (tmp_path / name).symlink_to(starter_embedder / name)
    (tmp_path / "model.safetensors").write_bytes(damage)
    with pytest.raises(EngineError, match="cannot be read"):
        Encoder.open(tmp_path)


def test_cls_pooling_takes_the_first_token(starter_embedder, token_ids):
    from dataclasses import replace

    import torch
    from transformers import BertModel

    config = replace(EncoderConfig.from_folder(starter_embedder), pooling="cls")
    model = build_encoder(config, read_tensors(starter_embedder))
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.array([token_ids[0]], np.int64)
    vector = compiled([ids, np.ones_like(ids)])[0][0]
    with torch.no_grad():
        hidden = BertModel.from_pretrained(starter_embedder)(torch.from_numpy(ids)).last_hidden_state[0, 0]
    hidden = hidden / hidden.norm()
    assert float(vector @ hidden.numpy()) >= 0.99999
