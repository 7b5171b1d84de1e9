"""Late interaction: max-sim by hand, the states against transformers, long and empty texts."""

import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest

from homespun.engines.openvino.encoder_compile import EmbedderOptions
from homespun.models.home import Home
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.rerank_late import LateInteraction, max_sim, token_weights
from homespun.retrieval.rerank_open import open_rerankers

QUERY = "How much paracetamol may a child of six years take?"
TEXTS = (
    "The fee is due on arrival; it is waived for people who hold a blue card.",
    "Children of 6 to 12 years: 250 mg of paracetamol every six hours.",
    "The library opens at nine.",
)


@pytest.fixture(scope="module")
def late(starter_embedder) -> LateInteraction:
    return LateInteraction.open(starter_embedder, EmbedderOptions(precision="f32"), weights="plain")


def test_max_sim_by_hand():
    query = np.array([[1, 0], [0, 1]], np.float32)
    passage = np.array([[0.6, 0.8], [0.8, 0.6], [-1, 0]], np.float32)
    assert max_sim(query, passage, np.array([1, 1], np.float32)) == pytest.approx(0.8)
    assert max_sim(query, passage[:1], np.array([1, 1], np.float32)) == pytest.approx(0.7)
    assert max_sim(query, passage[:1], np.array([3, 1], np.float32)) == pytest.approx(0.65)
    assert max_sim(query, passage[:0], np.array([1, 1], np.float32)) == -1
    # One stretch of a token each: the best single token has 0.6 and 0.8; of two, 0.8 and 0.8.
    assert max_sim(query, passage, np.array([1, 1], np.float32), 1) == pytest.approx(0.7)
    assert max_sim(query, passage, np.array([1, 1], np.float32), 2) == pytest.approx(0.8)
    apart = np.array([[1, 0], [-1, 0], [-1, 0], [-1, 0], [0, 1]], np.float32)
    assert max_sim(query, apart, np.array([1, 1], np.float32)) == pytest.approx(1)
    assert max_sim(query, apart, np.array([1, 1], np.float32), 2) == pytest.approx(0.5)
    assert max_sim(query[:0], passage, np.zeros(0, np.float32)) == 0


def test_token_weights_by_hand():
    weights = token_weights([7, 8, 9], [[7, 8], [7, 7], [7]])
    np.testing.assert_allclose(weights, np.log(1 + np.array([0.5 / 3.5, 2.5 / 1.5, 3.5 / 0.5])), rtol=1e-6)


def test_states_equal_transformers(late, starter_embedder):
    import torch
    from transformers import BertModel

    ids = [101, 2129, 2172, 11498, 3527, 102]
    with torch.no_grad():
        states = BertModel.from_pretrained(starter_embedder)(torch.tensor([ids])).last_hidden_state[0]
    expected = torch.nn.functional.normalize(states, dim=-1).numpy()
    found = late.encoder.states([[101, 102], ids])
    assert [state.shape for state in found] == [(2, 384), (6, 384)]
    np.testing.assert_allclose(found[1], expected, atol=1e-4)


def test_the_right_passage_is_first_in_any_order(late):
    alone = [float(late.scores(QUERY, [text])[0]) for text in TEXTS]
    assert int(np.argmax(alone)) == 1
    for order in permutations(range(3)):
        found = late.scores(QUERY, [TEXTS[place] for place in order])
        np.testing.assert_allclose(found, [alone[place] for place in order], atol=1e-5)


def test_the_end_of_a_long_text_counts(late):
    filler = "The library opens at nine and closes at five on every day of the week. " * 40
    scores = late.scores(QUERY, [filler, filler + TEXTS[1]])
    assert scores[1] > scores[0] + 0.1
    long_query = filler + QUERY
    assert np.isfinite(late.scores(long_query, TEXTS)).all()
    assert late.scores(long_query, [filler, TEXTS[2]])[0] > 0.9


@pytest.mark.parametrize("query", ["", "   ", "\ud800", "[CLS] [SEP]"])
def test_odd_questions_and_texts_get_numbers(late, query):
    scores = late.scores(query, ["", " \n", "a", "[MASK]\udfff"])
    assert scores.shape == (4,) and np.isfinite(scores).all()
    assert late.scores(query, []).shape == (0,)


def test_opened_by_name(late, starter_embedder, home: Home):
    path = home.embedders_path / "minilm"
    path.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (path / name).symlink_to(starter_embedder / name)
    home.register_embedder("minilm", path, "digest")
    with open_rerankers(home, ["late"]) as (opened,):
        assert int(np.argmax(opened.scores(QUERY, TEXTS))) == 1
    (path / "model.safetensors").unlink()
    with pytest.raises(RetrievalError, match="states of single tokens"), open_rerankers(home, ["late"]):
        pass


def test_rare_words_count_more(starter_embedder):
    late = LateInteraction.open(starter_embedder, EmbedderOptions(precision="f32"))
    assert int(np.argmax(late.scores(QUERY, TEXTS))) == 1


def test_a_program_that_keeps_it_to_its_end_ends_well(starter_embedder):
    code = (
        "from pathlib import Path\n"
        "from homespun.engines.openvino.encoder import Encoder\n"
        "from homespun.retrieval.rerank_late import LateInteraction\n"
        f"path = Path({str(starter_embedder)!r})\n"
        "late, encoder = LateInteraction.open(path), Encoder.open(path)\n"
        "late.scores('a', ['b']), encoder.encode([[101, 102]])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
