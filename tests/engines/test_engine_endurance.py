"""What many requests and many openings leave behind: nothing."""

import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.openvino.engine import OpenVINOEngine

SHAPE = Shape()


def prompt(seed: int, n_tokens: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(0, 250, n_tokens).tolist())


@pytest.mark.long
def test_two_thousand_requests_of_which_a_third_is_cut_off_leave_nothing(tmp_path):
    chance = random.Random(0)
    model = write_random(tmp_path / "model.gguf", SHAPE)
    draft = write_random(tmp_path / "draft.gguf", Shape(seed=5, n_layers=1))
    folder = write_adapter(tmp_path / "a", adapter_tensors(SHAPE, ("attn_q",), 2, seed=1), 2)
    options = EngineOptions(mode="exact", threads=1, cache_tokens=2048, draft=str(draft))
    with OpenVINOEngine(model, options) as engine:
        pool = engine._loop._pool
        engine.load_adapter("it", folder)
        jobs = [(n, chance.randrange(5, 200), chance.randrange(1, 60), n % 3 == 0) for n in range(2000)]
        lock, cut, errors = threading.Lock(), [], []

        def work() -> None:
            try:
                while True:
                    with lock:
                        if not jobs:
                            return
                        number, n_prompt, n_new, is_cut = jobs.pop()
                        n_read = chance.randrange(0, n_new + 1)
                    request = Request(
                        prompt(number, n_prompt),
                        GenerateOptions(max_new_tokens=n_new, temperature=0.7, seed=number),
                        "it" if number % 4 == 0 else None,
                    )
                    stream = engine.stream(request)
                    if is_cut:
                        for _ in zip(range(n_read), stream, strict=False):
                            pass
                        stream.cancel()
                    list(stream)
                    with lock:
                        cut.append(stream.result.finish == "cancelled")
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors and len(cut) == 2000 and sum(cut) > 300
        engine.remove_adapter("it")
        assert pool.n_available == pool.n_blocks and not engine._loop._guesser._answers
        assert not engine._loop._running and not engine._loop._waiting and not engine._roster._versions
        assert engine._loop._guesser._draft.n_available_blocks == 64
        assert len(engine.generate([Request(prompt(1, 40), GenerateOptions(max_new_tokens=5))])[0].steps) > 0


OPEN_AND_CLOSE = """
import gc, sys
from pathlib import Path
from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.openvino.engine import OpenVINOEngine

def resident_kb():
    options = EngineOptions(mode="exact", cache_tokens=2048)
    with OpenVINOEngine(Path(sys.argv[1]), options, cache_path=Path(sys.argv[2])) as e:
        ids = tuple(e.tokenizer.encode("Good morning. " * 40))
        e.generate([Request(ids, GenerateOptions(max_new_tokens=8))])
    gc.collect()
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])

sizes = [resident_kb() for _ in range(20)]
print(sizes[0], sizes[-1])
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_opening_and_closing_leaves_no_memory_behind(starter_gguf, tmp_path):
    """Memory of a process after the 20th engine is within 10% of that after the first."""
    command = [sys.executable, "-c", OPEN_AND_CLOSE, str(starter_gguf), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first_kb, last_kb = map(int, done.stdout.split())
    assert last_kb < 1.1 * first_kb, (first_kb, last_kb)
