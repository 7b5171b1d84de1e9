"""What the token view of `homespun trace` adds to an answer's time; the share that the view must stay below is 15%.

    python bench/trace.py [--model FILE] [--rounds N] [--tokens N] [--json]

The same answer is written plainly and with five alternatives and the entropy of each token, in turn, on one
loaded engine; the ratio is taken round by round, and once more between the fastest of each, which a busy
machine disturbs least. Beside it: the same figures read from the finished answer
(`distributions`), the other way in which they could be had. What each passage's effect costs is one more
reading of prompt and answer, shown as seconds and as a share of the answer's time.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Spread

from homespun.decoding.trace import N_BEST, trace
from homespun.engines.engine import Engine, EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_model
from homespun.models.template import Message

PASSAGE = "Blackbirds, robins and great tits live in the gardens of Europe all year round. " * 8
PROMPT = "Tell me about the garden birds of Europe, and how to feed them in winter."
AIM = 0.15


def measure(engine: Engine, n_tokens: int, rounds: int) -> dict[str, Any]:
    """Seconds of each way by round; the first round warms up and is not kept."""
    ids = tuple(engine.template.encode([Message("user", f"{PASSAGE}\n\n{PROMPT}")]))
    options = GenerateOptions(max_new_tokens=n_tokens)
    written = engine.generate([Request(ids, options)])[0]
    steps = tuple(step.token_id for step in written.steps)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: engine.generate([Request(ids, options)]),
        "view": lambda: trace(engine, PROMPT, lambda places: ids, options),
        "read after": lambda: _read_after(engine, ids, steps),
        "one effect": lambda: engine.score([ScoreRequest((*ids, *steps), len(steps))]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        names = list(ways) if number % 2 else list(reversed(ways))
        for name in names:
            started = time.perf_counter()
            ways[name]()
            if number:
                seconds[name].append(time.perf_counter() - started)
    plain = np.array(seconds["plain"])
    return {
        "n_prompt_tokens": len(ids),
        "n_written": len(steps),
        "seconds": seconds,
        "added": Spread.of(list(np.array(seconds["view"]) / plain - 1)),
        "added_fastest": min(seconds["view"]) / min(seconds["plain"]) - 1,
        "added_read_after": Spread.of(list(np.array(seconds["read after"]) / plain)),
        "one_effect": Spread.of(list(np.array(seconds["one effect"]) / plain)),
    }


def _read_after(engine: Engine, ids: tuple[int, ...], steps: tuple[int, ...]) -> None:
    rows = engine.distributions((*ids, *steps[:-1]), last=len(steps))
    -(np.exp(rows) * rows).sum(axis=1)
    np.argpartition(rows, -N_BEST, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, help="a GGUF file; default: the starter model")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=128, help="of the answer")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model = arguments.model or fetch_starter_model(Home.open()).path
    with (
        tempfile.TemporaryDirectory() as folder,
        OpenVINOEngine(model, EngineOptions(), cache_path=Path(folder)) as engine,
    ):
        found = measure(engine, arguments.tokens, arguments.rounds)
        facts = engine.facts
    found |= {"processor": processor_name(), "model": model.name, "n_best": N_BEST, "aim": AIM}
    if arguments.json:
        print(json.dumps(found, default=lambda value: value.__dict__))
        return
    print(f"{found['processor']}; {model.name}, {facts.engine} {facts.version}, {facts.precision}")
    print(f"{found['n_prompt_tokens']} tokens read, {found['n_written']} written, {arguments.rounds} rounds")
    for name, values in found["seconds"].items():
        print(f"  {name:<12}{np.median(values):.3f} s (median)")
    for name, label in (
        ("added", "the token view adds"),
        ("added_read_after", "reading them after the answer would add"),
        ("one_effect", "each reading for a passage's effect adds"),
    ):
        spread = found[name]
        print(f"{label} {spread.median:.1%} [{spread.low:.1%}, {spread.high:.1%}]")
    print(f"the token view adds {found['added_fastest']:.1%} between the fastest of each")
    is_reached = max(found["added"].median, found["added_fastest"]) <= AIM
    print(f"aim: at most {AIM:.0%}; {'reached' if is_reached else 'missed'}")


if __name__ == "__main__":
    main()
