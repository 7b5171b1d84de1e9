"""Files in other formats: what each loses, what is refused, and which one is recommended."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.evaluation.intervals import Interval
from homespun.evaluation.statistics import Difference
from homespun.models.errors import HomeError
from homespun.models.gguf import read_gguf
from homespun.planning.errors import PlanError
from homespun.planning.format_loss import FormatLoss
from homespun.planning.loss_text import UNSCORED_TOKENS, measuring_pieces
from homespun.planning.quantize import QuantizedFile, quantize_model
from homespun.planning.quantize_advice import recommend
from homespun.planning.quantize_options import QuantizeOptions
from homespun.planning.quantize_scores import Score

WIDE = Shape(hidden=256, n_heads=4, n_kv_heads=2, ffn=512, n_layers=1)
FEW = QuantizeOptions(tokens=128, speed=False)


@pytest.fixture
def model(home, tmp_path) -> str:
    return home.add_model(write_random(tmp_path / "wide.gguf", WIDE), "wide").name


def test_each_format_is_written_measured_and_kept(home, model) -> None:
    targets = ["f32", "Q8_0", "Q4_K_M", "Q4_0"]
    made = quantize_model(home, model, targets, FEW)
    source, exact, eight, mixed, four = made.files
    assert [file.error for file in made.files] == [None] * 5
    assert (source.name, exact.name) == ("wide", "wide-F32")
    assert exact.loss.kl_nats.value == pytest.approx(0, abs=1e-6)
    assert exact.loss.best_agreement == 1
    assert exact.loss.perplexity == pytest.approx(made.perplexity, rel=1e-4)
    assert 0 < eight.loss.kl_nats.value < mixed.loss.kl_nats.value < four.loss.kl_nats.value
    assert four.loss.kl_nats.low <= four.loss.kl_nats.value <= four.loss.kl_nats.high
    assert four.loss.more_nats.value == pytest.approx(np.log(four.loss.perplexity / made.perplexity))
    assert mixed.formats["Q4_K"] > 0 and mixed.formats["Q6_K"] > 0
    assert mixed.fallbacks == ()
    stored = read_gguf(home.model("wide-Q4_K_M").path)
    assert stored.tensors["blk.0.ffn_up.weight"].ggml_type == "Q4_K"
    assert (
        stored.metadata["tokenizer.ggml.tokens"] == read_gguf(source.path).metadata["tokenizer.ggml.tokens"]
    )
    assert not list(home.models_path.rglob("*.part"))

    written = mixed.path.stat().st_mtime_ns
    again = quantize_model(home, model, ["Q4_K_M"], FEW).files[1]
    assert again.was_here and again.path.stat().st_mtime_ns == written
    assert again.loss.kl_nats.value == pytest.approx(mixed.loss.kl_nats.value)

    home.remove_model("wide-Q4_0")
    home.add_model(source.path, "wide-Q4_0", reference=True)
    with pytest.raises(PlanError, match="already that of another model"):
        quantize_model(home, model, ["Q4_0"], FEW)


def test_bad_input_is_a_sentence(home, model, tmp_path, monkeypatch) -> None:
    with pytest.raises(PlanError, match="format 'Q4_K_X' is not known"):
        quantize_model(home, model, ["Q8_0", "q4_k_x"], FEW)
    with pytest.raises(PlanError, match="no format is named"):
        quantize_model(home, model, [" "], FEW)
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(PlanError):
        quantize_model(home, model, ["Q8_0"], FEW, text=empty)
    with pytest.raises(PlanError, match="both a library and a text"):
        quantize_model(home, model, ["Q8_0"], FEW, text=empty, library="docs")
    with pytest.raises(PlanError, match="tokens is 0"):
        QuantizeOptions(tokens=0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(HomeError, match="too full"):
        quantize_model(home, model, ["Q8_0"], FEW)
    assert [found.name for found in home.models()] == ["wide"]


class _Letters:
    """One token a character."""

    begin_ids = (0,)

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


def test_pieces_are_spread_over_a_text(home, tmp_path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(" ".join(f"word{number}" for number in range(2000)))
    pieces = measuring_pieces(home, _Letters(), 1024, text=path)
    assert len(pieces) == 4
    assert all(piece[0] == 0 and len(piece) > UNSCORED_TOKENS + 1 for piece in pieces)
    begins = ["".join(map(chr, piece[1:12])) for piece in pieces]
    assert begins[0].startswith("word0")
    numbers = [int(begin.split()[0].removeprefix("word")) for begin in begins]
    assert numbers == sorted(numbers) and 400 < numbers[1] < 700  # a fourth of the way


def _file(target: str, size: int, kl: float | None, more: float | None = None) -> QuantizedFile:
    at = None if kl is None else Interval(kl, kl, kl)
    loss = None if at is None else FormatLoss(at, 1.0, 1.0, at, 100, 4)
    file = QuantizedFile(f"m-{target}", target, Path(target), size, 4.0, loss=loss)
    if more is None:
        return file
    score = Score(Interval(0.5, 0.4, 0.6), Difference(more, more - 0.01, more + 0.01, 0.01, 50, 50), 50)
    return replace(file, score=score)


def test_the_smallest_that_loses_little_is_taken() -> None:
    source = replace(_file("F16", 100, None), name="m")
    files = [source, _file("Q8_0", 50, 0.001), _file("Q5_0", 35, 0.015), _file("Q4_0", 30, 0.05)]
    assert recommend(files, 0.02).name == "m-Q5_0"
    assert "Q4_0 0.050 nats" in recommend(files, 0.02).why
    assert recommend(files, 0.06).name == "m-Q4_0"
    assert recommend(files, 0.0001).name == "m"
    assert recommend([source, _file("F32", 200, 0.0)], 0.02).name == "m"
    assert recommend([source, replace(files[1], error="no room")], 0.02).name == "m"


def test_a_file_that_answers_surely_worse_is_not_taken() -> None:
    source = replace(_file("F16", 100, None), name="m", score=Score(Interval(0.6, 0.5, 0.7), None, 50))
    files = [source, _file("Q8_0", 50, 0.001, 0.0), _file("Q4_0", 30, 0.01, -0.1)]
    found = recommend(files, 0.02)
    assert found.name == "m-Q8_0"
    assert "score on your questions" in found.rule


@pytest.mark.long
def test_k_quant_files_load_in_llama_cpp_and_say_what_torch_says(home, model) -> None:
    from homespun.engines.choose import open_unchecked
    from homespun.engines.engine import EngineOptions
    from homespun.engines.probe import mean_kl_nats

    made = quantize_model(home, model, ["Q6_K", "Q5_K_M", "Q4_K_M"], FEW)
    token_ids = list(range(5, 60))
    for file in made.files[1:]:
        assert file.error is None
        rows = {}
        for engine, mode in (("torch", "exact"), ("llama.cpp", "fast")):
            with open_unchecked(
                engine, file.path, EngineOptions(mode=mode, window=256, device="cpu")
            ) as opened:
                rows[engine] = opened.distributions(token_ids, last=4)
        assert mean_kl_nats(rows["torch"], rows["llama.cpp"]) < 0.05  # it rounds activations to 8 bits


@pytest.mark.long
def test_speed_is_measured_in_a_process_of_its_own(home, model) -> None:
    made = quantize_model(home, model, ["Q8_0"], replace(FEW, speed=True))
    for file in made.files:
        assert file.bench is not None and file.bench.error is None
        assert file.bench.read_tokens_per_s > 0 and file.bench.memory_bytes > 0
