"""Measure every engine that can run a model here, so that `auto` takes the one that is best on this machine.

Each candidate runs in a process of its own: its memory is counted honestly, and a crash costs one row.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from homespun.engines.bench_record import BenchRow, MachineBench, remember_bench
from homespun.engines.choose import explain_choice
from homespun.engines.engine import EngineOptions, Mode
from homespun.engines.errors import EngineError
from homespun.engines.processor import available_memory_bytes, processor_name, usable_threads
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.progress import Progress, no_progress

CANDIDATES: tuple[tuple[str, Mode], ...] = (
    ("openvino", "fast"),
    ("openvino", "exact"),
    ("llama.cpp", "fast"),
    ("torch", "fast"),
    ("vllm", "fast"),
)
STEPS = 6  # of a candidate: prepared, loaded, read, written, served, compared
LABEL = "measuring the engines"
CHILD_TIMEOUT_S = 1800.0


def bench_model(path: Path, cache_path: Path, progress: Progress = no_progress) -> MachineBench:
    """Measure reading, writing, memory and loss of every engine that can run a file here; remembered.

    Args:
        path: a GGUF file.
        cache_path: the home's cache folder.
        progress: counts steps, all of a candidate's weighing the same.

    Raises:
        ModelFileError: a broken file.
        EngineError: no engine here runs it, or a folder.
    """
    if path.is_dir():
        raise EngineError(
            "only GGUF files are measured, and this is a folder",
            where=str(path),
            remedy="Measure a GGUF file.",
        )
    file = read_gguf(path)
    choice = explain_choice(path, EngineOptions())
    if choice.engine is None:
        raise EngineError(choice.reason, where=str(path), remedy="Use another model.")
    able = {choice.engine, *(name for name, why in choice.alternatives.items() if why is None)}
    candidates = [(engine, mode) for engine, mode in CANDIDATES if engine in able]
    rows = []
    for number, (engine, mode) in enumerate(candidates):
        first, n_steps = STEPS * number, STEPS * len(candidates)
        progress(LABEL, first, n_steps)

        def told(done: int, first: int = first, n_steps: int = n_steps) -> None:
            progress(LABEL, first + done, n_steps)

        rows.append(measure_candidate(file, engine, mode, cache_path, told))
    progress(LABEL, STEPS * len(candidates), STEPS * len(candidates))
    bench = MachineBench(path.name, processor_name(), usable_threads(), tuple(rows))
    remember_bench(file, cache_path, bench)
    return bench


def measure_candidate(
    file: GGUFFile, engine: str, mode: Mode, cache_path: Path, told: Callable[[int], None]
) -> BenchRow:
    """One engine on one file, in a process of its own; a failure is in the row.

    Args:
        told: called with how many of the `STEPS` are done.
    """
    needed_bytes = 4 * file.n_parameters if engine == "torch" else file.size_bytes
    free_bytes = available_memory_bytes()
    if needed_bytes > free_bytes:  # the system would end something, and not always this
        error = (
            f"it needs at least {needed_bytes / 1e9:.1f} GB of memory, and {free_bytes / 1e9:.1f} GB are free"
        )
        return BenchRow(engine, mode, error=error)
    asked = {"path": str(file.path.resolve()), "engine": engine, "mode": mode, "cache_path": str(cache_path)}
    if engine == "openvino":
        prepared = _ask({**asked, "task": "prepare"}, told)
        if prepared.error is not None:
            return prepared
    told(1)
    return _ask({**asked, "task": "measure"}, told)


def _ask(asked: dict[str, Any], told: Callable[[int], None]) -> BenchRow:
    engine, mode = asked["engine"], asked["mode"]
    with tempfile.TemporaryFile() as log, _child(log) as child:
        assert child.stdin and child.stdout
        with contextlib.suppress(OSError):  # it is gone already: its log says why
            print(json.dumps(asked), file=child.stdin, flush=True)
        for line in child.stdout:
            message = _message(line)
            if "done" in message:
                told(int(message["done"]))
            elif "row" in message:
                return BenchRow(**message["row"])
            elif "error" in message:
                return BenchRow(engine, mode, error=str(message["error"]))
        code = child.wait()
        return BenchRow(engine, mode, error=f"its process ended with code {code} ({_last_line(log)})")


@contextlib.contextmanager
def _child(log: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    """The measuring process; it is gone when the block ends, however that goes."""
    child = subprocess.Popen(
        [sys.executable, "-m", "homespun.engines.machine_bench_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        encoding="utf-8",
    )
    clock = threading.Timer(CHILD_TIMEOUT_S, child.kill)
    clock.daemon = True
    clock.start()
    try:
        yield child
        child.wait(10)  # it is ending by itself, and so is what it started
    except subprocess.TimeoutExpired:
        pass
    finally:
        clock.cancel()
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


def _message(line: str) -> dict[str, Any]:
    """What the child says; a library that prints to the same pipe says nothing."""
    with contextlib.suppress(ValueError):
        message = json.loads(line)
        if isinstance(message, dict):
            return message
    return {}


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
