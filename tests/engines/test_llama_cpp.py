"""What is llama.cpp's alone: its process, its port, its adapters across a restart."""

import http.client
import os
import signal
import socket
import threading
import time

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, vocabulary, write_adapter, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.errors import EngineError
from homespun.engines.llama_cpp import LlamaCppEngine
from homespun.engines.llama_cpp_slots import SlotTable

SHAPE = Shape()
PROMPT = tuple(range(30, 60))
OPTIONS = EngineOptions(mode="exact", window=256, threads=1, cache_tokens=768)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("llama") / "model.gguf", SHAPE)


@pytest.fixture(scope="module")
def engine(model):
    with LlamaCppEngine(model, OPTIONS) as opened:
        yield opened


def write(engine, n_tokens=5, **options):
    return engine.generate([Request(PROMPT, GenerateOptions(max_new_tokens=n_tokens, **options))])[0]


def test_a_killed_process_is_started_again(engine):
    before = write(engine).token_ids
    os.kill(engine._server.process._process.pid, signal.SIGKILL)
    engine._server.process._process.wait()
    assert write(engine).token_ids == before  # it was seen to be gone: started again at once


def test_a_process_that_dies_while_it_is_asked_is_one_sentence(engine, monkeypatch):
    before = write(engine).token_ids

    def die(*_):
        raise ConnectionError("reset")

    monkeypatch.setattr(engine._server.process, "ask", die)
    with pytest.raises(EngineError, match="ended while it was computing"):
        write(engine)
    monkeypatch.undo()
    assert write(engine).token_ids == before


def test_signal_handlers_are_left_alone(engine):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_only_loopback_and_only_with_the_key(engine):
    port = engine._server.process._port
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/completion", '{"prompt": "x"}', {"Content-Type": "application/json"})
    assert connection.getresponse().status == 401
    connection.close()
    own = next((a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)), "127.0.0.1")
    if not own.startswith("127."):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((own, port), timeout=2)


def test_more_streams_than_slots_in_one_thread(engine):
    """A stream that nobody reads right now must not keep a slot."""
    assert engine._settings.n_slots == 3
    requests = [Request((*PROMPT, number), GenerateOptions(max_new_tokens=4)) for number in range(6)]
    streams = [engine.stream(request) for request in requests]
    for _ in zip(*streams, strict=True):
        pass
    for stream in streams:
        for _ in stream:
            pass
    alone = engine.generate(requests)
    assert [stream.result.token_ids for stream in streams] == [answer.token_ids for answer in alone]


def test_an_answer_goes_on_over_a_restart(engine, tmp_path):
    """A new adapter restarts the server; an old one serves what it began, even after it was replaced."""
    for name, seed in (("mine", 1), ("other", 2)):
        tensors = adapter_tensors(SHAPE, ("attn_q", "ffn_up"), 4, seed=seed)
        write_adapter(tmp_path / name, tensors, 4)
    engine.load_adapter("mine", tmp_path / "mine")
    request = Request(PROMPT, GenerateOptions(max_new_tokens=8), "mine")
    want = engine.generate([request])[0].token_ids
    stream = engine.stream(request)
    iterator = iter(stream)
    got = [next(iterator).token_id for _ in range(3)]
    engine.load_adapter("mine", tmp_path / "other")
    got += [step.token_id for step in iterator]
    assert tuple(got) == want
    assert engine.generate([request])[0].token_ids != want


def test_a_score_is_of_one_adapter_even_if_that_is_removed_meanwhile(engine, tmp_path):
    """Without care the server would go on with the base model and say nothing."""
    tensors = adapter_tensors(SHAPE, ("attn_q", "ffn_up"), 4, seed=3)
    write_adapter(tmp_path / "it", tensors, 4)
    engine.load_adapter("it", tmp_path / "it")
    want = engine.distributions(PROMPT, adapter="it")
    with engine._server.using("it") as version:
        engine.remove_adapter("it")
        engine.load_adapter("another", tmp_path / "it")  # restarts
        assert engine._distribution(PROMPT, version) == pytest.approx(want[0], abs=1e-3)


def test_what_was_read_is_not_read_again(engine):
    prompt = tuple(np.random.default_rng(4).integers(0, 200, 100).tolist())
    first = engine.generate([Request(prompt, GenerateOptions(max_new_tokens=1))])[0]
    again = engine.generate([Request((*prompt, 5, 6), GenerateOptions(max_new_tokens=1))])[0]
    assert first.n_cached_tokens == 0
    assert again.n_cached_tokens == 100


def test_drawn_parts_of_characters_have_their_probability(engine):
    """The server says nothing of a token that is a part of a character: it is asked again."""
    answer = write(engine, n_tokens=40, temperature=3.0, seed=1, n_best=2)
    parts = [
        step
        for step in answer.steps
        if any(ord(c) > 0x142 or ord(c) >= 0xA1 for c in vocabulary()[step.token_id])
    ]
    assert parts
    assert all(np.isfinite(step.log_probability) and len(step.best) == 2 for step in answer.steps)
    ids = [*PROMPT, *answer.token_ids]
    rows = engine.distributions(ids[:-1], last=len(answer.token_ids))
    for step, row in zip(answer.steps, rows, strict=False):
        assert step.log_probability == pytest.approx(row[step.token_id], abs=2e-3)


def test_a_refused_model_is_named_with_the_reason(model, tmp_path):
    changed = tmp_path / "changed.gguf"
    changed.write_bytes(model.read_bytes().replace(b"llama", b"glama"))
    with pytest.raises(EngineError, match="unknown model architecture: 'glama'"):
        LlamaCppEngine(changed, OPTIONS)


def test_slots_go_to_who_was_there_before():
    table = SlotTable(2)
    with table.lease([1, 2, 3], 0) as first, table.lease([7, 8], 0) as second:
        assert first.number != second.number
    with table.lease([7, 8, 9], 0) as slot:
        assert slot.number == second.number
    with table.lease([1, 2, 4], 0) as slot:
        assert slot.number == first.number
    with table.lease([7, 8, 9], 1) as slot:  # another adapter shares nothing: the one longest unused
        assert slot.number == second.number


def test_one_that_fails_ends_the_others_beside_it(engine, monkeypatch):
    ask, calls = engine._server.ask, []

    def fail_once(ids, *rest, **named):
        calls.append(ids[0])
        if ids[0] == 1 and len(ids) > 5:
            raise EngineError("this one fails")
        return ask(ids, *rest, **named)

    monkeypatch.setattr(engine._server, "ask", fail_once)
    long = GenerateOptions(max_new_tokens=150)
    with pytest.raises(EngineError, match="this one fails"):
        engine.generate([Request(PROMPT, long), Request((1, 2, 3, 4), long)])
    assert calls.count(PROMPT[0]) < 60


def test_closing_while_an_adapter_waits_leaves_no_process(model, tmp_path):
    engine = LlamaCppEngine(model, OPTIONS)
    write_adapter(tmp_path / "it", adapter_tensors(SHAPE, ("attn_q",), 4, seed=3), 4)
    server = engine._server
    server._n_asking += 1  # a request in flight, for which the restart waits
    errors: list[BaseException] = []

    def load() -> None:
        try:
            engine.load_adapter("it", tmp_path / "it")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    while not server._is_restarting:
        time.sleep(0.01)
    engine.close()
    with server._lock:
        server._n_asking -= 1
        server._idle.notify_all()
    thread.join(20)
    assert "closed" in str(errors[0])
    assert server._process is None
