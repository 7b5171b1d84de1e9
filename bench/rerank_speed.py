"""How long each reranker takes for one question: seconds at the middle and at the 95th of 100.

    python bench/rerank_speed.py DATA [--questions 40] [--cross FOLDER] [--json]

DATA holds documents and questions.jsonl, as in bench/retrieval.py. The passages of a question are of the
documents in turn, of the length that libraries have; each question gets others, so nothing is remembered.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from homespun.documents.read import read_document
from homespun.documents.split import SplitOptions, split_document
from homespun.engines.processor import processor_name, usable_threads
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder, fetch_starter_model
from homespun.retrieval.embedder import FolderEmbedder, open_embedder
from homespun.retrieval.rerank import LATER_PASSAGES, Reranker, rerank
from homespun.retrieval.rerank_cross import CrossEncoder
from homespun.retrieval.rerank_late import LateInteraction
from homespun.retrieval.rerank_model import QueryLikelihood

N_PASSAGES = 20


def passages(data: Path, embedder: FolderEmbedder, n: int) -> list[str]:
    """The first so many passages of the documents."""
    found: list[str] = []
    for path in sorted((data / "documents").iterdir()):
        document = read_document(path)
        found.extend(
            passage.text for passage in split_document(document, SplitOptions(), [embedder.token_limit])
        )
        if len(found) >= n:
            return found[:n]
    return found


@contextmanager
def all_rerankers(embedder_path: Path, model_path: Path, cross_path: Path | None) -> Iterator[list[Reranker]]:
    """Every reranker that can be opened here."""
    from homespun.engines.choose import open_engine

    with open_engine(model_path) as engine:
        rerankers: list[Reranker] = [LateInteraction.open(embedder_path), QueryLikelihood(engine)]
        if cross_path is not None:
            rerankers.append(CrossEncoder.open(cross_path))
        yield rerankers


def measure(
    rerankers: Sequence[Reranker], questions: Sequence[str], texts: Sequence[str]
) -> dict[str, float]:
    """Seconds a question over 20 passages, the first question (which warms up) not counted."""
    taken = []
    for question, start in zip(questions, itertools.count(0, N_PASSAGES), strict=False):
        some = [texts[(start + place) % len(texts)] for place in range(N_PASSAGES)]
        started = time.perf_counter()
        rerank(question, some, [0.0] * N_PASSAGES, rerankers)
        taken.append(time.perf_counter() - started)
    middle, high = np.percentile(taken[1:], [50, 95])
    return {"p50_s": float(middle), "p95_s": float(high)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--model", type=Path, help="its GGUF file; default: the starter model")
    parser.add_argument("--cross", type=Path, help="folder of a cross-encoder; default: none")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    embedder_path = arguments.embedder or fetch_starter_embedder(Home.open())
    model_path = arguments.model or fetch_starter_model(Home.open()).path
    lines = (arguments.data / "questions.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines[: arguments.questions + 1]]
    texts = passages(arguments.data, open_embedder(embedder_path), 2 * N_PASSAGES * len(questions))
    with all_rerankers(embedder_path, model_path, arguments.cross) as rerankers:
        rows = {
            reranker.name: measure([reranker], questions, texts[: len(texts) // 2]) for reranker in rerankers
        }
        # Other passages, for the engine keeps what it has read.
        others = texts[len(texts) // 2 :]
        rows[f"late, then model on {LATER_PASSAGES}"] = measure(rerankers[:2], questions, others)
    report: dict[str, Any] = {
        "processor": processor_name(),
        "threads": usable_threads(),
        "n_passages": N_PASSAGES,
        "n_questions": len(questions) - 1,
        "words_per_passage": float(np.mean([len(text.split()) for text in texts])),
        "rerankers": rows,
    }
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    print(
        f"{report['processor']}, {report['threads']} threads; {report['n_questions']} questions, "
        f"{N_PASSAGES} passages of {report['words_per_passage']:.0f} words each"
    )
    print(f"{'reranker':<28}{'p50 s':>8}{'p95 s':>8}")
    for name, row in rows.items():
        print(f"{name:<28}{row['p50_s']:>8.2f}{row['p95_s']:>8.2f}")


if __name__ == "__main__":
    main()
