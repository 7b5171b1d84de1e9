"""One run from files to an adapter: what it leaves, how it stops, how it goes on."""

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.engines.engine import EngineOptions
from homespun.engines.load import load_engine
from homespun.tuning.adapters import read_lineage
from homespun.tuning.batches import parts, step_places
from homespun.tuning.curve import draw_curve, read_steps
from homespun.tuning.defaults import chosen
from homespun.tuning.errors import DataError, TuneError
from homespun.tuning.examples import EncodedExample
from homespun.tuning.options import TuneOptions
from homespun.tuning.schedule import rate_at
from homespun.tuning.tune import tune

OPTIONS = TuneOptions(
    rank=4,
    precision="f32",
    samples=0,
    learning_rate=0.02,
    max_steps=12,
    batch_examples=4,
    evaluate_every=4,
    patience=0,
    threads=1,
    receipt=False,
    forgetting=False,
)


@pytest.fixture
def model(home, tmp_path):
    home.add_model(write_random(tmp_path / "tiny.gguf", Shape()), "tiny")
    return "tiny"


@pytest.fixture
def rows(tmp_path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [{"prompt": f"say {word} {n}", "response": word * 2} for word in "abcdef" for n in range(6)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def losses(folder):
    return [row["loss"] for row in read_steps(folder)]


def test_a_run_leaves_an_adapter_that_the_engine_serves_as_it_was_trained(home, model, rows, tmp_path):
    result = tune(home, [rows], OPTIONS, name="echo", model=model)
    assert result.n_steps == 12
    assert losses(result.path)[-1] < losses(result.path)[0] - 0.5
    assert result.losses.heldout_best < result.losses.heldout_first - 0.5
    lineage = read_lineage(result.path)
    assert lineage.status == "finished"
    assert lineage.base.name == "tiny"
    assert (lineage.data.n_examples, lineage.data.n_heldout) == (33, 3)
    assert not (result.path / "checkpoint").exists()
    draw_curve(result.path, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    heldout = [row["heldout_loss"] for row in read_steps(result.path) if row["heldout_loss"] is not None]
    assert min(heldout) == pytest.approx(result.losses.heldout_best)

    from homespun.tuning.base import open_base
    from homespun.tuning.data.columns import DataColumns
    from homespun.tuning.grounded import GroundOptions
    from homespun.tuning.prepare import prepare

    base = open_base(home, model)
    given = prepare(
        home, [rows], base.template, base.tokenizer, OPTIONS, GroundOptions(), DataColumns(), window=512
    ).heldout
    with load_engine(home, model, EngineOptions(mode="exact")) as engine:
        engine.load_adapter("echo", result.path)
        total = 0.0
        for example in given:
            n = example.n_labelled
            odds = engine.distributions(example.token_ids[:-1], last=n, adapter="echo")
            total -= sum(float(odds[i, t]) for i, t in enumerate(example.token_ids[-n:]))
    n_labelled = sum(example.n_labelled for example in given)
    assert total / n_labelled == pytest.approx(result.losses.heldout_best, abs=1e-4)


def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(home, model, rows):  # T5
    whole = tune(home, [rows], OPTIONS, name="whole", model=model)

    def cut(report):
        if report.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(home, [rows], OPTIONS, name="cut", model=model, on_step=cut)
    assert read_lineage(home.adapters_path / "cut").status == "stopped"
    with pytest.raises(TuneError, match="unfinished run 'cut' used other data, options"):
        tune(home, [rows], TuneOptions(rank=8, samples=0), name="cut", model=model)
    again = tune(home, [rows], OPTIONS, name="cut", model=model)
    assert again.n_resumed == 7
    np.testing.assert_allclose(losses(again.path), losses(whole.path), atol=1e-4)
    assert [row["step"] for row in read_steps(again.path)] == list(range(1, 13))
    assert again.losses.heldout_best == pytest.approx(whole.losses.heldout_best, abs=1e-4)


def test_a_finished_name_is_taken(home, model, rows):
    one_step = TuneOptions(rank=2, max_steps=1, samples=0, threads=1, receipt=False, forgetting=False)
    tune(home, [rows], one_step, name="once", model=model)
    with pytest.raises(TuneError, match=r"there is an adapter 'once' already.*adapters remove once"):
        tune(home, [rows], one_step, name="once", model=model)


def test_the_held_out_loss_ends_a_run_and_the_best_adapter_stays(home, model, rows):
    wild = TuneOptions(
        rank=4,
        samples=0,
        learning_rate=3.0,
        clip=0,
        max_steps=40,
        evaluate_every=1,
        patience=2,
        threads=1,
        receipt=False,
        forgetting=False,
    )
    result = tune(home, [rows], wild, name="wild", model=model)
    assert result.stopped == "patience"
    assert result.n_steps < 40
    looks = [row["heldout_loss"] for row in read_steps(result.path)]
    assert result.losses.heldout_best == pytest.approx(min(looks))
    assert min(looks) < looks[-1]


def test_rows_that_are_too_long_are_left_out_by_name_and_all_of_them_are_an_error(home, model, rows):
    with rows.open("a") as stream:
        stream.write(json.dumps({"prompt": "x" * 300, "response": "y"}) + "\n")
    options = TuneOptions(
        rank=2, max_steps=1, max_tokens=128, samples=0, threads=1, receipt=False, forgetting=False
    )
    result = tune(home, [rows], options, name="long", model=model)
    (left,) = result.left_out
    assert "rows.jsonl:37" in left
    assert "128 are allowed" in left
    with pytest.raises(DataError, match=r"none of the 37 examples can be trained on.*8 are allowed"):
        tune(home, [rows], TuneOptions(max_tokens=8, samples=0), name="none", model=model)


def test_fewer_examples_than_a_batch_are_one_batch(home, model, tmp_path):
    few = tmp_path / "few.jsonl"
    few.write_text('{"prompt": "a", "response": "b"}\n{"prompt": "c", "response": "d"}\n')
    result = tune(
        home,
        [few],
        TuneOptions(rank=2, max_steps=3, samples=0, threads=1, receipt=False, forgetting=False),
        name="few",
        model=model,
    )
    assert result.n_steps == 3
    assert read_lineage(result.path).data.n_heldout == 0


def test_each_epoch_sees_every_example_once_in_another_order():
    seen = [step_places(10, 4, step, seed=1) for step in range(6)]
    assert [len(places) for places in seen] == [4, 4, 2, 4, 4, 2]
    first, second = [*chain(*seen[:3])], [*chain(*seen[3:])]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert step_places(10, 4, 2, seed=1) == seen[2]


def test_parts_hold_every_example_once_within_the_tokens():
    given = [EncodedExample(tuple(range(n)), (True,) * n) for n in (5, 30, 7, 12, 2)]
    found = list(parts(given, 20))
    assert [[len(e.token_ids) for e in part] for part in found] == [[30], [12, 7], [5, 2]]


def test_the_rate_rises_and_falls_by_hand():
    at = [rate_at(s, 10, largest=1.0, warmup=0.2, schedule="linear") for s in range(10)]
    assert at == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert rate_at(5, 8, largest=2.0, warmup=0.25, schedule="cosine") == pytest.approx(1.0)
    assert rate_at(7, 8, largest=2.0, warmup=0.25, schedule="constant") == 2.0


def test_lengths_and_rates_that_are_left_open_follow_the_data():
    assert chosen(TuneOptions(), 252).n_steps == 120  # 32 steps an epoch: 3.75 epochs
    assert chosen(TuneOptions(), 5000).n_steps == 625
    assert chosen(TuneOptions(), 8).n_steps == 6
    assert chosen(TuneOptions(epochs=2, max_steps=50), 800).n_steps == 50
    assert chosen(TuneOptions(method="full"), 100).learning_rate == 3e-5


def test_a_rate_is_picked_below_the_turn_by_hand():
    from homespun.tuning.rate_finder import has_turned_up, picked_rate, smoothed

    assert smoothed([2.0, 1.0]) == pytest.approx([2.0, (0.7 * 0.6 + 0.3) / 0.51])
    rates = [0.001, 0.01, 0.1, 1.0]
    assert picked_rate(rates, [4.0, 3.0, 1.0, 9.0]) == pytest.approx(0.1 / 3)
    assert has_turned_up([4.0, 3.0, 1.0, 9.0, 30.0])
    assert not has_turned_up([4.0, 3.0, 1.0])
    with pytest.raises(TuneError, match="no learning rate lowered the loss"):
        picked_rate(rates, [1.0, 1.1, 1.2, 1.3])


def test_finding_a_rate_puts_everything_back_and_is_kept(home, model, rows):
    options = TuneOptions(
        rank=4,
        precision="f32",
        samples=0,
        max_steps=2,
        find_learning_rate=True,
        threads=1,
        receipt=False,
        forgetting=False,
    )
    plans = []
    result = tune(home, [rows], options, name="found", model=model, on_plan=plans.append)
    (plan,) = plans
    assert 1e-4 < plan.learning_rate < 0.05
    plain = tune(home, [rows], replace(options, find_learning_rate=False), name="plain", model=model)
    assert losses(result.path)[0] == pytest.approx(losses(plain.path)[0], abs=1e-6)


def test_replayed_examples_are_mixed_in_and_never_held_out(home, model, rows):
    options = TuneOptions(
        rank=2,
        max_steps=1,
        samples=0,
        replay=0.25,
        max_tokens=512,
        threads=1,
        receipt=False,
        forgetting=False,
    )
    result = tune(home, [rows], options, name="mixed", model=model)
    lineage = read_lineage(result.path)
    assert lineage.data.n_examples == 33 + 11
    assert lineage.data.n_heldout == 3


def test_full_tuning_makes_a_model_that_is_served_as_it_was_trained(home, model, rows):
    options = replace(OPTIONS, method="full", learning_rate=3e-3)
    result = tune(home, [rows], options, name="whole", model=model)
    assert losses(result.path)[-1] < losses(result.path)[0] - 0.5
    assert result.path == home.models_path / "whole"
    assert home.model("whole").path == result.path / "whole.gguf"
    with load_engine(home, "whole", EngineOptions(mode="exact")) as engine:
        assert engine.facts.architecture == "llama"


def test_dora_is_served_merged_and_refused_as_a_live_adapter(home, model, rows):
    from homespun.engines.errors import AdapterError

    result = tune(home, [rows], replace(OPTIONS, method="dora"), name="lengths", model=model)
    assert result.model == home.models_path / "lengths" / "lengths.gguf"  # its held-out loss was compared
    with (
        load_engine(home, model) as engine,
        pytest.raises(AdapterError, match="use_dora cannot be served live"),
    ):
        engine.load_adapter("lengths", result.path)
    with pytest.raises(TuneError, match="there is a model 'tiny' already"):
        tune(home, [rows], replace(OPTIONS, method="full"), name="tiny", model=model)


def test_a_model_that_is_not_what_was_trained_is_refused(home, model, rows):
    import homespun.tuning.tune_run as run
    from homespun.tuning.errors import ReceiptError

    plain = run.write_changed_gguf

    def wrong(file, config, values, *rest):
        return plain(file, config, file.dequantize, *rest)  # the base's own weights under the new name

    run.write_changed_gguf = wrong
    try:
        with pytest.raises(ReceiptError, match="not served as it was trained: its held-out loss"):
            tune(home, [rows], replace(OPTIONS, method="full", learning_rate=3e-3), name="off", model=model)
    finally:
        run.write_changed_gguf = plain


#: Losses of the first steps on a tiny random model: a change of any of them is a change of what is learnt.
CURVES = {
    "lora": ({}, [6.2122, 7.0938, 7.1488, 4.7905, 5.0582]),
    "rank-stabilised": ({"rslora": True}, [6.2122, 6.9858, 7.5835, 3.8429, 4.7421]),
    "dora": ({"method": "dora"}, [6.2122, 7.085, 7.1431, 5.1042, 5.0822]),
    "packed base": ({"method": "qlora"}, [6.2122, 7.0938, 7.1488, 4.7905, 5.0582]),
    "dropout": ({"dropout": 0.2}, [6.2122, 7.0951, 7.1225, 6.1676, 4.9014]),
    "upper layers": ({"layers": "upper:1"}, [6.2122, 7.443, 8.6128, 5.7225, 6.0473]),
    "full": ({"method": "full", "learning_rate": 3e-3}, [6.2122, 6.9283, 7.1485, 3.886, 4.9788]),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_seeded_curve_of_each_method(home, model, rows, name):
    changes, wanted = CURVES[name]
    result = tune(
        home, [rows], replace(OPTIONS, max_steps=5, evaluate_every=0, **changes), name="c", model=model
    )
    assert losses(result.path) == pytest.approx(wanted, abs=5e-3)
