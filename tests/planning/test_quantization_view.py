"""The ways side by side, their pictures, and the commands."""

import json

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.cli.main import exit_code
from homespun.planning.errors import PlanError
from homespun.planning.quantization_view import all_ways, layer_example, outlier_example, product_example


def test_the_outlier_destroys_the_others() -> None:
    without, together, by_row = outlier_example().results
    assert without.relative_error < 0.005
    assert together.relative_error == 1  # not one of the others is left
    assert 0.3 < by_row.relative_error < 0.4  # those of its own row: 1 of 4


def test_the_product_is_the_truth_but_for_rounding() -> None:
    found = product_example()
    assert found.truth.tolist() == [[38, 34], [-167, 124], [-174, 168]]
    assert np.abs(found.llm_int8 - found.truth).max() < 0.05 < 0.5 < np.abs(found.int8 - found.truth).max()


def test_ways_on_normal_values_lose_what_their_bits_say() -> None:
    values = np.random.default_rng(0).normal(size=(32, 512)).astype(np.float32)
    found = {one.way: one for one in all_ways(values)}
    errors = {way: one.relative_error for way, one in found.items()}
    assert errors["Q8_0"] < errors["Q6_K"] < errors["Q5_K"] < errors["Q4_K"] < errors["Q3_K"] < errors["Q2_K"]
    assert errors["NF4, blocks of 64"] < errors["4 bits, blocks of 64"]
    # A step more for each bit: the error of n bits is near step / sqrt(12), with the step of a block's range.
    assert errors["Q8_0"] == pytest.approx(0.0052, rel=0.1)
    assert found["Q4_K"].bits_per_weight == 4.5
    assert found["Q6_K"].bits_per_weight == 6.5625


def test_a_layer_of_a_model(tmp_path) -> None:
    path = write_random(tmp_path / "m.gguf", Shape(ggml_type="Q8_0"))
    found = layer_example(path, "blk.1.ffn_down")
    assert (found.name, found.stored, found.shape) == ("blk.1.ffn_down.weight", "Q8_0", (64, 96))
    ways = {one.way: one for one in found.results}
    assert ways["Q8_0"].relative_error < 1e-3  # it is stored so already
    assert "Q4_K" not in ways  # rows of 96 hold no block of 256
    with pytest.raises(PlanError, match="no matrix"):
        layer_example(path, "blk.9.ffn_down")
    with pytest.raises(PlanError):
        layer_example(path, "output_norm")


def test_the_commands(home, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("HOMESPUN_HOME", str(home.root))
    path = write_random(tmp_path / "m.gguf", Shape())
    picture = tmp_path / "p.svg"
    assert (
        exit_code(["quantization", str(path), "--layer", "blk.0.attn_q", "--picture", str(picture), "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["layer"]["name"] == "blk.0.attn_q.weight"
    assert "NF4, blocks of 64" in picture.read_text("utf-8")
    assert exit_code(["quantization"]) == 0
    assert "100.00%" in capsys.readouterr().out
    assert exit_code(["quantization", str(path), "--layer", "nothing"]) == 2
    assert "no matrix" in capsys.readouterr().err
    spacing = tmp_path / "s.svg"
    assert exit_code(["precision", "--no-measure", "--picture", str(spacing), "--json"]) == 0
    formats = json.loads(capsys.readouterr().out)["formats"]
    assert [one["name"] for one in formats][-1] == "fp8 e4m3"
    assert "fp8 e4m3" in spacing.read_text("utf-8")
    assert exit_code(["quantize", str(path), "--to", "Q9"]) == 2
    assert "'Q9' is not known" in capsys.readouterr().err


def test_products_are_measured() -> None:
    pytest.importorskip("torch")
    from homespun.engines.torch_products import measure_products

    found = measure_products("bf16", size=64, n_rows=8, n_rounds=1)
    assert found.error == "" and found.weights_bytes == 64 * 64 * 2
    assert found.read_gflops > 0 and found.train_gflops > 0
