"""What goes wrong inside an engine ends with a reason for whom it concerns, and nobody waits for ever."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.engines.conversation import Conversation
from homespun.engines.engine import EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.errors import AdapterError, EngineError
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.sampling import check_options, next_probabilities
from homespun.models.template import Message

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


def test_a_damaged_kept_graph_is_built_anew(model, shared, tmp_path):
    want = shared.score([ScoreRequest(PROMPT, 5)])[0]
    for damage in ("none", "cut", "gone", "text"):
        for kept in tmp_path.glob("*/graph.bin"):
            if damage == "cut":
                kept.write_bytes(kept.read_bytes()[:-1000])
            elif damage == "gone":
                kept.unlink()
            else:
                kept.with_suffix(".xml").write_text("<net")
        with OpenVINOEngine(model, EXACT, cache_path=tmp_path) as engine:
            assert engine.score([ScoreRequest(PROMPT, 5)])[0] == pytest.approx(want, abs=1e-4)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_costs_only_the_quick_start(model, shared, tmp_path, monkeypatch):
    """The library says it as a RuntimeError."""

    def full(_: object, path: str, **__: object) -> None:
        Path(path).write_text("<half")
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr("openvino.save_model", full)
    with OpenVINOEngine(model, EXACT, cache_path=tmp_path) as engine:
        want = shared.score([ScoreRequest(PROMPT, 5)])[0]
        assert engine.score([ScoreRequest(PROMPT, 5)])[0] == pytest.approx(want, abs=1e-4)
    assert not list(tmp_path.iterdir())


def test_an_import_that_was_killed_is_cleared_away(model, tmp_path):
    old, new = tmp_path / ".import-old", tmp_path / ".import-new"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (0, 0))
    OpenVINOEngine(model, EXACT, cache_path=tmp_path).close()
    assert not old.exists() and new.exists()


def test_a_chat_keeps_room_for_its_answer(model):
    """Without it, what was said before would leave a single token."""
    with OpenVINOEngine(model, EngineOptions(mode="exact", threads=1, window=256)) as engine:
        chat = Conversation(engine)
        options = GenerateOptions(max_new_tokens=40)
        for number in range(8):
            chat.messages += [Message("user", f"{number} and"), Message("assistant", "so on " * number)]
            chat.ask("What else?", options)
            n_prompt = len(chat._prompt(Message("user", "What else?"), options))
            assert n_prompt + 40 <= 256
        assert chat.n_dropped
        alone = len(engine.template.encode([Message("user", "a" * 10)]))
        long = Message("user", "a" * (10 + 255 - alone))  # it alone may take all but one
        assert len(chat._prompt(long, options)) > 256 - 40


@pytest.mark.parametrize("config", ["[]", '{"peft_type": "LORA", "target_modules": ["q_proj"], "r": 0}'])
def test_an_adapter_folder_that_makes_no_sense_is_refused(shared, tmp_path, config):
    empty = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (0, SHAPE.hidden)}
    empty["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"] = (SHAPE.sizes()["attn_q"][0], 0)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in empty.items()}
    folder = write_adapter(tmp_path / "it", tensors, 4)
    (folder / "adapter_config.json").write_text(config)
    with pytest.raises(AdapterError):
        shared.load_adapter("it", folder)
