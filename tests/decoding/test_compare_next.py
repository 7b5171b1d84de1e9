"""Base against adapter, with a passage and without: against the engine's own distributions."""

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random
from hypothesis import given
from hypothesis import strategies as st

from homespun.decoding.compare_next import compare_next, kl_nats
from homespun.decoding.errors import DecodingError
from homespun.decoding.next import prompt_ids
from homespun.decoding.views import draw_compared
from homespun.engines.engine import EngineOptions, GenerateOptions
from homespun.engines.openvino.engine import OpenVINOEngine

SHAPE = Shape()
LOGS = st.lists(st.floats(-8, 8), min_size=3, max_size=3).map(
    lambda values: np.array(values) - np.log(np.exp(values).sum())
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    path = write_random(folder / "tiny.gguf", SHAPE)
    with OpenVINOEngine(path, EngineOptions(mode="exact"), cache_path=folder / "cache") as opened:
        opened.load_adapter(
            "tone",
            write_adapter(folder / "tone", adapter_tensors(SHAPE, ("attn_q", "ffn_down"), 4, seed=1), 4),
        )
        yield opened


@pytest.fixture(scope="module")
def compared(engine):
    return compare_next(engine, "the text", k=3, passage="before", adapter="tone")


def test_all_four_ways_have_the_engines_odds(engine, compared):
    assert [variant.name for variant in compared.variants] == [
        "base", "with the adapter", "behind the passage", "with both",
    ]  # fmt: skip
    bare, behind = (prompt_ids(engine, "the text", passage=passage) for passage in (None, "before"))
    rows = [
        np.exp(engine.distributions(ids, adapter=adapter)[0])
        for ids, adapter in ((bare, None), (bare, "tone"), (behind, None), (behind, "tone"))
    ]
    for variant, row in zip(compared.variants, rows, strict=True):
        best = [candidate.id for candidate in variant.found.candidates]
        assert best == np.argsort(-row, kind="stable")[:3].tolist()
    for token in compared.tokens:
        assert token.probabilities == pytest.approx([row[token.id] for row in rows], abs=1e-5)
    wanted = {candidate.id for variant in compared.variants for candidate in variant.found.candidates}
    assert {token.id for token in compared.tokens} == wanted
    most = [max(token.probabilities) for token in compared.tokens]
    assert most == sorted(most, reverse=True)


def test_how_far_the_odds_moved(engine, compared):
    assert compared.variants[0].kl_nats is None
    assert all(variant.kl_nats > 0.01 for variant in compared.variants[1:])
    alone = compare_next(engine, "the text", k=3)
    assert len(alone.variants) == 1
    assert alone.variants[0].found.candidates == compared.variants[0].found.candidates


def test_kl_by_hand():
    # .5 log(.5/.9) + .5 log(.5/.1)
    assert kl_nats(np.log([0.5, 0.5]), np.log([0.9, 0.1])) == pytest.approx(0.5108256)
    with np.errstate(divide="ignore"):
        assert kl_nats(np.log([1.0, 0.0]), np.log([0.5, 0.5])) == pytest.approx(np.log(2))


@given(LOGS, LOGS)
def test_kl_is_zero_only_for_the_same_odds(first, second):
    assert kl_nats(first, first) == 0
    assert kl_nats(first, second) >= 0


def test_stages_are_shown_for_each_way(engine):
    found = compare_next(engine, "the", GenerateOptions(temperature=0.5, top_k=2), k=4, adapter="tone")
    for variant in found.variants:
        assert variant.found.stage_names == ("model", "temperature 0.5", "top-k 2")
        assert sum(c.by_stage[-1] for c in variant.found.candidates) == pytest.approx(1)


def test_showing_nothing_is_refused(engine):
    with pytest.raises(DecodingError, match="k is 0"):
        compare_next(engine, "the", k=0)


def test_the_picture_names_all_ways(compared, tmp_path):
    draw_compared(compared, tmp_path / "it.svg", title="the text")
    text = (tmp_path / "it.svg").read_text()
    assert all(variant.name in text for variant in compared.variants)
    assert "probability under the model" in text
