"""What is measured here steers what auto takes."""

import json
import sys
from dataclasses import replace

import pytest
from gguf_writer import Shape, write_random
from hypothesis import given
from hypothesis import strategies as st

from homespun.engines import machine_bench
from homespun.engines.bench_record import BenchRow, MachineBench, bench_path, recall_bench, remember_bench
from homespun.engines.choose import explain_choice, open_engine
from homespun.engines.engine import EngineOptions
from homespun.engines.errors import EngineError
from homespun.engines.machine_bench import bench_model
from homespun.models.gguf import read_gguf

OPENVINO = BenchRow("openvino", "fast", "bf16", False, 1000.0, 50.0, 90.0, 10**9, 0.001, 1.0, 0.01)
EXACT = BenchRow("openvino", "exact", "f32", True, 300.0, 40.0, 80.0, 10**9, 1e-11, 1.0, 1e-5)
LLAMA_CPP = BenchRow("llama.cpp", "fast", "f32", False, 3000.0, 60.0, 90.0, 10**9, 0.002, 1.0, 0.05)
TORCH = BenchRow("torch", "fast", "f32", True, 500.0, 20.0, 20.0, 10**9, 1e-11, 1.0, 1e-5)


@pytest.fixture
def model(tmp_path):
    return write_random(tmp_path / "model.gguf")


@pytest.fixture
def cache(model, tmp_path):
    """A cache folder, and a way to say what was measured there."""
    path = tmp_path / "cache"

    def measured(*rows):
        remember_bench(read_gguf(model), path, MachineBench(model.name, "this one", 1, rows))
        return path

    return measured


def test_an_answer_costs_its_reading_and_a_fifteenth_of_writing():
    assert OPENVINO.seconds_per_token == pytest.approx(1 / 1000 + 1 / 15 / 50)


def test_auto_takes_the_least_cost_and_says_the_figures(model, cache):
    choice = explain_choice(model, cache_path=cache(OPENVINO, EXACT, LLAMA_CPP, TORCH))
    assert choice.engine == "llama.cpp"
    assert choice.reason == (
        "measured here: an answer over passages costs least with llama.cpp, which reads 3,000 and writes 60 "
        "tokens a second (openvino 1,000 and 50; torch 500 and 20)"
    )
    assert choice.alternatives["openvino"] is None and choice.alternatives["torch"] is None
    options = EngineOptions(window=128, cache_tokens=128)
    with open_engine(model, options, cache_path=cache(OPENVINO, EXACT, LLAMA_CPP, TORCH)) as engine:
        assert engine.facts.engine == "llama.cpp"
    with open_engine(model, options, engine="openvino", cache_path=cache(LLAMA_CPP)) as engine:
        assert engine.facts.engine == "openvino"


def test_one_outside_its_bound_or_that_failed_is_not_taken(model, cache):
    off = replace(LLAMA_CPP, kl_nats=0.25)
    choice = explain_choice(model, cache_path=cache(OPENVINO, off, TORCH))
    assert choice.engine == "openvino"
    assert "llama.cpp is off by 0.25 nats, 0.05 are allowed" in choice.reason
    failed = BenchRow("llama.cpp", "fast", error="its process ended with code -9 (Killed)")
    choice = explain_choice(model, cache_path=cache(OPENVINO, failed))
    assert choice.engine == "openvino"
    assert "llama.cpp could not be measured" in choice.reason


def test_exact_mode_compares_what_ran_exactly(model, cache):
    rows = (OPENVINO, EXACT, LLAMA_CPP, TORCH)
    exact = EngineOptions(mode="exact")
    assert explain_choice(model, exact, cache_path=cache(*rows)).engine == "openvino"  # 5.0 ms, torch 5.3
    slower = replace(EXACT, write_tokens_per_s=20.0)  # 6.7 ms
    assert (
        explain_choice(model, exact, cache_path=cache(OPENVINO, slower, LLAMA_CPP, TORCH)).engine == "torch"
    )


def test_what_the_options_rule_out_is_not_taken(model, cache):
    rows = (replace(OPENVINO, read_tokens_per_s=1e6, write_tokens_per_s=1e6), LLAMA_CPP, TORCH)
    choice = explain_choice(model, EngineOptions(precision="bf16"), cache_path=cache(*rows))
    assert choice.engine == "torch"
    choice = explain_choice(model, EngineOptions(device="cuda"), cache_path=cache(*rows))
    assert choice.engine == "llama.cpp"
    assert "the device is cuda" in (choice.alternatives["openvino"] or "")


def test_without_a_measurement_or_with_a_damaged_one_the_rule_decides(model, cache):
    plain = explain_choice(model)
    assert "measured" not in plain.reason
    path = cache(LLAMA_CPP)
    note = bench_path(read_gguf(model), path)
    for damaged in ("", "{", "[]", "{}", '{"rows": [{"engine": 3}]}', '{"rows": 4}'):
        note.write_text(damaged)
        assert explain_choice(model, cache_path=path) == plain
    note.write_text(json.dumps({"file": "x", "processor": "y", "threads": 1, "rows": []}))
    assert explain_choice(model, cache_path=path) == plain


def test_another_model_is_not_steered_by_it(model, cache, tmp_path):
    other = write_random(tmp_path / "other.gguf", Shape(seed=1))
    assert recall_bench(read_gguf(other), cache(LLAMA_CPP)) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["openvino", "llama.cpp", "torch"]),
            st.floats(0, 1e6),
            st.floats(0, 1e6),
            st.none() | st.floats(0, 1),
            st.none() | st.floats(0, 1),
        ),
        max_size=6,
    )
)
def test_no_usable_row_costs_less_than_the_best(rows):
    built = tuple(
        BenchRow(
            name,
            "fast",
            read_tokens_per_s=read,
            write_tokens_per_s=write,
            kl_nats=kl,
            bound_nats=bound,
        )
        for name, read, write, kl, bound in rows
    )
    best = MachineBench("f", "p", 1, built).best("fast", frozenset(("openvino", "torch")))
    fit = [row for row in built if row.is_usable and row.engine != "llama.cpp"]
    assert (best is None) == (not fit)
    assert best is None or best.seconds_per_token == min(row.seconds_per_token for row in fit)


def test_a_candidate_that_crashes_costs_its_row_alone(model, tmp_path, monkeypatch):
    monkeypatch.setattr(machine_bench, "CANDIDATES", (("torch", "fast"), ("llama.cpp", "fast")))
    crashing = tmp_path / "python"
    crashing.write_text(
        "#!/bin/sh\nread line\ncase $line in *torch*) echo no memory >&2; kill -9 $$;; esac\n"
        f'echo "$line" | exec {sys.executable} "$@"\n'
    )
    crashing.chmod(0o755)
    monkeypatch.setattr(machine_bench.sys, "executable", str(crashing))
    seen = []
    bench = bench_model(model, tmp_path / "cache", lambda *told: seen.append(told))
    torch, llama_cpp = bench.rows
    assert torch.error == "its process ended with code -9 (no memory)"
    assert llama_cpp.error is None
    assert llama_cpp.read_tokens_per_s > 0 and llama_cpp.write_tokens_per_s > 0
    assert 0 < llama_cpp.kl_nats < llama_cpp.bound_nats
    assert 10**7 < llama_cpp.memory_bytes < 10**9
    assert recall_bench(read_gguf(model), tmp_path / "cache") == bench
    assert explain_choice(model, cache_path=tmp_path / "cache").engine == "llama.cpp"
    done = [done for _, done, _ in seen]
    assert done == sorted(done) and done[-1] == seen[-1][2] == 12


def test_a_model_that_needs_more_memory_than_there_is_is_not_started(model, tmp_path, monkeypatch):
    monkeypatch.setattr(machine_bench, "available_memory_bytes", lambda: 1000)
    bench = bench_model(model, tmp_path / "cache")
    assert all("of memory" in (row.error or "") for row in bench.rows)
    assert explain_choice(model, cache_path=tmp_path / "cache") == explain_choice(model)


def test_a_folder_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(EngineError, match="only GGUF files are measured"):
        bench_model(tmp_path, tmp_path / "cache")


@pytest.mark.long
def test_all_engines_on_a_tiny_model(model, tmp_path):
    bench = bench_model(model, tmp_path / "cache")
    assert [(row.engine, row.mode) for row in bench.rows] == list(machine_bench.CANDIDATES[:4])
    for row in bench.rows:
        assert row.error is None
        assert row.is_usable and row.best_token_equal > 0.5 and row.memory_bytes > 10**7
    assert "measured here" in explain_choice(model, cache_path=tmp_path / "cache").reason
