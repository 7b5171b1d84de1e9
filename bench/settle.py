"""Settled before anything was built on it: the step loop on the paged graph, under mixed adapters.

    python bench/settle.py [MODEL.gguf] [--swaps N] [--json]

16 requests at once, three adapters of different ranks and modules and the base mixed in one batch, the
adapters replaced N times meanwhile: every answer must be the one that the same weights give alone, with
the N best log-probabilities at each step, and memory must not grow. Logits of base and adapters are
compared with torch and peft. Speed is compared with xllamacpp by bench/engine.py.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _adapters import write_adapter
from _texts import chat_prompts, long_prompt

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.probe import mean_kl_nats
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_model

CACHE = Path.home() / ".cache" / "homespun-bench"
#: name: rank, modules, seeds of two versions that replace each other
ADAPTERS = {
    "small": (4, ("q_proj", "v_proj")),
    "middle": (8, ("gate_proj", "up_proj", "down_proj")),
    "large": (16, ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")),
}
NEW_TOKENS = 12


def resident_bytes() -> int:
    """Memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    import os

    return pages * os.sysconf("SC_PAGE_SIZE")


def against_torch(model: Path, engine: OpenVINOEngine, folders: dict[str, Path]) -> dict[str, float]:
    """Mean KL to torch (float32, peft) on 200 positions: base and each adapter, in nats."""
    from homespun.engines.torch_engine import TorchEngine

    ids = long_prompt(engine.tokenizer.encode, 200, 7)
    reference = TorchEngine(model, EngineOptions(mode="exact"))
    result = {}
    for name in (None, *folders):
        if name is not None:
            reference.load_adapter(name, folders[name])
            engine.load_adapter(name, folders[name])
        expected = reference.distributions(ids, last=200, adapter=name)
        result[name or "base"] = mean_kl_nats(expected, engine.distributions(ids, last=200, adapter=name))
    reference.close()
    return result


def mixed_requests(engine: OpenVINOEngine) -> list[Request]:
    """16 requests: base and the three adapters in turn."""
    names = [None, *ADAPTERS]
    options = GenerateOptions(max_new_tokens=NEW_TOKENS, n_best=5)
    prompts = chat_prompts(16, 0)
    return [
        Request(tuple(engine.tokenizer.encode(text)), options, names[i % 4]) for i, text in enumerate(prompts)
    ]


def swap_under_load(engine: OpenVINOEngine, versions: dict[str, list[Path]], n_swaps: int) -> dict[str, Any]:
    """Replace adapters between mixed batches and hold each answer against the one of a lone request."""
    requests = mixed_requests(engine)
    alone: dict[tuple[int, int], tuple[int, ...]] = {}
    for version in (0, 1):
        for name, folders in versions.items():
            engine.load_adapter(name, folders[version])
        for number, request in enumerate(requests):
            alone[(version, number)] = engine.generate([request])[0].token_ids
    n_wrong = n_answers = 0
    worst_gap = 0.0
    swap_s = []
    before = None
    names = list(versions)
    current = dict.fromkeys(names, 1)
    for swap in range(n_swaps):
        if swap == n_swaps // 4:  # by then the small cache is full, and each shape has been seen
            before = resident_bytes()
        name = names[swap % 3]
        current[name] ^= 1
        begin = time.perf_counter()
        engine.load_adapter(name, versions[name][current[name]])
        swap_s.append(time.perf_counter() - begin)
        if swap % 4 == 0:
            for number, result in enumerate(engine.generate(requests)):
                adapter = requests[number].adapter
                version = 0 if adapter is None else current[adapter]
                n_answers += 1
                n_wrong += result.token_ids != alone[(version, number)]
                for step in result.steps:
                    worst_gap = max(worst_gap, step.best[0].log_probability - step.log_probability)
    return {
        "n_swaps": n_swaps,
        "n_answers": n_answers,
        "n_differ_from_alone": n_wrong,
        "n_versions_that_differ": sum(alone[(0, i)] != alone[(1, i)] for i in range(16) if i % 4),
        "worst_gap_to_best": worst_gap,
        "median_swap_s": float(np.median(swap_s)),
        "memory_growth_bytes": resident_bytes() - (before or 0),
    }


def speeds(engine: OpenVINOEngine) -> dict[str, float]:
    """Tokens a second with 16 clients: base alone, and mixed over base and three adapters."""
    result = {}
    for what in ("base", "mixed"):
        values = []
        for number in range(3):
            prompts = [engine.tokenizer.encode(text) for text in chat_prompts(16, 100 + number)]
            names = [None, *ADAPTERS] if what == "mixed" else [None]
            options = GenerateOptions(max_new_tokens=32)
            requests = [Request(tuple(p), options, names[i % len(names)]) for i, p in enumerate(prompts)]
            begin = time.perf_counter()
            done = engine.generate(requests)
            values.append(sum(len(r.steps) for r in done) / (time.perf_counter() - begin))
        result[f"clients_16_{what}_tokens_per_s"] = max(values)
    return result


def measure(model: Path, n_swaps: int) -> dict[str, Any]:
    """Everything as one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        versions = {
            name: [
                write_adapter(Path(folder) / f"{name}-{seed}", model, rank, modules, seed=seed)
                for seed in (1, 2)
            ]
            for name, (rank, modules) in ADAPTERS.items()
        }
        first = {name: folders[0] for name, folders in versions.items()}
        small_cache = EngineOptions(mode="exact", cache_tokens=4096)
        with OpenVINOEngine(model, small_cache, cache_path=CACHE) as engine:
            begin = time.perf_counter()
            engine.load_adapter("small", first["small"])
            first_adapter_s = time.perf_counter() - begin
            kl = against_torch(model, engine, first)
            swaps = swap_under_load(engine, versions, n_swaps)
        with OpenVINOEngine(model, EngineOptions(mode="fast"), cache_path=CACHE) as engine:
            for name, path in first.items():
                engine.load_adapter(name, path)
            speed = speeds(engine)
    return {
        "processor": processor_name(),
        "model": model.name,
        "first_adapter_s": first_adapter_s,
        "exact_mean_kl_to_torch_nats": kl,
        **swaps,
        **speed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = measure(arguments.model or fetch_starter_model(Home.open()).path, arguments.swaps)
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for key, value in report.items():
        print(f"{key.replace('_', ' '):<36} {value}")


if __name__ == "__main__":
    main()
