"""What each engine loses on real models: mean KL to transformers in float32 and best token.

    python bench/exactness.py [MODEL.gguf ...] [--prompts N] [--json]

200 prompts (6 for llama.cpp): passages of the clinic's handbook, cut at different lengths, the last position
of each; and one text of twice the sliding window (1,024 tokens where there is none), its last positions. Without
a model: the starter, and gemma3-270m where the home has it. Ends with 1 if an engine is beyond its bound.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.choose import EngineChoice, explain_choice, open_engine
from homespun.engines.engine import Engine, EngineOptions, Mode
from homespun.engines.probe import mean_kl_nats
from homespun.engines.processor import processor_name
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_model
from homespun.models.tokenizer import Tokenizer

CLINIC = Path(__file__).parent.parent / "examples" / "clinic"
CACHE = Path.home() / ".cache" / "homespun-bench"
#: Largest mean KL in nats. llama.cpp rounds activations to 8 bits; fast modes may lose 0.003 by themselves.
BOUNDS: dict[tuple[EngineChoice, Mode], float] = {
    ("openvino", "exact"): 1e-5,
    ("openvino", "fast"): 0.003,
    ("llama.cpp", "fast"): 0.05,
}
#: llama.cpp's whole distributions take a second and more each, so it gets fewer.
N_LONG = {"openvino": 200, "llama.cpp": 2}
MOST_PROMPTS = {"openvino": 10_000, "llama.cpp": 6}


def texts() -> list[str]:
    """The clinic's documents."""
    return [path.read_text(encoding="utf-8") for path in sorted(CLINIC.rglob("*.md"))]


def make_prompts(tokenizer: Tokenizer, n_prompts: int) -> list[list[int]]:
    """Beginnings of 5 to 180 tokens, from all documents in turn."""
    random = np.random.default_rng(0)
    documents = [tokenizer.encode(text) for text in texts()]
    prompts = []
    for number in range(n_prompts):
        ids = documents[number % len(documents)]
        length = int(random.integers(5, 180))
        start = int(random.integers(0, max(1, len(ids) - length)))
        prompts.append([*tokenizer.begin_ids, *ids[start : start + length]])
    return prompts


def long_text(tokenizer: Tokenizer, n_tokens: int) -> list[int]:
    """One text of so many tokens."""
    return [*tokenizer.begin_ids, *tokenizer.encode("\n\n".join(texts()))][:n_tokens]


def rows_of(engine: Engine, prompts: list[list[int]]) -> np.ndarray:
    """Log-probabilities after each prompt: (prompts, n_vocab)."""
    return np.concatenate([engine.distributions(ids) for ids in prompts])


def measure(path: Path, n_prompts: int) -> list[dict[str, Any]]:
    """One row for each engine and mode."""
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    tokenizer = Tokenizer.from_gguf(file)
    prompts = make_prompts(tokenizer, n_prompts)
    n_long = min(2 * (config.sliding_window or 512), config.context_length)
    text = long_text(tokenizer, n_long)
    window = max(n_long, 256)
    n_last = max(N_LONG.values())
    with open_engine(path, EngineOptions(mode="exact", window=window), engine="torch") as engine:
        want, want_long = rows_of(engine, prompts), engine.distributions(text, last=n_last)
    choice = explain_choice(path)
    rows = []
    for (name, mode), bound in BOUNDS.items():
        if name != choice.engine and choice.alternatives.get(name) is not None:  # type: ignore[arg-type]
            continue
        last = N_LONG[name]
        options = EngineOptions(mode=mode, window=window, cache_tokens=4 * window)
        with open_engine(path, options, engine=name, cache_path=CACHE) as engine:
            some = prompts[: MOST_PROMPTS[name]]
            got, got_long = rows_of(engine, some), engine.distributions(text, last=last)
            precision = engine.facts.precision
        rows.append(
            {
                "model": path.name,
                "engine": name,
                "mode": mode,
                "precision": precision,
                "prompts": len(some),
                "mean_kl_nats": mean_kl_nats(want[: len(some)], got),
                "best_token_equal": float((want[: len(some)].argmax(-1) == got.argmax(-1)).mean()),
                "long_tokens": len(text),
                "long_kl_nats": mean_kl_nats(want_long[-last:], got_long),
                "bound_nats": bound,
            }
        )
        print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """As the README has it."""
    lines = [
        processor_name(),
        "",
        "| model | engine | prompts | mean KL, nats | best token equal | at the end of a long text | bound |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['model']} | {row['engine']}, {row['mode']} ({row['precision']}) | {row['prompts']} "
            f"| {max(row['mean_kl_nats'], 0):.1e} | {row['best_token_equal']:.1%} "
            f"| {max(row['long_kl_nats'], 0):.1e} at {row['long_tokens']:,} tokens | {row['bound_nats']} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    home = Home.open()
    models = arguments.models or [
        fetch_starter_model(home).path,
        *(model.path for model in home.models() if model.name == "gemma3-270m"),
    ]
    rows = [row for path in models for row in measure(path, arguments.prompts)]
    print(json.dumps(rows, indent=1) if arguments.json else table(rows))
    if any(abs(row[kind]) > row["bound_nats"] for row in rows for kind in ("mean_kl_nats", "long_kl_nats")):
        sys.exit(1)


if __name__ == "__main__":
    main()
