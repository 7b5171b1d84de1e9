"""How well each hallucination signal tells wrong answers from right ones: AUROC with 95% bootstrap intervals.

    python bench/signals.py [--questions FILE --documents FOLDER] [--sample N] [--split test] [--model FILE]
                            [--embedder FOLDER] [--samples N] [--passages N] [--home FOLDER] [--json] [--show]

Without --questions: the clinic's questions of the split, and its claims (sentences that are true to a passage,
or were changed), which show the support check alone. Each line of FILE has `question` and `answers`, and
perhaps `split`; FOLDER holds the documents. The model writes every answer and may not abstain. A signal is
one number, larger where the answer is less to be relied on; nothing is fitted. 0.5 tells nothing, 1 all.
"""

import argparse
import dataclasses
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from homespun.documents.split import Passage
from homespun.engines.engine import EngineOptions
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.processor import processor_name
from homespun.evaluation.auroc import auroc_interval
from homespun.evaluation.signals import LABEL_RULE, SignalCase, measure_signals, power_of
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder, fetch_starter_model
from homespun.rag.signals import SignalOptions
from homespun.rag.support import SupportChecker
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest

CLINIC = Path(__file__).parents[1] / "examples" / "clinic"


def of_claims(embedder: Any, split: str) -> dict[str, Any]:
    """The support check's strength and verdict on single sentences."""
    rows = [row for row in _read(CLINIC / "checks" / "claims.jsonl") if row["split"] == split]
    strength, verdict, labels = [], [], []
    for row in rows:
        text = row["passage"]
        passage = Passage(row["document"], 0, len(text), text, None, ())
        check = SupportChecker([passage], lambda _, text=text: text, embedder).check(row["sentence"])
        strength.append(-check.strength)
        verdict.append(float(not check.is_supported))
        labels.append(row["label"] != "supported")
    return {
        "n_wrong": sum(labels),
        "n_right": len(labels) - sum(labels),
        "weak support": dataclasses.asdict(auroc_interval(strength, labels)),
        "not supported": dataclasses.asdict(auroc_interval(verdict, labels)),
    }


def of_questions(arguments: argparse.Namespace, home: Home, embedder: Any, engine: Any) -> list[SignalCase]:
    """Answers to a sample of the questions, with their signals."""
    questions = arguments.questions or CLINIC / f"{arguments.split}.jsonl"
    documents = arguments.documents or CLINIC / "documents"
    rows = [row for row in _read(questions) if row.get("split", arguments.split) == arguments.split]
    if arguments.sample and arguments.sample < len(rows):
        rows = random.Random(0).sample(rows, arguments.sample)
    library = Library.open(home, "signals", embedder, create=True)
    ingest(library, [documents])
    asked = [(row["question"], tuple(row["answers"])) for row in rows]
    options = SignalOptions(n_samples=arguments.samples)
    return measure_signals(asked, library, engine, options, n_passages=arguments.passages, progress=_told)


def _told(what: str, done: float, total: float | None) -> None:
    if total and done and done % 10 == 0:
        print(f"{what}: {done:.0f} of {total:.0f}", flush=True)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--model", type=Path, help="a GGUF file; default: the starter model")
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--split", default="test", choices=("train", "test"))
    parser.add_argument("--sample", type=int, default=100, help="questions, drawn with seed 0; 0: all")
    parser.add_argument("--samples", type=int, default=5, help="answers drawn again for each")
    parser.add_argument("--passages", type=int, default=4, help="that the model reads for an answer")
    parser.add_argument("--home", type=Path, help="keep the library here; default: a folder that goes again")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="show every answer with its signals")
    arguments = parser.parse_args()
    if (arguments.questions is None) != (arguments.documents is None):
        parser.error("--questions and --documents go together")
    model = arguments.model or fetch_starter_model(Home.open()).path
    embedder = open_embedder(arguments.embedder or fetch_starter_embedder(Home.open()))
    claims = None if arguments.questions else of_claims(embedder, arguments.split)
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(arguments.home or Path(folder))
        with OpenVINOEngine(model, EngineOptions(), cache_path=home.cache_path) as engine:
            cases = of_questions(arguments, home, embedder, engine)
    if arguments.show:
        for case in cases:
            doubts = {name: value for name, value in case.signals.doubts().items() if value is not None}
            shown = ", ".join(f"{name} {value:.2f}" for name, value in doubts.items())
            print(f"{'WRONG' if case.is_wrong else 'right'}: {case.question} -> {case.answer!r} ({shown})")
            print(f"    invented: {[reference.text for reference in case.signals.invented]}")
    powers = power_of(cases)
    if arguments.json:
        report = {"processor": processor_name(), "model": model.name, "rule": LABEL_RULE, "claims": claims}
        print(json.dumps({**report, "signals": [dataclasses.asdict(power) for power in powers]}))
        return
    n_wrong = sum(case.is_wrong for case in cases)
    print(f"{processor_name()}; {model.name}; {len(cases)} answers, {n_wrong} wrong. {LABEL_RULE}")
    print(f"{'signal':<26}{'AUROC':<26}wrong, right")
    for power in powers:
        print(
            f"{power.name:<26}{_interval(dataclasses.asdict(power.auroc)):<26}{power.n_wrong}, {power.n_right}"
        )
    if claims is not None:
        print(f"Single sentences, {claims['n_wrong']} changed and {claims['n_right']} true:")
        for name in ("weak support", "not supported"):
            print(f"{name:<26}{_interval(claims[name])}")


def _interval(found: dict[str, float]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


if __name__ == "__main__":
    main()
