"""The OpenVINO step loop under load: a small cache, many requests, adapters that come and go."""

import threading

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.errors import EngineError, WindowError
from homespun.engines.openvino.engine import OpenVINOEngine

SHAPE = Shape()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("loop") / "model.gguf", SHAPE)


@pytest.fixture
def small(model):
    """Room for 128 tokens in all: two requests of 60."""
    with OpenVINOEngine(model, EngineOptions(mode="exact", threads=1, cache_tokens=128)) as engine:
        yield engine


def prompt(n_tokens: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(0, 250, n_tokens).tolist())


def test_the_window_is_what_the_cache_can_hold(small):
    assert small.facts.window == 128
    with pytest.raises(WindowError, match="128"):
        small.generate([Request(prompt(128))])


def test_a_full_cache_makes_requests_wait_and_none_is_cut(small):
    requests = [Request(prompt(40, seed), GenerateOptions(max_new_tokens=20)) for seed in range(8)]
    answers = small.generate(requests)
    for request, answer in zip(requests, answers, strict=True):
        assert answer.finish == "stop" or len(answer.token_ids) == 20
        assert answer.token_ids == small.generate([request])[0].token_ids
    assert sum(answer.finish == "length" for answer in answers) >= 4


def test_a_request_that_waits_can_be_cancelled(small):
    first = small.stream(Request(prompt(60), GenerateOptions(max_new_tokens=60)))
    second = small.stream(Request(prompt(60, 1), GenerateOptions(max_new_tokens=60)))
    second.cancel()
    assert list(second) == []
    assert second.result.finish == "cancelled"
    assert len(list(first)) > 20 and first.result.finish != "cancelled"


def test_a_known_beginning_is_not_read_again(small):
    ids = prompt(70)
    assert small.generate([Request(ids, GenerateOptions(max_new_tokens=2))])[0].n_cached_tokens == 0
    again = small.generate([Request(ids, GenerateOptions(max_new_tokens=2))])[0]
    assert again.n_cached_tokens == 64
    changed = small.generate([Request((1, *ids[1:]), GenerateOptions(max_new_tokens=2))])[0]
    assert changed.n_cached_tokens == 0


def test_closing_ends_what_runs_with_a_reason(model):
    engine = OpenVINOEngine(model, EngineOptions(mode="exact", threads=1, cache_tokens=2048))
    stream = engine.stream(Request(prompt(10), GenerateOptions(max_new_tokens=500)))
    iterator = iter(stream)
    next(iterator)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        list(iterator)


def test_two_hundred_adapters_one_after_the_other(model, tmp_path):
    """Ranks and modules change at every load, while another thread keeps asking the base model."""
    modules = [("attn_q",), ("attn_v", "ffn_down"), ("ffn_gate", "ffn_up"), ("attn_k", "attn_output")]
    for number in range(8):
        tensors = adapter_tensors(SHAPE, modules[number % 4], 2 + number, seed=number)
        write_adapter(tmp_path / str(number), tensors, 2 + number)
    with OpenVINOEngine(model, EngineOptions(mode="exact", threads=1, cache_tokens=2048)) as engine:
        ids = prompt(40)
        want: dict[int, np.ndarray] = {}
        base = engine.score([ScoreRequest(ids, 10)])[0]
        is_done = threading.Event()
        errors: list[BaseException] = []

        def keep_asking() -> None:
            try:
                while not is_done.is_set():
                    assert engine.score([ScoreRequest(ids, 10)])[0] == pytest.approx(base, abs=1e-4)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=keep_asking)
        thread.start()
        try:
            for turn in range(200):
                number = (turn * 3) % 8
                engine.load_adapter("it", tmp_path / str(number))
                got = engine.score([ScoreRequest(ids, 10, "it"), ScoreRequest(ids, 10)])
                assert got[0] == pytest.approx(want.setdefault(number, got[0]), abs=1e-4)
                assert got[1] == pytest.approx(base, abs=1e-4)
        finally:
            is_done.set()
            thread.join()
        assert not errors
        assert len({tuple(np.round(row, 2)) for row in want.values()}) == 8
        assert engine._roster._bank.total_rank <= 2 + 7  # type: ignore[union-attr]  # no old one is left
