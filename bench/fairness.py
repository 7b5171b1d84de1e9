"""Sixteen clients of mixed lengths at once: how long each request takes compared with the same request alone.

    python bench/fairness.py [MODEL.gguf] [--clients N] [--requests N] [--mode fast|exact] [--json]

Prompts have 20 to 2,000 tokens and answers 8 to 128, both log-uniform; each client asks its next question as
soon as it has its answer. A long request rightly takes longer than a short one, so times are divided by the
request's own work in two ways: slowdown = time here / time alone on the idle engine, the usual measure of
fairness among jobs of different sizes; and seconds a written token. A request that starves shows as a 95th
percentile far above the median. Each prompt has its own marker to repeat; in exact mode every answer is
compared with the one written alone, so text that crosses over is seen.
"""

import argparse
import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _texts import long_prompt

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_model

CACHE = Path.home() / ".cache" / "homespun-bench"


@dataclass(frozen=True)
class Timed:
    """One request: seconds until its first token and its end, and what it wrote."""

    first_s: float
    total_s: float
    token_ids: tuple[int, ...]


def make_requests(engine: OpenVINOEngine, n_requests: int) -> list[Request]:
    """Log-uniform lengths; every prompt begins and ends with its own marker."""
    rng = np.random.default_rng(0)
    requests = []
    encode = engine.tokenizer.encode
    for number in range(n_requests):
        n_prompt = int(np.exp(rng.uniform(np.log(20), np.log(2000))))
        n_new = int(np.exp(rng.uniform(np.log(8), np.log(128))))
        marker = encode(f" The code is K{number * 7919 % 10007:05d}. The code is")
        body = long_prompt(encode, max(n_prompt - len(marker), 1), number)
        requests.append(Request((*body, *marker), GenerateOptions(max_new_tokens=n_new, seed=number)))
    return requests


def timed(engine: OpenVINOEngine, request: Request) -> Timed:
    """Submit one request and read it to its end."""
    started_s = time.perf_counter()
    first_s = None
    stream = engine.stream(request)
    for _ in stream:
        first_s = first_s or time.perf_counter() - started_s
    return Timed(first_s or 0.0, time.perf_counter() - started_s, stream.result.token_ids)


def crowd(engine: OpenVINOEngine, requests: list[Request], n_clients: int) -> list[Timed]:
    """All requests through so many clients, each of which always has one running."""
    results: dict[int, Timed] = {}
    left = list(enumerate(requests))[::-1]
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                if not left:
                    return
                number, request = left.pop()
            results[number] = timed(engine, request)

    threads = [threading.Thread(target=client) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(len(requests))]


def measure(model: Path, mode: str, n_clients: int, n_requests: int) -> dict[str, Any]:
    """Percentiles of slowdown, seconds a token and wait for the first token; answers that differ."""
    # Each run opens the engine anew, so that no prompt is known from the run before.
    with OpenVINOEngine(model, EngineOptions(mode=mode), cache_path=CACHE) as engine:  # type: ignore[arg-type]
        requests = make_requests(engine, n_requests)
        timed(engine, requests[0])
        alone = [timed(engine, request) for request in requests]
    with OpenVINOEngine(model, EngineOptions(mode=mode), cache_path=CACHE) as engine:  # type: ignore[arg-type]
        started_s = time.perf_counter()
        together = crowd(engine, requests, n_clients)
        total_s = time.perf_counter() - started_s
    per_token = [t.total_s / max(len(t.token_ids), 1) for t in together]
    slowdown = [t.total_s / a.total_s for t, a in zip(together, alone, strict=True)]
    first = [t.first_s / a.first_s for t, a in zip(together, alone, strict=True)]
    return {
        "processor": processor_name(),
        "model": model.name,
        "mode": mode,
        "clients": n_clients,
        "requests": n_requests,
        "total_s": total_s,
        "slowdown": _percentiles(slowdown),
        "slowdown_until_first_token": _percentiles(first),
        "seconds_per_written_token": _percentiles(per_token),
        "seconds_until_first_token": _percentiles([t.first_s for t in together]),
        "answers_unlike_alone": sum(t.token_ids != a.token_ids for t, a in zip(together, alone, strict=True)),
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    p50, p95, most = np.percentile(values, [50, 95, 100])
    return {"p50": float(p50), "p95": float(p95), "max": float(most), "p95_to_p50": float(p95 / p50)}


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f"{report['processor']}; {report['model']}, {report['mode']}; {report['requests']} requests by "
        f"{report['clients']} clients in {report['total_s']:.1f} s",
        f"{'':<30}{'p50':>9}{'p95':>9}{'max':>9}{'p95/p50':>9}",
    ]
    for name in (
        "slowdown",
        "slowdown_until_first_token",
        "seconds_per_written_token",
        "seconds_until_first_token",
    ):
        row = report[name]
        cells = "".join(f"{row[key]:>9.2f}" for key in ("p50", "p95", "max", "p95_to_p50"))
        lines.append(f"{name.replace('_', ' '):<30}{cells}")
    lines.append(f"answers unlike those written alone: {report['answers_unlike_alone']}")
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--mode", choices=("fast", "exact"), default="exact")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    model = given.model or fetch_starter_model(Home.open()).path
    report = measure(model, given.mode, given.clients, given.requests)
    sys.stdout.write((json.dumps(report, indent=1) if given.json else table(report)) + "\n")


if __name__ == "__main__":
    main()
