"""Whether the right passage is found: by keywords alone, vectors alone, and both, where the place is known.

    python bench/retrieval.py DATA [--split test] [--target-tokens N] [--weights 0.3,0.5] [--json]

DATA holds documents and questions.jsonl with rows of `question`, `document` and either `start` and `end`
(the answer's span, in code points) or `section` (the heading it stands under). A hit has at least half of
the shorter of span and passage, or is of that section. Weights are to be chosen on `train`.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from homespun.documents.split import Passage, SplitOptions
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import IngestOptions, ingest

CUTS = (1, 5, 10)


def holds_answer(passage: Passage, question: dict[str, Any]) -> bool:
    """Whether a passage is the place that the question was written for."""
    if not question["document"].endswith(passage.document):
        return False
    if "section" in question:
        return question["section"] in passage.headings
    common = min(passage.end, question["end"]) - max(passage.start, question["start"])
    return common >= 0.5 * min(question["end"] - question["start"], passage.end - passage.start) > 0


def measure(
    data: Path, embedder_path: Path, split: str, target_tokens: int, weights: list[float], n_max: int
) -> dict[str, Any]:
    """Share of questions with a hit in the first 1, 5 and 10, for each weight of the keywords."""
    lines = (data / "questions.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if split == "all" or row.get("split", split) == split]
    rows = rows[:n_max] if n_max else rows
    # All documents of the set are searched, whichever questions are asked.
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(Path(folder))
        embedder = open_embedder(embedder_path)
        library = Library.open(home, "bench", embedder, create=True)
        options = IngestOptions(split=SplitOptions(target_tokens=target_tokens))
        report = ingest(library, [data / "documents"], options)
        found = {}
        for weight in weights:
            started = time.perf_counter()
            search_options = SearchOptions(n_hits=CUTS[-1], keyword_weight=weight)
            ranks = [_rank(search(library, row["question"], search_options), row) for row in rows]
            found[weight] = {
                **{f"hit@{cut}": sum(rank <= cut for rank in ranks) / len(rows) for cut in CUTS},
                "ms_per_question": (time.perf_counter() - started) / len(rows) * 1e3,
            }
        return {
            "processor": processor_name(),
            "data": data.name,
            "split": split,
            "n_questions": len(rows),
            "n_passages": report.n_passages,
            "target_tokens": target_tokens,
            "ingest_s": report.seconds,
            "keyword_weight": found,
        }


def _rank(hits: list[Any], question: dict[str, Any]) -> int:
    places = (place for place, hit in enumerate(hits, start=1) if holds_answer(hit.passage, question))
    return next(places, 1_000_000)


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    names = {
        1.0: "keywords alone (BM25)",
        0.0: "vectors alone",
        SearchOptions().keyword_weight: "both (default)",
    }
    lines = [
        f"{report['processor']}; {report['data']} {report['split']}: {report['n_questions']} questions, "
        f"{report['n_passages']} passages of at most {report['target_tokens']} tokens, "
        f"ingested in {report['ingest_s']:.0f} s",
        f"{'way':<32}{'hit@1':>8}{'hit@5':>8}{'hit@10':>8}{'ms a question':>16}",
    ]
    for weight, row in report["keyword_weight"].items():
        cells = "".join(f"{row[f'hit@{cut}']:>8.3f}" for cut in CUTS)
        name = names.get(weight, "both")
        lines.append(f"{f'{name}, weight {weight:g}':<32}{cells}{row['ms_per_question']:>16.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--split", default="test", help="train, test or all")
    parser.add_argument("--target-tokens", type=int, default=SplitOptions().target_tokens)
    default_weights = f"1,0,{SearchOptions().keyword_weight:g}"
    parser.add_argument(
        "--weights", default=default_weights, help=f"of the keywords; default {default_weights}"
    )
    parser.add_argument("--questions", type=int, default=0, help="the first so many; 0: all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    embedder_path = arguments.embedder or fetch_starter_embedder(Home.open())
    weights = [float(weight) for weight in arguments.weights.split(",")]
    report = measure(
        arguments.data, embedder_path, arguments.split, arguments.target_tokens, weights, arguments.questions
    )
    print(json.dumps(report, indent=1) if arguments.json else table(report))


if __name__ == "__main__":
    main()
