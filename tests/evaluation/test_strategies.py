"""Strategies measured on a tiny model and on a script whose every text is known; conclusions by hand."""

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random, write_script

from homespun.decoding.errors import DecodingError
from homespun.decoding.strategies import STRATEGIES
from homespun.engines.engine import EngineOptions
from homespun.engines.errors import WindowError
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.evaluation.conclusions import conclusions
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import Interval
from homespun.evaluation.prompts import Prompt
from homespun.evaluation.strategies import (
    ComparisonOptions,
    MeasuredStrategy,
    StrategyComparison,
    compare_strategies,
)
from homespun.evaluation.strategy_picture import draw_comparison
from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer
from homespun.retrieval.embedders.fake import HashEmbedder


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    path = write_random(folder / "tiny.gguf", Shape())
    with OpenVINOEngine(path, EngineOptions(mode="exact"), cache_path=folder / "cache") as opened:
        yield opened


@pytest.fixture(scope="module")
def compared(engine):
    told = []
    prompts = [Prompt(f"text {number}", number + 1, ("th an",) if number else ()) for number in range(3)]
    found = compare_strategies(
        engine,
        prompts,
        ComparisonOptions(max_new_tokens=5, seed=7),
        embedder=HashEmbedder("hash", 16),
        progress=lambda what, done, total: told.append((what, done, total)),
    )
    return found, told


def test_every_strategy_is_measured_and_progress_ends_at_all(compared):
    found, told = compared
    assert tuple(row.strategy for row in found.strategies) == STRATEGIES
    assert found.n_prompts == 3 and found.n_references == 2 and not found.left_out
    writing = [(done, total) for what, done, total in told if what == "writing texts"]
    assert writing == [(done, 24) for done in range(25)]
    base = found.strategies[0]
    assert not base.differences and base.measures["speed"].value > 0
    for row in found.strategies[1:]:
        assert len(row.texts) == 3
        assert set(row.differences) == set(row.measures) & set(base.measures)
        gap = row.measures["log-likelihood"].value - base.measures["log-likelihood"].value
        assert row.differences["log-likelihood"].value == pytest.approx(gap)


def test_the_likelihood_is_that_of_the_texts_read_again(engine, compared):
    found, _ = compared
    from homespun.decoding.next import prompt_ids
    from homespun.decoding.strategies import StrategyOptions, write
    from homespun.engines.engine import GenerateOptions, ScoreRequest

    total, n_tokens = 0.0, 0
    for number in range(3):
        ids = prompt_ids(engine, f"text {number}")
        written = write(
            engine, ids, GenerateOptions(max_new_tokens=5, seed=7 + number), StrategyOptions("sample")
        )
        assert written.text == found.strategies[STRATEGIES.index("sample")].texts[number]
        if written.finish == "length":
            again = engine.score([ScoreRequest((*ids, *written.token_ids), len(written.token_ids))])[0]
            assert written.log_probability == pytest.approx(float(again.sum()), abs=1e-3)
        total, n_tokens = total + written.log_probability, n_tokens + written.n_steps
    measured = found.strategies[STRATEGIES.index("sample")].measures["log-likelihood"]
    assert measured.value == pytest.approx(total / n_tokens, abs=1e-5)


def test_texts_known_beforehand(tmp_path):
    """A script goes on with "ab ab ab ..." after any space: one word, repeated 4-grams, equal texts."""
    path = write_random(tmp_path / "any.gguf", Shape())
    tokenizer = Tokenizer.from_gguf(read_gguf(path))
    chain = tokenizer.encode(" ab ")
    path = write_script(tmp_path / "script.gguf", Shape(), chain)
    with OpenVINOEngine(path, EngineOptions(mode="exact"), cache_path=tmp_path / "cache") as engine:
        found = compare_strategies(
            engine,
            [Prompt("x ", 1, ("ab ab",)), Prompt("y ", 2, ("other",)), Prompt("z ", 3)],
            ComparisonOptions(strategy=("greedy",), max_new_tokens=20),
        )
    row = found.strategies[0]
    assert set(row.texts) == {"ab ab ab ab ab ab ab"}
    assert row.measures["distinct-1"].value == pytest.approx(1 / 21)
    assert row.measures["self-BLEU"].value == pytest.approx(1)
    assert row.measures["repetition"].value == pytest.approx(3 / 4)  # four 4-grams, the first is new
    # Two of the seven words are in the reference of two words: 2 * 2 / 9; the other reference shares none.
    assert row.measures["token F1"].value == pytest.approx((4 / 9 + 0) / 2)
    assert found.left_out == {"coherence": "the home has no embedder of its own, and none is named"}


def test_an_adapter_writes_other_texts(engine, compared, tmp_path):
    tensors = adapter_tensors(Shape(), ("attn_q", "ffn_down"), 4, seed=1)
    engine.load_adapter("tone", write_adapter(tmp_path / "tone", tensors, 4))
    options = ComparisonOptions(strategy=("beam",), max_new_tokens=5, seed=7)
    prompts = [Prompt(f"text {number}", number + 1) for number in range(3)]
    found = compare_strategies(engine, prompts, options, adapter="tone")
    assert found.adapter == "tone"
    for row, base in zip(found.strategies, compared[0].strategies, strict=False):
        assert row.strategy == base.strategy and row.texts != base.texts
    engine.remove_adapter("tone")


def test_what_cannot_be_measured_is_refused(engine):
    with pytest.raises(EvaluationError, match="no prompt"):
        compare_strategies(engine, [])
    with pytest.raises(DecodingError, match="no strategy 'best'"):
        ComparisonOptions(strategy=("best",))
    with pytest.raises(EvaluationError, match="max_new_tokens is 0"):
        ComparisonOptions(max_new_tokens=0)
    with pytest.raises(WindowError, match="line 4"):
        compare_strategies(engine, [Prompt("x " * 300, 4)])


def comparison(engine, n_prompts=30, **differences):
    base = MeasuredStrategy("greedy", "", {"speed": Interval(1, 1, 1)}, {}, ())
    row = MeasuredStrategy("top-p", "", {"speed": Interval(1, 1, 1)}, differences, ())
    return StrategyComparison((base, row), {}, n_prompts, 0, ComparisonOptions(), None, None, engine.facts)


def test_more_diverse_is_said_only_where_the_interval_excludes_zero(engine):
    clear = {"distinct-2": Interval(0.1, 0.02, 0.2), "repetition": Interval(-0.1, -0.3, 0.1)}
    said = conclusions(comparison(engine, **clear))
    assert said[0] == (
        "top-p: more diverse (distinct-2 +0.100 [+0.020 to +0.200]) than greedy; "
        "no difference is shown in repetition."
    )
    assert "of 2 differences" in said[1]
    touching = {"distinct-2": Interval(0.1, 0.0, 0.2)}
    assert conclusions(comparison(engine, **touching))[0] == "top-p: no difference to greedy is shown."


def test_a_low_self_bleu_is_diverse_and_measures_may_disagree(engine):
    low = {"self-BLEU": Interval(-0.1, -0.2, -0.05)}
    assert "more diverse (self-BLEU \u22120.100" in conclusions(comparison(engine, **low))[0]
    torn = {**low, "distinct-1": Interval(-0.1, -0.2, -0.05)}
    said = conclusions(comparison(engine, **torn))[0]
    assert "measures of diversity disagree" in said and "more diverse" not in said


def test_too_few_prompts_conclude_nothing(engine):
    said = conclusions(comparison(engine, 29, **{"distinct-2": Interval(0.1, 0.02, 0.2)}))
    assert said == ["29 prompts are too few: nothing is concluded from fewer than 30."]


def test_nothing_is_marked_below_thirty_prompts(engine):
    clear = {"distinct-2": Interval(0.1, 0.02, 0.2), "repetition": Interval(-0.1, -0.3, 0.1)}
    many, few = comparison(engine, **clear), comparison(engine, 29, **clear)
    row = many.strategies[1]
    assert many.is_clear(row, "distinct-2") and not many.is_clear(row, "repetition")
    assert not many.is_clear(row, "speed") and not few.is_clear(row, "distinct-2")


def test_the_picture_has_a_panel_for_each_measure(compared, tmp_path):
    draw_comparison(compared[0], tmp_path / "it.svg")
    text = (tmp_path / "it.svg").read_text()
    for word in ("distinct-1", "self-BLEU", "tokens/s", "nats/token", "contrastive", "95% intervals"):
        assert word in text
    assert np.isfinite(compared[0].strategies[0].measures["speed"].value)
