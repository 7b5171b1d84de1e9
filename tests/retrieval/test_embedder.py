"""The embedder: its tokens, its limit, and texts that are too long."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.engines.openvino.encoder import EmbedderOptions
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.errors import EmbedderError


def test_facts(embedder):
    assert embedder.dimensions == 384
    assert embedder.max_tokens == 254  # 256 of sentence_bert_config.json, less [CLS] and [SEP]
    assert len(embedder.identity) == 64
    assert embedder.token_limit.max_tokens == 254


def test_vectors_equal_sentence_transformers(starter_embedder):
    from sentence_transformers import SentenceTransformer

    texts = ["A dose of 250 mg.", "naïve café 🙂 東京", "[SEP is no token", ""]
    reference = SentenceTransformer(str(starter_embedder), device="cpu").encode(
        texts, normalize_embeddings=True
    )
    exact = open_embedder(starter_embedder, EmbedderOptions(precision="f32"))
    assert (exact.embed(texts, "passage") * reference).sum(axis=1).min() >= 0.9999
    np.testing.assert_array_equal(exact.embed(texts, "passage"), exact.embed(texts, "query"))


def test_a_passage_above_the_limit_is_refused_and_never_cut(embedder):
    assert embedder.embed(["word " * 254], "passage").shape == (1, 384)
    with pytest.raises(EmbedderError, match="255 tokens"):
        embedder.embed(["word " * 255], "passage")


def test_a_long_query_is_the_mean_of_its_windows(embedder):
    first, second = "fees " * 200, "zebras " * 400
    whole = embedder.embed([first + second], "query")[0]
    # 200 tokens and 400 tokens ("zebra" + "##s" would be more): windows of equal counts, as documented.
    offsets = embedder.token_offsets(first + second)
    n_windows = -(-len(offsets) // 254)
    cuts = [offsets[len(offsets) * part // n_windows][0] for part in range(n_windows)] + [len(first + second)]
    windows = [(first + second)[cuts[part] : cuts[part + 1]] for part in range(n_windows)]
    mean = embedder.embed(windows, "passage").sum(axis=0)
    np.testing.assert_allclose(whole, mean / np.linalg.norm(mean), atol=0.01)
    assert n_windows >= 3


def test_special_tokens_in_text_are_text(embedder):
    pieces = [("[SEP] x")[start:end] for start, end in embedder.token_offsets("[SEP] x")]
    assert pieces == ["[", "SEP", "]", "x"] or pieces == ["[", "SE", "P", "]", "x"]
    inside = embedder.embed(["a [SEP] [CLS] [PAD] b"], "passage")[0]
    assert inside @ embedder.embed(["a b"], "passage")[0] < 0.99


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=80))
def test_offsets_lie_in_the_text_in_order(embedder, text):
    offsets = embedder.token_offsets(text)
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


def test_any_text_has_a_unit_vector(embedder):
    texts = ["", "\ud800 lone", "\x00", "a" * 100_000, "🙂" * 3_000, "\n" * 2_000, "हिन्दी " * 900]
    vectors = embedder.embed(texts, "query")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_prefixes_of_the_model_are_used_and_counted(starter_embedder, tmp_path):
    folder_path = tmp_path / "prefixed"
    shutil.copytree(starter_embedder, folder_path, copy_function=lambda a, b: Path(b).symlink_to(a))
    config_path = folder_path / "config_sentence_transformers.json"
    config_path.unlink()
    config_path.write_text(json.dumps({"prompts": {"query": "query: ", "document": "passage: "}}))
    prefixed = open_embedder(folder_path)
    plain = open_embedder(starter_embedder)
    assert prefixed.max_tokens == 252  # "passage" and ":"
    assert prefixed.identity != plain.identity
    query, passage = (prefixed.embed(["fees"], kind)[0] for kind in ("query", "passage"))
    assert query @ passage < 0.999
    assert query @ plain.embed(["query: fees"], "query")[0] > 0.9995


def test_identity_is_of_content_not_of_place(starter_embedder, embedder, tmp_path):
    (tmp_path / "elsewhere").symlink_to(starter_embedder)
    assert open_embedder(tmp_path / "elsewhere").identity == embedder.identity


def test_no_embedder_there(tmp_path):
    with pytest.raises(EmbedderError):
        open_embedder(tmp_path / "nothing")


def test_r3_prefixes_are_as_the_card_asks_and_others_get_none():
    from homespun.retrieval.embedders.card import prefixes_of

    e5 = prefixes_of({}, ["", "multilingual-e5-small"])
    assert (e5.query, e5.passage, e5.are_stated) == ("query: ", "passage: ", False)
    nomic = prefixes_of({"prompts": None}, ["nomic-ai/nomic-embed-text-v1.5"])
    assert (nomic.query, nomic.passage) == ("search_query: ", "search_document: ")
    bge = prefixes_of({}, ["BAAI/bge-small-en-v1.5"])
    assert bge.query.startswith("Represent this sentence") and bge.passage == ""
    stated = prefixes_of({"prompts": {"query": "Q ", "document": "D "}}, ["e5-small"])
    assert (stated.query, stated.passage, stated.are_stated) == ("Q ", "D ", True)
    plain = prefixes_of({}, ["all-MiniLM-L6-v2"])
    assert (plain.query, plain.passage) == ("", "")


def test_r3_a_family_without_prompts_gets_its_prefixes(starter_embedder, embedder, tmp_path):
    (tmp_path / "e5-small-v2").symlink_to(starter_embedder)
    prefixed = open_embedder(tmp_path / "e5-small-v2")
    query, passage = (prefixed.embed(["fees"], kind)[0] for kind in ("query", "passage"))
    assert query @ passage < 0.999 and prefixed.identity != embedder.identity
    assert query @ embedder.embed(["query: fees"], "query")[0] > 0.9995


def test_languages_of_a_card(tmp_path):
    from homespun.retrieval.embedders.card import folder_languages

    card = tmp_path / "README.md"
    assert folder_languages(tmp_path, ["unknown"]) == ()
    assert folder_languages(tmp_path, ["all-MiniLM-L6-v2"]) == ("en",)
    card.write_text("---\nlanguage: de\nlicense: mit\n---\n# A card")
    assert folder_languages(tmp_path, ["all-MiniLM-L6-v2"]) == ("de",)
    card.write_text("---\ntags:\n- x\nlanguage:\n  - en\n  - fr\n---\n")
    assert folder_languages(tmp_path, []) == ("en", "fr")
    card.write_text("---\nlanguage: multilingual\n---\n")
    assert folder_languages(tmp_path, ["all-MiniLM-L6-v2"]) == ()
