"""The embedder against sentence-transformers on the same passages, in turn, and how close the vectors are.

    python bench/embed.py [FILE_OR_FOLDER ...] [--embedder FOLDER] [--passages N] [--rounds N] [--json]

Both sides get text and give vectors, tokenizing included; sentence-transformers runs at its defaults.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Spread

from homespun.documents.read import read_document
from homespun.documents.split import SplitOptions, split_document
from homespun.documents.walk import find_files
from homespun.engines.openvino.encoder import EmbedderOptions
from homespun.engines.openvino.settings import core
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.retrieval.embedder import FolderEmbedder, open_embedder

EXAMPLE = Path(__file__).parent.parent / "examples" / "clinic" / "documents"
REFERENCE = "sentence-transformers"


def passages_of(paths: list[Path], embedder: FolderEmbedder, n: int) -> list[str]:
    """The first n passages of at least 100 tokens: about 145 tokens long on average."""
    texts: list[str] = []
    for path in find_files(paths).files:
        document = read_document(path)
        for passage in split_document(document, SplitOptions(target_tokens=190), [embedder.token_limit]):
            if len(embedder.token_offsets(passage.text)) >= 100:
                texts.append(passage.text)
        if len(texts) >= n:
            break
    return texts[:n]


def measure(folder: Path, paths: list[Path], n: int, rounds: int) -> dict[str, Any]:
    """Passages per second of each way, round by round, and the cosines to the reference."""
    from sentence_transformers import SentenceTransformer

    precisions = (
        ["f32", "bf16"] if "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else ["f32"]
    )
    embedders = {name: open_embedder(folder, EmbedderOptions(precision=name)) for name in precisions}
    texts = passages_of(paths, embedders["f32"], n)
    reference = SentenceTransformer(str(folder), device="cpu")
    ways: dict[str, Callable[[], np.ndarray]] = {REFERENCE: lambda: reference.encode(texts)}
    for name, embedder in embedders.items():
        ways[name] = lambda embedder=embedder: embedder.embed(texts, "passage")
    vectors = {name: way() for name, way in ways.items()}  # and warm
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            speeds[name].append(len(texts) / (time.perf_counter() - started))
    ratios = {
        name: Spread.of([a / b for a, b in zip(speeds[name], speeds[REFERENCE], strict=True)])
        for name in ways
    }
    unit = vectors[REFERENCE] / np.linalg.norm(vectors[REFERENCE], axis=1, keepdims=True)
    lengths = [len(embedders["f32"].token_offsets(text)) + 2 for text in texts]
    return {
        "processor": processor_name(),
        "threads": embedders["f32"].encoder.threads,
        "n_passages": len(texts),
        "mean_tokens": statistics.mean(lengths) if lengths else 0,
        "rounds": rounds,
        "ways": {
            name: {
                "passages_per_s": vars(Spread.of(speeds[name])),
                "ratio": vars(ratios[name]),
                "lowest_cosine": float((vectors[name] * unit).sum(axis=1).min()),
                "precision": embedders[name].encoder.precision if name in embedders else "f32",
            }
            for name in ways
        },
    }


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f"{report['processor']}, {report['threads']} threads; {report['n_passages']} passages of "
        f"{report['mean_tokens']:.0f} tokens; median of {report['rounds']} interleaved rounds [range]",
        f"{'way':<24}{'passages/s':>24}{'ratio':>20}{'lowest cosine':>16}",
    ]
    for name, row in report["ways"].items():
        ratio = Spread(**row["ratio"])
        lines.append(
            f"{name:<24}{Spread(**row['passages_per_s'])!s:>24}"
            f"{f'{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]':>20}{row['lowest_cosine']:>16.6f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[EXAMPLE], help="texts; default: the clinic")
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--passages", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.embedder or fetch_starter_embedder(Home.open())
    report = measure(folder, arguments.paths, arguments.passages, arguments.rounds)
    print(json.dumps(report, indent=1) if arguments.json else table(report))


if __name__ == "__main__":
    main()
