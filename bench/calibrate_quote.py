"""Fits which sentence answers: prints the weights of src/homespun/rag/quote.py.

    python bench/calibrate_quote.py [--embedder FOLDER] [--covidqa FOLDER] [--sample N]

A softmax over each question's sentences, fitted so that those which hold the answer's place get the mass
(conditional logit), on training questions of the clinic and, where it is there, of COVID-QA. Reports the
share of questions whose chosen sentence holds the answer, held out in five folds.
"""

import argparse
import json
import random
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.rag.evidence import SENTENCE_FEATURES, gather_evidence
from homespun.rag.library_words import library_word_weights
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import ingest

HERE = Path(__file__).parent
CLINIC = HERE.parent / "examples" / "clinic"
COVIDQA = HERE.parents[1] / "shared" / "data" / "covidqa"
RIDGE = 0.02

FloatArray = npt.NDArray[np.float64]
Place = tuple[str, int, int]


@dataclass(frozen=True)
class Example:
    """One question: features (n sentences, n features), and which sentences hold the answer."""

    data: str
    features: FloatArray
    is_right: FloatArray


def examples(
    name: str, documents: Path, rows: list[dict[str, Any]], embedder: Any, home: Home
) -> list[Example]:
    """Sentences of what is found for each question, with the place of its answer marked."""
    library = Library.open(home, name, embedder, create=True)
    ingest(library, [documents])
    weights = library_word_weights(library)
    texts = {document.name: library.text(document.name) for document in library.documents()}
    made = []
    for row in rows:
        passages = [hit.passage for hit in search(library, row["question"], SearchOptions(n_hits=5))]
        evidence = gather_evidence(row["question"], passages, texts.__getitem__, embedder, weights)
        places = _places(row, texts)
        right = [
            float(
                any(s.passage.document == d and s.start < end and start < s.end for d, start, end in places)
            )
            for s in evidence.sentences
        ]
        made.append(Example(name, evidence.features.astype(np.float64), np.array(right)))
    return made


def _places(row: dict[str, Any], texts: dict[str, str]) -> list[Place]:
    if "start" in row:
        return [(Path(row["document"]).name, row["start"], row["end"])]
    found = []
    for source in row["source"]:
        pattern = r"\s+".join(re.escape(word) for word in source["text"].split())
        found.extend((source["document"], *m.span()) for m in re.finditer(pattern, texts[source["document"]]))
    return found


def fit(rows: list[Example], n_steps: int = 600) -> FloatArray:
    """Weights that give the right sentences the mass; Adam on the mean negative log-likelihood."""
    scales = np.concatenate([row.features for row in rows]).std(axis=0) + 1e-6
    useful = [
        (row.features / scales, row.is_right / row.is_right.sum()) for row in rows if row.is_right.any()
    ]
    weights = first = second = np.zeros(len(SENTENCE_FEATURES))
    for step in range(1, n_steps + 1):
        gradient = RIDGE * weights
        for features, wanted in useful:
            scores = features @ weights
            chances = np.exp(scores - scores.max())
            gradient = gradient + features.T @ (chances / chances.sum() - wanted) / len(useful)
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        weights = weights - 0.03 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
    return weights / scales


def share_right(rows: list[Example], weights: FloatArray) -> float:
    """How often the best sentence holds the answer."""
    return (
        float(np.mean([row.is_right[np.argmax(row.features @ weights)] for row in rows]))
        if rows
        else float("nan")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--covidqa", type=Path, default=COVIDQA)
    parser.add_argument("--sample", type=int, default=250, help="COVID-QA training questions; 0: none")
    arguments = parser.parse_args()
    embedder = open_embedder(arguments.embedder or fetch_starter_embedder(Home.open()))
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(Path(folder))
        clinic = [row for row in _read(CLINIC / "train.jsonl") if not row.get("unanswerable")]
        rows = examples("clinic", CLINIC / "documents", clinic, embedder, home)
        if arguments.sample and (arguments.covidqa / "questions.jsonl").is_file():
            covidqa = [row for row in _read(arguments.covidqa / "questions.jsonl") if row["split"] == "train"]
            drawn = random.Random(0).sample(covidqa, min(arguments.sample, len(covidqa)))
            rows += examples("covidqa", arguments.covidqa / "documents", drawn, embedder, home)
    rows = [row for row in rows if len(row.features)]
    fold = np.random.default_rng(0).integers(5, size=len(rows))
    held_out: dict[str, list[float]] = {}
    for number in range(5):
        weights = fit([row for row, f in zip(rows, fold, strict=True) if f != number])
        for row in (row for row, f in zip(rows, fold, strict=True) if f == number):
            held_out.setdefault(row.data, []).append(share_right([row], weights))
    report = {
        "weights": dict(zip(SENTENCE_FEATURES, np.round(fit(rows), 2).tolist(), strict=True)),
        "right_sentence_held_out": {data: float(np.mean(values)) for data, values in held_out.items()},
    }
    print(json.dumps(report, indent=1))


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    main()
