"""Measures one engine on one model; run as a module in a process of its own, so that its memory is its own.

Reads one JSON line {"path", "engine", "mode", "cache_path", "task"}, tells each finished step as {"done": n}
and ends with {"row": {...}} or {"error": "..."}. The task "prepare" only loads the engine once: what that keeps
for later starts (an imported graph, measured precisions) takes memory that no later start takes.
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from homespun.engines.bench_record import BenchRow
from homespun.engines.choose import open_unchecked
from homespun.engines.engine import Engine, EngineOptions, GenerateOptions, Request
from homespun.engines.probe import probe_ids
from homespun.engines.probe_check import bound_nats, compare
from homespun.engines.reference import why_no_reference
from homespun.errors import HomespunError
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf

READ_TOKENS = 1000
WRITE_TOKENS = 32
N_CLIENTS = 4
CLIENT_TOKENS = 24
WINDOW = 2048
ROUNDS = 3
LONG_S = 15.0  # a round that takes so long is not repeated


def main() -> None:
    """Measure what standard input names."""
    asked = json.loads(sys.stdin.readline())
    try:
        if asked["task"] == "prepare":
            _open(asked).close()
            _tell({"row": asdict(BenchRow(asked["engine"], asked["mode"]))})
        else:
            _tell({"row": asdict(_measure(asked))})
    except HomespunError as error:
        _tell({"error": error.sentence()})
    except Exception as error:
        _tell({"error": f"{type(error).__name__}: {error}"})


def _tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _open(asked: dict[str, Any]) -> Engine:
    path = Path(asked["path"])
    most = min(WINDOW, ModelConfig.from_gguf(read_gguf(path)).context_length)
    # OpenVINO keeps one imported graph for each window: the model's own is the one that will serve.
    window = 0 if asked["engine"] == "openvino" else most
    options = EngineOptions(mode=asked["mode"], window=window, cache_tokens=N_CLIENTS * most, guess="off")
    return open_unchecked(asked["engine"], path, options, Path(asked["cache_path"]))


def _measure(asked: dict[str, Any]) -> BenchRow:
    cache_path = Path(asked["cache_path"])
    file = read_gguf(Path(asked["path"]))
    config = ModelConfig.from_gguf(file)
    before = _peak_memory_bytes()
    with _open(asked) as engine:
        _tell({"done": 2})
        texts = _texts(engine, min(READ_TOKENS, engine.facts.window - WRITE_TOKENS - 1))
        _read(engine, texts(100))  # what is set up at first use is not what is measured
        read = _best(lambda: _read(engine, texts(READ_TOKENS)))
        _tell({"done": 3})
        write = _best(lambda: _write(engine, texts(100)))
        _tell({"done": 4})
        clients = _best(lambda: _serve(engine, [texts(100) for _ in range(N_CLIENTS)]))
        memory = _peak_memory_bytes() - before
        _tell({"done": 5})
        is_known = why_no_reference(file, config) is None
        compared = compare(engine, file, cache_path) if is_known else None
        return BenchRow(
            engine=asked["engine"],
            mode=asked["mode"],
            precision=engine.facts.precision,
            is_exact=engine.facts.mode == "exact",
            read_tokens_per_s=read,
            write_tokens_per_s=write,
            clients_tokens_per_s=clients,
            memory_bytes=max(memory, 0),
            kl_nats=max(compared.kl_nats, 0.0) if compared else None,
            best_token_equal=compared.best_token_equal if compared else None,
            bound_nats=bound_nats(engine.facts) if compared else None,
        )


def _texts(engine: Engine, most: int) -> Any:
    """Gives prompts that begin differently each time, so that no cache has read them before."""
    words = probe_ids(engine.tokenizer, 10**9)
    n_given = 0

    def text(n_tokens: int) -> tuple[int, ...]:
        nonlocal n_given
        n_given += 1
        turned = words[7 * n_given :] + words[: 7 * n_given]
        return tuple((turned * (n_tokens // len(turned) + 1))[: max(1, min(n_tokens, most))])

    return text


def _best(measure: Any) -> float:
    """The fastest of a few rounds: whatever else runs can only slow one down."""
    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        rates.append(measure())
        if time.perf_counter() - started > LONG_S:
            break
    return max(rates)


def _read(engine: Engine, token_ids: tuple[int, ...]) -> float:
    started = time.perf_counter()
    engine.generate([Request(token_ids, GenerateOptions(max_new_tokens=1))])
    return len(token_ids) / (time.perf_counter() - started)


def _write(engine: Engine, token_ids: tuple[int, ...]) -> float:
    """Tokens a second after the first one; an answer of one token counts with its reading."""
    (answer,) = engine.generate([Request(token_ids, GenerateOptions(max_new_tokens=WRITE_TOKENS))])
    n_steps = len(answer.steps)
    if n_steps < 2:
        return n_steps / (answer.read_s + answer.write_s)
    return (n_steps - 1) / answer.write_s


def _serve(engine: Engine, prompts: list[tuple[int, ...]]) -> float:
    started = time.perf_counter()
    options = GenerateOptions(max_new_tokens=CLIENT_TOKENS)
    answers = engine.generate([Request(prompt, options) for prompt in prompts])
    return sum(len(answer.steps) for answer in answers) / (time.perf_counter() - started)


def _peak_memory_bytes() -> int:
    """Largest resident sizes of this process and its children (llama.cpp's server is one), added."""
    if not Path("/proc/self/status").exists():
        return _peak_of_this_process()
    found = Path("/proc/self/task").glob("*/children")
    children = [pid for listing in found for pid in listing.read_text().split()]
    return sum(_peak_of(pid) for pid in ("self", *children))


def _peak_of(pid: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _peak_of_this_process() -> int:
    try:
        import resource
    except ImportError:  # Windows: not measured
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
