"""Predicted against measured peak memory, for run, serve and tune.

    python bench/plan.py MODEL.gguf [MODEL.gguf ...] [--record] [--json]

Every run has a process of its own and fills its window; the peak is that of the process and its children.
With --record the rows become `planning/measured.json`, which `homespun plan` cites.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from homespun.engines.machine_bench_child import _peak_memory_bytes
from homespun.engines.processor import processor_name
from homespun.planning.options import PlanOptions
from homespun.planning.plan import plan_model

MEASURED = Path(__file__).parent.parent / "src" / "homespun" / "planning" / "measured.json"
CACHE = Path.home() / ".cache" / "homespun-bench" / "engines"
#: (use, engine, window, clients, tokens at once).
ROWS: tuple[tuple[str, str, int, int, int], ...] = (
    ("run", "openvino", 2048, 1, 0),
    ("run", "openvino", 8192, 1, 0),
    ("serve", "openvino", 2048, 4, 0),
    ("run", "llama.cpp", 2048, 1, 0),
    ("run", "llama.cpp", 8192, 1, 0),
    ("serve", "llama.cpp", 2048, 4, 0),
    ("tune", "torch", 0, 1, 768),
    ("tune", "torch", 0, 1, 2048),
)


def _options(row: tuple[str, str, int, int, int]) -> PlanOptions:
    use, engine, window, clients, tokens = row
    kind: Any = "auto" if engine == "torch" else engine
    return PlanOptions(use=use, engine=kind, window=window, clients=clients, tokens_at_once=tokens)  # type: ignore[arg-type]


def _child(model: str, row: list[Any]) -> None:
    use, engine, window, clients, tokens = row
    if use == "tune":
        _tune(Path(model), tokens)
    else:
        _generate(Path(model), engine, window, clients)


def _generate(model: Path, engine: str, window: int, clients: int) -> None:
    """Texts that fill the window, all at once."""
    from homespun.engines.choose import open_unchecked
    from homespun.engines.engine import EngineOptions, GenerateOptions, Request
    from homespun.engines.probe import probe_ids

    options = EngineOptions(window=window, cache_tokens=window * clients, guess="off")
    with open_unchecked(engine, model, options, CACHE) as loaded:  # type: ignore[arg-type]
        ids = probe_ids(loaded.tokenizer, 10**9)
        # llama.cpp takes its caches whole at the start; OpenVINO's pages come as they are written.
        n_tokens = min(window - 40, 1000 if engine == "llama.cpp" else window)
        texts = [(ids[7 * k :] + ids[: 7 * k]) * (n_tokens // len(ids) + 1) for k in range(clients)]
        few = GenerateOptions(max_new_tokens=8)
        loaded.generate([Request(tuple(text[:n_tokens]), few) for text in texts])
        print(json.dumps({"peak": _peak_memory_bytes()}), flush=True)


def _tune(model: Path, tokens: int) -> None:
    """Two steps of as many tokens."""
    import torch

    from homespun.engines.probe import probe_ids
    from homespun.engines.processor import usable_threads
    from homespun.models.home import Home
    from homespun.tuning.base import open_base
    from homespun.tuning.examples import EncodedExample
    from homespun.tuning.network.frozen import FrozenWeights
    from homespun.tuning.network.network import Network
    from homespun.tuning.network.parameters import LoraParameters
    from homespun.tuning.network.precision import choose_precision
    from homespun.tuning.options import TuneOptions
    from homespun.tuning.trainer import Trainer

    torch.set_num_threads(usable_threads())
    with tempfile.TemporaryDirectory() as folder:
        base = open_base(Home(Path(folder)), str(model))
        ids = probe_ids(base.tokenizer, 10**9)
        options = TuneOptions(rank=16)
        precision = choose_precision("auto", "cpu")
        weights = FrozenWeights(base.file, base.config, precision.dtype)
        learnt = LoraParameters(weights, options)
        trainer = Trainer(
            Network(weights, learnt),
            learnt,
            precision,
            tokens_at_once=tokens,
            weight_decay=0.0,
            clip=1.0,
            seed=0,
        )
        length = 256
        examples = []
        for k in range(tokens // length):
            text = tuple((ids[7 * k :] + ids[: 7 * k])[:length])
            examples.append(_example(EncodedExample, text))
        for step in range(3):
            trainer.step(examples, number=step, rate=2e-4)
        print(json.dumps({"peak": _peak_memory_bytes()}), flush=True)


def _example(kind: Any, text: tuple[int, ...]) -> Any:
    """The last quarter is the answer."""
    return kind(text, tuple(place >= 3 * len(text) // 4 for place in range(len(text))))


def measure(model: Path, row: tuple[str, str, int, int, int]) -> int:
    """The peak in bytes. OpenVINO's import of the file comes before, in a process of its own."""
    if row[1] == "openvino":
        _ask(model, ("run", "openvino", row[2], 1, 0))
    return _ask(model, row)


def _ask(model: Path, row: tuple[str, str, int, int, int]) -> int:
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(row), str(model)], capture_output=True, text=True
    )
    for line in done.stdout.splitlines():
        if line.startswith('{"peak"'):
            return int(json.loads(line)["peak"])
    raise RuntimeError(done.stderr[-500:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child")
    given = parser.parse_args()
    if given.child:
        _child(str(given.models[0]), json.loads(given.child))
        return
    rows: list[dict[str, Any]] = []
    for model in given.models:
        for row in ROWS:
            predicted = plan_model(str(model), _options(row)).total_bytes
            measured = measure(model, row)
            use, engine, window, clients, tokens = row
            rows.append(
                {
                    "model": model.name,
                    "use": use,
                    "engine": engine,
                    "window": window,
                    "clients": clients,
                    "tokens_at_once": tokens,
                    "predicted_bytes": predicted,
                    "measured_bytes": measured,
                }
            )
            if not given.json:
                print(
                    f"{model.name:40} {use:6} {engine:10} {window or tokens:6} x{clients} "
                    f"predicted {predicted / 1e6:8,.0f} MB measured {measured / 1e6:8,.0f} MB "
                    f"{predicted / measured - 1:+.1%}",
                    flush=True,
                )
    kept = {"as_of": datetime.date.today().isoformat(), "processor": processor_name(), "rows": rows}
    if given.json:
        print(json.dumps(kept, indent=1))
    if given.record:
        MEASURED.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
