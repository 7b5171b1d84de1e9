"""Training speed and memory beside TRL's, on the same rows, tokens, rank and batches, paired by round.

    python bench/tune.py --data COVIDQA [MODEL.gguf] [--steps N] [--rounds N] [--json]

COVIDQA is a folder with documents and questions.jsonl; about 1,100 characters around each answer, the
question and the answer make a row. Every run has a process of its own. `TRL, defaults` is its trainer as it
comes; `TRL, best` the fastest settings that were found (bench/_trl.py). `packed` keeps the base in the
file's own blocks (QLoRA), `upper half` trains the upper half of the layers with the lower ones computed once.
TRL is in the extra: pip install "homespun[tune,bench]".
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from _trl import BATCH_SIZE, RANK, Row, covidqa_rows, trl_tokens_per_second

from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_model

CACHE = Path.home() / ".cache" / "homespun-bench"


@dataclass(frozen=True)
class Run:
    """One way of training, once."""

    tokens_per_s: float
    peak_bytes: int
    base_bytes: int = 0
    losses: tuple[float, ...] = ()


def ours(model: Path, rows: Sequence[Row], n_steps: int, **changes: Any) -> Run:
    """Our trainer over the same batches; the first step warms up and is not timed."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_ours, model, list(rows), n_steps, changes).result()


def _ours(model: Path, rows: list[Row], n_steps: int, changes: dict[str, Any]) -> Run:
    """In a process of its own."""
    from homespun.tuning.bounded_memory import bound_memory
    from homespun.tuning.defaults import TOKENS_AT_ONCE

    if changes.get("tokens_at_once", 0) <= TOKENS_AT_ONCE:
        bound_memory()
    import torch

    from homespun.engines.processor import usable_threads
    from homespun.models.template import Message
    from homespun.tuning.base import open_base
    from homespun.tuning.encode import encode_example
    from homespun.tuning.examples import Example
    from homespun.tuning.network.frozen import FrozenWeights
    from homespun.tuning.network.network import Network
    from homespun.tuning.network.parameters import LoraParameters
    from homespun.tuning.network.precision import choose_precision
    from homespun.tuning.options import TuneOptions
    from homespun.tuning.trainer import Trainer

    torch.set_num_threads(usable_threads())
    options = TuneOptions(rank=RANK, **changes)
    base = open_base(Home(CACHE), str(model))
    encoded = [
        encode_example(Example((Message("user", p), Message("assistant", r))), base.template, base.tokenizer)
        for p, r in rows[: n_steps * BATCH_SIZE]
    ]
    precision = choose_precision("auto", "cpu")
    weights = FrozenWeights(base.file, base.config, precision.dtype, packed=options.method == "qlora")
    learnt = LoraParameters(weights, options)
    trainer = Trainer(
        Network(weights, learnt, recompute=options.recompute),
        learnt,
        precision,
        tokens_at_once=options.tokens_at_once or TOKENS_AT_ONCE,
        weight_decay=0.0,
        clip=1.0,
        seed=0,
    )
    losses, n_tokens, seconds = [], 0, 0.0
    if trainer.network.first_trained:
        trainer.loss(encoded)  # what the lower layers give is computed once a run, before the epochs
    for step in range(n_steps):
        batch = encoded[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
        begun = time.perf_counter()
        figures = trainer.step(batch, number=step, rate=2e-4)
        if step:
            seconds += time.perf_counter() - begun
            n_tokens += figures.n_tokens
        losses.append(figures.loss)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Run(n_tokens / seconds, peak, weights.n_bytes, tuple(losses))


def trl(model: Path, rows: Sequence[Row], n_steps: int, settings: Any) -> Run:
    """TRL's trainer."""
    run = trl_tokens_per_second(model, rows, settings=settings, n_steps=n_steps)
    return Run(run.tokens_per_s, run.peak_bytes, losses=run.losses)


def main() -> None:
    """Measure in rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the folder of COVID-QA")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    model = given.model or fetch_starter_model(Home.open(CACHE)).path
    rows = covidqa_rows(given.data)
    ways: dict[str, Callable[[], Run]] = {
        "Homespun, LoRA": lambda: ours(model, rows, given.steps),
        "TRL, defaults": lambda: trl(model, rows, given.steps, "defaults"),
        "TRL, best": lambda: trl(model, rows, given.steps, "best"),
        "Homespun, 4096 at once": lambda: ours(model, rows, given.steps, tokens_at_once=4096),
        "Homespun, packed base": lambda: ours(model, rows, given.steps, method="qlora"),
        "Homespun, upper half": lambda: ours(model, rows, given.steps, layers="upper:15"),
    }
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(given.rounds):
        for name in list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]:
            runs[name].append(ways[name]())
    report(runs, as_json=given.json)


def report(runs: dict[str, list[Run]], *, as_json: bool) -> None:
    """One row a way: medians, and the ratio to each of TRL's paired by round."""
    first = runs["Homespun, LoRA"]
    rows = []
    for name, its in runs.items():
        ratios = [ours.tokens_per_s / one.tokens_per_s for ours, one in zip(first, its, strict=True)]
        rows.append(
            {
                "way": name,
                "tokens_per_s": statistics.median(run.tokens_per_s for run in its),
                "peak_mb": statistics.median(run.peak_bytes for run in its) / 1e6,
                "base_mb": its[0].base_bytes / 1e6,
                "first_loss": its[0].losses[0],
                "last_loss": its[0].losses[-1],
                "ratio": statistics.median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
            }
        )
    if as_json:
        print(
            json.dumps(
                {
                    "processor": processor_name(),
                    "ways": rows,
                    "runs": {n: [asdict(r) for r in i] for n, i in runs.items()},
                }
            )
        )
        return
    print(processor_name())
    print(f"{'way':24} {'tokens/s':>9} {'peak MB':>8} {'base MB':>8} {'loss':>13}  LoRA is ... times as fast")
    for row in rows:
        print(
            f"{row['way']:24} {row['tokens_per_s']:9.0f} {row['peak_mb']:8,.0f} {row['base_mb']:8,.0f} "
            f"{row['first_loss']:6.3f} {row['last_loss']:6.3f}  "
            f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
        )


if __name__ == "__main__":
    main()
