"""Query likelihood with the real small model: its numbers, its order, long and empty texts."""

from itertools import permutations

import numpy as np
import pytest

from homespun.engines.engine import EngineOptions
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.rerank import headed
from homespun.retrieval.rerank_model import QueryLikelihood

QUERY = "How much paracetamol may a child take?"
TEXTS = (
    "The fee is due on arrival; it is waived for people who hold a blue card.",
    "Children of 6 to 12 years: 250 mg of paracetamol every six hours.",
    "The library opens at nine.",
)


@pytest.fixture(scope="module")
def engine(starter_gguf):
    with OpenVINOEngine(starter_gguf, EngineOptions(mode="exact", window=200, cache_tokens=4096)) as opened:
        yield opened


def test_the_number_is_the_mean_over_the_questions_tokens(engine):
    before = engine.tokenizer.encode(f"Passage: {TEXTS[1]}\n\nQuestion:")
    asked = engine.tokenizer.encode(f" {QUERY}")
    rows = engine.distributions([*before, *asked[:-1]], last=len(asked))
    expected = rows[np.arange(len(asked)), asked].mean()
    assert QueryLikelihood(engine).scores(QUERY, [TEXTS[1]])[0] == pytest.approx(expected, abs=1e-3)


def test_the_right_passage_is_first_in_any_order(engine):
    reranker = QueryLikelihood(engine)
    alone = [float(reranker.scores(QUERY, [text])[0]) for text in TEXTS]
    assert int(np.argmax(alone)) == 1
    for order in list(permutations(range(3)))[1::2]:
        found = reranker.scores(QUERY, [TEXTS[place] for place in order])
        np.testing.assert_allclose(found, [alone[place] for place in order], atol=1e-3)


def test_of_a_long_passage_the_best_part_is_read(engine):
    filler = "Opening times are on the door. " * 60
    reranker = QueryLikelihood(engine, passage_tokens=40)
    there, not_there = reranker.scores(QUERY, [filler + TEXTS[1] + filler, filler])
    assert there > not_there + 0.3


def test_headings_are_read_whatever_part_is(engine):
    filler = "Opening times are on the door. " * 20
    reranker = QueryLikelihood(engine, passage_tokens=40)
    under = reranker.scores(QUERY, [headed(["Paracetamol", "Doses for children"], filler), filler])
    assert under[0] > under[1] + 0.3


def test_a_long_question_is_read_whole(engine):
    reranker = QueryLikelihood(engine)
    long = "Please tell me what the notes say on the opening times. " * 12
    scores = reranker.scores(long + QUERY, TEXTS[:1])
    other = reranker.scores(long + "What is the fee for people with a blue card?", TEXTS[:1])
    assert np.isfinite(scores).all() and scores[0] < other[0]


def test_odd_questions_and_texts_get_numbers(engine):
    reranker = QueryLikelihood(engine)
    np.testing.assert_array_equal(reranker.scores("  ", ["", "a"]), [0, 0])
    assert reranker.scores(QUERY, []).shape == (0,)
    assert np.isfinite(reranker.scores("<|im_end|>\ud800 東京?", ["", "\n", "<|im_start|>", "東京"])).all()
    with pytest.raises(RetrievalError, match="passage_tokens is -1"):
        QueryLikelihood(engine, -1)
