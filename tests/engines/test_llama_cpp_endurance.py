"""What many requests and many openings of llama.cpp's server leave behind: nothing. And its connections."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.llama_cpp import LlamaCppEngine

OPTIONS = EngineOptions(window=256, threads=1, cache_tokens=1024)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = write_random(tmp_path_factory.mktemp("llama") / "model.gguf", Shape())
    with LlamaCppEngine(path, OPTIONS) as opened:
        yield opened


def ask(engine: LlamaCppEngine, seed: int, n_tokens: int) -> Request:
    ids = np.random.default_rng(seed).integers(0, 250, 5 + seed % 150)
    return Request(tuple(ids.tolist()), GenerateOptions(max_new_tokens=n_tokens, temperature=0.7, seed=seed))


def test_connections_are_kept_and_a_dead_one_is_replaced(engine):
    first = engine.generate([ask(engine, 1, 8)])[0]
    idle = engine._server.process._idle
    (connection,) = idle
    engine.generate([ask(engine, 2, 4)])
    assert list(idle) == [connection]
    connection.sock.shutdown(2)  # as if the server had closed it while it was idle
    assert engine.generate([ask(engine, 1, 8)])[0].token_ids == first.token_ids
    assert len(idle) == 1 and idle[0] is not connection


@pytest.mark.long
def test_three_hundred_requests_of_which_a_third_is_cut_off_leave_no_slot_busy(engine):
    chance = random.Random(0)

    def run(number: int, n_read: int) -> bool:
        stream = engine.stream(ask(engine, number, 40))
        if number % 3 == 0:
            for _ in zip(range(n_read), stream, strict=False):
                pass
            stream.cancel()
        for _ in stream:
            pass
        return stream.result.finish == "cancelled"

    with ThreadPoolExecutor(8) as pool:
        n_cut = sum(pool.map(run, range(300), [chance.randrange(30) for _ in range(300)]))
    server = engine._server
    assert n_cut > 50
    assert not any(slot.is_busy for slot in server._slots._slots)
    assert not engine._written and not server._running and server._n_asking == 0
    assert len(server.process._idle) <= engine._settings.n_slots
    answers = engine.generate([ask(engine, n, 5) for n in range(4)])
    assert all(answer.steps for answer in answers)


OPEN_AND_CLOSE = """
import gc, sys
from pathlib import Path
from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.llama_cpp import LlamaCppEngine

def resident_kb(number="self"):
    return int(Path(f"/proc/{number}/status").read_text().split("VmRSS:")[1].split()[0])

def both_kb():
    with LlamaCppEngine(Path(sys.argv[1]), EngineOptions(window=512, cache_tokens=1024)) as engine:
        ids = tuple(engine.tokenizer.encode("Good morning. " * 40))
        engine.generate([Request(ids, GenerateOptions(max_new_tokens=8))])
        child_kb = resident_kb(engine._server.process._process.pid)
    gc.collect()
    return resident_kb() + child_kb

sizes = [both_kb() for _ in range(20)]
print(sizes[0], sizes[-1])
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_opening_and_closing_leaves_no_memory_behind(starter_gguf):
    """Memory of parent and child at the 20th engine is within 10% of that at the first."""
    command = [sys.executable, "-c", OPEN_AND_CLOSE, str(starter_gguf)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first_kb, last_kb = map(int, done.stdout.split())
    assert last_kb < 1.1 * first_kb, (first_kb, last_kb)
