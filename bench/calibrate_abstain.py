"""Fits when to abstain: prints the constants of src/homespun/rag/abstain.py.

    python bench/calibrate_abstain.py [--embedder FOLDER] [--covidqa FOLDER] [--json]

Trains on examples/clinic/train.jsonl, on the questions of bench/calibration_unanswerable.jsonl (written for
this alone), and on training questions of COVID-QA asked of the clinic where that set is there. Never reads
test.jsonl. The threshold abstains on 9% of the answerable training questions, each judged by a fit on the
other nine tenths.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.rag.abstain import RELEVANCE_FEATURES, relevance_features
from homespun.rag.answer import AnswerOptions
from homespun.rag.evidence import gather_evidence
from homespun.rag.library_words import library_word_weights
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import ingest

HERE = Path(__file__).parent
CLINIC = HERE.parent / "examples" / "clinic"
MOST_FALSE_ABSTAINED = 0.09
N_CROSS = 60
RIDGE = 20.0

FloatArray = npt.NDArray[np.float64]


def training_rows(covidqa: Path | None) -> list[dict[str, Any]]:
    """Questions with `kind` (answerable, near miss, far, extra near, extra far, other field) and `weight`."""
    rows = []
    for row in _read(CLINIC / "train.jsonl"):
        kind = "answerable"
        if row.get("unanswerable"):
            kind = "near miss" if row["near_miss"] else "far"
        rows.append(
            {"question": row["question"], "kind": kind, "weight": 1.0 if kind == "answerable" else 2.0}
        )
    for row in _read(HERE / "calibration_unanswerable.jsonl"):
        kind = "extra near" if row["near_miss"] else "extra far"
        rows.append({"question": row["question"], "kind": kind, "weight": 1.0})
    if covidqa is not None and (covidqa / "questions.jsonl").is_file():
        other = [row for row in _read(covidqa / "questions.jsonl") if row["split"] == "train"]
        step = max(1, len(other) // N_CROSS)
        rows.extend({"question": r["question"], "kind": "other field", "weight": 0.3} for r in other[::step])
    return rows


def measure(rows: list[dict[str, Any]], embedder_path: Path) -> FloatArray:
    """Features of every question asked of the clinic: (n questions, n features)."""
    with tempfile.TemporaryDirectory() as folder:
        embedder = open_embedder(embedder_path)
        library = Library.open(Home.open(Path(folder)), "clinic", embedder, create=True)
        ingest(library, [CLINIC / "documents"])
        weights = library_word_weights(library)
        n_hits = AnswerOptions().n_passages
        texts = {document.name: library.text(document.name) for document in library.documents()}
        features = []
        for row in rows:
            passages = [hit.passage for hit in search(library, row["question"], SearchOptions(n_hits=n_hits))]
            evidence = gather_evidence(row["question"], passages, texts.__getitem__, embedder, weights)
            features.append(relevance_features(evidence, embedder))
        return np.array(features, dtype=np.float64)


def fit(features: FloatArray, labels: FloatArray, weights: FloatArray) -> tuple[FloatArray, float]:
    """Weighted logistic regression with a ridge on standardized features, by Newton's method.

    Returns:
        coefficients (n features,) and intercept, for the features as they are.
    """
    means, scales = features.mean(axis=0), features.std(axis=0) + 1e-6
    design = np.column_stack([(features - means) / scales, np.ones(len(features))])
    ridge = np.diag([*np.full(features.shape[1], RIDGE), 1e-6])
    solution = np.zeros(design.shape[1])
    for _ in range(25):
        chances = 1 / (1 + np.exp(-design @ solution))
        gradient = design.T @ (weights * (chances - labels)) + ridge @ solution
        curvature = (design * (weights * chances * (1 - chances))[:, None]).T @ design + ridge
        solution -= np.linalg.solve(curvature, gradient)
    coefficients = solution[:-1] / scales
    return coefficients, float(solution[-1] - coefficients @ means)


def held_out(features: FloatArray, labels: FloatArray, weights: FloatArray, n_folds: int = 10) -> FloatArray:
    """Each question's probability under a fit on the other folds: (n questions,), mean over five divisions."""
    total = np.zeros(len(features))
    for seed in range(5):
        fold = np.random.default_rng(seed).integers(n_folds, size=len(features))
        for number in range(n_folds):
            here = fold == number
            coefficients, intercept = fit(features[~here], labels[~here], weights[~here])
            total[here] += 1 / (1 + np.exp(-(features[here] @ coefficients + intercept)))
    return total / 5


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--covidqa", type=Path, default=HERE.parents[1] / "shared" / "data" / "covidqa")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = training_rows(arguments.covidqa)
    features = measure(rows, arguments.embedder or fetch_starter_embedder(Home.open()))
    kinds = np.array([row["kind"] for row in rows])
    labels = (kinds == "answerable").astype(np.float64)
    weights = np.array([row["weight"] for row in rows])
    chances = held_out(features, labels, weights)
    threshold = float(np.quantile(chances[labels == 1], MOST_FALSE_ABSTAINED))
    coefficients, intercept = fit(features, labels, weights)
    report = {
        "intercept": round(intercept, 3),
        "coefficients": {
            n: round(float(c), 3) for n, c in zip(RELEVANCE_FEATURES, coefficients, strict=True)
        },
        "threshold": round(threshold, 3),
        "abstained_held_out": {
            kind: f"{(chances[kinds == kind] < threshold).sum()} of {(kinds == kind).sum()}"
            for kind in dict.fromkeys(kinds.tolist())
        },
    }
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    print(f"INTERCEPT = {report['intercept']}\nTHRESHOLD = {report['threshold']}\nCOEFFICIENTS = {{")
    for name, value in zip(RELEVANCE_FEATURES, coefficients, strict=True):
        print(f'    "{name}": {value:.3f},')
    print("}")
    for kind, counts in report["abstained_held_out"].items():
        print(f"abstained, held out: {kind:<12} {counts}")


if __name__ == "__main__":
    main()
