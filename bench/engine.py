"""All engines side by side, with the bare xllamacpp server and transformers, in one interleaved run;
and the loss of OpenVINO's two modes against float32.

    python bench/engine.py [MODEL.gguf] [--rounds N] [--json]

Reads a 1,100-token prompt, writes with one client, serves 16 clients, starts cold and warm, and compares
1,000 real positions with transformers in float32 on the graph that answers (paged, batch 1 and 16).
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Spread, Worker, interleave, paired_ratio
from _texts import long_prompt

from homespun.engines.engine import EngineOptions, Mode
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.probe import mean_kl_nats
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_model

TASKS = ("read", "write", "clients")
ENGINES = ("openvino", "openvino-exact", "llama.cpp", "torch", "xllamacpp", "transformers")
CACHE = Path.home() / ".cache" / "homespun-bench"
KL_POSITIONS = 1000


def reference_rows(model: Path, token_ids: list[int]) -> np.ndarray:
    """Log-probabilities of transformers in float32 on its own unpacking of the file: (n, n_vocab)."""
    import torch
    from transformers import AutoModelForCausalLM, logging

    logging.set_verbosity_error()
    reference = AutoModelForCausalLM.from_pretrained(model.parent, gguf_file=model.name, dtype=torch.float32)
    with torch.no_grad():
        logits = reference(torch.tensor([token_ids])).logits[0].double()
    return logits.log_softmax(-1).float().numpy()


def losses(model: Path, mode: Mode, token_ids: list[int], reference: np.ndarray) -> dict[str, Any]:
    """KL to the reference in batch 1, and with 16 requests at once that each read a part of it alone."""
    with OpenVINOEngine(model, EngineOptions(mode=mode), cache_path=CACHE) as engine:
        one = engine.distributions(token_ids, last=len(token_ids))
        sixteen = _sixteen_at_once(engine, token_ids)
    agree = float((one.argmax(-1) == reference.argmax(-1)).mean())
    return {
        "mean_kl_nats": mean_kl_nats(reference, one),
        "best_token_equal": agree,
        "mean_kl_nats_16_at_once": mean_kl_nats(reference[-len(sixteen) :], sixteen),
        "best_token_equal_16": float((sixteen.argmax(-1) == reference[-len(sixteen) :].argmax(-1)).mean()),
    }


def _sixteen_at_once(engine: OpenVINOEngine, token_ids: list[int]) -> np.ndarray:
    """The last 160 positions, ten from each of 16 threads whose requests share batches."""
    from concurrent.futures import ThreadPoolExecutor

    n_last = 160
    ends = [len(token_ids) - n_last + 10 * (i + 1) for i in range(16)]
    with ThreadPoolExecutor(16) as pool:
        rows = pool.map(lambda end: engine.distributions(token_ids[:end], last=10), ends)
        return np.concatenate(list(rows))


def start_seconds(model: Path, cache: Path) -> float:
    """A fresh process until the first token of a short prompt, in seconds."""
    code = (
        "import sys; from pathlib import Path\n"
        "from homespun.engines.openvino.engine import OpenVINOEngine\n"
        "from homespun.engines.engine import Request, GenerateOptions\n"
        "e = OpenVINOEngine(Path(sys.argv[1]), cache_path=Path(sys.argv[2]))\n"
        "ids = tuple(e.tokenizer.encode('Good morning'))\n"
        "e.generate([Request(ids, GenerateOptions(max_new_tokens=1))])\n"
    )
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(model), str(cache)], check=True)
    return time.perf_counter() - started


def measure(model: Path, rounds: int) -> dict[str, Any]:
    """All figures as one JSON object."""
    import tempfile

    workers = [Worker(name, model) for name in ENGINES]
    values = interleave(workers, TASKS, rounds)
    memory = {worker.name: worker.ask("memory") for worker in workers}
    facts = {worker.name: worker.facts for worker in workers}
    for worker in workers:
        worker.close()
    with tempfile.TemporaryDirectory() as folder:
        first_start = start_seconds(model, Path(folder))
        second = [start_seconds(model, Path(folder)) for _ in range(3)]
    with OpenVINOEngine(model, EngineOptions(mode="exact"), cache_path=CACHE) as engine:
        token_ids = long_prompt(engine.tokenizer.encode, KL_POSITIONS, 0)
    reference = reference_rows(model, token_ids)
    return {
        "processor": processor_name(),
        "model": model.name,
        "rounds": rounds,
        "facts": facts,
        "tokens_per_s": {
            name: {task: vars(Spread.of(values[(name, task)])) for task in TASKS} for name in ENGINES
        },
        "ratio_to_xllamacpp": {
            name: {task: vars(paired_ratio(values, task, name, "xllamacpp")) for task in TASKS}
            for name in ENGINES
            if name != "xllamacpp"
        },
        "peak_memory_bytes": memory,
        "first_start_s": first_start,
        "second_start_s": vars(Spread.of(second)),
        "loss": {mode: losses(model, mode, token_ids, reference) for mode in ("exact", "fast")},
        "positions": len(token_ids),
    }


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f"{report['processor']}; {report['model']}; median of {report['rounds']} interleaved rounds [range]"
    ]
    lines.append(
        f"{'engine':<16}{'read tok/s':>26}{'write tok/s':>24}{'16 clients tok/s':>26}{'memory MB':>11}"
    )
    for name, row in report["tokens_per_s"].items():
        cells = [str(Spread(**row[task])) for task in TASKS]
        megabytes = report["peak_memory_bytes"][name] / 1e6
        lines.append(f"{name:<16}{cells[0]:>26}{cells[1]:>24}{cells[2]:>26}{megabytes:>11,.0f}")
    for name, row in report["ratio_to_xllamacpp"].items():
        cells = [f"{Spread(**row[task]).median:.2f}x" for task in TASKS]
        lines.append(f"{name + ' / xllamacpp':<28}{cells[0]:>14}{cells[1]:>24}{cells[2]:>26}")
    lines.append(
        f"start to first token: first {report['first_start_s']:.1f} s (import, measuring of precisions), "
        f"then {Spread(**report['second_start_s'])} s"
    )
    for mode, loss in report["loss"].items():
        lines.append(
            f"{mode}: mean KL to transformers float32 {loss['mean_kl_nats']:.2e} nats, best token equal "
            f"{loss['best_token_equal']:.2%} of {report['positions']}; 16 at once "
            f"{loss['mean_kl_nats_16_at_once']:.2e}, {loss['best_token_equal_16']:.2%}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, help="a GGUF file; default: the starter model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model = arguments.model or fetch_starter_model(Home.open()).path
    report = measure(model, arguments.rounds)
    print(json.dumps(report, indent=1) if arguments.json else table(report))


if __name__ == "__main__":
    main()
