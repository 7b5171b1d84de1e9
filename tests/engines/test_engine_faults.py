"""What goes wrong inside an engine ends with a reason for whom it concerns, and nobody waits for ever."""

import threading

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.errors import EngineError
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.sampling import check_options, next_probabilities

SHAPE = Shape()
PROMPT = tuple(range(1, 41))
EXACT = EngineOptions(mode="exact", threads=1, cache_tokens=2048)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("faults") / "model.gguf", SHAPE)


@pytest.fixture(scope="module")
def shared(model):
    with OpenVINOEngine(model, EXACT) as engine:
        yield engine


def within(seconds: float, task):
    """What a task returns or raises; it fails where the task does not end."""
    ended: list = []

    def run() -> None:
        try:
            ended.append(task())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert ended, "it never ended"
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


def test_a_stream_read_twice_ends_twice(shared):
    stream = shared.stream(Request(PROMPT, GenerateOptions(max_new_tokens=3)))
    assert len(within(20, lambda: list(stream))) == 3
    assert within(20, lambda: list(stream)) == []
    assert within(20, lambda: list(stream)) == []


def test_an_adapter_that_overflows_fails_alone(shared, tmp_path):
    tensors = adapter_tensors(SHAPE, ("ffn_gate", "ffn_up"), 4, seed=1)
    wild = {name: array * 1e30 if "lora_B" in name else array for name, array in tensors.items()}
    shared.load_adapter("wild", write_adapter(tmp_path / "wild", wild, 4))
    want = shared.generate([Request(PROMPT, GenerateOptions(max_new_tokens=30))])[0]
    stream = shared.stream(Request(PROMPT, GenerateOptions(max_new_tokens=30)))
    iterator = iter(stream)
    next(iterator)
    for options in (GenerateOptions(), GenerateOptions(temperature=1.0)):
        with pytest.raises(EngineError, match="overflowed"):
            shared.generate([Request(PROMPT, options, "wild")])
    with pytest.raises(EngineError, match="overflowed"):
        shared.score([ScoreRequest(PROMPT, 5, "wild")])
    list(iterator)
    assert stream.result.token_ids == want.token_ids
    shared.remove_adapter("wild")


def test_a_loop_that_ends_in_a_fault_lets_everybody_go(model, monkeypatch):
    engine = OpenVINOEngine(model, EXACT)

    def fail(*_: object) -> None:
        raise MemoryError("no room")

    waiting = engine.stream(Request(PROMPT, GenerateOptions(max_new_tokens=400)))
    monkeypatch.setattr(engine._roster, "leave", fail)
    within(20, lambda: engine.generate([Request(PROMPT, GenerateOptions(max_new_tokens=2))]))
    with pytest.raises(EngineError, match="MemoryError: no room"):
        within(20, lambda: list(waiting))
    with pytest.raises(EngineError, match="closed"):
        within(20, lambda: engine.score([ScoreRequest(PROMPT, 2)]))
    within(20, engine.close)


def test_a_closed_engine_holds_no_model(model):
    engine = OpenVINOEngine(model, EXACT)
    engine.score([ScoreRequest(PROMPT, 2)])
    paged = engine._loop._model
    assert paged.cache_bytes > 0
    engine.close()
    assert paged.cache_bytes == 0 and paged._request is None


@pytest.mark.parametrize("size", [{"threads": -1}, {"cache_tokens": -5}, {"cache_tokens": 10**12}])
def test_sizes_that_cannot_be_are_refused_by_name(model, size):
    with pytest.raises(EngineError, match=next(iter(size))):
        OpenVINOEngine(model, EngineOptions(mode="exact", **size))


def test_a_seed_below_zero_is_refused_by_name():
    with pytest.raises(EngineError, match="seed is -1"):
        check_options(GenerateOptions(seed=-1))


def test_a_temperature_next_to_zero_takes_the_best_token():
    logits = np.array([1.0, 3.0, 2.0], np.float32)
    got = next_probabilities(logits, GenerateOptions(temperature=1e-320), ())
    assert got.tolist() == [0.0, 1.0, 0.0]
