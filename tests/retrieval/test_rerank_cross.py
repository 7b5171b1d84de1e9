"""A tiny random cross-encoder against transformers' numbers; windows; folders of another kind."""

import json
import shutil

import numpy as np
import pytest

from homespun.engines.errors import EngineError
from homespun.engines.openvino.encoder_compile import EmbedderOptions
from homespun.models.home import Home
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.rerank_cross import CrossEncoder
from homespun.retrieval.rerank_open import open_rerankers

QUERY = "How much paracetamol?"
TEXTS = (
    "The fee is due on arrival.",
    "",
    "Children: 250 mg of paracetamol every six hours, four times a day.",
)


@pytest.fixture(scope="module")
def folder(starter_embedder, tmp_path_factory):
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.4,
        num_labels=1,
    )
    path = tmp_path_factory.mktemp("cross") / "tiny"
    BertForSequenceClassification(config).save_pretrained(path)
    shutil.copy(starter_embedder / "tokenizer.json", path)
    return path


@pytest.fixture(scope="module")
def cross(folder):
    return CrossEncoder.open(folder, EmbedderOptions(precision="f32"))


@pytest.fixture(scope="module")
def transformers_logits(folder):
    import torch
    from tokenizers import Tokenizer
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def logits(query, text):
        encoding = tokenizer.encode(query, text)
        with torch.no_grad():
            rows = model(
                input_ids=torch.tensor([encoding.ids]), token_type_ids=torch.tensor([encoding.type_ids])
            )
        return float(rows.logits[0, 0])

    return logits


def test_equal_to_transformers(cross, transformers_logits):
    expected = [transformers_logits(QUERY, text) for text in TEXTS]
    assert np.ptp(expected) > 0.05, "a model that tells nothing apart proves nothing"
    np.testing.assert_allclose(cross.scores(QUERY, TEXTS), expected, atol=1e-4)
    np.testing.assert_allclose(cross.scores(QUERY, TEXTS[::-1]), expected[::-1], atol=1e-4)
    np.testing.assert_allclose([cross.scores(QUERY, [t])[0] for t in TEXTS], expected, atol=1e-4)
    assert cross.scores("", TEXTS)[1] == pytest.approx(transformers_logits("", ""), abs=1e-4)
    assert cross.scores(QUERY, []).shape == (0,)


def test_roberta_equals_transformers(tmp_path):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    words = {
        word: number
        for number, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", "how", "much", "a", "b", "c", "d"])
    }
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    torch.manual_seed(2)
    config = XLMRobertaConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        type_vocab_size=1,
        initializer_range=0.4,
        num_labels=1,
    )
    model = XLMRobertaForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    texts = ["a b", "c", "d d b a how"]
    with torch.no_grad():
        expected = [
            float(model(torch.tensor([tokenizer.encode("how much", text).ids])).logits[0, 0])
            for text in texts
        ]
    assert np.ptp(expected) > 0.05
    found = CrossEncoder.open(tmp_path, EmbedderOptions(precision="f32")).scores("how much", texts)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_long_passage_counts_by_its_best_window(cross, transformers_logits):
    words = [f"{number}" for number in range(100)]
    # 64 positions less [CLS], two [SEP] and the question; windows overlap by 32 tokens.
    n_query = len(cross._tokenizer.encode(QUERY, add_special_tokens=False).ids)
    room = 64 - 3 - n_query
    n_windows = -(-(100 - 32) // (room - 32))
    starts = [round((100 - room) * number / (n_windows - 1)) for number in range(n_windows)]
    expected = max(transformers_logits(QUERY, " ".join(words[s : s + room])) for s in starts)
    assert cross.scores(QUERY, [" ".join(words)])[0] == pytest.approx(expected, abs=1e-4)
    assert np.isfinite(cross.scores(" ".join(words), [TEXTS[0], " ".join(words)])).all()


def test_opened_by_its_path(cross, folder, home: Home):
    with open_rerankers(home, [str(folder)]) as (reranker,):
        assert reranker.name == "cross:tiny"
        assert (
            np.argsort(reranker.scores(QUERY, TEXTS)).tolist()
            == np.argsort(cross.scores(QUERY, TEXTS)).tolist()
        )
    with pytest.raises(RetrievalError, match="neither late nor model"), open_rerankers(home, ["best"]):
        pass


def test_folders_of_another_kind_are_refused(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "config.json").write_text(json.dumps(config | {"id2label": {"0": "no", "1": "yes"}}))
    with pytest.raises(EngineError, match="2 labels"):
        CrossEncoder.open(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(EngineError, match="'bert'"):
        CrossEncoder.open(tmp_path)


def test_an_embedder_is_no_cross_encoder(starter_embedder, tmp_path):
    config = json.loads((starter_embedder / "config.json").read_text()) | {"id2label": {"0": "a"}}
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).symlink_to(starter_embedder / name)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="classifier"):
        CrossEncoder.open(tmp_path)
