"""Chooses the weights of rerankers: what each gains alone and with the search, on questions for tuning only.

    python bench/calibrate_rerank.py DATA [--questions 150] [--cache FOLDER] [--bare] [--json]

DATA is as in bench/retrieval.py. Questions are of the split `train`; a set without one is divided by a hash
of the document. The search's first 20 are reranked. Weights are chosen on four fifths of the questions and
tried on the last, five times: `cross-validated` is what chosen weights gain on questions they were not
chosen on.
"""

import argparse
import hashlib
import itertools
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rerank_speed import all_rerankers

from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder, fetch_starter_model
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.rerank import Reranker, blended, headed, z_scores
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import ingest
from retrieval import holds_answer

N_PASSAGES = 20
N_FOLDS = 5
GRID = (0.0, 0.3, 0.6, 1.0, 1.5, 2.5)


@dataclass(frozen=True)
class Case:
    """One question: which of its passages hold the answer, and the scores of each stage."""

    is_gold: Sequence[bool]
    stages: Mapping[str, Sequence[float]]


def tuning_questions(data: Path, n: int) -> list[dict[str, Any]]:
    """Questions of the train half, shuffled with a fixed seed."""
    rows = [json.loads(line) for line in (data / "questions.jsonl").read_text("utf-8").splitlines()]
    rows = [row for row in rows if row.get("split", _split_of(row["document"])) == "train"]
    random.Random(5).shuffle(rows)
    return rows[:n]


def _split_of(document: str) -> str:
    return "train" if hashlib.sha256(document.encode()).digest()[0] % 2 == 0 else "test"


def cases(
    library: Library, questions: Sequence[dict[str, Any]], rerankers: Sequence[Reranker], with_headings: bool
) -> list[Case]:
    """Every question searched and scored by every reranker; told as it goes."""
    found = []
    for number, question in enumerate(questions, start=1):
        hits = search(library, question["question"], SearchOptions(n_hits=N_PASSAGES))
        texts = [
            headed(hit.passage.headings, hit.passage.text) if with_headings else hit.passage.text
            for hit in hits
        ]
        stages: dict[str, Sequence[float]] = {"search": [hit.score for hit in hits]}
        for reranker in rerankers:
            stages[reranker.name] = reranker.scores(question["question"], texts).tolist()
        found.append(Case([holds_answer(hit.passage, question) for hit in hits], stages))
        if number % 10 == 0:
            print(f"{number} of {len(questions)} questions", flush=True)
    return found


def gain(found: Sequence[Case], weights: Mapping[str, float]) -> tuple[float, float]:
    """hit@1 and hit@5 with these weights."""
    first = five = 0
    for case in found:
        order = np.argsort(-blended(case.stages, weights), kind="stable")
        gold = np.array(case.is_gold)[order]
        first += bool(gold[:1].any())
        five += bool(gold[:5].any())
    return first / len(found), five / len(found)


def cascade(
    found: Sequence[Case], names: Sequence[str], weights: Mapping[str, float], n_read: int
) -> tuple[float, float]:
    """hit@1 and hit@5 where the second reranker reads only the best after the first."""
    first = five = 0
    for case in found:
        before = blended(case.stages, {"search": 1, names[0]: weights[names[0]]})
        order = np.argsort(-before, kind="stable")
        read = order[:n_read]
        added = before[read] + weights[names[1]] * z_scores(np.asarray(case.stages[names[1]])[read])
        order[:n_read] = read[np.argsort(-added, kind="stable")]
        gold = np.array(case.is_gold)[order]
        first += bool(gold[:1].any())
        five += bool(gold[:5].any())
    return first / len(found), five / len(found)


def best_weights(found: Sequence[Case], names: Sequence[str]) -> dict[str, float]:
    """The weights of the grid with the greatest hit@1 + hit@5; of equal ones the smallest."""
    choices = [
        {"search": 1.0, **dict(zip(names, values, strict=True))}
        for values in itertools.product(GRID, repeat=len(names))
    ]
    return max(choices, key=lambda weights: (round(sum(gain(found, weights)), 9), -sum(weights.values())))


def cross_validated(found: Sequence[Case], names: Sequence[str]) -> tuple[float, float]:
    """hit@1 and hit@5 of weights on questions that they were not chosen on."""
    parts = []
    for fold in range(N_FOLDS):
        rest = [case for number, case in enumerate(found) if number % N_FOLDS != fold]
        held = [case for number, case in enumerate(found) if number % N_FOLDS == fold]
        first, five = gain(held, best_weights(rest, names))
        parts.append((first * len(held), five * len(held)))
    return sum(first for first, _ in parts) / len(found), sum(five for _, five in parts) / len(found)


def report(found: Sequence[Case], weights: Mapping[str, float]) -> dict[str, Any]:
    """All figures: alone, with the default weights, with the best ones, cross-validated."""
    names = [name for name in found[0].stages if name != "search"]
    sets = [list(some) for n in range(1, len(names) + 1) for some in itertools.combinations(names, n)]
    rows: dict[str, Any] = {"search": gain(found, {"search": 1})}
    for name in names:
        rows[f"{name} alone"] = gain(found, {name: 1})
    for some in sets:
        label = " + ".join(["search", *some])
        default = {"search": 1.0, **{name: weights[name] for name in some}}
        rows[f"{label}, default weights"] = gain(found, default)
        rows[f"{label}, cross-validated"] = cross_validated(found, some)
        best = best_weights(found, some)
        rows[f"{label}, best: {' '.join(f'{n} {best[n]:g}' for n in some)}"] = gain(found, best)
    ceiling = sum(any(case.is_gold) for case in found) / len(found)
    for n_read in (5, 8, 12):
        if len(names) > 1:
            rows[f"search + {names[0]}, then {names[1]} on {n_read}"] = cascade(found, names, weights, n_read)
    return {"n_questions": len(found), "hit@20": ceiling, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--model", type=Path, help="its GGUF file; default: the starter model")
    parser.add_argument("--cross", type=Path, help="folder of a cross-encoder; default: none")
    parser.add_argument("--questions", type=int, default=150)
    parser.add_argument("--cache", type=Path, help="where the library is kept for the next run")
    parser.add_argument("--bare", action="store_true", help="rerankers read no headings")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    embedder_path = arguments.embedder or fetch_starter_embedder(Home.open())
    model_path = arguments.model or fetch_starter_model(Home.open()).path
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(arguments.cache or Path(folder))
        library = Library.open(home, arguments.data.name, open_embedder(embedder_path), create=True)
        ingest(library, [arguments.data / "documents"])
        questions = tuning_questions(arguments.data, arguments.questions)
        with all_rerankers(embedder_path, model_path, arguments.cross) as rerankers:
            found = cases(library, questions, rerankers, not arguments.bare)
            figures = report(found, {reranker.name: reranker.weight for reranker in rerankers})
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{figures['n_questions']} questions; the answer is among the 20 for {figures['hit@20']:.3f}")
    print(f"{'way':<64}{'hit@1':>8}{'hit@5':>8}")
    for name, (first, five) in figures["rows"].items():
        print(f"{name:<64}{first:>8.3f}{five:>8.3f}")


if __name__ == "__main__":
    main()
