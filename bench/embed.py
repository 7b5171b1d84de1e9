"""The embedder against sentence-transformers on the same passages, in turn, and how close the vectors are.

    python bench/embed.py [FILE_OR_FOLDER ...] [--embedder FOLDER] [--passages N] [--rounds N] [--json]
    python bench/embed.py --agreement DATA [--questions N] [--split train]

Both sides get text and give vectors, tokenizing included; sentence-transformers runs at its defaults.

With --agreement: how much of the first ten results is float32's, for each precision, where the library and
the questions are both embedded in it. DATA holds documents and questions.jsonl with rows of `question`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Spread

from homespun.documents.read import read_document
from homespun.documents.split import SplitOptions, split_document
from homespun.documents.walk import find_files
from homespun.engines.openvino.encoder import EmbedderOptions
from homespun.engines.openvino.encoder_compile import Precision
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


def all_precisions() -> list[Precision]:
    """Those that this processor has; float32 is first."""
    able = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["f32", "bf16", "int8"] if able else ["f32", "int8"]


def agreement(folder: Path, data: Path, n_questions: int, split: str) -> dict[str, Any]:
    """The mean share of float32's first ten passages that each precision finds too, and the lowest cosine."""
    exact = open_embedder(folder, EmbedderOptions(precision="f32"))
    rows = [json.loads(line) for line in (data / "questions.jsonl").read_text("utf-8").splitlines()]
    asked = [row["question"] for row in rows if split in ("all", row.get("split", split))]
    questions = list(dict.fromkeys(asked))[:n_questions]
    passages = [
        passage.text
        for path in find_files([data / "documents"]).files
        for passage in split_document(read_document(path), SplitOptions(), [exact.token_limit])
    ]
    found: dict[str, Any] = {}
    wanted: list[set[int]] = []
    known: np.ndarray = np.zeros(0)
    for precision in all_precisions():
        embedder = open_embedder(folder, EmbedderOptions(precision=precision))
        vectors = embedder.embed(passages, "passage")
        scores = embedder.embed(questions, "query") @ vectors.T
        first = [set(row.tolist()) for row in np.argsort(-scores, axis=1)[:, :10]]
        if not wanted:
            wanted, known = first, vectors
        shares = [len(a & b) / len(b) for a, b in zip(first, wanted, strict=True)]
        found[precision] = {
            "agreement_at_10": statistics.mean(shares),
            "standard_error": statistics.stdev(shares) / len(shares) ** 0.5,
            "lowest_cosine": float((vectors * known).sum(axis=1).min()),
        }
    return {
        "processor": processor_name(),
        "data": data.name,
        "n_passages": len(passages),
        "n_questions": len(questions),
        "precisions": found,
    }


def agreement_table(report: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f"{report['processor']}; {report['data']}: {report['n_passages']} passages, {report['n_questions']} questions",
        f"{'precision':<12}{'first ten as f32':>18}{'s.e.':>8}{'lowest cosine':>16}",
    ]
    for name, row in report["precisions"].items():
        lines.append(
            f"{name:<12}{row['agreement_at_10']:>18.4f}{row['standard_error']:>8.4f}{row['lowest_cosine']:>16.5f}"
        )
    return "\n".join(lines)


def measure(folder: Path, paths: list[Path], n: int, rounds: int) -> dict[str, Any]:
    """Passages per second of each way, round by round, and the cosines to the reference."""
    from sentence_transformers import SentenceTransformer

    embedders: dict[str, FolderEmbedder] = {
        precision: open_embedder(folder, EmbedderOptions(precision=precision))
        for precision in all_precisions()
    }
    texts = passages_of(paths, embedders["f32"], n)
    reference = SentenceTransformer(str(folder), device="cpu")
    ways: dict[str, Callable[[], np.ndarray]] = {REFERENCE: lambda: reference.encode(texts)}
    for name, embedder in embedders.items():
        ways[name] = partial(embedder.embed, texts, "passage")
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
    parser.add_argument("--agreement", type=Path, metavar="DATA", help="compare first results, not speed")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--split", default="train")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.embedder or fetch_starter_embedder(Home.open())
    if arguments.agreement:
        found = agreement(folder, arguments.agreement, arguments.questions, arguments.split)
        print(json.dumps(found, indent=1) if arguments.json else agreement_table(found))
        return
    report = measure(folder, arguments.paths, arguments.passages, arguments.rounds)
    print(json.dumps(report, indent=1) if arguments.json else table(report))


if __name__ == "__main__":
    main()
