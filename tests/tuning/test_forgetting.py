"""The forgetting check: its statistics by hand, its set, and a real model that forgets."""

import json

import numpy as np
import pytest
from gguf_writer import NAMES, Shape, adapter_tensors, write_adapter, write_random
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from homespun.engines.engine import EngineOptions
from homespun.models.template import Message
from homespun.tuning.errors import TuneError
from homespun.tuning.forgetting import (
    FORGETTING_FILE,
    ForgettingOptions,
    compare_general,
    forgetting_check,
    write_report,
)
from homespun.tuning.forgetting_scores import GeneralScores, measure_general
from homespun.tuning.forgetting_set import KINDS, general_items, general_texts, replay_examples
from homespun.tuning.paired import mcnemar_p, paired_difference

SHAPE = Shape()


def scores(
    n_right: int, n: int = 100, *, kinds=KINDS, nats=(300.0, 320.0), tokens=(100, 100)
) -> GeneralScores:
    """The first `n_right` of `n` questions right, the kinds in turn."""
    its = tuple(kinds[place % len(kinds)] for place in range(n))
    return GeneralScores(its, tuple(place < n_right for place in range(n)), tuple(nats), tuple(tokens))


def test_mcnemar_by_hand():
    assert mcnemar_p(0, 0) == 1
    assert mcnemar_p(1, 0) == 1
    assert mcnemar_p(5, 0) == pytest.approx(2 / 32)
    assert mcnemar_p(6, 1) == pytest.approx(2 * (1 + 7) / 128)
    assert mcnemar_p(3, 3) == 1


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(n_lost, n_gained):
    if n_lost + n_gained:
        assert mcnemar_p(n_lost, n_gained) == pytest.approx(binomtest(n_lost, n_lost + n_gained).pvalue)


def test_a_paired_difference_by_hand():
    same = paired_difference([1, 0, 1], [1, 0, 1])
    assert (same.value, same.low, same.high) == (0, 0, 0)
    steady = paired_difference([1, 5, 9], [3, 7, 11])  # every pair changes alike: no doubt
    assert (steady.value, steady.low, steady.high) == (2, 2, 2)
    weighted = paired_difference([10, 0], [16, 2], [1, 3])
    assert weighted.value == 2  # (6 + 2) / 4
    assert weighted.low == pytest.approx(2 / 3)
    assert weighted.high == 6
    with pytest.raises(ValueError):
        paired_difference([1], [1, 2])


def test_the_interval_of_a_share_is_about_the_normal_one():
    after = [0.0] * 30 + [1.0] * 70
    found = paired_difference([1.0] * 100, after)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 100)
    assert found.value == pytest.approx(-0.3)
    assert found.low == pytest.approx(-0.3 - half, abs=0.01)
    assert found.high == pytest.approx(-0.3 + half, abs=0.01)


def test_perplexity_is_over_all_tokens():
    assert scores(1, nats=(300.0, 100.0), tokens=(100, 100)).perplexity == pytest.approx(np.exp(2))


def test_nothing_lost_is_kept():
    report = compare_general(scores(60), scores(60), "a")
    assert report.verdict == "kept"
    assert report.all.right_before == report.all.right_after == 60
    assert (report.all.n_lost, report.all.n_gained, report.all.p) == (0, 0, 1)
    assert report.perplexity_ratio.value == 1
    assert "60 of 100" in report.sentences[0]


def test_a_shown_loss_is_lost_and_replay_is_offered():
    report = compare_general(scores(60), scores(40), "a")
    assert report.verdict == "lost"
    assert report.all.n_lost == 20
    assert report.all.difference.value == pytest.approx(-0.2)
    assert "60 of 100 questions right before, 40 after (-20.0 points" in report.sentences[0]
    assert "--replay" in report.sentences[-1]


def test_a_loss_of_one_kind_is_named():
    before = GeneralScores(KINDS * 50, (True,) * 200, (10.0,), (5,))
    right = tuple(kind != "language" or place < 160 for place, kind in enumerate(before.kinds))
    after = GeneralScores(before.kinds, right, (10.0,), (5,))
    report = compare_general(before, after, "a")
    assert [one.n_lost for one in report.kinds] == [0, 0, 0, 10]
    assert any(sentence.startswith("Lost in language: 50 of 50") for sentence in report.sentences)


def test_perplexity_alone_can_be_lost():
    report = compare_general(scores(60), scores(60, nats=(330.0, 352.0)), "a")
    assert report.perplexity_ratio.low > 1.1
    assert report.verdict == "lost"
    assert "less probable" in report.sentences[0]
    assert (
        compare_general(
            scores(60), scores(60, nats=(330.0, 352.0)), "a", ForgettingOptions(most_perplexity=1)
        ).verdict
        == "kept"
    )


def test_few_questions_decide_nothing():
    report = compare_general(scores(12, 20), scores(11, 20), "a")
    assert report.verdict == "unclear"
    assert "not ruled out" in report.sentences[0]


def test_different_sets_are_refused():
    with pytest.raises(TuneError, match="not the same"):
        compare_general(scores(5, 10), scores(5, 12), "a")


def test_the_set_is_whole():
    items = general_items()
    assert len(items) >= 220
    assert {kind: sum(item.kind == kind for item in items) for kind in KINDS} == dict.fromkeys(KINDS, 56)
    assert len({item.prompt for item in items}) == len(items)
    for item in items:
        assert len(set(item.options)) == len(item.options) > 2
        assert 0 <= item.answer < len(item.options)
    places = [item.answer for item in items]
    assert max(places.count(place) for place in range(3)) < 0.45 * len(items)
    assert len(general_texts()) == 25
    assert len(general_items(3)) == 12


def test_arithmetic_items_are_right():
    """Those that are one sum are computed."""
    signs = {"plus": "+", "minus": "-", "times": "*", "divided by": "//"}
    n_checked = 0
    for item in general_items():
        for word, sign in signs.items():
            if (
                item.kind == "arithmetic"
                and item.prompt.startswith("What is ")
                and f" {word} " in item.prompt
            ):
                terms = item.prompt.removeprefix("What is ").removesuffix("?").split(f" {word} ")
                assert int(item.options[item.answer]) == eval(sign.join(terms)), item
                n_checked += 1
    assert n_checked > 30


def test_replay_is_no_part_of_the_check():
    rows = replay_examples(10_000, seed=1)
    assert len(rows) == 10_000
    assert len({row.line for row in rows}) >= 150
    prompts = {row.prompt.lower() for row in rows}
    assert not prompts & {item.prompt.lower() for item in general_items()}
    assert [row.line for row in replay_examples(9, 3)] == [row.line for row in replay_examples(9, 3)]
    assert [row.line for row in replay_examples(9, 3)] != [row.line for row in replay_examples(9, 4)]
    n_rows = len({row.line for row in rows})
    assert len({row.line for row in replay_examples(n_rows)}) == n_rows  # none twice before all came once
    assert replay_examples(0) == []


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from homespun.engines.openvino.engine import OpenVINOEngine

    path = write_random(tmp_path_factory.mktemp("tiny") / "model.gguf", SHAPE)
    with OpenVINOEngine(path, EngineOptions(mode="exact", threads=1)) as opened:
        yield opened


def test_the_check_runs_both_and_keeps_the_base(tiny, tmp_path):
    tiny.load_adapter("noise", write_adapter(tmp_path / "a", adapter_tensors(SHAPE, ("ffn_up",), 4, 0), 4))
    options = ForgettingOptions(general_questions=1)
    report = forgetting_check(tiny, adapter="noise", options=options, cache_path=tmp_path / "kept")
    assert report.all.n_questions == 4
    assert report.perplexity_after != pytest.approx(report.perplexity_before, rel=0.01)
    assert report.perplexity_ratio.value == pytest.approx(report.perplexity_after / report.perplexity_before)
    write_report(tmp_path, report)
    assert json.loads((tmp_path / FORGETTING_FILE).read_text("utf-8"))["verdict"] == report.verdict

    kept = next((tmp_path / "kept").iterdir())
    changed = json.loads(kept.read_text())
    changed["text_nats"] = [0.0 for _ in changed["text_nats"]]
    kept.write_text(json.dumps(changed))
    again = measure_general(tiny, adapter=None, n_a_kind=1, cache_path=tmp_path / "kept")
    assert again.perplexity == 1  # what was kept is used
    kept.write_text("{")
    again = measure_general(tiny, adapter=None, n_a_kind=1, cache_path=tmp_path / "kept")
    assert again.perplexity == pytest.approx(report.perplexity_before)


def test_scores_are_those_of_a_plain_pass(tiny):
    """One question and one text, token by token from the whole distributions."""
    found = measure_general(tiny, adapter=None, n_a_kind=1)
    ids = tiny.tokenizer.encode(general_texts(1)[0])
    rows = tiny.distributions(ids, last=len(ids))
    nats = -sum(float(rows[place, token]) for place, token in enumerate(ids[1:]))
    assert found.text_nats[0] == pytest.approx(nats, rel=1e-4)
    assert found.text_tokens[0] == len(ids) - 1

    item = general_items(1)[0]
    asked = tiny.template.encode([Message("user", item.prompt)]) + tiny.tokenizer.encode(item.begin)
    sums = []
    for option in item.options:
        tokens = tiny.tokenizer.encode(" " + option)
        rows = tiny.distributions([*asked, *tokens], last=len(tokens) + 1)
        sums.append(sum(float(rows[place, token]) for place, token in enumerate(tokens)))
    assert found.right[0] == (int(np.argmax(sums)) == item.answer)


@pytest.fixture(scope="module")
def engine(starter_gguf, shared_cache):
    from homespun.engines.openvino.engine import OpenVINOEngine

    with OpenVINOEngine(starter_gguf, EngineOptions(), cache_path=shared_cache) as opened:
        yield opened


def noise(folder, strength: float):
    """An adapter of random numbers on the starter model's up products."""
    rng = np.random.default_rng(0)
    tensors = {}
    for layer in range(30):
        stem = f"base_model.model.model.layers.{layer}.{NAMES['ffn_up']}"
        tensors[f"{stem}.lora_A.weight"] = rng.standard_normal((2, 576)).astype(np.float32)
        tensors[f"{stem}.lora_B.weight"] = (strength * rng.standard_normal((1536, 2))).astype(np.float32)
    return write_adapter(folder, tensors, 2)


@pytest.mark.long
def test_a_model_that_forgets_is_caught(engine, tmp_path):
    engine.load_adapter("noise", noise(tmp_path / "noise", 0.3))
    report = forgetting_check(engine, adapter="noise", options=ForgettingOptions(general_questions=3))
    assert report.verdict == "lost"
    assert report.perplexity_after > 2 * report.perplexity_before
    assert 5 < report.perplexity_before < 60


@pytest.mark.long
def test_an_adapter_of_zeros_loses_nothing(engine, tmp_path):
    engine.load_adapter("zeros", noise(tmp_path / "zeros", 0.0))
    report = forgetting_check(engine, adapter="zeros")
    assert report.verdict == "kept"
    assert report.perplexity_ratio.value == pytest.approx(1, abs=0.01)


@pytest.mark.long
def test_the_starter_model_knows_some_of_every_kind(engine):
    found = measure_general(engine, adapter=None)
    for kind in KINDS:
        right = [its for its, its_kind in zip(found.right, found.kinds, strict=True) if its_kind == kind]
        assert 56 / 3 < sum(right) < 56  # above chance, and not all: both losses and gains can be seen
